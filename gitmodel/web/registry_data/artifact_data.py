"""The runs and artifacts of a registry, as pages show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from gitmodel.domain.schema.records import ATTACHMENT
from gitmodel.errors import GitModelError
from gitmodel.web.registry_data.artifact_content import may_be_shown, picture_file
from gitmodel.web.registry_data.history_data import HistoryData
from gitmodel.web.registry_data.version_data import remembered

if TYPE_CHECKING:
    from gitmodel.registry.recorded_runs.runs import RunView


class ArtifactData(HistoryData):
    """The models and versions of a registry, their changes, runs and artifacts."""

    @cached_property
    def runs(self) -> Mapping[str, RunView]:
        """The runs that have a record on the metadata branch, by id, newest first."""
        return {run.id: run for run in self.client.list_runs() if run.record is not None}

    def run(self, id: str) -> RunView | None:
        """Return the recorded run *id*; None if there is none."""
        return self.runs.get(id)

    @cached_property
    def run_ids(self) -> Mapping[str, str]:
        """The object id of the record of each run, by the id of the run."""
        return self.client.run_record_ids()

    @cached_property
    def record_ids(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Two mappings that change with the records: `run_ids` of runs, and the `records_id` of each model."""
        return self.run_ids, {model: self.records_id(model) for model in self.models}

    def package_runs(self, id: str) -> tuple[RunView | None, RunView]:
        """Return two runs of the pipeline of the run *id*: the run before it, and the first run with the same packages.

        The second is the oldest run from which on all runs up to the run *id* had the same packages; it may be the run
        *id* itself. Runs without a list of packages are left out.
        """
        return self._package_runs[id]

    @cached_property
    def _package_runs(self) -> Mapping[str, tuple[RunView | None, RunView]]:
        found: dict[str, tuple[RunView | None, RunView]] = {}
        newest: dict[str, RunView] = {}
        for run in reversed(list(self.runs.values())):
            if run.record is None or run.record.packages is None:
                continue
            before = newest.get(run.pipeline)
            same = before is not None and before.record and before.record.packages == run.record.packages
            found[run.id] = before, found[before.id][1] if before is not None and same else run
            newest[run.pipeline] = run
        return found

    def packages(self, id: str) -> Mapping[str, str]:
        """Return the version of each package that was installed when the run *id* ran, by the name of the package.

        The list of packages is in the artifact store. Returns {} if the site may not show artifacts, or if this machine
        neither has the list nor can fetch it.
        """
        record = self.runs[id].record
        if record is None or record.packages is None or not self.options.artifacts:
            return {}
        first = self.package_runs(id)[1].id  # most runs have the same packages as the run before
        return self._read_packages(first)

    @remembered
    def _read_packages(self, id: str) -> Mapping[str, str]:
        try:
            return self.client.get_run(id).packages
        except GitModelError:
            return {}

    def holders_of(self, digest: str) -> Sequence[tuple[str, int]]:
        """Return model and number of each version that has an artifact or attachment with *digest*, oldest first."""
        return self._by_digest.get(digest, ())

    @cached_property
    def _by_digest(self) -> Mapping[str, list[tuple[str, int]]]:
        found: dict[str, list[tuple[str, int]]] = {}
        for model in self.models:
            facts = self.facts(model)
            for number in reversed(self.existing(model)):
                for digest in facts[number].digests:
                    found.setdefault(digest, []).append((model, number))
        return found

    def count_holders(self, digest: str) -> int:
        """Return the number of versions that have an artifact or attachment with *digest*."""
        return len(self.holders_of(digest))

    def holder_of(self, digest: str) -> tuple[str, int] | None:
        """Return the first version that has an artifact or attachment with *digest*; None if none has."""
        return next(iter(self.holders_of(digest)), None)

    def readers_of(self, digest: str) -> Sequence[tuple[str, int]]:
        """Return model and number of each version whose run read an object with *digest*, newest run first.

        A run that made an object itself does not count as its reader.
        """
        return self._readers.get(digest, ())

    def used_by(self, model: str, number: int) -> Sequence[tuple[str, int]]:
        """Return the versions, except this one, whose runs read an artifact of the version *number* of *model*."""
        digests = self.facts(model)[number].digests if self._readers else ()
        found = (one for digest in digests for one in self.readers_of(digest) if one != (model, number))
        return list(dict.fromkeys(found))

    @cached_property
    def _readers(self) -> Mapping[str, list[tuple[str, int]]]:
        found: dict[str, list[tuple[str, int]]] = {}
        for run in self.runs.values():
            made = [(model, int(number)) for model, _, number in (one.partition("@") for one in run.versions)]
            steps = run.record.steps if run.record else ()
            made_here = {digest for step in steps for digest in step.outputs.values()}
            for digest in {digest for step in steps for digest in step.inputs.values()} - made_here:
                found.setdefault(digest, []).extend(made)
        return found

    def content(self, model: str, number: int, kind: str, name: str) -> bytes | None:
        """Return the bytes of the artifact or attachment *name* of a version, if it is a picture or a small text.

        Returns None for other artifacts, if the site may not show artifacts, and if this machine neither has the bytes
        nor can fetch them.
        """
        links = self.version(model, number).record.links if self.options.artifacts else ()
        link = next((link for link in links if (link.kind, link.name) == (kind, name)), None)
        if link is None or not may_be_shown(link):
            return None
        version = self.client.get_version(f"{model}@{number}")
        try:
            found = version.get_attachment(link.name) if link.kind == ATTACHMENT else version.get_artifact(link.name)
            with found.open() as stream:
                return stream.read()
        except GitModelError:
            return None

    @cached_property
    def pictures(self) -> Sequence[str]:
        """The file names of the pictures of all versions that have a page."""
        if not self.options.artifacts:
            return ()
        views = (self.version(model, number) for model in self.models for number in self.with_page(model))
        found = (
            picture_file(link, self.content(view.model, view.record.number, link.kind, link.name))
            for view in views
            for link in view.record.links
        )
        return tuple(dict.fromkeys(file for file in found if file))

    def picture_bytes(self, file: str) -> bytes | None:
        """Return the bytes of the picture in *file*, which is named by its digest; None if no version has it."""
        digest = f"sha256:{file.partition('.')[0]}"
        for model, number in self.holders_of(digest)[:1]:
            view = self.version(model, number)
            link = next(link for link in view.record.links if link.digest == digest)
            data = self.content(model, number, link.kind, link.name)
            return data if picture_file(link, data) == file else None
        return None
