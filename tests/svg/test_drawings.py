"""The SVG drawings: charts, swim lanes and lineage graphs.

They are accessible, have the same bytes on each machine, fit their width, and show hostile text as text.
"""

import re
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from xml.etree import ElementTree

import pytest

from gitmodel.domain.views.lineage import ARTIFACT, RUN, VERSION, Edge, Lineage, Node, nearest
from gitmodel.domain.views.lineage_drawing import mermaid
from gitmodel.svg.layers import layers
from gitmodel.svg.line_chart import Mark, line_chart, line_runs, sparkline
from gitmodel.svg.lineage_graph import MOST_NODES, lineage_graph
from gitmodel.svg.scales import Scale, round_steps, time_steps
from gitmodel.svg.swim_lanes import PENDING, REFUSED, Span, swim_lanes

NAN = float("nan")
HOSTILE = "</svg><script>alert(1)</script>\" onload='x' & \u202egpj.\x1b[2J\n"
MONDAY = datetime(2026, 3, 2, tzinfo=timezone.utc)
NAMESPACE = "{http://www.w3.org/2000/svg}"


def day(number: float) -> datetime:
    return MONDAY + timedelta(days=number)


def read(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in read(svg).iter(f"{NAMESPACE}text")]


def of_class(svg: str, name: str) -> list[ElementTree.Element]:
    return [element for element in read(svg).iter() if name in element.get("class", "").split()]


def ticks_of(chart: str) -> tuple[list[float], dict[float, str | None]]:
    """Return the positions of the ticks on the lower axis of *chart*, and the label below each tick (by position)."""
    axis = of_class(chart, "axis")
    steps = [float(x) for part in axis for x in re.findall(r"M(\S+)", part.get("d", ""))]
    below = (group for group in axis if group.get("text-anchor") == "middle")
    return steps, {float(label.get("x", "")): label.text for group in below for label in group}


def points_of(path: str) -> list[tuple[float, float]]:
    """Return points on the curves and vertical lines of *path*, without its arrow head."""
    found = []
    for command, numbers in re.findall(r"([MCV])([^A-Za-z]*)", path.rpartition("M")[0]):
        given = [float(number) for number in numbers.split()]
        x, y = found[-1] if found else (0, 0)
        if command == "C":
            x1, y1, x2, y2, x3, y3 = given
            for at in (step / 20 for step in range(1, 21)):
                weights = (1 - at) ** 3, 3 * (1 - at) ** 2 * at, 3 * (1 - at) * at**2, at**3
                xs, ys = (x, x1, x2, x3), (y, y1, y2, y3)
                found.append(tuple(sum(w * v for w, v in zip(weights, values, strict=True)) for values in (xs, ys)))
        else:
            ends = [tuple(given)] if command == "M" else [(x, y + (given[0] - y) * at) for at in (0.5, 1)]
            found.extend(ends)
    return found


def some_lineage(name: str = "classifier") -> Lineage:
    model, data = "sha256:" + "a" * 64, "sha256:" + "b" * 64
    nodes = (
        Node("iris@4", VERSION, {"stage": "production", "aliases": ["champion"]}),
        Node(model, ARTIFACT, {"kind_of_artifact": "model", "versions": [f"iris@4:{name}"]}),
        Node("20260302-train", RUN, {"pipeline": name, "status": "failed", "started": MONDAY}),
        Node(data, ARTIFACT, {"kind_of_artifact": "data", "versions": []}),
        Node("wine@1", VERSION, {}, name),
    )
    up = (Edge(model, "iris@4", name), Edge("20260302-train", model, "fit.model"), Edge(data, "20260302-train", name))
    return Lineage("iris@4", nodes, up, (Edge(model, "wine@1", "old"),))


DRAWINGS = {
    "line chart": lambda text: line_chart([(1, 0.5), (2, text), (3, 0.7)], name=text, marks=[Mark(3, text)]),
    "sparkline": lambda text: sparkline([0.5, text, 0.7], name=text),
    "swim lanes": lambda text: swim_lanes(
        [Span(text, text, day(0), day(1)), Span(text, text, day(1), state=REFUSED), Span(text, "2", day(1), href=text)],
        title=text,
        lanes=[text],
    ),
    "lineage graph": lambda text: lineage_graph(some_lineage(text), links={"iris@4": text}),
}
EMPTY = {
    "line chart": line_chart([], name="accuracy"),
    "line chart without numbers": line_chart([(1, None), (2, NAN)], name="accuracy", marks=[Mark(1, "production")]),
    "sparkline": sparkline([], name="accuracy"),
    "swim lanes": swim_lanes([], title="Stages", lanes=["production"]),
    "lineage graph": lineage_graph(Lineage("iris@1", (Node("iris@1", VERSION),), (), None)),
}


