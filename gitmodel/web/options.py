"""The options of a site, which the export and the server share. One is the result of `git model verify`."""

from __future__ import annotations

import json
from pathlib import Path

from gitmodel.errors import NotFound, UsageError
from gitmodel.frozen import Frozen


class FaultyArtifact(Frozen):
    """An artifact with an *error*, and its versions. *unreachable* is True if its store could not be reached."""

    digest: str
    versions: tuple[str, ...]
    error: str
    unreachable: bool


class VerifiedArtifacts(Frozen):
    """The number of artifacts that `git model verify` read, and those of them with an error."""

    count: int
    faulty: tuple[FaultyArtifact, ...]


class SiteOptions(Frozen, kw_only=True):
    """The options of a site: its *title*, and the URL at which the site is published, which feeds need ("": unknown).

    If *public* is True, pages contain no e-mail addresses. If *only_staged* is True, a version has a page only if it is
    or was in a stage, has or had an alias, or is the latest. If *artifacts* is True, pages show pictures and small
    texts among the artifacts. *verified* is the result of an earlier `git model verify`, which the page about the
    health of the registry shows.
    """

    title: str = "Model registry"
    base_url: str = ""
    public: bool = False
    only_staged: bool = False
    artifacts: bool = False
    verified: VerifiedArtifacts | None = None


def read_verified(path: Path) -> VerifiedArtifacts:
    """Return the result of `git model verify --format json` in the file *path*.

    Raises NotFound if the file cannot be read, UsageError if it has other content.
    """
    try:
        found = json.loads(path.read_bytes())
        faulty = tuple(
            FaultyArtifact(
                str(one["digest"]), tuple(map(str, one["versions"])), str(one["error"]), one["unreachable"] is True
            )
            for one in found
            if one["error"]
        )
        return VerifiedArtifacts(len(found), faulty)
    except OSError as error:
        raise NotFound(
            f"{path} cannot be read: {error.strerror}", hint="`git model site -h` shows the command that writes it"
        ) from None
    except (ValueError, TypeError, KeyError):
        raise UsageError(
            f"{path} is not the result of a verification",
            hint=f"write it with: git model verify --format json > {path}",
        ) from None
