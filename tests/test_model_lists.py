"""Lists of models: with and without the index, gitmodel shows the same models and stages.

A stage counts only if its tag agrees with the branch. The index remembers the tags that were checked and are valid.
"""

import os
import random
from contextlib import suppress
from operator import methodcaller

import pytest
from editing import BRANCH, edit, read, run

from gitmodel import Client, GitModelError
from gitmodel.branch.stages.stage_tags import StageTags
from gitmodel.git.objects import trees
from gitmodel.git.objects.object_reader import ObjectReader
from gitmodel.git.running.process import Git
from gitmodel.index.index_file import IndexFile
from gitmodel.registry.health import doctor
from gitmodel.registry.lists import index_access, model_views

STAGES = """\
format = "1.2"

[[stages]]
name = "staging"

[[stages]]
name = "{last}"
"""


@pytest.fixture
def repo(tmp_path):
    """A registry of four models with three versions each. iris@2 and rose@1 are in production."""
    run(tmp_path, "init", "-q", "repo")
    with Client(tmp_path / "repo") as client:
        for name in ("iris", "rose", "tulip", "wine"):
            made = client.register_model(name, title=f"The {name}")
            for number in range(1, 4):
                made.create_version(metadata={"accuracy": number / 10})
        client.get_version("iris@2").set_stage("production")
        client.get_version("rose@1").set_stage("production")
        client.get_version("rose@3").add_alias("champion")
    return tmp_path / "repo"


@pytest.fixture
def judged(monkeypatch):
    """A list to which each check of a stage tag appends the name of the tag."""
    refs, judge = [], StageTags.judge

    def spy(self, ref, found, tip):
        refs.append(ref.name)
        return judge(self, ref, found, tip)

    monkeypatch.setattr(StageTags, "judge", spy)
    return refs


@pytest.fixture(autouse=True)
def indexed(monkeypatch):
    """Let gitmodel use the index also for lists of few models, as in these tests."""
    monkeypatch.setattr(index_access, "_MODELS_FOR_INDEX", 0)


def listed(client):
    """List the models; return what the list shows of each, and the messages of its errors."""
    views, damaged = model_views.list_models(client.writer)
    return views, [error.message for error in damaged]


