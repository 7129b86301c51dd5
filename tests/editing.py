"""Changes of the metadata branch without gitmodel: by hand, or by the merge button of a host."""

import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

BRANCH = "refs/heads/gitmodel"


def run(repo, *arguments, input=b"", index=None):
    environ = {**os.environ, "GIT_INDEX_FILE": index} if index else None
    done = subprocess.run(["git", *arguments], cwd=repo, input=input, capture_output=True, check=True, env=environ)
    return done.stdout.decode().strip()


def edit(repo, files, message="Edit by hand", *, onto=BRANCH, parents=None):
    """Commit *files* on top of the branch *onto*, and return the id of the commit. Moves the branch, but no tag.

    *files* maps paths to their new content; None deletes a file. *parents* are commits, by default the tip of *onto*.
    """
    tip = run(repo, "rev-parse", "--verify", "--quiet", onto)
    with tempfile.TemporaryDirectory() as folder:
        index = str(Path(folder) / "index")
        run(repo, "read-tree", tip, index=index)
        for path, text in files.items():
            if text is None:
                run(repo, "update-index", "--force-remove", path, index=index)
                continue
            data = text if isinstance(text, bytes) else text.encode()
            blob = run(repo, "hash-object", "-w", "--stdin", input=data)
            run(repo, "update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", index=index)
        tree = run(repo, "write-tree", index=index)
    options = [word for parent in parents or [tip] for word in ("-p", parent)]
    commit = run(repo, "commit-tree", tree, *options, "-m", message)
    run(repo, "update-ref", onto, commit, tip)
    return commit


def overwrite(path, content):
    """Replace the bytes of the file at *path*, which may be read-only as the objects of a store are."""
    path.chmod(0o644)
    path.write_bytes(content)


def read(repo, path, at=BRANCH):
    """Return the text of the file *path* at *at*, a commit or branch (by default the metadata branch)."""
    return run(repo, "cat-file", "blob", f"{at}:{path}") + "\n"


def state(repo):
    """Return every ref with its object id. Tests compare them before and after a command that gitmodel refuses."""
    return run(repo, "for-each-ref")


@contextmanager
def refs_unchanged(repo):
    """Fail if the block creates, moves or deletes a ref."""
    before = state(repo)
    yield
    assert state(repo) == before


def begin_at_format(repo, format):
    """Commit *format*, an older version number such as "1.1", to gitmodel.toml, as if an older gitmodel wrote it."""
    edit(repo, {"gitmodel.toml": read(repo, "gitmodel.toml").replace('format = "1.2"', f'format = "{format}"')})


def write_script(path, text):
    """Write the shell script *text*, such as a hook, to *path*, make the file executable, and return *path*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path
