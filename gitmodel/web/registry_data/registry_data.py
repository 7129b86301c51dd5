"""The data of a registry that pages show: read in bulk through the client, and kept until the registry changes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gitmodel.domain.rules.gates import Outcome, judge_again
from gitmodel.domain.schema.names import ARCHIVED
from gitmodel.domain.schema.records import ATTACHMENT, StageRule
from gitmodel.domain.views.record_views import VersionView, places_in_force
from gitmodel.domain.views.version_numbers import numbers_by_key
from gitmodel.errors import GitModelError, Invalid, NotFound
from gitmodel.registry.promotion.in_force import judge
from gitmodel.registry.promotion.stage_rules import StageRules
from gitmodel.teams.plans.gate_limits import Limit, gate_limits
from gitmodel.web.options import SiteOptions
from gitmodel.web.registry_data.artifact_content import may_be_shown, picture_file
from gitmodel.web.registry_data.open_proposals import OpenProposal, find_open
from gitmodel.web.registry_data.version_facts import Facts, VersionFacts, facts_of
from gitmodel.web.shown_text import TextRules

if TYPE_CHECKING:
    from gitmodel.branch.history.stage_history import StageEvent
    from gitmodel.client.client import Client
    from gitmodel.domain.changes.stages import StageState
    from gitmodel.domain.schema.codec import Problem
    from gitmodel.domain.schema.records import VersionRecord
    from gitmodel.domain.views.lineage import Lineage
    from gitmodel.domain.views.record_views import ModelView
    from gitmodel.hosts.addresses import Host
    from gitmodel.lineage.rule_history import RuleChange
    from gitmodel.lineage.version_changes import VersionChange, VersionChanges
    from gitmodel.registry.lists.version_lists import VersionIds
    from gitmodel.registry.recorded_runs.runs import RunView
    from gitmodel.teams.plans.planning import Plan
    from gitmodel.teams.proposing.proposals import Proposal

# A number in an address: without leading zeros, so that each version has one address.
_NUMBER = re.compile("[1-9][0-9]{0,17}")
# The greatest number of metric columns of a model: a registry may have thousands of keys.
MOST_METRICS = 40
# The greatest number of versions that share an artifact of which a lineage names all.
MOST_SHARED = 1_000
# After so many reads of single versions, all versions of the model are read at once, which is faster.
_FEW = 20


class Places(NamedTuple):
    """The *stage* and the *aliases* of a version that are in force, and the states with a pending change."""

    stage: str | None = None
    aliases: tuple[str, ...] = ()
    pending: tuple[StageState, ...] = ()


def private_paths(client: Client) -> tuple[str, ...]:
    """Return the paths of this machine that pages never show."""
    folder = client.repository.common_dir
    return str(folder), str(folder.parent), str(Path.home())


class RegistryData:
    """The registry of *client* at one moment. Each part is read once, when a page first needs it.

    *known* are facts of versions that need not be read. Raises NotFound without a registry. `is_current` returns False
    after a change of the registry.
    """

    def __init__(self, client: Client, options: SiteOptions, known: Facts | None = None) -> None:
        self.client = client
        self.options = options
        self.commit = client.repository.existing_tip()
        self.fingerprint = client.fingerprint()
        self.private = private_paths(client)
        self._events_by_number: dict[str, dict[int, list[StageEvent]]] = {}
        self._states_by_number: dict[str, dict[int, list[StageState]]] = {}
        self._known = known or {}
        self._ids: dict[str, Mapping[int, VersionIds]] = {}
        self._records_ids: dict[str, str] = {}
        self._facts: dict[str, Mapping[int, VersionFacts]] = {}
        self._places: dict[str, Mapping[int, Places]] = {}
        self._records: dict[str, dict[int, VersionRecord | Invalid]] = {}
        self._numbers: dict[str, Mapping[str, Mapping[int, float]]] = {}
        self._judged: dict[tuple[str, str, int], Sequence[Outcome]] = {}
        self._limits: dict[str, Sequence[Limit]] = {}
        self._packages: dict[str, Mapping[str, str]] = {}
        # True if facts were read that an export did not know, or if it knew more of them than there are.
        self.has_new_facts = False
        self._existing: dict[str, Sequence[int]] = {}
        self._reads: dict[str, int] = {}
        self._with_page: dict[str, frozenset[int]] = {}
        self._neighbours: dict[str, dict[int, tuple[int | None, int | None]]] = {}
        self.rules_of_text = self.text_rules(self.is_version)

    def text_rules(self, is_version: Callable[[str, str], bool]) -> TextRules:
        """Return the rules for text, with the method `is_version` of this registry or of one that records questions."""
        return TextRules(public=self.options.public, is_version=is_version, private=self.private)

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

    def is_version(self, model: str, word: str) -> bool:
        """Return True if MODEL@WORD can be a reference of the registry."""
        return model in self.references[0] and word in self.references[1]

    @cached_property
    def references(self) -> tuple[Mapping[str, None], Mapping[str, None]]:
        """The names of models, and the names of their stages, aliases and versions."""
        places = sorted({state.name for view in self.models.values() for state in view.stages})
        facts = (self.facts(model).values() for model in self.models)
        names = sorted({each.name for versions in facts for each in versions if each.name and not each.deleted})
        words = dict.fromkeys(["latest", *(stage.name for stage in self.stages), *places, *names])
        return dict.fromkeys(self.models), words

    def title(self, model: str) -> str:
        """Return the title of *model*. Raises NotFound."""
        return self.model(model).record.title

    def state_of(self, model: str, stage: str) -> StageState | None:
        """Return the state of a stage or alias of *model*; None if there is none."""
        states = self.models[model].stages if model in self.models else ()
        return next((state for state in states if state.name == stage), None)

    def places(self, model: str) -> Mapping[int, Places]:
        """Return the places of each version of *model* that has one."""
        if model not in self._places:
            found: dict[int, Places] = {}
            for number, ids in self.ids(model).items():
                states = self.states_of(model, number)
                if states or ids.archived is not None:
                    stage, aliases = places_in_force(states, number)
                    stage = stage or (ARCHIVED if ids.archived is not None else None)
                    found[number] = Places(stage, aliases, tuple(state for state in states if state.pending))
            self._places[model] = found
        return self._places[model]

    def has_production(self, model: str) -> bool:
        """Return True if a version of *model* is in the stage called production."""
        return any(state.name == "production" and state.in_force is not None for state in self.model(model).stages)

    @cached_property
    def damaged(self) -> Sequence[Invalid]:
        """An error for each record of a model or version that cannot be read."""
        of_models = getattr(self._models, "damaged", ())
        faults = sorted(facts.fault for model in self.models for facts in self.facts(model).values() if facts.fault)
        return [*of_models, *(Invalid(fault, hint="run `git model check`") for fault in faults)]

    def ids(self, model: str) -> Mapping[int, VersionIds]:
        """Return the object ids of the files of each version of *model*, newest first, also of deleted ones."""
        if model not in self._ids:
            self._ids[model] = self.client.version_ids(model)
        return self._ids[model]

    def records_id(self, model: str) -> str:
        """Return a text that changes with the records of the versions of *model*."""
        if model not in self._records_ids:
            found = "\n".join(f"{number} {ids.record}" for number, ids in self.ids(model).items())
            self._records_ids[model] = hashlib.sha256(found.encode()).hexdigest()
        return self._records_ids[model]

    def facts(self, model: str) -> Mapping[int, VersionFacts]:
        """Return the facts of each version of *model*, newest first, also of deleted and damaged ones."""
        if model not in self._facts:
            known, ids = self._known.get(model, {}), self.ids(model)
            found = {
                number: known[number] for number in ids if number in known and known[number].id == ids[number].record
            }
            left = [number for number in ids if number not in found]
            self.has_new_facts = self.has_new_facts or len(left) > 0 or len(found) < len(known)
            for number, record in zip(left, self._read(model, left), strict=True):
                id = ids[number].record
                if isinstance(record, Invalid):
                    found[number] = VersionFacts(id, record.message)
                else:
                    found[number] = facts_of(id, record)
            self._facts[model] = {number: found[number] for number in ids}
        return self._facts[model]

    def facts_to_keep(self, model: str) -> Mapping[int, VersionFacts]:
        """Return those `facts` that a site may contain as they are."""
        clean = self.rules_of_text.value
        return {number: facts for number, facts in self.facts(model).items() if clean(facts.texts) == facts.texts}

    def existing(self, model: str) -> Sequence[int]:
        """Return the numbers of the versions of *model* that are not deleted or damaged, newest first."""
        if model not in self._existing:
            facts = self.facts(model).items()
            self._existing[model] = [number for number, each in facts if not each.deleted and not each.fault]
        return self._existing[model]

    def _read(self, model: str, numbers: Sequence[int]) -> Iterator[VersionRecord | Invalid]:
        """Yield the records of the versions *numbers* of *model*, and an error for a damaged one."""
        known = self._records.setdefault(model, {})
        missing = [number for number in numbers if number not in known]
        if missing:
            self._reads[model] = self._reads.get(model, 0) + 1
            if self._reads[model] > _FEW:
                missing = [number for number in self.ids(model) if number not in known]
            known.update(zip(missing, self.client.read_records(model, missing), strict=True))
        return (known[number] for number in numbers)

    def _views(self, model: str, numbers: Sequence[int]) -> list[VersionView]:
        """Return the versions *numbers* of *model*, whose records are not damaged."""
        places, none = self.places(model), Places()
        return [
            VersionView(model, record, *places.get(record.number, none))
            for record in self._read(model, numbers)
            if not isinstance(record, Invalid)
        ]

    def versions(self, model: str) -> Mapping[int, VersionView]:
        """Return the versions of *model* that are not deleted by number, newest first. Raises NotFound.

        A version is read when it is taken from the mapping.
        """
        self.model(model)
        return _Versions(self, model)

    def newest(self, model: str, most: int) -> Sequence[VersionView]:
        """Return the newest versions of *model* that are not deleted, at most *most*."""
        return self._views(model, self.existing(model)[:most])

    def version(self, model: str, number: str | int) -> VersionView:
        """Return a version. Raises NotFound."""
        found = self.versions(model).get(int(number)) if _NUMBER.fullmatch(str(number)) else None
        if found is None:
            raise NotFound(f"{model} has no version {number!a}", hint=f"`git model version list {model}` lists them")
        return found

    def deleted(self, model: str) -> tuple[int, ...]:
        """Return the numbers of the versions of *model* that were deleted, in order."""
        return tuple(sorted(number for number, facts in self.facts(model).items() if facts.deleted))

    def neighbours(self, model: str, number: int) -> tuple[int | None, int | None]:
        """Return the next newer and the next older version of *model* that has a page."""
        if model not in self._neighbours:
            numbers = self.with_page(model)
            around = zip(numbers, [None, *numbers], [*numbers[1:], None], strict=False)
            self._neighbours[model] = {number: (newer, older) for number, newer, older in around}
        return self._neighbours[model].get(number, (None, None))

    def with_page(self, model: str) -> Sequence[int]:
        """Return the numbers of the versions of *model* that have a page of their own, newest first."""
        numbers = self.existing(model)
        if not self.options.only_staged:
            return numbers
        kept = {self.model(model).latest, *self._held.get(model, ())}
        return [number for number in numbers if number in kept or self.states_of(model, number)]

    def has_page(self, model: str, number: int) -> bool:
        """Return True if there is a page of the version *number* of *model*."""
        if model not in self._with_page:
            self._with_page[model] = frozenset(self.with_page(model)) if model in self.models else frozenset()
        return number in self._with_page[model]

    @cached_property
    def _held(self) -> Mapping[str, set[int]]:
        """The versions of each model that are or were in a stage or had an alias."""
        return {
            model: {event.version for event in events if event.version is not None}
            for model, events in self._events.items()
        }

    @property
    def _events(self) -> Mapping[str, list[StageEvent]]:
        """The changes of stages and aliases, newest first, by the current name of the model."""
        return self._history[0]

    @property
    def history_fault(self) -> str:
        """The reason why older changes of stages are missing; "" if none is."""
        return self._history[1]

    @cached_property
    def _history(self) -> tuple[Mapping[str, list[StageEvent]], str]:
        names: dict[str, str] = {}
        found: dict[str, list[StageEvent]] = {}
        try:
            for event in self.client.history():
                if event.model not in names:
                    names[event.model] = self._current_name(event.model)
                found.setdefault(names[event.model], []).append(event)
        except Invalid as error:  # a shallow clone hides older changes
            return found, error.message
        return found, ""

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

    def changes_of(self, model: str, number: int) -> Sequence[VersionChange]:
        """Return the changes of the record of the version *number* after its creation, newest first."""
        return list(self._changes.of(model, number))

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

    def signatures(self, commits: Sequence[str]) -> dict[str, str]:
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
        return {commit: self._signatures[commit] for commit in commits}

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

    def packages(self, id: str) -> Mapping[str, str]:
        """Return the versions of the packages that were installed for the run *id*, by name.

        Returns {} for a site without artifacts, because the list is in the artifact store, and for a list that this
        machine neither has nor can fetch.
        """
        run = self.runs[id]
        digest = run.record.packages if run.record is not None else None
        if digest is None or not self.options.artifacts:
            return {}
        if digest not in self._packages:
            try:
                self._packages[digest] = self.client.get_run(id).packages
            except GitModelError:
                self._packages[digest] = {}
        return self._packages[digest]

    def run(self, id: str) -> RunView | None:
        """Return the recorded run *id*; None if there is none."""
        return self.runs.get(id)

    @cached_property
    def run_ids(self) -> Mapping[str, str]:
        """The object id of the record of each run."""
        return self.client.run_record_ids()

    @cached_property
    def record_ids(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """Values that change with the records of runs and of versions."""
        return self.run_ids, {model: self.records_id(model) for model in self.models}

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
        """Return the model and number of each version of which a run read, and did not make, an object with *digest*.

        The version of the newest run is first.
        """
        return self._readers.get(digest, ())

    def used_by(self, model: str, number: int) -> Sequence[tuple[str, int]]:
        """Return the other versions of which a run read an artifact of the version *number* of *model*."""
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
        """Return the bytes of a picture or small text of a version: of its artifact or attachment *name*.

        Returns None for other artifacts, for a site without artifacts, and for bytes that this machine neither has nor
        can fetch.
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
        """The files of the pictures of all versions that have a page."""
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

    @property
    def stages(self) -> Sequence[StageRules]:
        """The stages with their rules, in order. If a shallow clone hides the rules, the stages have only names."""
        return self._stages[0]

    @property
    def rules_fault(self) -> str:
        """The reason why the rules of the stages are unknown; "" for known rules."""
        return self._stages[1]

    @cached_property
    def _stages(self) -> tuple[Sequence[StageRules], str]:
        try:
            return self.client.list_stages(), ""
        except Invalid as error:
            return [StageRules(StageRule(name=name), False) for name in self.client.stage_names], error.message

    @cached_property
    def headline_keys(self) -> Sequence[str]:
        """The keys of the metadata to show first."""
        return self.client.headline_keys()

    @cached_property
    def proposals(self) -> Mapping[str, Proposal]:
        """The open proposals that the repository has, by the name of the page of each, sorted by branch."""
        return {found.plan.id: found for found in self.client.known_proposals()}

    def open_proposals(self, model: str, number: int | None = None) -> tuple[OpenProposal, ...]:
        """Return the proposed changes of *model*; with *number*, those by which this version enters or leaves."""
        return find_open(self.proposals, model, number)

    def lineage(self, model: str, number: int, down: bool) -> Lineage:
        """Return the lineage of the version *number* of *model*, with what was made from it if *down*."""
        return self.client.lineage(f"{model}@{number}", down=down, few_from=MOST_SHARED)

    @property
    def branch(self) -> str:
        """The name of the metadata branch."""
        return self.client.repository.branch_name

    def plan(self, commits: str) -> Plan:
        """Return the plan of a merge of *commits*, with packages and texts from the store. Raises its errors."""
        return self.client.plan(commits)

    @property
    def rule_changes(self) -> Sequence[RuleChange]:
        """The changes of rules, newest first."""
        return self._rule_changes[0]

    @property
    def rule_changes_fault(self) -> str:
        """The reason why older changes of rules are missing; "" if none is."""
        return self._rule_changes[1]

    @cached_property
    def _rule_changes(self) -> tuple[list[RuleChange], str]:
        found: list[RuleChange] = []
        try:
            found.extend(self.client.rule_history())
        except Invalid as error:  # a shallow clone hides older changes
            return found, error.message
        return found, ""

    @cached_property
    def signers(self) -> tuple[str, ...]:
        """The persons whose signatures count."""
        return tuple(self.client.list_signers())

    @cached_property
    def problems(self) -> Sequence[Problem]:
        """The problems that `git model check` finds. Raises the errors of the check."""
        return list(self.client.list_problems())

    def numbers(self, model: str) -> Mapping[str, Mapping[int, float]]:
        """Return the numbers in the metadata of the versions of *model*, by key and by number of the version.

        The keys of `headline_keys` are first, and the most frequent keys follow; at most 40 keys. Versions without a
        finite number are left out.
        """
        if model not in self._numbers:
            facts = self.facts(model)
            found = numbers_by_key(((each, facts[each].numbers) for each in self.existing(model)), self.headline_keys)
            self._numbers[model] = dict(islice(found.items(), MOST_METRICS))
        return self._numbers[model]

    def headline(self, model: str) -> str:
        """Return the key of the number to show first for *model*; "" if no version has a number."""
        return next(iter(self.numbers(model)), "")


class _Versions(Mapping[int, "VersionView"]):
    """The versions of *model* that are not deleted, newest first. Each is read when it is taken."""

    def __init__(self, registry: RegistryData, model: str) -> None:
        self._registry = registry
        self._model = model

    def __getitem__(self, number: int) -> VersionView:
        facts = self._registry.facts(self._model)[number]
        if facts.deleted or facts.fault:
            raise KeyError(number)
        return self._registry._views(self._model, [number])[0]

    def __iter__(self) -> Iterator[int]:
        return iter(self._registry.existing(self._model))

    def __len__(self) -> int:
        return len(self._registry.existing(self._model))
