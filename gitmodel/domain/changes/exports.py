"""The records in an export, and the files that an import writes. Pure; `stores/artifacts/archives.py` packs the file.

An export has the record of one version, the record of its model, and the records of the runs that created the version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gitmodel.domain.changes import models
from gitmodel.domain.changes.changed_files import ChangedFiles
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.changes.runs import plan_run, with_versions
from gitmodel.domain.changes.versions import check_free_name, plan_version
from gitmodel.domain.schema import codec, paths, records
from gitmodel.domain.schema.names import fault_in
from gitmodel.domain.schema.records import DESCRIPTIVE, ModelRecord, RunRecord, VersionRecord
from gitmodel.domain.schema.references import ModelRef
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import Invalid
from gitmodel.frozen import Frozen

OBJECTS = "sha256"


class Export(Frozen):
    """The records in an export: of a *version*, of its model (*described*) with the name *model*, and of its *runs*."""

    model: str
    described: ModelRecord
    version: VersionRecord
    runs: tuple[RunRecord, ...]

    @property
    def reference(self) -> str:
        """The reference of the version, such as `iris@4`, in the registry that exported it."""
        return f"{self.model}@{self.version.number}"


class Imported(Frozen):
    """The result of an import: the *reference* of the version here. If the registry had it already, *new* is False."""

    reference: str
    new: bool


def read_export(contents: Mapping[str, bytes]) -> Export:
    """Return the records in *contents*, the files of an export by path.

    Raises Invalid unless they are the records of one version that was not deleted.
    """
    model: tuple[str, ModelRecord] | None = None
    version: tuple[str, VersionRecord] | None = None
    runs = []
    for path, data in contents.items():
        place = paths.parse_path(path)
        kind = place.kind if place else ""
        if place is not None and kind == "model" and model is None:
            model = (place.model, codec.decode(records.ModelRecord, data, path))
        elif place is not None and kind == "version" and version is None:
            version = (place.model, codec.decode(records.VersionRecord, data, path))
            if version[1].number != int(place.key):
                raise Invalid(f"{path} of the export contains version {version[1].number} [version.number]")
        elif place is not None and kind == "run":
            runs.append(codec.decode(records.RunRecord, data, path))
            if runs[-1].id != place.key:
                raise Invalid(f"{path} of the export contains the run {runs[-1].id} [run.id]")
        else:
            raise Invalid(f"{path!a} does not belong in an export", hint="export it again from its registry")
    if model is None or version is None or model[0] != version[0]:
        raise Invalid(
            "the export does not contain exactly one version and its model", hint="export it again from its registry"
        )
    if fault := fault_in(model[0]):
        raise Invalid(f"the model {model[0]!a} of the export {fault}", hint="import it under another name with --as")
    if not model[1].exists or version[1].deleted is not None:
        raise Invalid("the exported version was deleted", hint="export an existing version")
    return Export(model[0], model[1], version[1], tuple(runs))


def plan_import(snapshot: Snapshot, export: Export, model: str | ModelRef, *, verb: str = "Import") -> Change[Imported]:
    """Import the version of *export* into *model*, which is created if it does not exist.

    If *model* already has the exported version, nothing changes. The version keeps its number if this number is higher
    than all numbers of *model*, is not reserved, and does not skip too many numbers. Otherwise it gets the next free
    number, also in the imported records of its runs. *verb* begins the subject of the commit. Raises Conflict if
    another version of *model* has the name of the exported version; NotFound if *model* was deleted.
    """
    known_as, settled = snapshot.model_to_change(model)
    name = snapshot.current_name(known_as)
    files: dict[str, bytes | None] = {}
    if snapshot.load(paths.model_file(name), records.ModelRecord) is None:
        given = {field: getattr(export.described, field) for field in DESCRIPTIVE}
        registered = models.plan_registration(snapshot, name, given, now=export.described.created)
        files.update(registered.files)
        settled |= registered.settled
    else:
        snapshot.model(name)
    known = _known(snapshot, export, name)
    if known is not None:
        return Change(Imported(f"{name}@{known}", new=False), settled=settled)
    number = export.version.number
    last = snapshot.last_number(name)
    too_far = number > paths.HIGHEST_NUMBER or (not files and number > last + paths.MOST_SKIPPED)
    if number <= last or too_far or snapshot.is_reserved(name, number):
        number = snapshot.next_number(name)
    reference = f"{name}@{number}"
    if export.version.name is not None:
        instead = f"{verb.lower()} the version into another model with --as MODEL (in Python: model=NAME)"
        check_free_name(_over(snapshot, files), name, export.version.name, runs=export.version.runs, instead=instead)
    made = plan_version(_over(snapshot, files), name, export.version, reserved=number)
    files.update(made.files)
    absent = [run for run in export.runs if snapshot.files.read(paths.run_file(run.id)) is None]
    for run in absent:
        renamed = with_versions(run, {export.reference: reference}.get)
        files.update(plan_run(_over(snapshot, files), renamed).files)
    return Change(
        Imported(reference, new=True),
        subject=f"{verb} {name} {number}",
        files=files,
        trailers=made.trailers,
        numbers=((name, number),),
        settled=settled,
    )


def _known(snapshot: Snapshot, export: Export, model: str) -> int | None:
    """Return the number that the exported version already has in *model*; None if *model* does not have it."""
    wanted = export.version
    for found in snapshot.versions(model, snapshot.newest_numbers(model)):
        if not isinstance(found, VersionRecord) or found.deleted is not None:
            continue
        same = all(getattr(found, key) == getattr(wanted, key) for key in ("created", "name", "runs", "code"))
        if same and records.links_digest(found.artifacts) == records.links_digest(wanted.artifacts):
            return found.number
        if wanted.origin is not None and wanted.origin.is_same(found.origin) and wanted.created == found.created:
            return found.number
    return None


def _over(snapshot: Snapshot, files: Mapping[str, bytes | None]) -> Snapshot:
    return replace(snapshot, files=ChangedFiles(snapshot.files, files)) if files else snapshot


def needed(export: Export) -> Iterable[str]:
    """Return the digests of all artifacts and attachments that an import needs: those that are not external."""
    return dict.fromkeys(link.digest for link in export.version.links if not link.is_external)


def mentioned(export: Export) -> set[str]:
    """Return all digests in the records of *export*.

    An import refuses an export with any other object, unless it is a file in a folder that has one of these digests.
    """
    steps = [step for run in export.runs for step in run.steps]
    found = {link.digest for link in export.version.links}
    found.update(digest for step in steps for digest in (*step.inputs.values(), *step.outputs.values()))
    found.update(digest for run in export.runs for digest in run.stored)
    return found
