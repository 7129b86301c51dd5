"""Reading and writing settings of git, and the URLs of remotes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from gitmodel.frozen import Frozen
from gitmodel.git.running import process
from gitmodel.git.running.process import Git, clean_environment

_PATH = ("config", "-z", "--type=path", "--get")


class ScopedSetting(Frozen):
    """A setting of git, with the scope in which it is set: "system", "global", "local", "worktree" or "command"."""

    scope: str
    key: str
    value: str


def read_config(git: Git) -> dict[str, str]:
    """Return all settings in effect, by key. If a key has several values, returns the last one, as git uses it."""
    return parse_settings(os.fsdecode(git.run("config", "--list", "-z")).split("\0"))


def parse_settings(entries: Iterable[str]) -> dict[str, str]:
    """Return the settings in *entries*, each an entry of `git config --list -z`, by key."""
    pairs = (entry.partition("\n") for entry in entries if entry)
    # git takes a key without `=` and a value for true.
    return {key: value if separator else "true" for key, separator, value in pairs}


def find_settings(git: Git, pattern: str) -> list[ScopedSetting]:
    """Return the settings whose key matches the regular expression *pattern*, in the order in which git reads them."""
    said = os.fsdecode(git.run("config", "-z", "--show-scope", "--get-regexp", pattern, answers=(0, 1)))
    words = iter(said.split("\0"))
    pairs = ((scope, entry.partition("\n")) for scope, entry in zip(words, words, strict=False))
    return [ScopedSetting(scope, key, value) for scope, (key, _, value) in pairs]


def read_path(git: Git, key: str) -> str:
    """Return the path in the setting *key*, with `~` replaced by the home folder; "" if *key* is not set."""
    return os.fsdecode(git.run(*_PATH, key, answers=(0, 1))).rstrip("\0")


def read_path_outside(folder: Path, key: str, environ: Mapping[str, str]) -> str:
    """Do the same as `read_path` for a *folder* in no repository: only settings of the user and the system apply."""
    said = process.run(["git", *_PATH, key], clean_environment(environ), cwd=folder, answers=(0, 1))
    return os.fsdecode(said).rstrip("\0")


def read_setting(git: Git, key: str) -> str:
    """Return the value of the setting *key*, the last one if it has several; "" if *key* is not set."""
    return "".join(git.lines("config", "--get", key, answers=(0, 1))[-1:])


def read_values(git: Git, key: str, *, local: bool = False) -> list[str]:
    """Return all values of the setting *key*. If *local* is True, returns only those in the repository's own file."""
    return git.lines("config", *(["--local"] if local else []), "--get-all", key, answers=(0, 1))


def write_setting(git: Git, key: str, value: str) -> None:
    """Set *key* to *value* in the repository's own settings."""
    git.run("config", key, value)


def add_value(git: Git, key: str, value: str) -> None:
    """Add *value* to the values of *key* in the repository's own settings."""
    git.run("config", "--add", key, value)


def remove_value(git: Git, key: str, value: str) -> None:
    """Remove *value* from the values of *key* in the repository's own settings."""
    git.run("config", "--local", "--fixed-value", "--unset-all", key, value)


def is_true(value: str) -> bool:
    """Return True if git takes *value*, the value of a setting, for true.

    >>> [is_true(value) for value in ("Yes", "2", "off", "0", "--1")]
    [True, True, False, False, False]
    """
    try:
        return int(value) != 0
    except ValueError:
        return value.lower() in ("true", "yes", "on")


def list_remotes(git: Git) -> list[str]:
    return git.lines("remote")


def add_remote(git: Git, name: str, url: str) -> None:
    git.run("remote", "add", "--end-of-options", name, url)


def remote_urls(git: Git, name: str) -> list[str]:
    """Return the URLs of the remote *name*: the first as `url.X.insteadOf` rewrites it, then all as configured."""
    rewritten = git.lines("remote", "get-url", "--end-of-options", name, answers=(0, 2, 128, 129))
    return [*rewritten, *read_values(git, f"remote.{name}.url")]


def push_urls(git: Git, name: str) -> list[str]:
    """Return all URLs to which git pushes for the remote *name*; [] if there is no such remote."""
    return git.lines("remote", "get-url", "--push", "--all", "--end-of-options", name, answers=(0, 2, 128, 129))
