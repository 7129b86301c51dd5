"""Storing the outputs of a step. If gitmodel cannot store an output, it writes the value to a local file."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from gitmodel.domain.secrets.credentials import OVERRIDE
from gitmodel.domain.secrets.error_text import ErrorText
from gitmodel.domain.secrets.secret_values import SecretValues
from gitmodel.errors import Refused, Unreachable
from gitmodel.files.temporary import TemporaryFiles
from gitmodel.formats import materializers, trust
from gitmodel.formats.catalogue import plugins
from gitmodel.formats.catalogue.detection import PICKLES
from gitmodel.formats.kept_values import KeptValue, keep_value, told_kept
from gitmodel.pipelines.declarations.config import ArtifactConfig
from gitmodel.pipelines.project.project_modules import project_modules_of
from gitmodel.pipelines.step_context.step_requests import Request
from gitmodel.pipelines.step_context.step_results import StoredOutput
from gitmodel.registry.linked_artifacts.artifact_warnings import told_pickled
from gitmodel.registry.linked_artifacts.new_artifacts import LocalArtifact, store_artifact
from gitmodel.stores.interface import ArtifactStore
from gitmodel.stores.sources.source_credentials import (
    describe_credentials,
    find_credentials,
    holds_secret,
    refuse_secrets,
)

log = logging.getLogger("gitmodel.pipelines")


class NotStored(Exception):
    """gitmodel could not store outputs of a step because of *error*.

    *stored* has the outputs that are in the store, *kept* those in local files, and *lost* the names of all others.
    """

    def __init__(
        self, error: BaseException, stored: list[StoredOutput], kept: list[KeptValue], lost: list[str]
    ) -> None:
        super().__init__()
        self.error = error
        self.stored = tuple(stored)
        self._kept = kept
        self._lost = lost

    def told(self, text: ErrorText, *, elsewhere: bool) -> ErrorText:
        """Return *text*, the text of the error, extended by the paths of the kept values and a hint how to load them.

        If *elsewhere* is True, the step ran on another machine, and the returned text names this machine.
        """
        kept, hint = told_kept(self._kept, machine=socket.gethostname() if elsewhere else "")
        lost = f"; no file keeps {', '.join(self._lost)}, which cannot be pickled or holds a Secret"
        message = f"{text.message}{kept}{lost if self._lost else ''}"
        return replace(text, message=message, hint="; ".join(filter(None, (text.hint, hint))))


class StepOutputs:
    """Stores the outputs of a step. If an output cannot be stored, writes the value to a file on this machine."""

    def __init__(
        self, request: Request, store: ArtifactStore, scratch: TemporaryFiles, stored: list[StoredOutput]
    ) -> None:
        self._request = request
        self._store = store
        self._scratch = scratch
        self.secrets = SecretValues(())
        self.stored = stored
        self.withheld: dict[str, str] = {}
        self._kept: list[KeptValue] = []
        self._lost: list[str] = []

    def store(self, outputs: Iterable[tuple[ArtifactConfig, str, Any]]) -> None:
        """Store *outputs*, except files that seem to hold credentials.

        Raises NotStored if an output could not be stored, KeyboardInterrupt after an interrupt. Before it raises one of
        these errors, writes all outputs that are not in the store to local files.
        """
        failure: BaseException | None = None
        for index, (spec, name, item) in enumerate(outputs):
            written: list[tuple[Path, str]] = []
            try:
                if isinstance(failure, (Unreachable, KeyboardInterrupt)):  # no other output can be stored, either
                    raise failure
                self._store_one(spec, name, item, f"output-{index}", written)
            except BaseException as error:
                failure = failure or error
                self.keep(name, item, *written)
        if failure is not None:
            raise self.failure(failure) from None

    def keep(self, name: str, value: Any, *written: tuple[Path, str]) -> None:
        """Keep *value* in a file of this machine, unless it holds a Secret.

        *written* is a file that already contains *value*, with the format of the file.
        """
        if value is None or self.secrets.holds(value):
            return
        if isinstance(value, Path):
            self._kept.append(KeptValue(name, value.absolute(), ""))
            return
        folder = Path(self._request.keep) if self._request.keep else None
        kept = keep_value(name, value, folder, holds_secret=partial(holds_secret, self.secrets), written=written)
        if kept is not None:
            self._kept.append(kept)
        else:
            self._lost.append(name)

    def failure(self, error: BaseException) -> BaseException:
        """Return the error to raise for outputs that could not be stored because of *error*.

        If *error* is an interrupt, return the interrupt with a text about the kept values.
        """
        failure = NotStored(error, self.stored, self._kept, self._lost)
        if not isinstance(error, KeyboardInterrupt):
            return failure
        text = failure.told(ErrorText("", "interrupted while its outputs were stored"), elsewhere=False)
        error.args = ("; ".join(filter(None, (text.message, text.hint))),)
        log.warning("step %s was %s", self._request.facts.step, error)
        return error

    def link(self, name: str, value: Any, spec: ArtifactConfig) -> None:
        """Store the artifact *name* for `link_artifact`. Raises Refused if the artifact seems to hold credentials."""
        self._store_one(spec, name, value, f"linked-{len(self.stored)}", [])
        if name in self.withheld:
            raise Refused(self.withheld.pop(name), hint=f"link a copy without them; {OVERRIDE}")

    def _store_one(
        self, spec: ArtifactConfig, name: str, value: Any, file: str, written: list[tuple[Path, str]]
    ) -> None:
        """Store one output; a value that is no path is first saved to a file with the name *file*.

        Adds the path and format of this file to *written*, so that the value is not lost if it cannot be stored.
        """
        allow_credentials = self._request.allow_credentials
        if isinstance(value, Path) and not allow_credentials and (seen := find_credentials(value)):
            self.withheld[name] = describe_credentials(f"the artifact {name}", seen)
            return
        needs: list[str] = []
        modules: tuple[str, ...] = ()
        kept_name = None
        if isinstance(value, Path):
            format, kind, materializer, path = spec.format, "data", "path", value
        else:
            path = self._scratch.path(file)
            with trust.noting() as names:
                format, kind, materializer = materializers.save(
                    value,
                    path,
                    f"output {name}",
                    spec.format,
                    pickle=self._request.pickle,
                    allow_pickle="write @step(pickle=True)",
                )
                needs = names()
            written.append((path, format))
            kept_name = materializers.file_name(name, format, materializer)
            modules = project_modules_of(needs, path if plugins.find_format(format).unsafe else None)
        refuse_secrets(f"the output {name}", value, path, self.secrets)
        given = LocalArtifact(name, path, spec.kind or kind, "" if path.is_dir() else format, needs, kept_name)
        # Allowed here: files that the step returned were searched above, and files that gitmodel wrote need no search.
        link = store_artifact(self._store, given, allow_credentials=True, warn=partial(log.warning, "%s"))
        if format in PICKLES and not spec.format and not isinstance(value, Path):
            log.warning("%s", told_pickled(name, format))
        self.stored.append(
            StoredOutput(
                name, link.kind, link.digest, link.size, link.format, materializer, link.needs_trust, modules, link.file
            )
        )
