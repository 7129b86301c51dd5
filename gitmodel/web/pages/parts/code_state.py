"""The code of a version or run, as pages show it."""

from __future__ import annotations

from gitmodel.domain.schema.records import Code
from gitmodel.frozen import Frozen
from gitmodel.hosts.addresses import find_host


class CodeState(Frozen):
    """The *commit* of the code. *dirty* is True if the work tree had uncommitted changes.

    *snapshot* is the commit that contains these changes, "" if there is none. *url* is the page on the host of
    *snapshot*, or else of *commit*; "" for an unknown host.
    """

    commit: str
    url: str
    dirty: bool
    snapshot: str
    repository: str


def code_state(code: Code | None) -> CodeState | None:
    """Return the state of *code*, which is from a record; None if *code* names no commit."""
    if code is None or code.commit is None:
        return None
    repository = code.repository or ""
    host = find_host(repository)
    url = host.commit(code.snapshot or code.commit) if host else ""
    return CodeState(code.commit, url, bool(code.dirty), code.snapshot or "", repository)
