"""Processes and threads that write at the same time lose no version, and use no number twice.

Processes that read meanwhile never see a part of a change.
"""

import random
import re
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from gitmodel import Client
from gitmodel.branch.stages.stage_tags import StageTags
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.schema.refs import StageRef
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.registry.health import doctor
from gitmodel.registry.lists import version_lists
from gitmodel.registry.promotion import stages
from gitmodel.registry.records import finding


def ok(answers):
    """Return *answers*; fail if one of them is an error."""
    assert not [answer for answer in answers if "error" in answer]
    return answers


def in_force(registry, model="iris", stage="production"):
    return finding.find(registry.writer, VersionRef.parse(f"{model}@{stage}")).record.number


@contextmanager
def looping(*works):
    """Call each function in *works* repeatedly in a thread of its own while the block runs. Raise errors at the end."""
    over = threading.Event()

    def loop(work):
        turns = 0
        while not over.is_set() or turns == 0:
            work()
            turns += 1
        return turns

    with ThreadPoolExecutor(len(works)) as pool:
        loops = [pool.submit(loop, work) for work in works]
        try:
            yield
        finally:
            over.set()
        for turns in loops:
            assert turns.result() > 0


@pytest.fixture
def reading(start):
    """Start processes that read repeatedly while the block runs. Fail if one of them finds an inconsistency."""

    @contextmanager
    def read(count=1):
        readers = start(count)

        def look(reader):
            answer = reader.ask("look")
            assert "error" not in answer, answer
            assert answer["wrong"] == []

        with looping(*(lambda reader=reader: look(reader) for reader in readers)):
            yield

    return read


def test_eight_processes_register_25_versions_each(registry, start, reading, assert_whole, soak):
    for turn in range(5 if soak else 1):
        actors = start(8)
        began = time.monotonic()
        with reading():
            for actor in actors:
                actor.send("register", times=25)
            made = [ok([actor.answer() for _ in range(25)]) for actor in actors]
        assert time.monotonic() - began < 120
        numbers = [answer["number"] for answers in made for answer in answers]
        assert sorted(numbers) == list(range(200 * turn + 1, 200 * turn + 201))
        assert all([answer["number"] for answer in answers] == sorted(a["number"] for a in answers) for answers in made)
        for answers in made:
            for answer in answers:
                record = finding.find(registry.writer, VersionRef("iris", str(answer["number"]))).record
                assert [link.digest for link in record.artifacts] == [answer["digest"]]
    assert_whole(registry.path)


@pytest.mark.parametrize("occupied", [False, True])
@pytest.mark.parametrize("count", [2, 8])
def test_processes_promoting_into_one_stage_leave_one_holder(
    registry, start, reading, assert_whole, git, soak, count, occupied
):
    for _ in range(9):
        registry.register()
    actors = start(count)
    with reading():
        for _ in range(200 if soak else 3):
            if occupied:
                registry.promote("iris@9")
            elif [state for state in stages.list_stages(registry.writer, "iris") if state.name == "production"]:
                stages.demote(registry.writer, "iris", "production")
            before = registry.repository.tip()
            for number, actor in enumerate(actors, start=1):
                actor.send("promote", ref=f"iris@{number}")
            answers = ok([actor.answer() for actor in actors])
            # Each answer names the version and the previous holder. Together, the answers must form one chain.
            held = 9 if occupied else None
            chain = {answer["previous"]: answer["version"] for answer in answers}
            assert len(chain) == count
            for _ in range(count):
                held = chain.pop(held)
            states = {state.name: state for state in stages.list_stages(registry.writer, "iris")}
            assert (states["production"].recorded, states["production"].in_force) == (held, held)
            assert in_force(registry) == held
            views, _ = version_lists.list_versions(registry.writer, "iris")
            assert [view.record.number for view in views if view.stage == "production"] == [held]
            assert all(
                view.stage == "archived"
                for view in views
                if view.record.number in range(1, count + 1) and view.record.number != held
            )
            tip = registry.repository.tip()
            assert git(registry.path, "rev-parse", "model/iris/production^{commit}") == tip
            assert git(registry.path, "rev-list", "--count", f"{before}..{tip}") == str(count)
    assert_whole(registry.path)


