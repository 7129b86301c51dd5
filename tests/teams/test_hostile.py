"""gitmodel reports hostile content of a remote in limited time and memory, and writes only inside of the repository."""

import os
import resource
import subprocess
import time

import editing
import pytest
from editing import BRANCH, edit
from teamwork import refs
from transcripts import ask

from gitmodel import Client, Conflict, Invalid, Refused
from gitmodel.domain.schema import paths
from gitmodel.registry.health.checking import MOST_PROBLEMS, check

TOPIC = "refs/heads/propose/iris/production/9-0000000"
STAGE = paths.stage_file("iris", "production")
# Limits in seconds and bytes. Code that reads all files needs minutes and gigabytes, or does not end.
SOON = 20.0
LITTLE = 400 << 20


def graft(repo, root, path, entry):
    """Return the tree *root* with the *entry* (mode, type, id) at *path*, even if git would refuse this entry."""
    head, _, rest = path.partition("/")
    listing = editing.run(repo, "ls-tree", root).splitlines() if root else []
    below = next((line.split()[2] for line in listing if line.endswith(f"\t{head}")), "")
    mode, kind, id = ("040000", "tree", graft(repo, below, rest, entry)) if rest else entry
    kept = [line for line in listing if not line.endswith(f"\t{head}")]
    lines = "\n".join([*kept, f"{mode} {kind} {id}\t{head}", ""])
    return editing.run(repo, "mktree", "--missing", input=lines.encode())


def plant(repo, ref, *grafts):
    tree = editing.run(repo, "rev-parse", f"{BRANCH}^{{tree}}")
    for path, entry in grafts:
        tree = graft(repo, tree, path, entry)
    commit = editing.run(repo, "commit-tree", tree, "-p", BRANCH, "-m", "Harmless")
    editing.run(repo, "update-ref", ref, commit)
    return commit


def many(repo, depth=3, width=100):
    """Return a tree that names width ** depth files, but consists of only depth + 1 git objects."""
    entry = ("100644", "blob", editing.run(repo, "hash-object", "-w", "--stdin", input=b"x"))
    for _ in range(depth):
        lines = "".join(f"{entry[0]} {entry[1]} {entry[2]}\t{number}\n" for number in range(10, 10 + width))
        entry = ("040000", "tree", editing.run(repo, "mktree", input=lines.encode()))
    return entry


@pytest.fixture
def bounded():
    """Fail if the test takes more time or memory than the limits allow."""
    begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert time.monotonic() - begun < SOON
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < LITTLE


# Folders into which the tests put 10 ** 6 or 10 ** 12 files. Some are folders for records or host files, others are
# not.
PLACES = ["rubbish", "models/iris/versions", "models/other/names/ab", "models", "runs/2026", ".github", "purged"]


@pytest.mark.parametrize(("place", "depth"), [*((place, 3) for place in PLACES), ("rubbish", 6), (".github", 6)])
def test_a_proposal_with_a_million_files_is_refused_quickly(bob, bare, place, depth, bounded):
    plant(bare, TOPIC, (place, many(bare, depth)))
    (found,) = bob.list_proposals()
    assert [problem.rule for problem in found.plan.problems] == ["change.size"]
    assert "too many files differ" in found.plan.problems[0].message


@pytest.mark.parametrize("place", PLACES)
def test_a_check_of_a_branch_with_a_million_files_ends_quickly(ada, bare, place, bounded):
    commit = plant(bare, TOPIC, (place, many(bare)))
    editing.run(bare, "update-ref", BRANCH, commit)
    with Client(bare, repo=bare) as client:
        found = check(client.repository)
        assert len(found) <= MOST_PROBLEMS + 1
        assert found or place == ".github"


def test_a_pull_refuses_to_replay_local_commits_onto_a_million_files(bob, bare, bounded):
    bob.get_model("iris").create_version()
    commit = plant(bare, TOPIC, ("rubbish", many(bare)))
    editing.run(bare, "update-ref", BRANCH, commit)
    before = refs(bob.repository.common_dir)
    with pytest.raises(Invalid, match="too many files differ"):
        bob.pull()
    assert refs(bob.repository.common_dir) == before


ENTRIES = {
    "a symbolic link": ("120000", "blob", b"/etc/passwd"),
    "a program": ("100755", "blob", b"#!/bin/sh\ntouch pwned\n"),
    "a submodule": ("160000", "commit", "1" * 40),
}


@pytest.mark.parametrize("what", ENTRIES)
@pytest.mark.parametrize("path", [STAGE, "models/iris/model.toml", "models/iris/versions/1.toml", "gitmodel.toml"])
def test_a_symbolic_link_an_executable_or_a_submodule_in_place_of_a_record_is_reported_and_not_followed(
    bob, bare, what, path
):
    mode, kind, data = ENTRIES[what]
    id = data if isinstance(data, str) else editing.run(bare, "hash-object", "-w", "--stdin", input=data)
    plant(bare, TOPIC, (path, (mode, kind, id)))
    (found,) = bob.list_proposals()
    assert not found.ready
    assert path in {problem.path for problem in found.plan.problems}
    assert "root:" not in repr(found)