@pytest.mark.parametrize("svg", [*(make("plain") for make in DRAWINGS.values()), *EMPTY.values()])
def test_a_drawing_has_a_title_and_a_description_and_needs_no_style_or_script(svg):
    root = read(svg)
    assert [child.tag.removeprefix(NAMESPACE) for child in list(root)[:2]] == ["title", "desc"]
    assert all(child.text for child in list(root)[:2])
    links = list(root.iter(f"{NAMESPACE}a"))
    assert root.get("role") == ("group" if links else "img")
    assert {element.tag.removeprefix(NAMESPACE) for element in root.iter()} <= {
        *("svg", "title", "desc", "g", "a", "text", "path", "rect", "circle")
    }
    names = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in names if name.startswith("on") or name in ("style", "id")]
    colours = {element.get(name) for element in root.iter() for name in ("fill", "stroke")}
    assert colours <= {None, "none", "currentColor"}


@pytest.mark.parametrize("make", DRAWINGS.values(), ids=DRAWINGS)
def test_hostile_text_stays_text_and_shows_control_characters_as_escapes(make):
    svg = make(HOSTILE)
    root = read(svg)  # fails if the drawing is not well-formed XML
    assert "<script" not in svg
    assert not re.search(r"[\x00-\x1f\u202e]", svg)
    shown = "".join(root.itertext())
    assert "\\u202egpj.\\x1b[2J\\n" in shown
    assert not {name for element in root.iter() for name in element.attrib if name.startswith("on")}


def test_the_bytes_of_a_drawing_do_not_depend_on_the_process():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_drawings as t; "
        "print(*(make('plain') for make in t.DRAWINGS.values()), *t.EMPTY.values())"
    )
    asked = [sys.executable, "-c", code, str(__file__).rpartition("/")[0]]
    found = {
        subprocess.run(asked, env={"PYTHONHASHSEED": seed}, capture_output=True, check=True).stdout for seed in "123"
    }
    assert len(found) == 1
    assert b"<svg" in found.pop()


def test_coordinates_in_drawings_have_at_most_one_decimal():
    svg = "".join(make("plain") for make in DRAWINGS.values())
    assert not re.search(r'(?<!v)(?: x| y|cx|cy|width| d)="[^"]*\d\.\d\d', svg)


