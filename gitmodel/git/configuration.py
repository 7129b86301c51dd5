"""Settings of a repository as `git config` holds them, and its remotes, which are settings too."""

from __future__ import annotations

from gitmodel.git.process import Git


def read_setting(git: Git, key: str) -> str:
    """Return the value of the setting *key*, "" if it has none; of several values the last."""
    return "".join(git.lines("config", "--get", key, answers=(0, 1))[-1:])


def read_values(git: Git, key: str, *, local: bool = False) -> list[str]:
    """Return all values of the setting *key*; *local*: only those in the repository's own file."""
    return git.lines("config", *(["--local"] if local else []), "--get-all", key, answers=(0, 1))


def write_setting(git: Git, key: str, value: str) -> None:
    """Set *key* to *value* for this repository."""
    git.run("config", key, value)


def add_value(git: Git, key: str, value: str) -> None:
    """Add *value* to those that the setting *key* has in this repository."""
    git.run("config", "--add", key, value)


def remove_value(git: Git, key: str, value: str) -> None:
    """Remove *value* from those that the setting *key* has in this repository."""
    git.run("config", "--local", "--fixed-value", "--unset-all", key, value)


def list_remotes(git: Git) -> list[str]:
    return git.lines("remote")


def add_remote(git: Git, name: str, url: str) -> None:
    git.run("remote", "add", "--end-of-options", name, url)


def remote_urls(git: Git, name: str) -> list[str]:
    """Return the URLs of the remote *name*: as `url.X.insteadOf` rewrites them, then as they are written."""
    rewritten = git.lines("remote", "get-url", "--end-of-options", name, answers=(0, 2, 128, 129))
    return [*rewritten, *read_values(git, f"remote.{name}.url")]
