"""Measure pages: exports of a site, requests to the server, and a browser that shows 10,000 versions.

`python benchmarks/pages.py [--quick]` prints only these figures.
"""

import gzip
import os
import shutil
import statistics
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import registries
from measuring import Table, measure, middle, run_command

from gitmodel.client import Client
from gitmodel.svg.line_chart import line_chart
from gitmodel.web.options import SiteOptions
from gitmodel.web.server import HOST, listen, uvicorn_server

GITMODEL = [sys.executable, "-m", "gitmodel"]
# A function for the browser: sets the value of an element, fires an event on it, and returns the milliseconds until the
# page has handled the event.
_TIMED = """async ([what, value]) => {
    const [, selector, event] = what.match(/^(.*) (\\w+)$/), element = document.querySelector(selector);
    const start = performance.now();
    if (value) element.value = value;
    element.dispatchEvent(new Event(event, {bubbles: true}));
    await new Promise(done => setTimeout(done));
    return performance.now() - start;
}"""


def measure_pages(table: Table, folder: Path, environ: dict[str, str], *, count: int) -> None:
    """Print the figures of pages for one model with *count* versions, and for 100 models that together have *count*."""
    folder.mkdir()
    judged = count == 10_000
    small = registries.new_repository(folder / "small", environ)
    registries.build(small, {"iris": range(1, 11)}, environ)
    # The first export is not measured, because it also compiles modules and templates.
    run_command([*GITMODEL, "site", str(folder / "small-site")], environ, small)
    one = registries.new_repository(folder / "one", environ)
    registries.build(one, {"iris": range(1, count + 1)}, environ, versions_per_commit=100)
    with Client(one, environ=environ) as client:
        for part in (3, 2):
            client.promote(f"iris@{count // part}", "production", reason="better")
    table.section(f"Pages of one model with {count:,} versions")
    _measure_export(table, one, folder / "site", environ, judged=judged)
    _measure_files(table, folder / "site", judged=judged)
    points = [(number, 0.9 + number * 37 % 100_000 / 1_000_000) for number in range(1, count + 1)]
    drawn = measure(lambda: line_chart(points, name="accuracy", width=1152), times=9)
    table.cost("draw the chart", drawn, cpu=50 if judged else None)
    with Client(one, environ=environ) as client, _serving(client) as port:
        _measure_requests(table, port, judged=judged)
        _measure_browser(table, f"http://{HOST}:{port}/", judged=judged)
    many = registries.new_repository(folder / "many", environ)
    registries.build(many, {f"model-{n}": range(1, count // 100 + 1) for n in range(100)}, environ)
    with Client(many, environ=environ) as client:
        client.promote("model-7@1", "production", reason="better")
    table.section(f"Pages of 100 models with {count // 100:,} versions each")
    _measure_export(table, many, folder / "many-site", environ, judged=judged)
    shutil.rmtree(folder)


def _measure_export(table: Table, repo: Path, site: Path, environ: dict[str, str], *, judged: bool) -> None:
    model = "iris" if repo.name == "one" else "model-7"
    numbers = iter(range(2, 11))

    def line(what: str, before: Callable[[], object], most: float, times: int) -> None:
        costs = []
        for _ in range(times):
            before()
            costs.append(run_command([*GITMODEL, "site", str(site)], environ, repo))
        table.cost(what, middle(costs), cpu=most if judged else None)

    def promote() -> None:
        version = f"{model}@{next(numbers)}"
        run_command([*GITMODEL, "promote", version, "production", "--reason", "better"], environ, repo)

    line("export a site", lambda: shutil.rmtree(site, ignore_errors=True), 10_000, 1)
    line("export it again, unchanged", lambda: None, 1_000, 3)
    line("export it again after a promotion", promote, 1_000, 3)


def _measure_files(table: Table, site: Path, *, judged: bool) -> None:
    def line(what: str, size: float, unit: str, most: float) -> None:
        table.number(what, size, unit, most if judged else None)

    pages = sum(path.stat().st_size for path in (site / "m/iris/v").glob("*.html"))
    line("the pages of all versions", pages / 1e6, "MB", 60)
    line("the page of the model", (site / "m/iris/index.html").stat().st_size / 1e3, "kB", 60)
    data = (site / "data/iris.json").read_bytes()
    line("the data file", len(data) / 1e6, "MB", 1.2)
    line("the data file, compressed", len(gzip.compress(data, 6)) / 1e3, "kB", 120)
    line("the script", (site / "assets/site.js").stat().st_size / 1e3, "kB", 15)
    line("the style sheet", (site / "assets/site.css").stat().st_size / 1e3, "kB", 12)


def _measure_requests(table: Table, port: int, *, judged: bool) -> None:
    connection = HTTPConnection(HOST, port)

    def ask(path: str, **headers: str) -> str:
        connection.request("GET", path, headers={key.replace("_", "-"): value for key, value in headers.items()})
        response = connection.getresponse()
        response.read()
        return response.headers["ETag"]

    try:
        for path in ("/m/iris/v/7", "/m/iris/", "/"):
            cost = measure(partial(ask, path), times=9)
            table.cost(f"a warm request of {path}", cost, wall=20 if judged else None)
        limits = iter(range(9_000, 9_999))
        cost = measure(lambda: ask(f"/search?q=metadata.accuracy%20%3E%200.{next(limits)}"), times=9)
        table.cost("a search of the versions of all models", cost)
        etag = ask("/m/iris/")
        table.cost("a request that is answered by 304", measure(lambda: ask("/m/iris/", If_None_Match=etag), times=9))
    finally:
        connection.close()


def _measure_browser(table: Table, url: str, *, judged: bool) -> None:
    """Print the times that Chromium needs to load a model's page, to filter and sort versions, and to draw the chart.

    *url* is the address of the pages. If *judged*, prints the targets, too.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        print("Chromium is not installed: the browser is not measured")
        return
    from playwright.sync_api import sync_playwright

    def line(what: str, times: list[float], most: float) -> None:
        table.number(what, statistics.median(times), "ms", most if judged else None)

    with sync_playwright() as playwright:
        options = ["--disable-gpu", "--no-first-run", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=options, chromium_sandbox=False)
        page = browser.new_page()
        loaded = []
        for _ in range(5):
            page.goto(f"{url}m/iris/")
            loaded.append(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd - "
                                        "performance.getEntriesByType('navigation')[0].responseEnd"))  # fmt: skip
        line("Chromium loads the page of the model", loaded, 100)
        page.get_by_role("searchbox", name="Filter").fill("weekly")
        page.wait_for_function("() => document.querySelector('caption').textContent.includes('match')")
        drawn = [page.evaluate(_TIMED, ["input[name=q] input", text]) for text in ("day 1", "accuracy>0.93", "week")]
        line("filter all versions", drawn, 50)
        line("sort all versions", [page.evaluate(_TIMED, ["th[data-key=epochs] button click", ""]) for _ in "123"], 50)
        line(
            "draw the chart again", [page.evaluate(_TIMED, ["#key change", key]) for key in ("epochs", "accuracy")], 100
        )
        browser.close()


@contextmanager
def _serving(client: Client) -> Iterator[int]:
    """Serve the pages of *client* in a thread until the block ends. Yields the port."""
    socket, server = listen(0), uvicorn_server(client, SiteOptions())
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        yield socket.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        socket.close()


def main() -> None:
    """Measure, print a line for each figure, and exit with 1 if a target was missed."""
    parser = registries.parser_of_options("Print the figures of pages.")
    parser.add_argument("--quick", action="store_true", help="1,000 versions instead of 10,000")
    given = parser.parse_args()
    with registries.benchmark(given.folder) as (table, folder, environ):
        environ["PYTHONPATH"] = os.pathsep.join(sys.path)
        measure_pages(table, folder / "pages", environ, count=1_000 if given.quick else 10_000)


if __name__ == "__main__":
    main()