class TestLineChart:
    def test_the_label_of_a_limit_at_the_top_is_below_its_line(self):
        for limit, below in ((0.8, True), (0.6, False)):
            drawn = line_chart([(1, 0.5), (2, 0.7)], name="f1", marks=[Mark(1, "production")], limits=[("f1", limit)])
            (group,) = of_class(drawn, "limit")
            (line,), (label,) = (list(group.iter(f"{NAMESPACE}{kind}")) for kind in ("path", "text"))
            assert (float(label.get("y")) > float(line.get("d").split()[1].partition("H")[0])) is below

    @pytest.mark.parametrize(("last", "width"), [(9, 328), (100_000, 328), (10_000_000, 1152)])
    def test_the_label_of_each_step_of_the_axis_is_below_its_step_and_inside_the_drawing(self, last, width):
        drawn = line_chart([(1, 0.5), (last, 0.7)], name="f1", width=width)
        steps, labels = ticks_of(drawn)
        assert steps == [*labels]
        assert all(x + 3.5 * len(label) <= width for x, label in labels.items())

    @pytest.mark.parametrize("gap", [None, NAN, float("inf"), "0.6", True, 10**400, [0.6]])
    def test_a_chart_shows_a_value_that_is_not_a_finite_number_as_a_gap(self, gap):
        svg = line_chart([(1, 0.5), (2, 0.6), (3, gap), (4, 0.7), (5, 0.8)], name="accuracy")
        (line,) = of_class(svg, "line")
        assert line.get("d", "").count("M") == 2
        assert len(of_class(svg, "dot")) == 4
        assert "1 without a number" in svg

    def test_a_chart_shows_a_point_between_two_gaps_as_a_dot(self):
        points = [(number, None if number in (100, 102) else number / 7) for number in range(1, 200)]
        svg = line_chart(points, name="accuracy")
        assert len(of_class(svg, "dot")) == 1

    def test_a_mark_before_the_first_or_after_the_last_point_is_left_out(self):
        marks = [Mark(1, "champion"), Mark(3, "staging"), Mark(9, "production")]
        svg = line_chart([(2, 0.5), (3, 0.6), (4, 0.7)], name="accuracy", marks=marks)
        assert [name in svg for name in ("champion", "staging", "production")] == [False, True, False]

    def test_each_mark_has_a_name_a_shape_and_a_line_and_labels_do_not_overlap(self):
        marks = [Mark(38, "production"), Mark(40, "staging"), Mark(40, "champion"), Mark(3, "challenger")]
        svg = line_chart([(number, number % 7) for number in range(1, 41)], name="accuracy", marks=marks)
        found = of_class(svg, "mark")
        assert len(found) == 4
        shapes = {re.sub(r"^M\S+ \S+m", "", list(mark)[2].get("d", "")) for mark in found}
        assert len(shapes) == 4
        assert [mark[0].text for mark in found] == [
            "challenger: version 3, 3",
            "production: version 38, 3",
            "champion: version 40, 5",
            "staging: version 40, 5",
        ]
        rows = {text.text: text.get("y") for mark in found for text in mark.iter(f"{NAMESPACE}text")}
        assert len({rows["production 38"], rows["staging 40"], rows["champion 40"]}) == 3
        assert "production: version 38; staging: version 40" in svg

    def test_a_limit_is_a_line_with_a_label_inside_the_drawing(self):
        svg = line_chart([(1, 0.5), (2, 0.6)], name="accuracy", limits=[("gate: >= 0.65", 0.65), ("far", 50)])
        (limit,) = of_class(svg, "limit")
        (label,) = limit.iter(f"{NAMESPACE}text")
        assert label.text == "gate: >= 0.65"
        assert float(label.get("y", "")) > 14
        assert "Limit: gate: >= 0.65." in svg.replace("&gt;", ">")

    def test_the_label_of_the_last_version_is_below_its_tick(self):
        svg = line_chart([(number, number) for number in range(1, 17)], name="accuracy")
        steps, labels = ticks_of(svg)
        assert labels[steps[-1]] == "16"

    def test_the_title_of_the_mark_of_a_version_without_a_number_has_the_words_no_number(self):
        svg = line_chart([(1, 0.5), (2, None), (3, 0.7)], name="accuracy", marks=[Mark(2, "production")])
        assert of_class(svg, "mark")[0][0].text == "production: version 2, no number"

    @pytest.mark.parametrize(
        "values", [[5], [5, 5], [1e300, -1e300], [5e-324, 0], [1e16, 1e16 + 2], [-1.7e308, 1.7e308], [0.1, 0.1 + 1e-16]]
    )
    def test_extreme_numbers_are_drawn_inside_the_drawing(self, values):
        svg = line_chart(enumerate(values, 1), name="loss")
        for element in read(svg).iter(f"{NAMESPACE}circle"):
            assert 0 <= float(element.get("cx", "")) <= 720
            assert 0 <= float(element.get("cy", "")) <= 240
        assert "nan" not in svg
        assert "inf" not in svg

    def test_a_chart_of_many_points_keeps_minima_maxima_and_both_ends(self):
        points = [(number, 0.5 + number % 10 / 100) for number in range(1, 10_001)]
        points[4321] = (4322, 0.99)
        points[8765] = (8766, 0.01)
        (run,) = line_runs(points, 300)
        assert len(run) <= 2 * 300 + 2
        assert {(4322, 0.99), (8766, 0.01), points[0], points[-1]} <= set(run)
        assert run == sorted(run)
        assert len(line_chart(points, name="accuracy").encode()) < 12_000

    def test_a_chart_of_many_points_keeps_a_wide_gap(self):
        points = [(number, None if 4000 < number < 4500 else 0.5) for number in range(1, 10_001)]
        assert len(line_runs(points, 300)) == 2
        every_other = [(number, 0.5 if number % 2 else None) for number in range(1, 10_001)]
        assert len(line_runs(every_other, 300)) == 1

    def test_a_chart_of_ten_thousand_points_takes_at_most_100_ms(self):
        points = [(number, number * 7919 % 10_007 / 10_007) for number in range(1, 10_001)]
        taken = []
        for _ in range(3):
            start = time.process_time()
            line_chart(points, name="accuracy", marks=[Mark(10_000, "production")])
            taken.append(time.process_time() - start)
        assert min(taken) < 0.1


