"""The base class of a run of a script and of the version that it creates, with the method that links an artifact."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from gitmodel.client import storing
from gitmodel.client.script_runs.run_recording import RunRecording
from gitmodel.domain.arguments.checking import ArtifactSource
from gitmodel.stores.transfer import Progress


class RunPart:
    """The base class of a run of a script and of its version. An artifact that is linked to one belongs to both."""

    _run: RunRecording

    def link_artifact(
        self,
        name: str,
        source: ArtifactSource,
        *,
        kind: str = "data",
        format: str = "",
        metadata: Mapping[str, Any] | None = None,
        follow_links: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Store *source* as the output *name* of the run, and as an artifact of the version if the run creates one.

        *source*, *kind*, *format* and *follow_links* are as in `ModelVersion.link_artifact`. The artifact is stored
        immediately, and recorded at the end of the run. Raises Conflict if the run has another artifact *name*, and the
        errors of `ModelVersion.link_artifact`.

        >>> run.link_artifact("confusion_matrix", figure)                                  # doctest: +SKIP
        """
        self._run.link(storing.one_artifact(name, source, kind, format, metadata, progress, follow_links))
