"""gitmodel stores no folder that contains a git repository, because its settings may contain passwords and commands.

An old artifact, from an earlier release, may contain a git repository. gitmodel does not write this repository to disk.
"""

import io
import os
import subprocess

import pytest
from editing import overwrite, refs_unchanged
from expected_errors import error_with_hint
from transcripts import ask, end_with, fail, succeed

from gitmodel import Invalid, Refused
from gitmodel.domain.schema.manifest import ManifestEntry, format_manifest
from gitmodel.domain.schema.portable_paths import git_paths, is_git_name
from gitmodel.domain.schema.records import ArtifactLink
from gitmodel.domain.schema.references import VersionRef
from gitmodel.registry.linked_artifacts import linking

SPELLINGS = [
    ".git",
    ".GIT",
    ".Git",
    "git~1",
    "GIT~1",
    ".git.",
    ".git ",
    ".git. . ",
    ".git::$INDEX_ALLOCATION",
    ".git:stream",
    "git~1...",
    "GIT~1::$INDEX_ALLOCATION",
    ".g\u200cit",
    "\u200d.git\ufeff",
    ".gi\u202at",
    ".git\u206f",
    ".g\u00adit",
    ".git\ufe0f",
    "\uff0e\uff47\uff49\uff54",
    ".git\uf03a\uf03a$INDEX_ALLOCATION",
    ".git\uf028\uf029",
]
GIT_FILES = [".gitignore", ".gitattributes", ".gitmodules", ".gitkeep"]


def put_old(client, files, name="weights"):
    """Store a folder with *files* without any check, as earlier releases did, and link it to iris@1 as *name*."""
    entries = [ManifestEntry(*client.store.put_stream(io.BytesIO(data)), path) for path, data in files.items()]
    digest, _ = client.store.put_stream(io.BytesIO(format_manifest(entries)))
    link = ArtifactLink(
        name=name, kind="model", digest=digest, size=sum(entry.size for entry in entries), format="folder"
    )
    linking.link_artifacts(client.writer, VersionRef.parse("iris@1"), [link])
    return client.get_version("iris@1").get_artifact(name), entries


