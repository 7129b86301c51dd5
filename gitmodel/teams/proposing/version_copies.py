"""`copy`: copying a version with its artifacts, runs and lineage to another registry, directly or as a proposal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from gitmodel.branch.repository import Repository
from gitmodel.domain.changes.exports import Export, Imported, plan_import
from gitmodel.domain.changes.planned_change import Change, Justification
from gitmodel.domain.changes.refused_stage_changes import check_stage_changes
from gitmodel.domain.changes.stages import Promotion
from gitmodel.domain.rules import gates
from gitmodel.domain.schema.names import check_name
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.record_values import FOLDER_FORMAT
from gitmodel.domain.schema.records import Origin
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.domain.schema.refs import PROPOSALS
from gitmodel.domain.secrets.credentials import recordable_url
from gitmodel.domain.snapshots.snapshot import Snapshot
from gitmodel.errors import GitModelError, NotFound, Refused
from gitmodel.frozen import Frozen
from gitmodel.git.refs.ref_commands import list_branches
from gitmodel.git.settings.configuration import list_remotes, remote_urls
from gitmodel.lineage.exporting import read_version
from gitmodel.registry.named_stores.store_access import Access
from gitmodel.registry.promotion import judging
from gitmodel.registry.writing.batch import plan_together
from gitmodel.registry.writing.writer import Writer
from gitmodel.stores.artifacts.copying import copy_artifacts, keep_artifact
from gitmodel.stores.interface import where_else
from gitmodel.stores.transfer import Transfer
from gitmodel.teams.proposing.proposals import Proposal, propose_change, publish


class CopySide(NamedTuple):
    """The source or the target registry of a copy: the *writer* reads or changes it, *access* opens its stores."""

    writer: Writer
    access: Access

    @property
    def repository(self) -> Repository:
        return self.writer.repository


class WantedCopy(NamedTuple):
    """The target *model* of a copy ("": the same name), and the *stage* that the copy enters ("": none).

    *why* has the reason, and can override rules of the stage. If *propose*, the copy becomes a proposal, even if the
    target would accept it on its metadata branch.
    """

    model: str = ""
    stage: str = ""
    why: Justification = Justification()
    propose: bool = False


class CopiedVersion(Frozen):
    """The result of a copy: *source* is the reference of the version, *reference* that of its copy in the target.

    *new* is False if the target already had the copy. *stage* is the stage that the copy entered, or None. *sent* is
    the number of uploaded bytes of artifacts. If the copy is a proposal, *branch* is its branch, and *address* the URL
    at which a person opens the pull request, if the host is known. *missing* has a text for each record or file of the
    version's runs that could not be copied.
    """

    source: str
    reference: str
    new: bool
    stage: str | None
    sent: int
    branch: str | None = None
    address: str | None = None
    missing: tuple[str, ...] = ()


def copy_version(
    source: CopySide, target: CopySide, ref: VersionRef, wanted: WantedCopy, *, transfer: Transfer
) -> CopiedVersion:
    """Copy the version *ref* of *source* to *target*: upload the artifacts that *target* lacks, then make one commit.

    If *target* is a registry by URL and its server refuses the push, pushes a proposal instead. If *target* or an open
    proposal already has a copy of the version, returns that copy. Raises NotFound if the version does not exist,
    Conflict if another version of the target model has its name, GateRefused if it fails a rule of the stage, Refused
    if the stage accepts only proposals, Unreachable.
    """
    store = source.access.everywhere()
    found = read_version(source.repository, ref, store=store)
    export = replace(
        found.export, version=replace(found.export.version, origin=_origin(source.repository, found.export))
    )
    chosen = ModelRef(check_name(wanted.model or export.model, "model"))
    plan = partial(_plan, export, chosen, wanted)
    reference = export.reference
    waiting = _find_waiting(target.repository, export, chosen)
    if waiting is not None:
        return replace(waiting, source=reference)
    there = _check(target, plan, wanted)
    if not there.new and there.stage is None:
        return replace(there, source=reference)
    sent, missing = _send(source, target, export, chosen, transfer)
    missing = (*(message for message, _ in found.missing), *missing)
    proposal: Proposal | None = None
    try:
        if wanted.propose:
            done, proposal = _propose(target.repository, plan)
        else:
            done = target.writer.transact(plan)
    except Refused as refusal:
        if wanted.propose or not target.repository.url:
            raise
        done, proposal = _propose_instead(target.repository, plan, refusal)
    if proposal is not None:
        done = replace(done, branch=proposal.branch, address=proposal.address or None)
    return replace(done, source=reference, sent=sent, missing=missing)


def _origin(repository: Repository, export: Export) -> Origin:
    """Return the origin to write in the record of the copy: the registry, model, version and commit of the source."""
    urls = (url for remote in list_remotes(repository.git)[:1] for url in remote_urls(repository.git, remote))
    registry = next((url for url in map(recordable_url, urls) if url), None)
    return Origin(registry=registry, model=export.model, version=export.version.number, commit=repository.tip())


def _plan(export: Export, chosen: ModelRef, wanted: WantedCopy, snapshot: Snapshot) -> Change[CopiedVersion]:
    """Plan the copy of the version in *export* to the model *chosen*, and its promotion if *wanted* names a stage."""
    imported = plan_import(snapshot, export, chosen, verb="Copy")
    copied = _result(imported.result)
    if not wanted.stage:
        return replace(imported, result=copied)  # type: ignore[arg-type, return-value]
    ref = VersionRef.parse(imported.result.reference)
    assert ref.number is not None
    promote = partial(
        gates.plan_gated_promotion, model=ref.model, number=ref.number, judge=judging.judge, to=wanted.stage,
        why=wanted.why,
    )  # fmt: skip
    plans: list[Callable[[Snapshot], Change[Any]]] = [lambda _: imported, promote]
    joined = plan_together(snapshot, plans)
    promotion: Promotion = joined.result[1]
    subject = f"{imported.subject} to {wanted.stage}" if imported.files else joined.subject
    stage = wanted.stage if promotion.changed else None
    change = replace(joined, result=replace(copied, stage=stage), subject=subject)  # type: ignore[arg-type]
    check_stage_changes(snapshot, change)
    return change  # type: ignore[return-value]


def _result(imported: Imported) -> CopiedVersion:
    return CopiedVersion("", imported.reference, imported.new, None, 0)


def _check(target: CopySide, plan: Callable[[Snapshot], Change[CopiedVersion]], wanted: WantedCopy) -> CopiedVersion:
    """Return the result that the copy will have, or raise its error, before any artifact is uploaded."""
    if wanted.propose:
        tip = target.repository.tip()
        return plan(replace(target.repository.recorded(tip), proposed=True)).result
    registry = target.writer.read_records(lambda snapshot: snapshot.registry())
    stage = wanted.stage
    if stage in registry.stage_names and registry.rule(stage).proposal_only:
        raise Refused(
            f"the stage {stage} of the other registry accepts only proposals, and nothing was copied",
            hint="add --propose to write a branch for a pull request (in Python: propose=True), or leave --stage out",
        )
    return target.writer.check(plan)


def _send(
    source: CopySide, target: CopySide, export: Export, chosen: ModelRef, transfer: Transfer
) -> tuple[int, tuple[str, ...]]:
    """Upload the artifacts and the files of the runs in *export* that the store of *target* lacks.

    Returns the number of uploaded bytes of artifacts, and a text for each file of a run that could not be copied, such
    as its list of packages. Raises an error if an artifact of the version cannot be copied.
    """
    exists = target.writer.read_records(lambda snapshot: snapshot.has_model(snapshot.current_name(chosen.model)))
    store = target.access.of_model(chosen.model) if exists else target.access.default()
    total, missing = 0, []
    done = 0

    def count(size: int) -> None:
        nonlocal done
        done += size
        if transfer.progress is not None:
            transfer.progress(done, total)

    once = {link.digest: link for link in export.version.links if not link.is_external}
    lacking = [link for link in once.values() if not keep_artifact(store, link.digest, folder=link.is_folder)]
    total = sum(link.size for link in lacking)
    for link in lacking:
        origin = source.access.source(export.model, link)
        if origin.url == store.url:
            raise NotFound(
                f"the store of both registries does not have {link.digest}, which the version needs",
                hint=where_else(store.url, shared=store.shared),
            )
        copy_artifacts(origin, store, [(link.digest, link.format == FOLDER_FORMAT, link.size)], jobs=transfer.jobs,
                       sent=count)  # fmt: skip
    for digest in dict.fromkeys(digest for run in export.runs for digest in run.stored):
        try:
            if not keep_artifact(store, digest, folder=False):
                copy_artifacts(source.access.everywhere(), store, [(digest, False, None)])
        except GitModelError as error:
            missing.append(f"{digest} of a run was not copied: {error.message}")
    return done, tuple(missing)


def _propose_instead(
    repository: Repository, plan: partial[Change[CopiedVersion]], refusal: Refused
) -> tuple[CopiedVersion, Proposal]:
    """Push the planned copy as a proposal, after the server refused the copy itself with the error *refusal*."""
    try:
        return _propose(repository, plan)
    except Refused as error:
        raise Refused(
            f"{refusal.message}; a branch for a pull request was refused, too: {error.message}",
            hint="ask for the right to push, or export the version (`git model export`) and send the file to somebody "
            "who has it",
        ) from None


def _propose(repository: Repository, plan: partial[Change[CopiedVersion]]) -> tuple[CopiedVersion, Proposal]:
    def branch(copied: CopiedVersion) -> str:
        model, _, number = copied.reference.partition("@")
        return f"{_folder(model)}{number}"

    done, proposal = propose_change(repository, plan, branch)
    return done, publish(repository, proposal) if repository.url else proposal


def _folder(model: str) -> str:
    return f"propose/{model}/copy/"


def _find_waiting(repository: Repository, export: Export, chosen: ModelRef) -> CopiedVersion | None:
    """Return the copy of the version in *export* that an open proposal has and the metadata branch lacks, or None."""
    repository.renew_branches()
    folder = f"refs/heads/{_folder(chosen.model)}"
    for ref, commit in list_branches(repository.git, PROPOSALS).items():
        if ref.startswith(folder):
            there = _find_copy(repository, commit, export, chosen)
            if there is not None and _find_copy(repository, repository.tip(), export, chosen) is None:
                return replace(_result(there), branch=ref.removeprefix("refs/heads/"))
    return None


def _find_copy(repository: Repository, commit: Oid | None, export: Export, chosen: ModelRef) -> Imported | None:
    """Return the version of the model *chosen* at *commit* that is a copy of the version in *export*, or None."""
    if commit is None:
        return None
    try:
        found = plan_import(repository.recorded(commit), export, chosen).result
    except GitModelError:
        return None
    return None if found.new else found
