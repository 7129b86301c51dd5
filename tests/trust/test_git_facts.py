"""Behaviour of git with refs, locks, objects and its environment, and what gitmodel does because of this behaviour."""

import ast
import fcntl
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from editing import refs_unchanged, write_script

import gitmodel
from gitmodel import Client, Conflict, Invalid, Refused, UsageError
from gitmodel.branch.opening import open_repository
from gitmodel.domain.schema.names import check_name
from gitmodel.domain.schema.object_ids import NO_OBJECT
from gitmodel.domain.schema.references import VersionRef
from gitmodel.files.permissions import SharedPermissions
from gitmodel.git.objects import loose_objects
from gitmodel.git.objects.object_formats import NewObject
from gitmodel.git.refs import ref_locks
from gitmodel.git.refs.ref_move import RefMove
from gitmodel.git.running.process import OBJECT_VARIABLES, clean_environment
from gitmodel.registry.health import doctor
from gitmodel.registry.promotion import put_in_force, stages
from gitmodel.registry.records import finding, versions
from gitmodel.registry.writing.direct import Direct

SOURCE = Path(gitmodel.__file__).parent
BRANCH = "refs/heads/gitmodel"
needs_strace = pytest.mark.skipif(
    shutil.which("strace") is None, reason="strace is not installed (on Debian and Ubuntu: apt install strace)"
)


def tip(registry, git):
    return git(registry.path, "rev-parse", BRANCH)


# GitPython's own ref and index writers lose updates, so gitmodel does not use them.