def test_two_processes_promoting_the_same_version_both_see_it_in_force(registry, start, soak, assert_whole):
    registry.register()
    registry.register()
    actors = start(2)
    for turn in range(100 if soak else 5):
        number = 1 + turn % 2
        for actor in actors:
            actor.send("promote", ref=f"iris@{number}")
        answers = ok([actor.answer() for actor in actors])
        assert {answer["version"] for answer in answers} == {number}
        assert [answer["changed"] for answer in answers].count(True) == 1
        assert in_force(registry) == number
    assert_whole(registry.path)


def test_a_registry_that_eight_clients_create_at_once_has_one_root_commit(code_repo, start, git, soak):
    for turn in range(20 if soak else 2):
        git(code_repo, "config", "gitmodel.branch", f"registry-{turn}")
        with ThreadPoolExecutor(8) as pool:
            clients = [Client(code_repo) for _ in range(8)]
            list(pool.map(lambda pair: pair[1].register_model(f"model-{pair[0]}"), enumerate(clients)))
        for client in clients:
            client.close()
        assert len(git(code_repo, "rev-list", "--max-parents=0", f"registry-{turn}").split()) == 1
        assert git(code_repo, "rev-list", "--count", f"registry-{turn}") == "9"


def git_beside_gc(folder, *arguments):
    """Run git, and retry as a user would if git itself loses a race against gc or pack-refs.

    Two races are known. gc may remove the empty folder of an object just before git writes the object. And git may read
    packed-refs before pack-refs rewrites this file, and then compare a ref with the outdated value.
    """
    for _ in range(20):
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
        if not re.search("unable to create temporary file: No such file|cannot lock ref .* but expected", done.stderr):
            break
    assert done.returncode == 0, done.stderr