class TestSwimLanes:
    def test_a_block_of_a_swim_lane_shows_its_version_and_a_link_if_it_is_wide_enough(self):
        spans = [
            Span("production", "1", day(0), day(50), href="v/1"),
            Span("production", "2", day(50), day(50.5), href="v/2"),
            Span("production", "3", day(50.5), href="v/3"),
        ]
        svg = swim_lanes(spans, title="Stages of iris", lanes=["staging", "production"])
        assert texts(svg)[:2] == ["staging", "production"]
        assert {"1", "3"} <= set(texts(svg))
        assert "2" not in texts(svg)
        assert [link.get("href") for link in read(svg).iter(f"{NAMESPACE}a")] == ["v/1", "v/3"]
        assert len(of_class(svg, "open")) == 1
        assert "production: 3 since 2026-04-21 12:00, 3 changes" in svg
        assert "production: 2 from 2026-04-21 00:00, until 2026-04-21 12:00" in svg
        assert "staging: empty, 0 changes" in svg

    def test_swim_lanes_show_a_refused_change_as_a_cross(self):
        spans = [Span("production", "1", day(0)), Span("production", "2", day(9), state=REFUSED)]
        svg = swim_lanes(spans, title="Stages of iris", lanes=["production"])
        assert len(of_class(svg, "span")) == 1
        assert of_class(svg, "refused")[0][0].text == "production: 2 at 2026-03-11 00:00, never in force"

    def test_a_pending_change_is_a_dashed_block_with_the_words_not_in_force_yet(self):
        spans = [Span("production", "1", day(0), day(9)), Span("production", "2", day(9), state=PENDING)]
        svg = swim_lanes(spans, title="Stages of iris", lanes=["production"])
        (block,) = of_class(svg, "pending")
        assert block[0].text == "production: 2 from 2026-03-11 00:00, not in force yet"
        assert block[1].get("stroke-dasharray")
        assert "production: 2 pending since 2026-03-11 00:00" in svg
        assert of_class(svg, "open") == []

    def test_swim_lanes_show_many_short_changes_as_one_block_with_their_number(self):
        spans = [Span("production", str(number), day(number / 100), day(number / 100 + 0.01)) for number in range(9999)]
        svg = swim_lanes([*spans, Span("production", "9999", day(99.99))], title="x", lanes=[])
        assert len(svg.encode()) < 4_000
        assert "9999 changes" in texts(svg)
        assert "9999" in texts(svg)

    def test_swim_lanes_show_50_lanes_and_the_number_of_the_others(self):
        spans = [Span(f"model-{number} production", "1", day(0)) for number in range(60)]
        svg = swim_lanes(spans, title="Stages", lanes=[])
        assert "model-49 production" in texts(svg)
        assert "model-50 production" not in texts(svg)
        assert "10 lanes more in the table" in svg

    def test_swim_lanes_over_one_second_and_over_a_thousand_years_have_a_time_axis(self):
        for end in (day(0.000001), day(365_000)):
            assert len(of_class(swim_lanes([Span("a", "1", day(0), end)], title="x", lanes=[]), "axis")) >= 2