def test_gitmodel_uses_gitpython_only_to_read_submodules_of_the_code():
    importing = {
        path.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == "git" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").split(".")[0] == "git")
    }
    assert importing == {"code/submodules.py"}
    tree = ast.parse((SOURCE / "code/submodules.py").read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert not used & {"index", "refs", "heads", "tags", "create_head", "create_tag", "set_reference", "commit_tree"}


# If a packed branch changes twice within a second, git can compare the expected old value with an outdated value.


def test_no_write_is_lost_while_git_packs_refs_in_a_loop(registry, start, git, soak):
    each = 480 if soak else 30
    actors = start(4)
    before = int(git(registry.path, "rev-list", "--count", BRANCH))
    for actor in actors:
        actor.send("register", times=each)
    packing = subprocess.Popen(["bash", "-c", "while git pack-refs --all; do :; done"], cwd=registry.path)
    try:
        answers = [actor.answer() for actor in actors for _ in range(each)]
    finally:
        packing.kill()
        packing.wait()
    assert not [answer for answer in answers if "error" in answer]
    assert sorted(answer["number"] for answer in answers) == list(range(1, 4 * each + 1))
    assert int(git(registry.path, "rev-list", "--count", BRANCH)) == before + 4 * each


def test_an_open_repository_sees_a_packed_branch_change_twice_within_a_second(registry, git, soak):
    ids = [git(registry.path, "commit-tree", "HEAD^{tree}", "-m", str(number)) for number in range(2)]
    ref = "refs/heads/other"
    for turn in range(300 if soak else 30):
        git(registry.path, "update-ref", ref, ids[turn % 2])
        git(registry.path, "pack-refs", "--all")
        found = registry.repository.reader.resolve(ref)
        assert found is not None
        assert found.id == ids[turn % 2]


@pytest.mark.parametrize("seed", range(3))
def test_an_open_repository_sees_every_change_of_a_ref_and_asks_git_only_about_packed_refs(
    registry, git, monkeypatch, seed
):
    rng, path = random.Random(seed), registry.path
    refs = ["refs/heads/a", "refs/heads/b", "refs/gitmodel/renumbered", "refs/gitmodel/reserved/iris/7"]
    commits = [git(path, "commit-tree", "-m", word, f"{BRANCH}^{{tree}}") for word in ("one", "two")]
    reader = open_repository(path, environ=os.environ).reader
    sent, send = [], type(reader)._send

    def spy(self, requests):
        sent.extend(requests)
        send(self, requests)

    monkeypatch.setattr(type(reader), "_send", spy)
    for _ in range(25):
        ref = rng.choice(refs)
        change = rng.choice([
            ["update-ref", ref, rng.choice(commits)], ["update-ref", ref, rng.choice(commits)],
            ["update-ref", "-d", ref], ["symbolic-ref", refs[0], refs[1]], ["symbolic-ref", "--delete", refs[0]],
            ["pack-refs", "--all"], ["pack-refs", "--all", "--no-prune"],
        ])  # fmt: skip
        subprocess.run(["git", *change], cwd=path, capture_output=True, check=False)
        told = git(path, "for-each-ref", "--format=%(refname) %(objectname)")
        expected = dict(line.split() for line in told.splitlines())
        assert [reader.resolve_id(one) for one in refs] == [expected.get(one) for one in refs], change
        sent.clear()
        assert [reader.resolve_id(one) for one in refs] == [expected.get(one) for one in refs], change
        common = path / ".git"
        alone = {one for one in expected if (common / one).is_file() and "ref:" not in (common / one).read_text()}
        assert not alone & {*sent}
        assert {*sent} <= expected.keys() | {refs[0]}, "git was asked again for a ref that does not exist"
    reader.close()


# `git update-ref --stdin` deletes a ref if its new id is empty. On a full disk, `git commit-tree` prints no id and
# exits 0. Together, these two would delete the branch.


def test_git_deletes_a_ref_if_its_new_id_is_empty(registry, git):
    old = tip(registry, git)
    git(registry.path, "update-ref", "--stdin", "-z", input=f"update {BRANCH}\0\0{old}\0")
    assert git(registry.path, "for-each-ref", BRANCH) == ""


@pytest.mark.parametrize("id", ["", "0" * 39, "HEAD", "0" * 40 + "\n", "main", "Z" * 40, "A" * 40])
def test_a_new_or_old_id_that_is_not_40_hex_digits_never_reaches_git(id):
    with pytest.raises(Invalid, match="cannot be set"):
        RefMove(BRANCH, id, None)
    with pytest.raises(Invalid, match="cannot be set"):
        RefMove(BRANCH, "1" * 40, id)


def test_gitmodel_gives_git_the_expected_old_value_of_each_ref_that_it_moves():
    assert RefMove(BRANCH, "1" * 40, "2" * 40).line == f"update {BRANCH} {'1' * 40} {'2' * 40}"
    assert RefMove(BRANCH, "1" * 40, None).line == f"update {BRANCH} {'1' * 40} {NO_OBJECT}"


@pytest.mark.parametrize("hears", ["cat >/dev/null", "head -n -1 | {git}"], ids=["nothing", "all but the last line"])
def test_success_is_reported_only_when_the_branch_has_moved(registry, monkeypatch, hears):
    """git exits 0 without moving the branch: it does nothing, as on a full disk, or does not get all of its input."""
    with refs_unchanged(registry.path):
        real = f'{shutil.which("git")} "$@"'
        script = f'case " $* " in *" update-ref "*) {hears.format(git=real)}; exit 0;; esac\nexec {real}'
        fake = write_script(registry.path.parent / "bin" / "git", script)
        monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
        repository = open_repository(registry.path, environ=os.environ)
        try:
            with pytest.raises(Invalid, match="did not"):
                versions.make_version(Direct(repository), "iris", versions.Draft(), artifacts=(), code=None, runs=())
        finally:
            repository.close()


# By default, git flushes neither refs nor loose objects to disk. gitmodel flushes both.


@needs_strace
def test_objects_and_refs_are_on_disk_before_a_ref_names_them(registry, tmp_path):
    registry.register()
    registry.close()
    log = tmp_path / "strace"
    script = "import sys, actors; r = actors.open_registry(sys.argv[1]); actors.promote(r); r[0].close()"
    subprocess.run(
        ["strace", "-f", "-y", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2", "-o", str(log),
         sys.executable, "-c", script, str(registry.path)],
        cwd=Path(__file__).parent, check=True,
    )  # fmt: skip
    synced, placed, refs = set(), [], []
    # With -f, strace may print a call in two lines, each with the name of the file.
    for line in log.read_text().splitlines():
        if (call := re.search(r"f(?:data)?sync\(\d+<([^>]*)>", line)) is not None:
            synced.add(call[1])
        elif (
            call := re.search(r'rename\w*\((?:AT_FDCWD[^,]*, )?"([^"]*)", (?:AT_FDCWD[^,]*, )?"([^"]*)"', line)
        ) is not None:
            source, target = call.groups()
            if "/refs/" in target or target.startswith("refs/"):
                refs.append(target)
                assert any(path.endswith(source.removeprefix("./")) for path in synced), (
                    f"{source} was not flushed to disk"
                )
            elif re.search(r"objects/[0-9a-f]{2}/", target):
                placed.append(target)
                assert source in synced, f"{source} was not flushed to disk"
                assert not refs, "gitmodel wrote an object after a ref"
    assert len(placed) >= 6  # blob, trees, commit, tag
    assert [path.rpartition("refs/")[2] for path in refs] == ["heads/gitmodel", "tags/model/iris/production"]


# A writer that is killed leaves the lock file `<ref>.lock`, which contains the new id of the ref.


def killed_writer(registry, moves, *, lock=None):
    """Create the writer mark of a killed writer, and return the path of the mark.

    *moves* maps the refs that the writer was moving to their new ids. *lock* is the text of the lock file that the
    writer left on the branch; None: no lock file.
    """
    folder = registry.repository.common_dir / "gitmodel/writers"
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / f"{len(list(folder.iterdir())):016x}"
    mark.write_text("".join(f"{ref} {id}\n" for ref, id in moves.items()))
    if lock is not None:
        branch_lock(registry).write_text(lock)
    return mark


def branch_lock(registry):
    return registry.repository.common_dir / f"{BRANCH}.lock"


def aged(path, seconds):
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def test_the_lock_of_a_killed_writer_is_removed_by_the_next_write(registry):
    mark = killed_writer(registry, {BRANCH: "1" * 40}, lock="1" * 40 + "\n")
    assert registry.register()["number"] == 1
    assert not branch_lock(registry).exists()
    assert not mark.exists()


def test_a_lock_with_an_id_that_no_killed_writer_recorded_is_not_removed(registry):
    killed_writer(registry, {BRANCH: "1" * 40}, lock="2" * 40 + "\n")
    assert registry.repository.writer_marks.remove_dead() == []
    assert branch_lock(registry).exists()


def test_a_lock_that_may_belong_to_a_running_writer_is_not_removed(registry):
    """A killed writer and a running writer created the same commit, so the lock may belong to the running writer.

    Two writers of one person create the same commit if they write the same in the same second.
    """
    killed_writer(registry, {BRANCH: "1" * 40}, lock="1" * 40 + "\n")
    living = killed_writer(registry, {BRANCH: "1" * 40})
    with living.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert registry.repository.writer_marks.remove_dead() == []
        assert branch_lock(registry).exists()
    assert registry.repository.writer_marks.remove_dead() == [branch_lock(registry)]


def test_an_empty_lock_beside_the_mark_of_a_killed_writer_is_removed_after_a_minute(registry):
    """An empty lock may also belong to a running git that packs or deletes the ref."""
    killed_writer(registry, {BRANCH: "1" * 40}, lock="")
    assert registry.repository.writer_marks.remove_dead() == []
    assert branch_lock(registry).exists()
    aged(branch_lock(registry), 61)
    assert registry.repository.writer_marks.remove_dead() == [branch_lock(registry)]


def test_a_write_within_the_minute_does_not_make_an_empty_lock_permanent(registry):
    mark = killed_writer(registry, {BRANCH: "1" * 40}, lock="")
    with pytest.raises(Conflict):
        registry.register()
    doctor.repair(registry.repository, registry.store)
    assert mark.exists()
    assert [finding.about for finding in doctor.examine(registry.repository, registry.store)] == ["lock"]
    aged(branch_lock(registry), 61)
    registry.register()
    assert not branch_lock(registry).exists()
    doctor.repair(registry.repository, registry.store)
    assert not mark.exists()


def test_writer_marks_of_killed_writers_are_removed_even_if_they_are_empty(registry, assert_whole):
    marks = [killed_writer(registry, {}), killed_writer(registry, {BRANCH: "1" * 40})]
    registry.repository.writer_marks.remove_dead()
    assert not any(mark.exists() for mark in marks)


def test_a_lock_of_another_program_is_reported_with_its_age_and_the_command_that_removes_it(registry):
    branch_lock(registry).touch()
    aged(branch_lock(registry), 90)
    with pytest.raises(Conflict) as caught:
        registry.register()
    assert re.search(rf"{re.escape(str(branch_lock(registry)))} has been locked for 9\d s", caught.value.message)
    assert f"rm {branch_lock(registry)}" in caught.value.hint
    assert branch_lock(registry).exists()
    assert [finding.about for finding in doctor.examine(registry.repository, registry.store)] == ["lock"]
    branch_lock(registry).unlink()
    assert registry.register()["number"] == 1


def test_a_lock_of_packed_refs_by_another_program_does_not_stop_a_write(registry):
    lock = registry.repository.common_dir / "packed-refs.lock"
    lock.touch()
    assert registry.register()["number"] == 1
    lock.unlink()


@pytest.mark.parametrize("hindrance", ["lock", "hook"])
def test_a_demotion_whose_tag_cannot_be_removed_is_not_reported_as_done(registry, hindrance):
    registry.register()
    stages.promote(registry.writer, VersionRef("iris", "1"), "production")
    common = registry.repository.common_dir
    if hindrance == "lock":
        in_the_way = common / "refs/tags/model/iris/production.lock"
        in_the_way.touch()
    else:
        in_the_way = write_script(common / "hooks/reference-transaction", '! grep -q "0\\{40\\} refs/tags/model"')
    with pytest.raises(Conflict if hindrance == "lock" else Refused) as caught:
        stages.demote(registry.writer, "iris", "production")
    assert caught.value.message.startswith("the change is recorded, but not all of it is in force: ")
    assert caught.value.hint.endswith("then run `git model apply`")
    assert (f"type: rm {in_the_way}; " in caught.value.hint) == (hindrance == "lock")
    (state,) = [state for state in stages.list_stages(registry.writer, "iris") if state.name == "production"]
    assert (state.recorded, state.in_force) == (None, 1)
    in_the_way.unlink()
    put_in_force.apply(registry.repository)
    assert all(not state.pending for state in stages.list_stages(registry.writer, "iris"))


@pytest.mark.parametrize("whole_group", [False, True])
def test_the_next_write_succeeds_after_a_writer_whose_git_held_locks_was_killed(
    registry, start, assert_whole, whole_group
):
    """The test kills gitmodel, alone or with its git, while git runs a hook and holds the locks of the refs."""
    ready = registry.path.parent / "ready"
    hook = write_script(
        registry.repository.common_dir / "hooks/reference-transaction",
        f'[ "$1" = prepared ] || exit 0\n: >{ready}\nexec sleep 1',
    )
    (actor,) = start(1, group=True)
    actor.send("register")
    while not ready.exists():
        assert actor.process.poll() is None
        time.sleep(0.01)
    if whole_group:
        os.killpg(actor.process.pid, signal.SIGKILL)
    else:
        actor.process.kill()
    actor.process.wait()
    hook.unlink()
    # If only gitmodel was killed, its git may still create version 1. Then the next version has the number 2.
    assert registry.register()["number"] in ([1] if whole_group else [1, 2])
    assert_whole(registry.path, repair=True)


def test_a_forked_process_flushes_objects_with_its_own_threads(tmp_path):
    written = loose_objects.LooseObjects(tmp_path, SharedPermissions(""))
    written.write([NewObject("blob", b"%d" % number) for number in range(4)])
    child = os.fork()
    if not child:
        signal.alarm(30)  # ends a child that waits for the threads of its parent, which a fork does not copy
        written.write([NewObject("blob", b"%d" % number) for number in range(4, 8)])
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    written.close()
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 8


# `git gc` beside a writer can remove folders and objects that the writer needs.


def test_an_object_folder_that_gc_removes_is_created_again(tmp_path, monkeypatch):
    store = loose_objects.LooseObjects(tmp_path, SharedPermissions(""))
    new = NewObject("blob", b"content")
    real = os.replace
    tried = []

    def replace(source, target):
        tried.append(Path(target))
        if len(tried) < 4 and tried[-1].parent.exists():
            tried[-1].parent.rmdir()
        return real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    store.write([new])
    assert len(tried) == 4
    assert tried[-1].exists()
    assert list(tmp_path.iterdir()) == [tried[-1].parent]


def test_a_writer_refreshes_an_old_object_so_that_gc_keeps_it(registry, git):
    new = NewObject("blob", b"content")
    path = registry.repository.common_dir / "objects" / new.id[:2] / new.id[2:]
    registry.repository.objects.write([new])
    aged(path, 30 * 24 * 3600)
    registry.repository.objects.write([new])
    git(registry.path, "prune", "--expire=2.weeks.ago")
    assert path.exists()


def test_objects_that_a_running_gc_prunes_are_kept_in_a_pack(registry, assert_whole):
    """`git prune` lists unreferenced objects, and deletes them later, although refs may need them by then."""
    common = registry.repository.common_dir
    listed = registry.path.parent / "unnamed"
    script = f'[ "$1" = prepared ] || exit 0\ngit prune --expire=now -n >>{listed}'
    hook = write_script(common / "hooks/reference-transaction", script)
    (common / "gc.pid").write_text(f"{os.getpid()} {os.uname().nodename}")
    registry.register()
    stages.promote(registry.writer, VersionRef("iris", "1"), "production")
    hook.unlink()
    (common / "gc.pid").unlink()
    unnamed = [line.split()[0] for line in listed.read_text().splitlines()]
    assert len(unnamed) > 8
    for id in unnamed:
        (common / "objects" / id[:2] / id[2:]).unlink(missing_ok=True)
    assert_whole(registry.path)


@pytest.mark.parametrize(
    ("said", "runs"),
    [
        ("{here} {host}", True),
        ("1 another.example", True),
        ("unreadable", True),
        ("{gone} {host}", False),
        (None, False),
    ],
)
def test_a_gc_counts_as_running_unless_its_process_has_certainly_ended(tmp_path, said, runs):
    if said is not None:
        past_every_process = 2**22 + 1
        said = said.format(here=os.getpid(), gone=past_every_process, host=os.uname().nodename)
        (tmp_path / "gc.pid").write_text(said)
    assert ref_locks.gc_runs(tmp_path) is runs


# gitmodel passes its environment on to git, without the variables that locate a repository.


def test_git_gets_all_environment_variables_except_those_that_locate_a_repository():
    names = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_NAMESPACE")
    # Of the OBJECT_VARIABLES, gitmodel later sets those again that name parts of the repository in use.
    locating = dict.fromkeys((*names, *OBJECT_VARIABLES), "/elsewhere")
    kept = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": "Authorization: secret",
        "GIT_CONFIG_PARAMETERS": "'a.b=c'",
        "GIT_SSH": "ssh",
        "GIT_SSH_COMMAND": "ssh -i key",
        "GIT_ASKPASS": "ask",
        "SSH_AUTH_SOCK": "/sock",
        "SSH_ASKPASS": "ask",
        "GIT_SSL_CAINFO": "/ca",
        "HTTPS_PROXY": "proxy",
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "ada@example.com",
        "HOME": "/home/ada",
    }
    seen = clean_environment({**locating, **kept})
    assert not locating.keys() & seen.keys()
    assert {name: seen[name] for name in kept} == kept
    assert (seen["LC_ALL"], seen["GIT_TERMINAL_PROMPT"], seen["GIT_NO_REPLACE_OBJECTS"]) == ("C", "0", "1")