def test_no_write_is_lost_and_no_read_is_wrong_while_gc_and_fetch_run(
    registry, start, reading, assert_whole, git, tmp_path, soak
):
    git(tmp_path, "clone", "-q", "--bare", str(registry.path), "remote.git")
    git(registry.path, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(registry.path, "config", "gc.auto", "0")
    git(tmp_path, "clone", "-q", str(tmp_path / "remote.git"), "colleague")
    commits = 0

    def maintain():
        git(registry.path, "pack-refs", "--all")
        git(registry.path, "repack", "-adq")
        git(registry.path, "pack-refs", "--all")
        git(registry.path, "gc", "-q")

    def commit():
        nonlocal commits
        (registry.path / "train.py").write_text(f"print({commits})\n")
        git_beside_gc(registry.path, "commit", "-qam", f"Train {commits}")
        commits += 1

    def fetch():
        git(tmp_path / "colleague", "commit", "-q", "--allow-empty", "-m", "Elsewhere")
        git(tmp_path / "colleague", "push", "-q", "origin", "HEAD:refs/heads/theirs")
        git_beside_gc(registry.path, "fetch", "-q")

    actors = start(4)
    count = 200 if soak else 8
    with reading(), looping(maintain, commit, fetch):
        for actor in actors:
            actor.send("register", times=count)
        made = [answer for actor in actors for answer in ok([actor.answer() for _ in range(count)])]
        assert sorted(answer["number"] for answer in made) == list(range(1, 4 * count + 1))
        for turn in range(count):
            for number, actor in enumerate(actors, start=1):
                actor.send("promote", ref=f"iris@{number + turn}")
            ok([actor.answer() for actor in actors])
    assert git(registry.path, "rev-list", "--count", "main") == str(commits + 1)
    assert git(registry.path, "status", "--porcelain") == ""
    assert git(registry.path, "rev-parse", "origin/theirs") == git(tmp_path / "colleague", "rev-parse", "HEAD")
    assert_whole(registry.path)


def test_a_writer_never_touches_work_tree_index_or_current_branch(registry, git):
    (registry.path / "train.py").write_text("print('half done')\n")
    (registry.path / "new.py").write_text("")
    git(registry.path, "add", "new.py")
    status = git(registry.path, "status", "--porcelain")
    index, head = (registry.path / ".git/index").read_bytes(), (registry.path / ".git/HEAD").read_bytes()
    registry.register()
    registry.promote("iris@1")
    stages.demote(registry.writer, "iris", "production")
    assert (registry.path / ".git/index").read_bytes() == index
    assert (registry.path / ".git/HEAD").read_bytes() == head
    assert git(registry.path, "status", "--porcelain") == status


def test_threads_that_share_one_client_create_versions_with_different_numbers(code_repo, assert_whole, soak):
    each = 25 if soak else 6
    with Client(code_repo) as client:
        model = client.register_model("iris")

        def work(thread):
            chance = random.Random(thread)
            numbers = []
            for _ in range(each):
                version = model.create_version(metadata={"thread": thread})
                numbers.append(version.number)
                if chance.random() < 0.5:
                    version.set_stage("production")
                assert client.get_version(f"iris@{version.number}").metadata == {"thread": thread}
                assert model.get_version().number >= version.number
                assert len(model.versions) <= 50
            return numbers

        with ThreadPoolExecutor(8) as pool:
            numbers = [number for found in pool.map(work, range(8)) for number in found]
        assert sorted(numbers) == list(range(1, 8 * each + 1))
    assert_whole(code_repo)


def test_a_writer_waits_until_another_program_releases_the_lock_of_the_branch(registry, start):
    lock = registry.repository.common_dir / "refs/heads/gitmodel.lock"
    lock.touch()
    (actor,) = start(1)
    actor.send("register")
    threading.Timer(0.5, lock.unlink).start()
    assert actor.answer()["number"] == 1


def test_no_accepted_write_is_lost_while_git_gc_prune_now_runs_in_a_loop(registry, start, soak):
    if not soak:
        pytest.skip("a long version: run with --soak")
    actors = start(4)
    with looping(lambda: subprocess.run(["git", "gc", "-q", "--prune=now"], cwd=registry.path, capture_output=True)):
        for actor in actors:
            actor.send("register", times=50)
        answers = [actor.answer() for actor in actors for _ in range(50)]
    accepted = [answer for answer in answers if "error" not in answer]
    assert accepted
    for answer in accepted:
        record = finding.find(registry.writer, VersionRef("iris", str(answer["number"]))).record
        assert record.artifacts[0].digest == answer["digest"]


def test_two_threads_that_ask_about_the_history_of_different_tips_get_the_right_answers(registry, monkeypatch):
    """One thread asks about the chain of first parents of an older tip, another about the chain of a newer tip.

    The newer tip is on its own chain, but not on the chain of the older tip.
    """
    registry.register()
    commits = registry.repository.commits
    old = registry.repository.tip()
    registry.register()
    new = registry.repository.tip()
    real, threads = commits._follow, []

    def follow(tip):
        real(tip)
        if not threads:
            threads.append(threading.Thread(target=commits.is_on_chain, args=(new, new)))
            threads[0].start()
            threads[0].join(0.5)

    monkeypatch.setattr(commits, "_follow", follow)
    assert not commits.is_on_chain(old, new)
    threads[0].join()
    assert commits.is_on_chain(new, new)


WRITERS = {
    "promote": lambda client: client.get_version("iris@1").set_stage("production"),
    "demote": lambda client: client.get_model("iris").demote("production"),
    "first promotion": lambda client: client.get_version("iris@1").set_stage("staging"),
    "delete": lambda client: client.delete_model("iris", force=True),
    "rename": lambda client: client.get_model("iris").rename("flower"),
    "apply": lambda client: client.apply(),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_stage_tag_that_another_writer_moves_is_not_reported_as_invalid(registry, name, monkeypatch, open_at):
    """The writer reads the branch, another writer moves branch and tag, then the first writer reads the tag."""
    for _ in range(3):
        registry.register()
    registry.promote("iris@2")
    if name == "apply":
        repository = registry.repository
        ref = StageRef("iris", "production")
        repository.refs.drop([RefMove(ref.full, None, repository.tags.id(ref))])
    other, real, turns = open_at(registry.path), StageTags.read, []
    with Client(registry.path) as client:
        client.list_models()

        def read(tags, ref):
            if tags is not other.repository.tags and len(turns) < 3:
                turns.append(ref)
                number = (1, 3)[len(turns) % 2]
                other.promote(f"iris@{number}", "staging" if name == "first promotion" else "production")
            return real(tags, ref)

        monkeypatch.setattr(StageTags, "read", read)
        WRITERS[name](client)
    assert turns
    monkeypatch.undo()
    assert "foreign tag" not in [found.kind for found in doctor.examine(registry.repository, registry.store)]