def files(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_name_that_some_file_system_reads_as_dot_git_is_recognized(name):
    assert is_git_name(name)
    assert git_paths([f"sub/{name}/config", "a"]) == [f"sub/{name}/config"]


@pytest.mark.parametrize("name", [*GIT_FILES, "git", "x.git", ".git-old", "git~", "digit~1", ".gitä"])
def test_names_that_only_resemble_dot_git_are_accepted(name):
    assert not is_git_name(name)


@pytest.mark.parametrize("name", SPELLINGS)
@pytest.mark.parametrize("below", ["", "sub"])
def test_a_folder_with_a_git_repository_is_not_stored(client, folder, name, below):
    (folder / below / name).mkdir(parents=True)
    (folder / below / name / "config").write_text("[http]\n\textraHeader = token\n")
    before = list(client.store.digests())
    for store in (
        lambda: client.get_version("iris@1").link_artifact("weights", folder),
        lambda: client.get_model("iris").create_version(model_objects={"weights": folder}),
    ):
        with error_with_hint(Refused, "git repository, which is not stored", "without it"):
            store()
    assert list(client.store.digests()) == before
    assert len(client.get_model("iris").versions) == 1


def test_a_folder_with_a_file_or_link_named_dot_git_is_not_stored(client, folder):
    (folder / ".git").write_text("gitdir: /elsewhere\n")
    with pytest.raises(Refused):
        client.get_version("iris@1").link_artifact("weights", folder)
    (folder / ".git").unlink()
    (folder / ".git").symlink_to("model.bin")
    with pytest.raises(Refused):
        client.get_version("iris@1").link_artifact("weights", folder)


def test_a_command_that_would_store_a_folder_with_a_git_repository_has_exit_code_6(client, folder, capsys, git):
    git(folder, "init", "-q")
    with refs_unchanged(client.repository.common_dir):
        assert "git repository" in fail(capsys, 6, "version", "create", "iris", "--model-object", f"weights={folder}")
        assert "git repository" in fail(capsys, 6, "link", "iris@1", "--model-object", f"weights={folder}")


@pytest.mark.parametrize(
    ("refs", "content"),
    [("refs/heads/main", "0" * 40), ("packed-refs", "# pack-refs with: peeled fully-peeled sorted\n")],
    ids=["loose", "packed"],
)
def test_a_folder_with_a_bare_repository_is_not_stored(client, folder, git, refs, content):
    git(folder, "init", "-q", "--bare", "mirror")
    (folder / "mirror" / refs).write_text(content)
    (folder / "mirror/objects/info/packs").write_text("")
    with pytest.raises(Refused, match=r"mirror/HEAD makes .* a git repository"):
        client.get_version("iris@1").link_artifact("weights", folder)


# Shell commands that create a git repository, or files that git takes for one, in the folder `mirror`.
REPOSITORIES = {
    "new": "git init -q --bare mirror",
    "refs in a reftable": "git init -q --bare mirror; echo 'ref: refs/heads/.invalid' >mirror/HEAD",
    "git folder of another work tree": 'git init -q --separate-git-dir="$PWD/mirror" ../elsewhere',
    "only config and HEAD": "mkdir mirror; echo 'ref: refs/heads/main' >mirror/HEAD; echo '[http]' >mirror/config",
    "detached HEAD": f"mkdir mirror; echo {'0123456789' * 4} >mirror/head; echo '[http]' >mirror/Config",
    "git folder of a linked work tree": (
        "mkdir mirror; cd mirror; echo 'ref: refs/heads/main' >HEAD; echo ../.. >commondir; echo /away/.git >gitdir"
    ),
}


@pytest.mark.parametrize("commands", REPOSITORIES.values(), ids=REPOSITORIES)
@pytest.mark.parametrize("below", [True, False])
def test_a_folder_with_a_git_repository_of_any_name_is_not_stored(client, folder, commands, below):
    subprocess.run(["sh", "-ec", commands], cwd=folder, check=True)
    before = list(client.store.digests())
    stored = folder if below else folder / "mirror"
    for store in (
        lambda: client.get_version("iris@1").link_artifact("weights", stored),
        lambda: client.get_model("iris").create_version(data={"weights": stored}),
    ):
        with pytest.raises(Refused, match=r"mirror/(HEAD|head) makes .* a git repository"):
            store()
    assert list(client.store.digests()) == before


@pytest.mark.parametrize("name", [".git", ".GIT", "git~1"])
@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_the_folder_dot_git_itself_is_not_stored(client, folder, capsys, name, kind):
    target = folder / name
    if kind == "folder":
        target.mkdir()
        (target / "config").write_text("[http]\n\textraHeader = token\n")
    elif kind == "file":
        target.write_text("gitdir: /elsewhere\n")
    else:
        target.symlink_to("model.bin")
    with pytest.raises(Refused, match="git repository, which is not stored"):
        client.get_version("iris@1").link_artifact("weights", target)
    for words in (("link", "iris@1"), ("version", "create", "iris")):
        assert "git repository" in fail(capsys, 6, *words, "--data", f"weights={target}")
    assert list(client.store.digests()) == []


def test_a_link_to_a_file_named_dot_git_is_not_stored(client, folder):
    (folder / ".git").write_text("gitdir: /elsewhere\n")
    (folder.parent / "innocent").symlink_to(folder / ".git")
    with pytest.raises(Refused):
        client.get_version("iris@1").link_artifact("weights", folder.parent / "innocent")


def test_a_folder_with_a_file_named_head_that_is_no_repository_is_stored(client, folder):
    (folder / "HEAD").write_text("the last layer\n")
    (folder / "config").write_text("layers = 3\n")
    assert client.get_version("iris@1").link_artifact("weights", folder).name == "weights"
    (folder / "HEAD").unlink()
    (folder / "HEAD").mkdir()
    (folder / "HEAD" / "a").write_text("b")
    assert client.get_version("iris@1").link_artifact("other", folder).name == "other"


def test_gitignore_and_gitattributes_files_are_stored(client, folder, tmp_path):
    for name in GIT_FILES:
        (folder / name).write_text("*.bin\n")
    artifact = client.get_version("iris@1").link_artifact("weights", folder)
    assert files(artifact.download(tmp_path / "copy")) == files(folder)
    assert files(artifact.path()) == files(folder)


FSMONITOR = b"[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tfsmonitor = touch %s; false\n"


def hostile(tmp_path, inside=".git/"):
    config = FSMONITOR % str(tmp_path / "ran").encode()
    if not inside:
        config = config.replace(b"bare = false", b"worktree = .")
    return {
        f"{inside}HEAD": b"ref: refs/heads/main\n",
        f"{inside}config": config,
        f"{inside}objects/info/packs": b"",
        f"{inside}refs/heads/keep": b"",
        "model.bin": b"weights",
    }


@pytest.mark.parametrize("inside", [".git/", ""])
def test_an_old_artifact_is_written_without_its_git_repository(client, tmp_path, capsys, caplog, inside):
    artifact, _ = put_old(client, hostile(tmp_path, inside))
    artifact.download(tmp_path / "by python")
    assert "verified and not written" in caplog.text
    code, _, err = ask(capsys, "get", "iris@1", "weights", "-o", tmp_path / "by hand")
    assert (code, "verified and not written" in err) == (0, True)
    for root in (tmp_path / "by python", tmp_path / "by hand", artifact.path(), artifact.path()):
        assert "model.bin" in files(root)
        assert f"{inside}HEAD" not in files(root)
        if inside:
            assert files(root) == ["model.bin"]
        environ = {**os.environ, "GIT_CEILING_DIRECTORIES": str(tmp_path), "HOME": str(tmp_path)}
        subprocess.run(["git", "status"], cwd=root, capture_output=True, env=environ)
        assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", SPELLINGS)
def test_files_of_an_old_artifact_under_any_spelling_of_dot_git_are_not_written(client, tmp_path, name):
    artifact, _ = put_old(client, {f"sub/{name}/config": b"x", f"{name}": b"y", "sub/model.bin": b"z"})
    assert files(artifact.download(tmp_path / "copy")) == ["sub/model.bin"]
    assert files(artifact.path()) == ["sub/model.bin"]


def test_files_of_an_old_artifact_that_are_not_written_are_still_verified(client, tmp_path):
    artifact, entries = put_old(client, hostile(tmp_path))
    (entry,) = [entry for entry in entries if entry.path == ".git/config"]
    place = client.store.place(entry.digest)
    overwrite(place, bytes(entry.size))
    for read in (lambda: artifact.download(tmp_path / "copy"), artifact.path):
        with pytest.raises(Invalid, match=r"\.git/config: .*damaged"):
            read()
    assert not (tmp_path / "copy").exists()


def test_getting_a_file_of_a_git_repository_in_an_old_artifact_is_refused(client, tmp_path, capsys):
    artifact, _ = put_old(client, hostile(tmp_path))
    with pytest.raises(Refused, match="belongs to a git repository"):
        artifact.download_file(".git/config", tmp_path / "config")
    fail(capsys, 6, "get", "iris@1", "weights", "--file", ".git/config", "-o", tmp_path / "config")
    assert not (tmp_path / "config").exists()


def test_a_checkout_writes_an_old_artifact_without_its_git_repository(client, tmp_path, capsys):
    put_old(client, hostile(tmp_path))
    succeed(capsys, "checkout", "iris@1", tmp_path / "out")
    assert files(tmp_path / "out/artifacts/weights") == ["model.bin"]


def test_storing_a_folder_warns_of_names_that_windows_does_not_support(client, folder, tmp_path, capsys, caplog):
    names = ["aux.txt", "con", "a:b", "what?", "end.", "space ", "Readme", "README", "fine.txt"]
    for name in names:
        (folder / name).write_text(name)
    artifact = client.get_version("iris@1").link_artifact("weights", folder)
    assert "Windows does not support some names in weights: Readme" in caplog.text
    assert files(artifact.download(tmp_path / "copy")) == sorted([*names, "model.bin"])
    _, err = end_with(capsys, 0, "link", "iris@1", "--data", f"again={folder}")
    assert "aux.txt (the name of a device)" in err
    assert "and 4 more" in err