def test_git_configuration_in_environment_variables_reaches_git(registry, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "gitmodel.branch")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "injected")
    with Client(registry.path) as client:
        assert client.repository.branch == "refs/heads/injected"


def test_gitmodel_in_a_git_hook_leaves_the_users_index_and_work_tree_unchanged(registry, git):
    """git sets GIT_DIR, GIT_INDEX_FILE and GIT_PREFIX for its hooks."""
    program = (
        "from gitmodel import Client\nwith Client() as c: v = c.get_model('iris').create_version()\nassert v.code.dirty"
    )
    write_script(registry.repository.common_dir / "hooks/pre-commit", f'exec {sys.executable} -c "{program}"')
    (registry.path / "train.py").write_text("print('more')\n")
    (registry.path / "left.py").write_text("")
    git(registry.path, "commit", "-q", "-m", "Train more", "train.py")
    assert git(registry.path, "show", "--name-only", "--format=", "HEAD") == "train.py"
    assert git(registry.path, "status", "--porcelain") == "?? left.py"
    assert finding.find(registry.writer, VersionRef("iris")).record.number == 1


def test_a_pre_receive_hook_reads_and_writes_objects_in_the_quarantine(registry, git, tmp_path):
    git(tmp_path, "init", "-q", "--bare", "host.git")
    host = tmp_path / "host.git"
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from gitmodel.registry.health import checking\n"
        "from gitmodel.git.objects.object_formats import NewObject\n"
        "from gitmodel.branch.opening import open_repository\n"
        "r = open_repository(Path('.'), environ=os.environ)\n"
        "new = sys.stdin.read().split()[1]\n"
        "problems = checking.check(r, new)\n"
        "r.objects.write([NewObject('blob', b'left by the hook')])\n"
        "assert str(r.objects._folder) == os.path.realpath(os.environ['GIT_QUARANTINE_PATH']), r.objects._folder\n"
        "r.close()\n"
        "sys.exit('\\n'.join(map(str, problems)) or None)\n"
    )
    (tmp_path / "hook.py").write_text(program)
    write_script(host / "hooks/pre-receive", f"exec {sys.executable} {tmp_path / 'hook.py'}")
    registry.register()
    git(registry.path, "remote", "add", "host", str(host))
    git(registry.path, "push", "-q", "host", BRANCH)
    assert git(host, "rev-parse", BRANCH) == tip(registry, git)
    blob = git(registry.path, "hash-object", "-w", "--stdin", input="number = oops\n")
    entry = f"100644 blob {blob}\tx.toml\n"
    tree = git(registry.path, "mktree", input=entry)
    broken = git(registry.path, "commit-tree", tree, "-p", BRANCH, "-m", "Break it")
    refused = subprocess.run(
        ["git", "push", "host", f"{broken}:{BRANCH}"], cwd=registry.path, capture_output=True, text=True
    )
    assert refused.returncode != 0
    assert "x.toml: is not a file of the format [tree.path]" in refused.stderr
    # The objects of the refused push are not in the repository of the host.
    written = NewObject("blob", b"left by the hook").id
    assert subprocess.run(["git", "cat-file", "-e", broken], cwd=host, capture_output=True).returncode != 0
    assert git(host, "cat-file", "-t", written) == "blob"  # the hook wrote this blob during the accepted push


