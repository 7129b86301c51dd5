"""A description of this installation of gitmodel, which users put into reports of problems."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from importlib import metadata

from gitmodel.domain.schema.record_values import FORMAT
from gitmodel.errors import GitModelError
from gitmodel.git.running.process import check_git
from gitmodel.version import __version__

_FOR_DEVELOPERS = ("dev", "docs", "test")


def describe_installation() -> Iterator[tuple[str, str]]:
    """Yield pairs of a name and a version: of gitmodel, the registry format, Python, git, the system and packages.

    The values have no paths of this machine, so that a user can publish them.
    """
    yield "gitmodel", __version__
    yield "format", ".".join(map(str, FORMAT))
    yield "Python", f"{platform.python_implementation()} {platform.python_version()}"
    yield "git", _git_version()
    yield "system", platform.platform()
    needed: dict[str, list[str]] = {}
    for line in metadata.requires("gitmodel") or ():
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        extra = re.search(r"""extra == ['"](.+?)['"]""", line)
        needed.setdefault(extra[1] if extra else "", []).append(name)
    yield "packages", ", ".join(f"{name} {_version(name) or 'missing'}" for name in needed.pop("", []))
    for group, names in sorted(needed.items()):
        versions = [(name, _version(name)) for name in names]
        if group not in _FOR_DEVELOPERS and all(version for _, version in versions):
            yield f"extra {group}", ", ".join(f"{name} {version}" for name, version in versions)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git_version() -> str:
    try:
        return check_git(os.environ).removeprefix("git version ")
    except GitModelError as error:
        return str(error)
