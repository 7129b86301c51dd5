"""The git objects that gitmodel writes itself have the ids, content and file permissions that git would give them."""

import os
import stat
import subprocess
import zlib

import pytest
from expected_errors import error_with_hint
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmodel import Client
from gitmodel.errors import Invalid, Unreachable
from gitmodel.files.permissions import SharedPermissions
from gitmodel.git.objects.loose_objects import LooseObjects
from gitmodel.git.objects.object_formats import (
    FILE,
    FOLDER,
    Entry,
    NewObject,
    format_commit,
    format_pack,
    format_tag,
    format_tree,
    parse_commit,
    parse_tag,
    parse_tree,
)
from gitmodel.git.objects.object_reader import ObjectReader

repeatable = settings(derandomize=True, deadline=None)
IDS = st.binary(min_size=20, max_size=20).map(bytes.hex)
WHO = "Ada Example <ada@example.com> 1795428733 +0000"


@pytest.fixture
def bare(tmp_path, git):
    folder = tmp_path / "objects.git"
    git(tmp_path, "init", "-q", "--bare", str(folder))
    return folder


def written(bare, *new, shared=""):
    objects = LooseObjects(bare / "objects", SharedPermissions(shared))
    try:
        objects.write(new)
    finally:
        objects.close()
    return [one.id for one in new]


@pytest.mark.parametrize("data", [b"", b"version = 4\n", b"\0\xff\r\n", bytes(range(256)) * 1000])
def test_a_blob_has_the_id_that_git_gives_it(bare, data):
    done = subprocess.run(["git", "hash-object", "--stdin"], cwd=bare, input=data, capture_output=True, check=True)
    assert NewObject("blob", data).id == done.stdout.decode().strip()


# Names whose order differs from that of plain text: git sorts a folder as if its name ended in a slash.
AWKWARD = ["a", "a.toml", "a-b", "a0", "a/", "A", "b", "é", "a b", "1xx", "10.toml", "1.toml", "2.toml", "model.toml"]


def test_a_tree_has_the_id_that_git_gives_it(bare, git):
    blob, *_ = written(bare, NewObject("blob", b"x"))
    folder = git(bare, "mktree", input=f"100644 blob {blob}\tx\n")
    link, sub = "120000", "160000"
    entries = {
        name.strip("/"): Entry(FOLDER, folder) if number % 3 == 0 else Entry(FILE, blob)
        for number, name in enumerate(AWKWARD)
    }
    entries |= {"script": Entry("100755", blob), "link": Entry(link, blob), "sub": Entry(sub, "ab" * 20)}
    types = {FOLDER: "tree", sub: "commit"}
    lines = "".join(
        f"{entry.mode:0>6} {types.get(entry.mode, 'blob')} {entry.id}\t{name}\n" for name, entry in entries.items()
    )
    made = git(bare, "mktree", input=lines)
    data = format_tree(entries)
    assert NewObject("tree", data).id == made
    assert data == subprocess.run(["git", "cat-file", "tree", made], cwd=bare, capture_output=True, check=True).stdout
    assert parse_tree(data) == entries


TREE_NAMES = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=12)


@repeatable
@given(
    st.dictionaries(TREE_NAMES, st.builds(Entry, st.sampled_from([FILE, FOLDER, "100755", "120000", "160000"]), IDS))
)
def test_any_tree_is_the_same_after_writing_and_reading(entries):
    assert parse_tree(format_tree(entries)) == entries


def test_a_name_in_a_tree_that_is_not_utf8_is_unchanged_after_reading_and_writing():
    data = b"100644 a\xff\xfe\0" + bytes(20)
    assert format_tree(parse_tree(data)) == data


@pytest.mark.parametrize(
    "data",
    [b"100644", b"100644 name", b"nonsense\0", b"\xff\xff name\0" + bytes(20), b"100644 name\0" + bytes(7)],
)
def test_reading_a_damaged_or_truncated_tree_is_refused(data):
    with pytest.raises(Invalid, match="damaged"):
        parse_tree(data)


@pytest.mark.parametrize(
    "message", ["Promote iris 4 to production\n", "subject\n\nbody\n\nModel: iris\n", "größer ✓\n"]
)
@pytest.mark.parametrize("parents", [0, 1, 2])
def test_a_commit_has_the_id_that_git_gives_it(bare, git, message, parents):
    tree = git(bare, "mktree", input="")
    heads = [git(bare, "commit-tree", tree, "-m", str(number)) for number in range(parents)]
    options = [word for head in heads for word in ("-p", head)]
    made = git(bare, "commit-tree", tree, *options, input=message)
    data = format_commit(tree, heads, WHO, WHO, message)
    assert NewObject("commit", data).id == made
    commit = parse_commit(made, data)
    assert (commit.tree, commit.parents, commit.author, commit.message) == (tree, tuple(heads), WHO, message)


def test_lines_inside_of_a_signature_are_not_read_as_tree_or_parents_of_the_commit(bare, git):
    tree = git(bare, "mktree", input="")
    data = (
        f"tree {tree}\nparent {'ab' * 20}\nauthor {WHO}\ncommitter {WHO}\n"
        f"gpgsig -----BEGIN SSH SIGNATURE-----\n tree {'00' * 20}\n parent {'11' * 20}\n -----END SSH SIGNATURE-----\n"
        "\nsubject\n\nparent of all\n"
    )
    commit = parse_commit("", data.encode())
    assert (commit.tree, commit.parents) == (tree, ("ab" * 20,))
    assert commit.message == "subject\n\nparent of all\n"