@pytest.mark.parametrize("name", ["..", ".git", "...", "-x", "--upload-pack=touch pwned", "a\\b", "con"])
def test_file_names_that_look_like_paths_or_options_write_nothing_outside_of_the_repository(
    team, bob, bare, name, capsys
):
    blob = editing.run(bare, "hash-object", "-w", "--stdin", input=b"version = 1\n")
    tree = _raw_tree(bare, name, blob)
    plant(bare, TOPIC, ("models/iris/stages", ("040000", "tree", tree)))
    before = outside(team.folder)
    (found,) = bob.list_proposals()
    assert not found.ready
    for words in (("plan", f"gitmodel..{found.commit}"), ("check", found.commit)):
        assert ask(capsys, "-C", bob.repository.git.top, *words)[0] == 5
    assert outside(team.folder) == before


def outside(folder):
    """Return the paths of all files and folders below *folder* that are not in a git repository."""
    return sorted(path for path in folder.rglob("*") if not {".git", "remote.git"} & {*path.parts})


def _raw_tree(repo, name, blob):
    data = b"100644 " + name.encode() + b"\0" + bytes.fromhex(blob)
    command = ["git", "hash-object", "-w", "-t", "tree", "--literally", "--stdin"]
    return subprocess.run(command, cwd=repo, input=data, capture_output=True, check=True).stdout.decode().strip()


@pytest.mark.parametrize(
    "ref",
    [
        "refs/heads/propose/--upload-pack=touch pwned".replace(" ", "\u00a0"),
        "refs/heads/propose/-x/--force/-1",
        "refs/heads/propose/$(touch${IFS}pwned)/x/1",
        "refs/heads/propose/\u202egnp.exe",
        "refs/tags/model/-x/production",
        "refs/tags/model/--help/-h",
        "refs/tags/model/iris/-f",
    ],
)
def test_ref_names_that_look_like_options_are_not_used_as_options(team, bob, bare, ref, capsys):
    stage = editing.read(bare, STAGE).replace("version = 2", "version = 3")
    commit = edit(bare, {STAGE: stage}, onto=_copy(bare, TOPIC))
    (bare / ref).parent.mkdir(parents=True, exist_ok=True)
    (bare / ref).write_text(f"{commit}\n", encoding="utf-8")
    for command in ("pull", "proposals", "list"):
        code, out, _ = ask(capsys, "-C", bob.repository.git.top, command)
        assert (code, out.replace("\n", "").isprintable()) == (0, True)
    assert not list(team.folder.rglob("pwned*"))
    assert bob.get_version("iris@production").number == 2


def _copy(repo, ref):
    editing.run(repo, "update-ref", ref, BRANCH)
    return ref


def test_terminal_escapes_in_a_proposal_are_printed_as_visible_text(bob, bare, capsys):
    text = "\x1b]0;owned\x07\x1b[2J"
    stage = editing.read(bare, STAGE).replace("version = 2", "version = 3")
    tip = edit(bare, {STAGE: stage + 'reason = "\\u001b]0;owned\\u0007"\n'}, f"Promote {text}", onto=_copy(bare, TOPIC))
    for words in (("proposals",), ("plan", f"gitmodel..{tip}"), ("plan", f"gitmodel..{tip}", "--markdown")):
        _, out, err = ask(capsys, "-C", bob.repository.git.top, *words)
        assert "\x1b" not in out + err
        assert "\x07" not in out + err


def test_a_hostile_proposal_does_not_hide_other_proposals(ada, bob, bare):
    made = bob.propose(("iris@3", "production"), push=True)
    plant(bare, "refs/heads/propose/a/b/1-0000000", ("rubbish", many(bare)))
    unrelated = editing.run(bare, "commit-tree", editing.run(bare, "mktree"), "-m", "Nothing")
    editing.run(bare, "update-ref", "refs/heads/propose/c/d/1-0000000", unrelated)
    found = {one.branch: one for one in ada.list_proposals()}
    assert len(found) == 3
    assert [branch for branch, one in found.items() if one.ready] == [made.branch]


@pytest.mark.parametrize("what", ["rewound", "deleted", "begun anew"])
def test_a_pull_reports_a_remote_that_was_reset_and_keeps_local_commits(bob, bare, what):
    bob.get_model("iris").create_version(metadata={"bob": True})
    before = refs(bob.repository.common_dir)
    if what == "rewound":
        editing.run(bare, "update-ref", BRANCH, f"{BRANCH}~1")
    elif what == "deleted":
        editing.run(bare, "update-ref", "-d", BRANCH)
    else:
        empty = editing.run(bare, "commit-tree", editing.run(bare, "mktree"), "-m", "Begin again")
        editing.run(bare, "update-ref", BRANCH, empty)
    for verb in (bob.pull, bob.push):
        with pytest.raises((Conflict, Refused)) as error:
            verb()
        assert error.value.hint
    assert refs(bob.repository.common_dir) == before
    assert bob.get_version("iris@4").metadata == {"bob": True}
    assert os.path.isdir(bob.repository.common_dir)
