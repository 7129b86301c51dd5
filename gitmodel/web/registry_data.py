"""The data of a registry that pages show: read in bulk through the client, and kept until the registry changes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from gitmodel.domain.rules.gates import Outcome, judge_again
from gitmodel.domain.schema.paths import version_file
from gitmodel.domain.schema.records import ATTACHMENT, ArtifactLink, StageRule
from gitmodel.domain.views.version_numbers import numbers_by_key
from gitmodel.errors import GitModelError, Invalid, NotFound
from gitmodel.registry.in_force import judge
from gitmodel.registry.stage_rules import StageRules
from gitmodel.teams.gate_limits import Limit, gate_limits
from gitmodel.web.artifact_content import may_be_shown, picture_file
from gitmodel.web.options import SiteOptions
from gitmodel.web.shown_text import TextRules

if TYPE_CHECKING:
    from gitmodel.branch.stage_history import StageEvent
    from gitmodel.client.client import Client
    from gitmodel.domain.changes.stages import StageState
    from gitmodel.domain.views.record_views import ModelView, VersionView
    from gitmodel.hosts.addresses import Host
    from gitmodel.lineage.version_changes import VersionChange, VersionChanges
    from gitmodel.registry.runs import RunView
    from gitmodel.teams.proposals import Proposal

# A number in an address: without leading zeros, so that each version has one address.
_NUMBER = re.compile("[1-9][0-9]{0,17}")
# The greatest number of metric columns of a model: a registry may have thousands of keys.
MOST_METRICS = 40


def private_paths(client: Client) -> tuple[str, ...]:
    """Return the paths of this machine that pages never show."""
    folder = client.repository.common_dir
    return str(folder), str(folder.parent), str(Path.home())


class RegistryData:
    """The registry of *client* at one moment. Each part is read once, when a page first needs it.

    Raises NotFound without a registry. `is_current` returns False after a change of the registry.
    """

    def __init__(self, client: Client, options: SiteOptions) -> None:
        self.client = client
        self.options = options
        self.commit = client.repository.existing_tip()
        self.fingerprint = client.fingerprint()
        self._events_by_number: dict[str, dict[int, list[StageEvent]]] = {}
        self._states_by_number: dict[str, dict[int, list[StageState]]] = {}
        self._record_ids: dict[str, Mapping[int, str]] = {}
        self._numbers: dict[str, Mapping[str, Mapping[int, float]]] = {}
        self._judged: dict[tuple[str, str, int], Sequence[Outcome]] = {}
        self._limits: dict[str, Sequence[Limit]] = {}
        self._packages: dict[str, Mapping[str, str]] = {}
        self._neighbours: dict[str, dict[int, tuple[int | None, int | None]]] = {}
        self.rules_of_text = TextRules(
            public=options.public, is_version=self._is_version, private=private_paths(client)
        )

    def is_current(self) -> bool:
        """Return True if the registry is still the one that was read."""
        return self.client.fingerprint() == self.fingerprint

    @cached_property
    def models(self) -> Mapping[str, ModelView]:
        """The models by name, in the order of their names."""
        return {view.name: view for view in self._models}

    @cached_property
    def _models(self) -> Sequence[ModelView]:
        return self.client.view_models()

    def model(self, name: str) -> ModelView:
        """Return the model *name*. Raises NotFound."""
        if name not in self.models:
            raise NotFound(f"there is no model {name!a}", hint="`git model list` lists the models")
        return self.models[name]

    def states_of(self, model: str, number: int) -> Sequence[StageState]:
        """Return the stages and aliases of the version *number*: those in force, and those that are only recorded."""
        if model not in self._states_by_number:
            found: dict[int, list[StageState]] = {}
            for state in self.model(model).stages:
                for one in {state.in_force, state.recorded} - {None}:
                    found.setdefault(one, []).append(state)  # type: ignore[arg-type]
            self._states_by_number[model] = found
        return self._states_by_number[model].get(number, ())

    def _is_version(self, model: str, word: str) -> bool:
        """Return True if MODEL@WORD can be a reference of the registry."""
        return model in self.models and word in self._words_of_references

    @cached_property
    def _words_of_references(self) -> Set[str]:
        """The names of stages, aliases and versions."""
        places = (state.name for view in self.models.values() for state in view.stages)
        names = (view.record.name for view in self._all_versions if view.record.name)
        return {"latest", *(stage.name for stage in self.stages), *places, *names}

    def has_production(self, model: str) -> bool:
        """Return True if a version of *model* is in the stage called production."""
        return any(state.name == "production" and state.in_force is not None for state in self.model(model).stages)

    @cached_property
    def damaged(self) -> Sequence[Invalid]:
        """An error for each record of a model or version that cannot be read."""
        of_models = getattr(self._models, "damaged", ())
        return [*of_models, *getattr(self._all_versions, "damaged", ())]

    @cached_property
    def _all_versions(self) -> Sequence[VersionView]:
        return self.client.find_versions()

    @cached_property
    def _versions(self) -> Mapping[str, Mapping[int, VersionView]]:
        found: dict[str, dict[int, VersionView]] = {name: {} for name in self.models}
        for view in self._all_versions:
            found.setdefault(view.model, {})[view.record.number] = view
        return found

    def versions(self, model: str) -> Mapping[int, VersionView]:
        """Return the versions of *model* that are not deleted by number, newest first. Raises NotFound."""
        self.model(model)
        return self._versions[model]

    def version(self, model: str, number: str | int) -> VersionView:
        """Return a version. Raises NotFound."""
        found = self.versions(model).get(int(number)) if _NUMBER.fullmatch(str(number)) else None
        if found is None:
            raise NotFound(f"{model} has no version {number!a}", hint=f"`git model version list {model}` lists them")
        return found

    def deleted(self, model: str) -> tuple[int, ...]:
        """Return the numbers of the versions of *model* that were deleted, in order."""
        known = self.versions(model)
        damaged = " ".join(error.message for error in self.damaged)
        gone = (number for number in self.record_ids(model) if number not in known)
        return tuple(number for number in gone if not damaged or version_file(model, number) not in damaged)

    def record_ids(self, model: str) -> Mapping[int, str]:
        """Return the object id of the record of each version of *model*, also of deleted ones."""
        if model not in self._record_ids:
            self._record_ids[model] = self.client.record_ids(model)
        return self._record_ids[model]

    def neighbours(self, model: str, number: int) -> tuple[int | None, int | None]:
        """Return the next newer and the next older version of *model* that has a page."""
        if model not in self._neighbours:
            numbers = [number for number, view in self.versions(model).items() if self.has_page(view)]
            around = zip(numbers, [None, *numbers], [*numbers[1:], None], strict=False)
            self._neighbours[model] = {number: (newer, older) for number, newer, older in around}
        return self._neighbours[model].get(number, (None, None))

    def has_page(self, view: VersionView) -> bool:
        """Return True if the version has a page of its own."""
        if not self.options.only_staged:
            return True
        number = view.record.number
        is_kept = view.stage not in (None, "archived") or view.aliases or view.pending
        return bool(is_kept) or number == self.models[view.model].latest or number in self._held.get(view.model, ())

    @cached_property
    def _held(self) -> Mapping[str, set[int]]:
        """The versions of each model that are or were in a stage or had an alias."""
        return {
            model: {event.version for event in events if event.version is not None}
            for model, events in self._events.items()
        }

    @cached_property
    def _events(self) -> Mapping[str, list[StageEvent]]:
        """The changes of stages and aliases, newest first, by the current name of the model."""
        names: dict[str, str] = {}
        found: dict[str, list[StageEvent]] = {}
        try:
            for event in self.client.history():
                if event.model not in names:
                    names[event.model] = self._current_name(event.model)
                found.setdefault(names[event.model], []).append(event)
        except Invalid as error:  # a shallow clone hides older changes
            self.history_fault = error.message
        return found

    # The reason why the history of stages is not complete; "" for a complete one. Set when the history is read.
    history_fault = ""

    def _current_name(self, model: str) -> str:
        if model not in self.models:
            with suppress(GitModelError):
                return self.client.view_model(model).name
        return model

    def events(self, model: str | None = None) -> Sequence[StageEvent]:
        """Return the changes of stages and aliases of *model*, or of all models, newest first."""
        if model is not None:
            return self._events.get(model, [])
        found = [event for events in self._events.values() for event in events]
        return sorted(found, key=lambda event: event.when, reverse=True)

    def events_of(self, model: str, number: int) -> Sequence[StageEvent]:
        """Return the changes by which the version *number* entered or left a stage or alias, newest first."""
        if model not in self._events_by_number:
            found: dict[int, list[StageEvent]] = {}
            for event in self.events(model):
                for one in {event.version, event.previous} - {None}:
                    found.setdefault(one, []).append(event)  # type: ignore[arg-type]
            self._events_by_number[model] = found
        return self._events_by_number[model].get(number, ())

    def entered(self, model: str, stage: str, number: int) -> StageEvent | None:
        """Return the last change by which the version *number* came into *stage*; None if this change is not known."""
        return next((e for e in self.events_of(model, number) if e.stage == stage and e.version == number), None)

    def changes_of(self, model: str, number: int) -> Iterable[VersionChange]:
        """Return the changes of the record of the version *number* after its creation, newest first."""
        return self._changes.of(model, number)

    @property
    def changes_fault(self) -> str:
        """The reason why older changes of versions are missing; "" if none are missing."""
        return self._changes.fault

    @cached_property
    def _changes(self) -> VersionChanges:
        return self.client.version_changes()

    def judged_again(self, model: str, stage: str, number: int) -> Sequence[Outcome]:
        """Return the results of the current gates of *stage* for the version *number* of *model*, which is in it."""
        key = (model, stage, number)
        if key not in self._judged:
            rule = next((found.rule for found in self.stages if found.name == stage), None)
            version, event = self.versions(model).get(number), self.entered(model, stage, number)
            replaced = self.versions(model).get(event.previous or 0) if event else None
            if rule is None or version is None:
                return ()
            self._judged[key] = judge_again(rule, version, replaced, self.model(model).record, judge)
        return self._judged[key]

    def limits(self, stage: str) -> Sequence[Limit]:
        """Return the limits that the current gates of *stage* set for numbers of metadata."""
        if stage not in self._limits:
            gates = (gate for found in self.stages if found.name == stage for gate in found.rule.gates)
            self._limits[stage] = gate_limits(Outcome(g.name, passed=True, expression=g.expression) for g in gates)
        return self._limits[stage]

    def pull_request_url(self, request: str) -> str:
        """Return the URL of a pull request such as "#12" at the host of the registry; "" for an unknown host."""
        return self._host.pull_request(request) if request and self._host else ""

    @cached_property
    def _host(self) -> Host | None:
        return self.client.find_host()

    def signatures(self, commits: Iterable[str]) -> dict[str, str]:
        """Return for each of *commits* "valid", "not signed", or the reason why its signature does not count.

        Without signers, a commit that is not signed is "not checked".
        """
        missing = [commit for commit in dict.fromkeys(commits) if commit not in self._signatures]
        try:
            faults = self.client.signature_faults(missing)
        except GitModelError as error:  # in a shallow clone, or without the program that verifies signatures
            faults = dict.fromkeys(missing, f"not checked: {error.message}")
        for commit, fault in faults.items():
            unsigned = "not signed" if self.has_signers else "not checked: the registry lists no signers"
            self._signatures[commit] = unsigned if fault is None else fault or "valid"
        return self._signatures

    @cached_property
    def has_signers(self) -> bool:
        """True if the registry lists persons whose signatures count."""
        return bool(self.client.list_signers())

    @cached_property
    def _signatures(self) -> dict[str, str]:
        return {}

    @cached_property
    def runs(self) -> Mapping[str, RunView]:
        """The recorded runs by id, newest first, without runs that only this machine knows."""
        return {run.id: run for run in self.client.list_runs() if run.record is not None}

    def package_runs(self, id: str) -> tuple[RunView | None, RunView]:
        """Return the previous run of the same pipeline as the run *id*, and the run since which it has these packages.

        Runs without a list of packages are left out.
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

    def packages(self, run: RunView) -> Mapping[str, str]:
        """Return the versions of the packages that were installed for *run*, by name.

        Returns {} for a site without artifacts, because the list is in the artifact store, and for a list that this
        machine neither has nor can fetch.
        """
        digest = run.record.packages if run.record is not None else None
        if digest is None or not self.options.artifacts:
            return {}
        if digest not in self._packages:
            try:
                self._packages[digest] = self.client.get_run(run.id).packages
            except GitModelError:
                self._packages[digest] = {}
        return self._packages[digest]

    def holders_of(self, digest: str) -> Sequence[tuple[str, int]]:
        """Return model and number of each version that has an artifact or attachment with *digest*, oldest first."""
        return self._by_digest.get(digest, ())

    @cached_property
    def _by_digest(self) -> Mapping[str, list[tuple[str, int]]]:
        found: dict[str, list[tuple[str, int]]] = {}
        for model in self.models:
            for number, view in reversed(list(self._versions[model].items())):
                for digest in {link.digest for link in view.record.links}:
                    found.setdefault(digest, []).append((model, number))
        return found

    def readers_of(self, digest: str) -> Sequence[tuple[str, int]]:
        """Return the model and number of each version of which a run read, and did not make, an object with *digest*.

        The version of the newest run is first.
        """
        return self._readers.get(digest, ())

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

    def content(self, view: VersionView, link: ArtifactLink) -> bytes | None:
        """Return the bytes of a picture or small text of a version.

        Returns None for other artifacts, for a site without artifacts, and for bytes that this machine neither has nor
        can fetch.
        """
        if not self.options.artifacts or not may_be_shown(link):
            return None
        version = self.client.get_version(str(view))
        try:
            found = version.get_attachment(link.name) if link.kind == ATTACHMENT else version.get_artifact(link.name)
            with found.open() as stream:
                return stream.read()
        except GitModelError:
            return None

    @cached_property
    def pictures(self) -> Sequence[str]:
        """The files of the pictures of all versions that have a page."""
        if not self.options.artifacts:
            return ()
        views = (view for views in self._versions.values() for view in views.values() if self.has_page(view))
        found = (picture_file(link, self.content(view, link)) for view in views for link in view.record.links)
        return tuple(dict.fromkeys(file for file in found if file))

    def picture_bytes(self, file: str) -> bytes | None:
        """Return the bytes of the picture in *file*, which is named by its digest; None if no version has it."""
        digest = f"sha256:{file.partition('.')[0]}"
        for model, number in self.holders_of(digest)[:1]:
            view = self.version(model, number)
            link = next(link for link in view.record.links if link.digest == digest)
            data = self.content(view, link)
            return data if picture_file(link, data) == file else None
        return None

    @cached_property
    def stages(self) -> Sequence[StageRules]:
        """The stages with their rules, in order. If a shallow clone hides the rules, the stages have only names."""
        try:
            return self.client.list_stages()
        except Invalid as error:
            self.rules_fault = error.message
            return [StageRules(StageRule(name=name), False) for name in self.client.stage_names]

    # The reason why the rules of the stages are unknown; "" for known rules. Set when the stages are read.
    rules_fault = ""

    @cached_property
    def headline_keys(self) -> Sequence[str]:
        """The keys of the metadata to show first."""
        return self.client.headline_keys()

    @cached_property
    def proposals(self) -> Mapping[str, Proposal]:
        """The open proposals that the repository has, by the name of the page of each, sorted by branch."""
        return {found.plan.id: found for found in self.client.known_proposals()}

    def numbers(self, model: str) -> Mapping[str, Mapping[int, float]]:
        """Return the numbers in the metadata of the versions of *model*, by key and by number of the version.

        The keys of `headline_keys` are first, and the most frequent keys follow; at most 40 keys. Versions without a
        finite number are left out.
        """
        if model not in self._numbers:
            found = numbers_by_key(self.versions(model).values(), self.headline_keys)
            self._numbers[model] = dict(islice(found.items(), MOST_METRICS))
        return self._numbers[model]

    def headline(self, model: str) -> str:
        """Return the key of the number to show first for *model*; "" if no version has a number."""
        return next(iter(self.numbers(model)), "")
