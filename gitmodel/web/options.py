"""The options of a site, which the export and the server share."""

from __future__ import annotations

from gitmodel.frozen import Frozen
from gitmodel.web.verified import VerifiedArtifacts


class SiteOptions(Frozen, kw_only=True):
    """The options of a site: its *title*, and the URL at which it is published, which feeds need.

    With *public*, e-mail addresses are left out. With *only_staged*, a version has a page only if it is or was in a
    stage, has an alias or is the latest. With *artifacts*, pictures and small text artifacts are on the pages.
    *verified* is the result of a verification of the artifacts.
    """

    title: str = "Model registry"
    base_url: str = ""
    public: bool = False
    only_staged: bool = False
    artifacts: bool = False
    verified: VerifiedArtifacts | None = None
