"""Creating repositories: clones, new repositories, and repositories that use the objects of another one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from gitmodel.git.refs.ref_commands import named_id
from gitmodel.git.running import process
from gitmodel.git.running.process import Git, clean_environment

# Without these settings, git would wait forever for an HTTP server that stops answering.
_SILENT_HTTP = ("-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=120")


def clone(url: str, target: Path, environ: Mapping[str, str]) -> str:
    """Clone *url* into the folder *target* without files and submodules, and return the name of the clone's remote."""
    clean = clean_environment(environ)
    named = process.run(["git", "config", "--get", "clone.defaultRemoteName"], clean, answers=(0, 1)).decode().strip()
    remote = named or "origin"
    options = ("--quiet", "--no-checkout", f"--origin={remote}", "--no-recurse-submodules", "--end-of-options")
    process.run(["git", *_SILENT_HTTP, "clone", *options, url, str(target)], clean)
    return remote


def check_out(git: Git, *, only_top: bool) -> None:
    """Check out the files of HEAD in a new clone. If *only_top* is True, only those that are in no folder."""
    if named_id(git, "HEAD") is None:
        return
    if only_top:
        # As `git clone --sparse` does. The user can check out the other files with `git sparse-checkout disable`.
        git.run("sparse-checkout", "init", "--cone")
    git.run("checkout", "--quiet", "--force", "--no-recurse-submodules")


def init(path: Path, environ: Mapping[str, str]) -> None:
    """Create a repository at *path*, with the branch `main` and settings by which git signs nothing in it."""
    clean = clean_environment(environ)
    process.run(["git", "init", "--quiet", "--template=", "--initial-branch=main", str(path)], clean)
    for key in ("commit.gpgSign", "tag.gpgSign"):
        process.run(["git", "-C", str(path), "config", key, "false"], clean)


def commit_files(path: Path, subject: str, environ: Mapping[str, str]) -> None:
    """Commit all files in the work tree at *path* with the message *subject*, without running the user's hooks."""
    git = ["git", "-C", str(path), "-c", f"core.hooksPath={os.devnull}"]
    process.run([*git, "add", "--all"], clean_environment(environ))
    process.run([*git, "commit", "--quiet", f"--message={subject}"], clean_environment(environ))


def init_bare(path: Path, environ: Mapping[str, str]) -> None:
    """Create a bare repository at *path*, with SHA-1 ids and refs in files, whatever the user's configuration says."""
    options = ("--quiet", "--bare", "--template=", "--object-format=sha1")
    process.run(["git", "-c", "init.defaultRefFormat=files", "init", *options, str(path)], clean_environment(environ))


def unpack_bundle(bundle: Path, path: Path, refspecs: Iterable[str], environ: Mapping[str, str]) -> None:
    """Create a bare repository at *path*, and fetch *refspecs* from the file *bundle* into it."""
    init_bare(path, environ)
    options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--end-of-options")
    command = ["git", f"--git-dir={path}", "fetch", *options, str(bundle.absolute()), *refspecs]
    process.run(command, clean_environment(environ))


def init_borrowing(git: Git, path: Path) -> None:
    """Create a bare repository at *path* that also reads the objects of the repository of *git* (`info/alternates`)."""
    init_bare(path, git.environ)
    objects = git.path("rev-parse", "--git-path", "objects")
    (path / "objects" / "info").mkdir(parents=True, exist_ok=True)
    (path / "objects" / "info" / "alternates").write_bytes(_alternate(objects.resolve()))


def _alternate(objects: Path) -> bytes:
    """Return the line of `info/alternates` for the folder *objects*, quoted as in C."""
    named = os.fsencode(objects)
    if b"\n" in named or named.startswith((b'"', b"#")):
        named = b'"' + named.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n") + b'"'
    return named + b"\n"