# gitmodel runs git without a shell, with `--end-of-options` and full names of refs, so that git reads no name as an
# option, a command or another ref.

HOSTILE = [
    "--upload-pack=touch pwned",
    "-x",
    "--help",
    "a b",
    "a;touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "a\nb",
    "a\0b",
    "../../etc/passwd",
    "a..b",
    "a/b",
    "@{-1}",
    "HEAD^{commit}",
    "a:b",
    "a~1",
    "refs/heads/main",
    "a.lock",
    "\x1b[31mred",
    "\u202eevil",
    "",
    ".",
    "*",
    ":(glob)**",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_hostile_name_becomes_a_path_a_ref_or_an_argument(registry, name):
    before = sorted(registry.path.rglob("*"))
    for what in ("model", "stage", "alias", "artifact"):
        with pytest.raises(UsageError) as caught:
            check_name(name, what)
        assert caught.value.message.isprintable()
    with Client(registry.path) as client:
        for attempt in (
            lambda: client.register_model(name),
            lambda: client.get_version(f"iris@{name}"),
            lambda: client.get_model("iris").create_version(name) if name else client.get_version("@"),
        ):
            with pytest.raises(UsageError):
                attempt()
    assert sorted(registry.path.rglob("*")) == before


@pytest.mark.parametrize("branch", ["--upload-pack=touch pwned", "-d", "a..b", "a\nb", "refs/heads/", "@{-1}", "a b"])
def test_gitmodel_refuses_a_hostile_name_in_the_branch_setting(code_repo, branch):
    with pytest.raises(UsageError, match="cannot be the metadata branch"):
        Client(code_repo, environ={**os.environ, "GITMODEL_BRANCH": branch})


def test_a_remote_named_like_an_option_is_not_used_as_an_option(code_repo):
    with (code_repo / ".git/config").open("a") as config:
        config.write('[remote "--upload-pack=touch pwned;"]\n\turl = .\n[remote "-u touch pwned"]\n\turl = .\n')
    with Client(code_repo) as client, suppress(gitmodel.GitModelError):
        client.register_model("iris")
    assert not list(code_repo.rglob("pwned"))


@pytest.mark.parametrize("ref", ["refs/heads/a\nrefs/heads/gitmodel", "refs/heads/\udcff", "refs/tags/model/a\n/x"])
def test_a_ref_with_an_impossible_name_is_reported_as_missing_and_the_next_read_is_right(registry, git, ref):
    reader = registry.repository.reader
    assert reader.resolve(ref) is None
    found = reader.resolve(BRANCH)
    assert found is not None
    assert found.id == tip(registry, git)
