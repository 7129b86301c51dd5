"""Creating a version with its artifacts, for `Model.create_version`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial

from gitmodel.client import storing
from gitmodel.client.opening.open_registry import OpenRegistry
from gitmodel.domain.arguments.plain_values import read_values
from gitmodel.domain.changes.models import read_words
from gitmodel.domain.changes.runs import check_run, find_run
from gitmodel.domain.schema.names import check_version_name
from gitmodel.domain.schema.records import ArtifactLink, Code, Imported, RunRecord
from gitmodel.domain.schema.references import ModelRef, VersionRef
from gitmodel.registry.records import versions
from gitmodel.registry.records.versions import Draft, Made


def create_version(
    opened: OpenRegistry,
    ref: ModelRef,
    model: str,
    draft: Draft,
    given: storing.GivenArtifacts,
    *,
    key: str | None,
    code: Code | str | None,
    runs: Iterable[str | RunRecord],
    imported: Imported | None,
) -> Made:
    """Store the artifacts *given*, and create a version of the model *ref*, whose current name is *model*.

    *key* is the idempotency key. The other arguments are those of `Model.create_version`.
    """
    own_code = None
    if code is not None:
        # imported here: few callers give the code
        from gitmodel.lineage.code.recorded_code import given_code, keep_given

        own_code = given_code(code)
    run_ids, run_records = [], []
    for run in runs:
        if isinstance(run, RunRecord):
            run_records.append(check_run(run))
        else:
            run_ids.append(opened.writer.read_records(partial(find_run, id=run)).id)
    if draft.name is not None:
        check_version_name(draft.name)
    known = versions.find_keyed(opened.writer, ref, key) if key else None
    if known is not None:
        since = opened.repository.renumberings().count
        return Made(VersionRef(model, str(known), since=since), new=False)
    draft = draft._replace(tags=read_words(draft.tags), metadata=read_values(draft.metadata or {}))
    if key or not opened.job:  # else this check could refuse a name that this job gave to this version
        ref = versions.check_creation(opened.writer, ref, draft, artifacts=given.kinds)
    if given.sources and own_code is None:  # before artifacts are stored; `record_code` checks again
        opened.check_code()
    storing.check_formats(given)
    links = storing.store_given(opened, model, given)
    recorded = opened.record_code() if own_code is None else keep_given(opened.find_kept(), own_code)
    if key is None:
        key = opened.job_key(lambda: _content_digest(model, draft, links, recorded))
    return versions.make_version(
        opened.writer,
        ref,
        draft,
        artifacts=links,
        code=recorded,
        runs=run_ids,
        new_runs=run_records,
        imported=imported,
        key=key,
    )


def _content_digest(model: str, draft: Draft, links: Iterable[ArtifactLink], code: Code) -> str:
    """Return a digest of the content of a new version, which distinguishes the versions that one CI job creates."""
    import json  # imported here because only jobs of CI need it

    artifacts = sorted((link.name, link.digest) for link in links)
    metadata = dict(draft.metadata or {})
    content = [model, draft.name, draft.description, sorted(draft.tags), artifacts, code.commit, code.dirty, metadata]
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