class TestLineageGraph:
    def test_a_lineage_graph_shows_kinds_of_nodes_by_shape_and_words_and_its_edges_go_down(self):
        svg = lineage_graph(some_lineage(), links={"iris@4": "v/4"})
        shown = texts(svg)
        assert {"iris@4", "production, champion", "classifier", "failed run of 2026-…"} <= set(shown)
        assert "version, classifier" in shown  # takes the place of the record of wine@1, which is missing
        (root,) = of_class(svg, "root")
        assert root.get("class") == "node version root held"
        assert len(of_class(svg, "missing")) == 1
        assert [link.get("href") for link in read(svg).iter(f"{NAMESPACE}a")] == ["v/4"]
        heights = {node[0].text: float(node.find(f"{NAMESPACE}text").get("y")) for node in of_class(svg, "node")}
        order = sorted(heights, key=heights.__getitem__)
        assert [text.partition(":")[0] for text in order[:4]] == ["classifier", "classifier", "classifier", "iris@4"]
        assert order[0].startswith("classifier: data sha256:bbbb"), (
            "no version has this artifact, so its name is that in the run"
        )
        assert "2 versions, 1 run, 2 artifacts" in svg

    def test_a_lineage_graph_has_only_the_nearest_nodes_and_no_box_leaves_its_width(self):
        nodes = [Node("iris@1", VERSION), *(Node(f"run-{number}", RUN, {}, "gone") for number in range(400))]
        edges = tuple(Edge(f"run-{number}", "iris@1") for number in range(400))
        for width in (328, 720):
            svg = lineage_graph(Lineage("iris@1", tuple(nodes), edges, None), width=width)
            assert len(of_class(svg, "node")) == MOST_NODES
            assert "201 more nodes are not shown" in svg
            boxes = list(read(svg).iter(f"{NAMESPACE}rect"))
            places = {(float(box.get("x")), float(box.get("y"))) for box in boxes}
            assert len(places) == MOST_NODES
            assert min(x for x, _ in places) >= 0
            assert max(x for x, _ in places) + 154 <= width

    @pytest.mark.parametrize("width", [328, 520, 900])
    def test_no_edge_passes_behind_a_box(self, width):
        ids = [f"iris@{number}" for number in range(40)]
        pairs = [(a, b) for a in range(40) for b in range(a + 1, 40) if (b - 1) // 3 == a or b - a in (17, 29)]
        edges = tuple(Edge(ids[a], ids[b]) for a, b in pairs)
        svg = lineage_graph(Lineage("iris@39", tuple(Node(id, VERSION) for id in ids), edges, None), width=width)
        boxes = [(float(box.get("x")), float(box.get("y"))) for box in read(svg).iter(f"{NAMESPACE}rect")]
        paths = [path.get("d") for path in read(svg).iter(f"{NAMESPACE}path") if path.get("stroke-opacity")]
        assert (len(boxes), len(paths)) == (40, len(pairs))
        for x, y in (point for path in paths for point in points_of(path)):
            assert 0 <= x <= width
            behind = [box for box in boxes if box[0] < x < box[0] + 154 and box[1] + 0.5 < y < box[1] + 41.5]
            assert behind == []

    def test_a_lineage_graph_with_a_cycle_is_drawn(self):
        assert sum(map(len, layers(["a", "b", "c"], [("a", "b"), ("b", "a"), ("b", "c"), ("c", "c")]))) == 3

    def test_each_edge_of_a_graph_leads_to_a_lower_layer(self):
        ids = [str(number) for number in range(60)]
        edges = [(str(a), str(b)) for a in range(60) for b in range(a + 1, 60) if (a * 7 + b) % 11 == 0]
        depth = {id: place for place, layer in enumerate(layers(ids, edges)) for id in layer}
        assert all(depth[source] < depth[target] for source, target in edges)


@pytest.mark.parametrize("most", [1, 3, 8])
@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.81, 0.97), (-3, 9), (1e-9, 2e-9), (1e300, 2e300), (1e16, 1e16 + 4)]
)
def test_steps_of_a_scale_are_few_round_numbers_between_its_ends(low, high, most):
    steps = round_steps(low, high, most)
    assert len(steps) <= most + 1
    assert all(low <= value <= high for value, _ in steps)
    assert all(float(label) == value for value, label in steps)


@pytest.mark.parametrize("days", [0.00001, 0.01, 0.3, 2, 40, 500, 4000, 400_000])
def test_steps_of_a_time_scale_are_few_and_between_its_ends(days):
    start = 1_700_000_000
    steps = time_steps(start, start + days * 86400, 6)
    assert len(steps) <= 7
    assert all(start <= at <= start + days * 86400 for at, _ in steps)
    assert len({label for _, label in steps}) == len(steps)


def test_a_scale_without_extent_maps_to_its_middle():
    assert Scale(5, 5, 0, 10).at(5) == 5


def test_the_nearest_part_of_a_lineage_has_few_versions_of_each_artifact():
    links = [f"iris@{number}:train" for number in range(1, 101)]
    data = Node("sha256:" + "a" * 64, ARTIFACT, {"kind_of_artifact": "data", "versions": links})
    versions = tuple(Node(f"iris@{number}", VERSION) for number in range(1, 101))
    down = tuple(Edge(data.id, version.id, "train") for version in versions)
    part = nearest(Lineage(data.id, (*versions, data), None, down), 30)
    assert [len(part.nodes), part.nodes[0].id, len(part.down), part.up] == [30, data.id, 29, None]
    assert (len(part.nodes[0].facts["versions"]), part.nodes[0].facts["more_versions"]) == (20, 80)
    assert "iris@20:train_ and 80 more" in mermaid(part)
    assert 'more["and 71 more"]' in mermaid(Lineage(data.id, (*versions, data), None, down), 30)


def test_the_nearest_part_of_a_lineage_keeps_versions_in_use_that_are_far_from_its_root():
    """A version has eight artifacts. From only one of them, the last, a version in production was made."""
    names = [str(number) for number in range(8)]
    used = Node("wine@1", VERSION, {"stage": "production", "aliases": []})
    nodes = (Node("iris@1", VERSION), *(Node(name, ARTIFACT) for name in names), Node("train", RUN), used)
    down = (*(Edge(name, "iris@1", name) for name in names), Edge("7", "train", "data"), Edge("train", "wine@1"))
    part = nearest(Lineage("iris@1", nodes, None, down), 6)
    assert [node.id for node in part.nodes] == ["iris@1", "0", "1", "7", "train", "wine@1"]