def test_a_tag_has_the_id_that_git_gives_it(bare, git):
    target = git(bare, "commit-tree", git(bare, "mktree", input=""), "-m", "x")
    message = "iris 3 -> 4 in production\n\nbetter\n"
    git(bare, "tag", "-a", "model/iris/production", target, "-F", "-", input=message)
    made = git(bare, "rev-parse", "refs/tags/model/iris/production")
    data = format_tag(target, "model/iris/production", WHO, message)
    assert NewObject("tag", data).id == made
    assert git(bare, "mktag", input=data.decode()) == made
    tag = parse_tag(data)
    assert (tag.name, tag.target, tag.target_type) == ("model/iris/production", target, "commit")


def test_git_reads_and_accepts_objects_that_gitmodel_wrote(bare, git):
    blob = NewObject("blob", b"version = 4\n")
    tree = NewObject("tree", format_tree({"production.toml": Entry(FILE, blob.id)}))
    commit = NewObject("commit", format_commit(tree.id, [], WHO, WHO, "Promote\n"))
    tag = NewObject("tag", format_tag(commit.id, "model/iris/production", WHO, "iris 4\n"))
    written(bare, blob, tree, commit, tag)
    git(bare, "update-ref", "refs/tags/model/iris/production", tag.id)
    assert git(bare, "fsck", "--full", "--strict") == ""
    assert git(bare, "cat-file", "blob", "model/iris/production:production.toml") == "version = 4"


@pytest.mark.parametrize("size", [0, 15, 16, 2047, 2048, 100_000])
def test_git_accepts_a_pack_that_gitmodel_wrote(bare, git, size):
    blob = NewObject("blob", b"x" * size)
    tree = NewObject("tree", format_tree({"f": Entry(FILE, blob.id)}))
    commit = NewObject("commit", format_commit(tree.id, [], WHO, WHO, "Promote\n"))
    tag = NewObject("tag", format_tag(commit.id, "t", WHO, "iris 4\n"))
    pack = format_pack([blob, tree, blob, commit, tag])
    subprocess.run(["git", "index-pack", "--strict", "--stdin"], cwd=bare, input=pack, check=True, capture_output=True)
    git(bare, "update-ref", "refs/tags/t", tag.id)
    assert git(bare, "fsck", "--full", "--strict") == ""
    assert git(bare, "cat-file", "-s", blob.id) == str(size)


def test_writing_objects_leaves_no_temporary_file(bare):
    written(bare, *(NewObject("blob", b"%d" % number) for number in range(30)))
    files = [path for path in (bare / "objects").rglob("*") if path.is_file()]
    assert len(files) == 30
    assert all(len(path.name) == 38 for path in files)


def test_an_existing_git_object_is_not_written_again(bare):
    (id,) = written(bare, NewObject("blob", b"x"))
    path = bare / "objects" / id[:2] / id[2:]
    before = path.stat()
    written(bare, NewObject("blob", b"x"), NewObject("blob", b"x"))
    assert path.stat().st_ino == before.st_ino
    assert zlib.decompress(path.read_bytes()) == b"blob 1\0x"


def test_a_git_object_that_one_change_contains_twice_is_written_once(bare):
    written(bare, NewObject("blob", b"y"), NewObject("blob", b"y"))
    assert len([path for path in (bare / "objects").rglob("*") if path.is_file()]) == 1


def test_a_file_in_place_of_the_folder_for_objects_is_reported_by_a_write(tmp_path):
    (tmp_path / "objects").write_bytes(b"a file where the folder belongs")
    objects = LooseObjects(tmp_path / "objects", SharedPermissions(""))
    with error_with_hint(Unreachable, "git objects cannot be written", "nothing was changed"):
        objects.write([NewObject("blob", b"x")])


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize("mask", [0o022, 0o077], ids=oct)
@pytest.mark.parametrize("shared", ["", "false", "group", "true", "all", "0640", "0600"])
def test_files_of_objects_have_the_modes_that_git_gives_them(tmp_path, git, umask, mask, shared):
    umask(mask)
    bare = tmp_path / "shared.git"
    git(tmp_path, "init", "-q", "--bare", str(bare))
    if shared:
        git(bare, "config", "core.sharedRepository", shared)
    theirs = git(bare, "hash-object", "-w", "--stdin", input="git's\n")
    (ours,) = written(bare, NewObject("blob", b"ours\n"), shared=shared)
    assert theirs[:2] != ours[:2]

    def modes(id):
        path = bare / "objects" / id[:2] / id[2:]
        return tuple(oct(stat.S_IMODE(found.stat().st_mode)) for found in (path.parent, path))

    assert modes(ours) == modes(theirs)


def test_a_reader_of_git_objects_can_be_closed_after_its_git_process_ended(code_repo):
    """With some settings, git ends at once. `close` must not raise BrokenPipeError for requests that were not sent."""
    with Client(code_repo) as client:
        reader = ObjectReader(client.repository.git)
        stdin, _ = reader._pipes()
        stdin.write(b"HEAD\n")
        reader._process.kill()
        reader._process.wait()
        reader.close()
        assert not reader.is_running
