"""The version that a run of a script creates at its end."""

from __future__ import annotations

import os
from collections.abc import Mapping
from operator import methodcaller
from typing import Any, ClassVar

from gitmodel.client import storing
from gitmodel.client.handles.models_and_versions import ModelVersion
from gitmodel.client.model_stages import ModelStages
from gitmodel.client.script_runs.run_recording import NewVersion, RunRecording
from gitmodel.domain.arguments.checking import ArtifactSource, checked_arguments
from gitmodel.domain.arguments.names_of_other_tools import refuse_other_keywords, shows_our_form
from gitmodel.domain.schema.names import check_alias
from gitmodel.errors import UsageError
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

        The arguments are as in `ModelVersion.link_artifact`. The artifact is stored immediately, and recorded at the
        end of the run. Raises Conflict if the run has another artifact *name*, and the errors of
        `ModelVersion.link_artifact`.

        >>> run.link_artifact("confusion_matrix", figure)                                  # doctest: +SKIP
        """
        self._run.link(storing.one_artifact(name, source, kind, format, metadata, progress, follow_links))


@checked_arguments
@shows_our_form
class RunVersion(RunPart):
    """The version that a run creates at its end. Changes by its methods are made in the commit that records the run."""

    _other_names: ClassVar[Mapping[str, str]] = {
        "log_metric": "write version.log_metadata(accuracy=0.9)",
        "log_metrics": "write version.log_metadata(accuracy=0.9)",
    }

    def __init__(self, run: RunRecording, new: NewVersion) -> None:
        self._run = run
        self._new = new

    @property
    def model(self) -> str:
        """The name of the version's model."""
        return self._new.model_name

    @property
    def name(self) -> str | None:
        """The version's own name, if it has one."""
        return self._new.draft.name

    @property
    def number(self) -> int:
        """The version's number, which it gets at the end of the run. Raises UsageError before the run has ended."""
        return self._created("number").number

    @property
    def reference(self) -> str:
        """The version's reference, such as `iris@4`. Raises UsageError before the run has ended."""
        return self._created("reference").reference

    def set_stage(
        self, stage: str | ModelStages, *, reason: str = "", force: bool = False, leave: bool = False
    ) -> None:
        """Put the version into *stage* at the end of the run, if it succeeds. Raises UsageError for an unknown stage.

        If a rule of the stage refuses the version, gitmodel logs a warning, and the run succeeds without this
        promotion. The arguments are as in `ModelVersion.set_stage`.
        """
        self._run.refuse_ended()
        self._run.check_stage(str(stage))
        self._run.check_text("reason", reason)

        change = methodcaller("set_stage", stage, reason=reason, force=force, leave=leave)
        self._new.changes.append((f"stage {stage}", change))

    def add_alias(self, alias: str, *, reason: str = "") -> None:
        """Move *alias* to the version at the end of the run, if it succeeds."""
        self._run.refuse_ended()
        check_alias(alias)
        self._run.check_text("reason", reason)
        self._new.changes.append((f"alias {alias}", methodcaller("add_alias", alias, reason=reason)))

    def log_metadata(
        self, metadata: Mapping[str, Any] | None = None, *, artifact: str | None = None, **values: Any
    ) -> None:
        """Set metadata of the version, or of its *artifact*, as `ModelVersion.log_metadata` does."""
        refuse_other_keywords("log_metadata", values, "write artifact= for one of the version's artifacts")
        self._run.refuse_ended()
        read = self._run.read_metadata({**(metadata or {}), **values})
        if artifact is None:
            self._new.draft = self._new.draft._replace(metadata={**(self._new.draft.metadata or {}), **read})
        else:
            self._run.change_link(artifact, read)

    def __repr__(self) -> str:
        return f"RunVersion({self._new.made.reference if self._new.made is not None else self.model!r})"

    def _created(self, what: str) -> ModelVersion:
        if self._new.made is None:
            raise UsageError(
                f"the new version of {self.model} has no {what} before its run has ended",
                hint="read it after the `with` block",
            )
        return self._new.made
