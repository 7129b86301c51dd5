"""The options of a site, which the export and the server share."""

from __future__ import annotations

from gitmodel.frozen import Frozen
from gitmodel.web.verified import VerifiedArtifacts


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