def without_index(client, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(model_views, "open_index", lambda *_: None)
        return listed(client)


def database(repo):
    (path,) = (repo / ".git" / "gitmodel").glob("index-*.sqlite")
    return path


def stages_of(client, name):
    return {state.name: state.in_force for view in listed(client)[0] if view.name == name for state in view.stages}


def test_a_list_does_not_check_a_stage_tag_again_that_was_valid(repo, judged):
    with Client(repo) as client:
        first = listed(client)
    assert len(judged) == 3
    judged.clear()
    with Client(repo) as client:
        assert listed(client) == first
        assert judged == []
        client.get_version("wine@1").set_stage("staging")
        judged.clear()
        assert stages_of(client, "wine") == {"staging": 1}
        assert judged == ["model/wine/staging"]
        judged.clear()
        assert stages_of(client, "wine") == {"staging": 1}
        assert judged == []


@pytest.mark.parametrize(("sort", "page"), [("", ["iris", "rose"]), ("-name", ["wine", "tulip"])])
def test_a_page_of_a_list_by_name_reads_no_models_after_the_page(repo, judged, sort, page):
    with Client(repo) as client:
        views, _ = model_views.list_models(client.writer, sort=sort, limit=1, offset=1)
        assert [view.name for view in views] == page[1:]
        assert {name.split("/")[1] for name in judged} <= {*page}
        listed(client)
        judged.clear()
    with Client(repo) as client:  # the first list writes all stage tags to the index
        assert len(listed(client)[0]) == 4
        client.get_version("tulip@1").set_stage("staging")
        judged.clear()
        model_views.list_models(client.writer, limit=1)
        listed(client)
        assert judged == ["model/tulip/staging"]


def test_a_page_of_a_list_by_name_skips_deleted_models_and_reports_no_damage_after_the_page(repo):
    with Client(repo) as client:
        client.delete_model("iris", force=True)
        edit(repo, {"models/wine/model.toml": "no = record"})
        for _ in range(2):  # the first list writes the index, and the second list uses it
            views, damaged = model_views.list_models(client.writer, limit=2)
            assert [view.name for view in views] == ["rose", "tulip"]
            assert damaged == []
            views, damaged = model_views.list_models(client.writer, limit=2, offset=1)
            assert [view.name for view in views] == ["tulip"]
            assert "wine" in str(damaged)
        assert model_views.list_models(client.writer, limit=0)[0] == []


def test_the_first_list_without_an_index_asks_git_for_many_objects_at_once(repo, monkeypatch):
    asked = []
    answers = ObjectReader._answers

    def spy(self, requests, *, limit):
        asked.append(list(requests))
        return answers(self, requests, limit=limit)

    with Client(repo) as client, client.transaction("Register many") as change:
        for number in range(40):
            change.register_model(f"m{number}").create_version()
    monkeypatch.setattr(ObjectReader, "_answers", spy)
    with Client(repo) as client:
        assert len(listed(client)[0]) == 44
    alone = [requests for requests in asked if len(requests) == 1]
    assert len(alone) < 30  # fewer requests for one object than there are models, 44


def test_a_search_of_all_models_asks_git_for_many_objects_at_once(repo, monkeypatch):
    sizes, ask = [], ObjectReader._send
    monkeypatch.setattr(ObjectReader, "_send", lambda self, ids: (sizes.append(len(ids)), ask(self, ids))[1])
    with Client(repo) as client:
        found = client.find_versions(sort="-accuracy", limit=1)
    assert [str(row) for row in found] == ["iris@3"]
    assert sizes.count(4) >= 2  # one request for the folders of the four models, and one for their records


def test_a_list_reads_no_tree_of_a_model_that_has_not_changed(repo):
    with Client(repo) as client:
        listed(client)
    with Client(repo) as client:
        listed(client)
        read_trees = set(client.repository.trees.cached_trees)
        models = run(repo, "ls-tree", f"{BRANCH}:models").split()[2::4]
    assert len(models) == 4
    assert not read_trees.intersection(models)


def make_any_change(rng, repo, client):
    """Make a random change of the registry, with gitmodel or with plain git."""
    commits = run(repo, "rev-list", "--first-parent", BRANCH).split()
    names = [view.name for view in listed(client)[0]] or ["iris"]
    name, number = rng.choice(names), rng.randint(1, 3)
    stage = rng.choice(["staging", "production"])
    tag = f"model/{name}/{rng.choice([stage, 'champion', 'latest'])}"

    def merge_by_plain_git():
        other = edit(repo, {f"models/{name}/stages/staging.toml": read(repo, "models/rose/stages/production.toml")})
        run(repo, "update-ref", BRANCH, f"{other}~1")
        edit(repo, {"notes.md": str(rng.random())})
        edit(repo, {f"models/{name}/stages/staging.toml": read(repo, "models/rose/stages/production.toml", other)},
             parents=[run(repo, "rev-parse", BRANCH), other])  # fmt: skip
        run(repo, "tag", "-f", "-a", "-m", "x", f"model/{name}/staging", other)

    changes = [
        lambda: client.get_version(f"{name}@{number}").set_stage(stage),
        lambda: client.get_version(f"{name}@{number}").set_stage("none"),
        lambda: client.get_version(f"{name}@{number}").add_alias("champion"),
        lambda: client.get_model(name).rename(f"{name}{rng.randint(0, 99)}"),
        lambda: client.get_model(name).create_version(),
        lambda: client.get_version(f"{name}@{number}").delete(reason="wrong"),
        lambda: client.delete_model(name, force=True, reason="gone") if len(names) > 3 else None,
        lambda: run(repo, "update-ref", BRANCH, rng.choice(commits[:6])),
        lambda: run(repo, "update-ref", BRANCH, rng.choice(run(repo, "reflog", "--format=%H", BRANCH).split()[:6])),
        lambda: run(repo, "tag", "-f", "-a", "-m", "by hand", tag, rng.choice(commits[:4])),
        lambda: run(repo, "tag", "-f", tag, rng.choice(commits[:4])),
        lambda: run(repo, "tag", "-d", tag),
        lambda: run(repo, "update-ref", f"refs/tags/{tag}", f"refs/tags/model/{rng.choice(names)}/{stage}"),
        lambda: edit(repo, {"gitmodel.toml": STAGES.format(last=rng.choice(["production", "champion", "live"]))}),
        lambda: edit(repo, {f"models/{name}/stages/{stage}.toml": "version = 'x'\n"}),
        lambda: edit(repo, {f"models/{name}/versions/{number}.toml": "number = 'x'\n"}),
        merge_by_plain_git,
    ]  # fmt: skip
    with suppress(GitModelError, Exception):
        rng.choice(changes)()


@pytest.mark.parametrize("seed", range(4))
def test_a_list_is_the_same_with_and_without_the_index_after_any_change(repo, monkeypatch, seed):
    run(repo, "config", "core.logAllRefUpdates", "always")
    rng, outcomes = random.Random(seed), set()
    with Client(repo) as lasting:
        for _ in range(25):
            make_any_change(rng, repo, lasting)
            if rng.random() < 0.1:
                database(repo).unlink(missing_ok=True)
            if rng.random() < 0.5:
                assert listed(lasting) == without_index(lasting, monkeypatch)
            with Client(repo) as client:
                found = listed(client)
                assert found == without_index(client, monkeypatch)
            outcomes.add(str(found))
    assert len(outcomes) > 8


def test_a_stage_tag_at_a_commit_that_the_rewritten_branch_lacks_is_not_in_force(repo, judged):
    with Client(repo) as client:
        before = run(repo, "rev-parse", BRANCH)
        client.get_version("wine@3").set_stage("production")
        assert stages_of(client, "wine") == {"production": 3}
        run(repo, "update-ref", BRANCH, before)
        assert stages_of(client, "wine") == {"production": None}
        assert stages_of(client, "iris") == {"production": 2}


def test_stage_tags_are_checked_again_for_another_metadata_branch(repo, judged):
    run(repo, "branch", "other", f"{BRANCH}~3")
    with Client(repo) as client, Client(repo, environ={**os.environ, "GITMODEL_BRANCH": "other"}) as other:
        for _ in range(2):
            assert stages_of(client, "rose") == {"production": 1, "champion": 3}
            assert stages_of(other, "rose") == {"production": None, "champion": None}


def test_a_process_that_read_an_older_commit_does_not_mark_newer_stage_tags_as_valid(repo, monkeypatch):
    """After this process read the commit, and before it writes the index, another process promotes a version.

    The other process also writes its stage tags to the index.
    """
    with Client(repo) as client, Client(repo) as other:
        listed(client)
        before = run(repo, "rev-parse", BRANCH)
        client.get_version("wine@1").set_stage("staging")
        judge = StageTags.judge
        later = []

        def meanwhile(self, ref, found, tip):
            if self is client.repository.tags and not later:
                later.append(True)
                client.get_version("wine@3").set_stage("production")
                assert stages_of(other, "wine") == {"staging": 1, "production": 3}
            return judge(self, ref, found, tip)

        monkeypatch.setattr(StageTags, "judge", meanwhile)
        listed(client)
        assert later
        monkeypatch.setattr(StageTags, "judge", judge)
        run(repo, "update-ref", BRANCH, f"{BRANCH}~1")
        assert stages_of(other, "wine") == {"staging": 1, "production": None}
        run(repo, "update-ref", BRANCH, before)
        assert stages_of(other, "wine") == {"staging": None, "production": None}


@pytest.mark.parametrize("when", ["read", "written"])
def test_deleting_the_index_while_a_list_uses_it_does_not_change_the_list(repo, monkeypatch, when):
    with Client(repo) as client:
        expected = without_index(client, monkeypatch)
        listed(client)
        method = "read_tags" if when == "read" else "write_models"
        from gitmodel.index.model_lists import ModelLists

        original = getattr(ModelLists, method)

        def deleting(self, *arguments):
            for path in (repo / ".git" / "gitmodel").glob("index-*"):
                path.unlink()
            return original(self, *arguments)

        monkeypatch.setattr(ModelLists, method, deleting)
        assert listed(client) == expected
        assert listed(client) == expected


def test_each_list_reads_a_model_again_that_has_a_damaged_record_or_misses_an_object(repo, monkeypatch):
    with Client(repo) as client:
        edit(repo, {"models/iris/versions/3.toml": "number = 3\n"})
        expected = listed(client)
        assert [view.latest for view in expected[0] if view.name == "iris"] == [None]
        for _ in range(2):
            assert listed(client) == expected == without_index(client, monkeypatch)
        blob = run(repo, "rev-parse", f"{BRANCH}:models/rose/versions/3.toml")
        path = repo / ".git" / "objects" / blob[:2] / blob[2:]
        kept = path.read_bytes()
        # After this change of rose, the list reads the model again, and misses the object that is deleted below.
        edit(repo, {"models/rose/versions/2.toml": None})
        path.unlink()
    with Client(repo) as client:
        assert [view.latest for view in listed(client)[0] if view.name == "rose"] == [None]
    path.write_bytes(kept)
    with Client(repo) as client:
        assert [view.latest for view in listed(client)[0] if view.name == "rose"] == [3]


def test_a_list_ignores_a_folder_whose_name_is_not_utf_8(repo, monkeypatch):
    stream = f"commit {BRANCH}\ncommitter A <a@example.com> 1 +0000\ndata 1\nx\nfrom {BRANCH}^0\n".encode()
    for path in (b"model.toml", b"versions/1.toml"):
        stream += b'M 100644 inline "models/\\377\\376/%s"\ndata 1\nx\n' % path
    run(repo, "fast-import", "--quiet", input=stream)
    with Client(repo) as client:
        expected = without_index(client, monkeypatch)
        assert len(expected[0]) == 4
        for _ in range(2):
            assert listed(client) == expected
        assert len(client.find_versions(filter="metadata.accuracy > 0.2")) == 4
        assert not [finding for finding in doctor.examine(client.repository, None) if finding.about == "index"]


def test_doctor_reports_a_wrong_row_in_the_tables_of_the_index_that_lists_use(repo):
    with Client(repo) as client:
        expected = listed(client)
        assert not [finding for finding in doctor.examine(client.repository, None) if finding.about == "index"]
        for change in ("UPDATE listed SET latest = 1 WHERE model = 'wine'", "UPDATE stage_tag SET version = 3"):
            IndexFile(client.repository.own_folder).change(methodcaller("execute", change))
            (finding,) = (one for one in doctor.repair(client.repository, None) if one.about == "index")
            assert "the index has wrong values for" in finding.message
            assert listed(client) == expected


def test_each_list_in_a_shallow_clone_checks_all_stage_tags(repo, tmp_path, judged):
    run(tmp_path, "clone", "-q", "--bare", "--depth=2", "--branch", "gitmodel", f"file://{repo}", "shallow")
    run(tmp_path / "shallow", "fetch", "-q", "origin", "refs/tags/*:refs/tags/*", "--depth=2")
    with Client(tmp_path / "shallow") as client:
        for _ in range(2):
            judged.clear()
            listed(client)
            assert judged


def test_a_handle_from_a_list_keeps_the_values_of_the_list_until_the_handle_is_refreshed(repo):
    with Client(repo) as client:
        first, second, third = client.get_model("iris").list_versions()
        iris = client.list_models()[0]
        client.promote("iris@3", "production")
        client.get_version("iris@2").set_metadata({"accuracy": 0.9})
        assert [version.stage for version in (first, second, third)] == [None, "production", None]
        assert second.metadata == {"accuracy": 0.2}
        assert {state.name: state.in_force for state in iris.stages} == {"production": 2}
        assert [version.refresh().stage for version in (first, second, third)] == [None, "archived", "production"]
        assert second.metadata == {"accuracy": 0.9}
        assert {state.name: state.in_force for state in iris.refresh().stages} == {"production": 3}
        assert iris.title == "The iris"


def test_a_handle_from_a_list_shows_a_change_that_was_made_with_this_handle(repo):
    with Client(repo) as client:
        (iris, *_), (first, *_) = client.list_models(), client.get_model("iris").list_versions()
        first.set_stage("production")
        assert first.stage == "production"
        first.log_metadata(accuracy=1)
        assert first.metadata == {"accuracy": 1}
        first.add_alias("champion")
        first.remove_alias("champion")
        assert first.aliases == []
        assert iris.view.stages[0].in_force == 2
        iris.set_metadata({"contact": "#flowers"})
        assert iris.metadata == {"contact": "#flowers"}
        assert iris.view.stages[0].in_force == 1


def test_reading_all_handles_of_a_list_does_not_start_a_git_process_for_each(repo, monkeypatch):
    with Client(repo) as client:
        handles = [*client.get_model("iris").each_version(), *client.get_model("rose").versions]
        models = client.list_models()
        started = []
        monkeypatch.setattr(Git, "run", lambda *given, **options: started.append(given))
        monkeypatch.setattr(ObjectReader, "get_many", lambda *given, **options: started.append(given))
        assert [handle.stage for handle in handles] == [None, "production", None, "production", None, None]
        assert [handle.aliases for handle in handles][-1] == ["champion"]
        assert (handles[0].metadata["accuracy"], handles[0].pending) == (0.3, ())
        assert [model.title for model in models] == ["The iris", "The rose", "The tulip", "The wine"]
        assert [len(model.stages) for model in models] == [1, 2, 0, 0]
        assert not started


def test_the_holders_of_a_stage_are_the_same_with_and_without_the_index(repo, judged):
    with Client(repo) as client:
        for _ in range(2):
            judged.clear()
            assert [str(view) for view in client.view_stages("production")] == ["iris@2", "rose@1"]
        assert judged == []


@pytest.mark.parametrize("judge", [methodcaller("view_models"), methodcaller("apply")])
def test_checking_all_stage_tags_parses_the_folder_of_all_models_once(tmp_path, monkeypatch, judge):
    """The git tree of this folder has an entry for each model. Parsing it for each model would take quadratic time."""
    run(tmp_path, "init", "-q", "many")
    with Client(tmp_path / "many") as client:
        with client.transaction("Register many") as change:
            for number in range(20):
                change.register_model(f"m{number:02}").create_version()
        for number in range(20):
            client.get_version(f"m{number:02}@1").set_stage("production")
    large, parse = [], trees.parse_tree

    def spy(data):
        found = parse(data)
        large.extend([len(found)] if len(found) >= 20 else [])
        return found

    monkeypatch.setattr(trees, "parse_tree", spy)
    with Client(tmp_path / "many") as client:
        judge(client)
        assert len(large) <= 1
        assert stages_of(client, "m19") == {"production": 1}
