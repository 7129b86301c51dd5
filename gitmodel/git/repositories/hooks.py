"""Writing and deleting the git hooks that call gitmodel. Hooks that gitmodel did not write are never changed."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from gitmodel.errors import Conflict, NotFound, Refused, Unreachable
from gitmodel.files.failures import writing
from gitmodel.files.permissions import make_folder, share
from gitmodel.frozen import Frozen
from gitmodel.git.running.process import Git

SERVER = "pre-receive"
LOCAL = "pre-push"
HOOKS = (SERVER, LOCAL)
_MARK = "# Written by `git model hook install`; `git model hook uninstall` removes it."
# If the program was uninstalled, `exec` fails, so that the hook refuses the push.
_TEXT = """\
#!/bin/sh
{mark}
exec {program} hook run {name} "$@"
"""


class Hook(Frozen):
    """A hook of gitmodel: its name, its path, and True if `install` or `uninstall` changed the file."""

    name: str
    path: Path
    changed: bool


def install(git: Git, name: str, program: Path) -> Hook:
    """Write the hook *name*, which calls *program*, unless the file has this content already.

    Raises Conflict if another program wrote the hook, and the errors of `hooks_folder`.
    """
    git.refuse_read_only()
    folder = hooks_folder(git)
    path = folder / name
    call = f"{shlex.quote(str(program))} hook run {name}"
    text = _TEXT.format(mark=_MARK, program=shlex.quote(str(program)), name=name)
    now = _read(path)
    if now == text and os.access(path, os.X_OK):
        return Hook(name, path, False)
    if now is not None and _MARK not in now:
        raise Conflict(
            f"{path} is already a hook of another program",
            hint=f"call gitmodel from it, with the arguments and the input from git: {call}",
        )
    with writing(path):
        make_folder(folder)
        new = path.with_name(f"{name}.{os.getpid()}.new")
        new.write_text(text, encoding="utf-8")
        new.chmod(0o755)
        share(new, folder)
        os.replace(new, path)
    return Hook(name, path, True)


def uninstall(git: Git, name: str) -> Hook:
    """Delete the hook *name*. Raises Conflict if gitmodel did not write this hook."""
    git.refuse_read_only()
    path = hooks_folder(git) / name
    now = _read(path)
    if now is None:
        return Hook(name, path, False)
    if _MARK not in now:
        raise Conflict(f"{path} was not written by gitmodel", hint="remove the call of gitmodel from it by hand")
    path.unlink()
    return Hook(name, path, True)


def hooks_folder(git: Git) -> Path:
    """Return the folder in which git searches hooks: `core.hooksPath`, or else the repository's folder `hooks`.

    Raises Refused if this setting is the user's or the system's, because then hooks run in every repository.
    """
    said = git.lines("config", "--show-scope", "--get", "core.hooksPath", answers=(0, 1))
    scope = said[0].split("\t")[0] if said else "local"
    if scope not in ("local", "worktree"):
        raise Refused(
            f"core.hooksPath is set for all repositories ({scope}), and a hook there would run in each",
            hint="set it for this repository only: git config core.hooksPath .git/hooks",
        )
    return git.path("rev-parse", "--git-path", "hooks")


def find_program(called: str, python: str) -> Path:
    """Return the path of the program `git-model`, which hooks call. Raises NotFound if it is not installed.

    This is *called*, the path of the running program, if it is `git-model`, or else the path beside *python*. Hooks
    cannot call `python -m gitmodel`, because it would import modules from the folder in which the hook runs.
    """
    for path in (Path(called), Path(python).with_name("git-model")):
        if path.is_absolute() and path.name in ("git-model", "gitmodel") and os.access(path, os.X_OK):
            return path
    raise NotFound("the program git-model is not installed", hint="install gitmodel with pip, then call `git model`")


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unreachable(f"{path} cannot be read: {error.strerror}", hint="check its permissions") from None
