"""The models and versions of a registry, its stages, and the numbers of versions, as pages show them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, wraps
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from gitmodel.domain.schema.names import ARCHIVED
from gitmodel.domain.schema.registry_rules.registry_record import StageRule
from gitmodel.domain.views.metadata_numbers import numbers_by_key
from gitmodel.domain.views.record_views import VersionView, places_in_force
from gitmodel.errors import Invalid, NotFound
from gitmodel.registry.promotion.stage_rules import StageRules
from gitmodel.web.options import SiteOptions
from gitmodel.web.registry_data.version_facts import Facts, VersionFacts, facts_of
from gitmodel.web.shown_text import TextRules

if TYPE_CHECKING:
    from gitmodel.client.client import Client
    from gitmodel.domain.changes.stages import StageState
    from gitmodel.domain.schema.records import VersionRecord
    from gitmodel.domain.views.record_views import ModelView
    from gitmodel.registry.lists.version_lists import VersionIds

# The number of a version in an address. Leading zeros are refused, so that each version has only one address.
_NUMBER = re.compile("[1-9][0-9]{0,17}")
# The greatest number of metric columns of a model: a registry may have thousands of keys.
MOST_METRICS = 40
# After this number of reads of single versions, gitmodel reads all versions of the model at once, which is faster.
_FEW = 20

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")


def remembered(
    method: Callable[Concatenate[Any, _Arguments], _Answer],
) -> Callable[Concatenate[Any, _Arguments], _Answer]:
    """Make *method* of an object compute each answer once: it keeps its answers in the object, by their arguments."""
    name = f"answers of {method.__name__}"

    @wraps(method)
    def ask(self: Any, /, *arguments: _Arguments.args, **named: _Arguments.kwargs) -> _Answer:
        answers, key = vars(self).setdefault(name, {}), (*arguments, *named.items())
        if key not in answers:
            answers[key] = method(self, *arguments, **named)
        answer: _Answer = answers[key]
        return answer

    return ask


class Places(NamedTuple):
    """The *stage* and the *aliases* that a version has in force.

    *pending* has a `StageState` for each stage and alias that the version enters or leaves by a pending change.
    """

    stage: str | None = None
    aliases: tuple[str, ...] = ()
    pending: tuple[StageState, ...] = ()


def private_paths(client: Client) -> tuple[str, ...]:
    """Return the paths of this machine that pages never show."""
    folder = client.repository.common_dir
    return str(folder), str(folder.parent), str(Path.home())


class VersionData:
    """The models and versions of the registry of *client* at one moment. Each part is read once, when it is needed.

    *kept_facts* are facts that an earlier export kept. They are used for versions whose record has not changed. Raises
    NotFound if there is no registry.
    """

    def __init__(self, client: Client, options: SiteOptions, kept_facts: Facts | None = None) -> None:
        self.client = client
        self.options = options
        self.commit = client.repository.existing_tip()
        self.fingerprint = client.fingerprint()
        self.private = private_paths(client)
        self._known = kept_facts or {}
        self._records: dict[str, dict[int, VersionRecord | Invalid]] = {}
        self._reads: dict[str, int] = {}
        # True if a record was read whose facts the previous export did not keep, or if that export kept facts of a
        # version that is gone.
        self.has_new_facts = False
        self.rules_of_text = self.text_rules(self.is_version)

    def text_rules(self, is_version: Callable[[str, str], bool]) -> TextRules:
        """Return the rules by which pages clean text.

        *is_version* is the method `is_version` of this object, or of an object that records each call of it.
        """
        return TextRules(public=self.options.public, is_version=is_version, private=self.private)

    def is_current(self) -> bool:
        """Return True if the registry has not changed since this object was created."""
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
        """Return the states of the stages and aliases that a version of *model* has, in force or only recorded."""
        return self._states_by_number(model).get(number, ())

    @remembered
    def _states_by_number(self, model: str) -> Mapping[int, list[StageState]]:
        found: dict[int, list[StageState]] = {}
        for state in self.model(model).stages:
            for one in {state.in_force, state.recorded} - {None}:
                found.setdefault(one, []).append(state)  # type: ignore[arg-type]
        return found

    def is_version(self, model: str, word: str) -> bool:
        """Return True if MODEL@WORD may be a reference to a version.

        This is so if *model* exists, and *word* is the name of a stage, alias or version of any model, or "latest".
        """
        return model in self.references[0] and word in self.references[1]

    @cached_property
    def references(self) -> tuple[Mapping[str, None], Mapping[str, None]]:
        """The names of models; and "latest" with the names of stages, aliases and versions of all models."""
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

    @remembered
    def places(self, model: str) -> Mapping[int, Places]:
        """Return the stage and aliases of each version of *model* that has one of these, by number."""
        found: dict[int, Places] = {}
        for number, ids in self.ids(model).items():
            states = self.states_of(model, number)
            if states or ids.archived is not None:
                stage, aliases = places_in_force(states, number)
                stage = stage or (ARCHIVED if ids.archived is not None else None)
                found[number] = Places(stage, aliases, tuple(state for state in states if state.pending))
        return found

    def has_production(self, model: str) -> bool:
        """Return True if a version of *model* is in the stage called production."""
        return any(state.name == "production" and state.in_force is not None for state in self.model(model).stages)

    @cached_property
    def damaged(self) -> Sequence[Invalid]:
        """An error for each record of a model or version that cannot be read."""
        of_models = getattr(self._models, "damaged", ())
        faults = sorted(facts.fault for model in self.models for facts in self.facts(model).values() if facts.fault)
        return [*of_models, *(Invalid(fault, hint="run `git model check`") for fault in faults)]

    @remembered
    def ids(self, model: str) -> Mapping[int, VersionIds]:
        """Return the object ids of the files of each version of *model*, newest first, also of deleted versions."""
        return self.client.version_ids(model)

    @remembered
    def records_id(self, model: str) -> str:
        """Return a text that changes whenever the record of a version of *model* changes."""
        found = "\n".join(f"{number} {ids.record}" for number, ids in self.ids(model).items())
        return hashlib.sha256(found.encode()).hexdigest()

    @remembered
    def facts(self, model: str) -> Mapping[int, VersionFacts]:
        """Return the facts of each version of *model*, newest first, also of deleted and damaged versions."""
        known, ids = self._known.get(model, {}), self.ids(model)
        found = {number: known[number] for number in ids if number in known and known[number].id == ids[number].record}
        left = [number for number in ids if number not in found]
        self.has_new_facts = self.has_new_facts or len(left) > 0 or len(found) < len(known)
        for number, record in zip(left, self._read(model, left), strict=True):
            id = ids[number].record
            found[number] = VersionFacts(id, record.message) if isinstance(record, Invalid) else facts_of(id, record)
        return {number: found[number] for number in ids}

    def facts_to_keep(self, model: str) -> Mapping[int, VersionFacts]:
        """Return the `facts` to save in the folder of the site: those whose text the site would not change."""
        clean = self.rules_of_text.value
        return {number: facts for number, facts in self.facts(model).items() if clean(facts.texts) == facts.texts}

    @remembered
    def existing(self, model: str) -> Sequence[int]:
        """Return the numbers of the versions of *model* that are not deleted or damaged, newest first."""
        return [number for number, each in self.facts(model).items() if not each.deleted and not each.fault]

    def _read(self, model: str, numbers: Sequence[int]) -> Iterator[VersionRecord | Invalid]:
        """Yield the records of the versions *numbers* of *model*, and an error for each damaged record."""
        known = self._records.setdefault(model, {})
        missing = [number for number in numbers if number not in known]
        if missing:
            self._reads[model] = self._reads.get(model, 0) + 1
            if self._reads[model] > _FEW:
                missing = [number for number in self.ids(model) if number not in known]
            known.update(zip(missing, self.client.read_records(model, missing), strict=True))
        return (known[number] for number in numbers)

    def _views(self, model: str, numbers: Sequence[int]) -> list[VersionView]:
        """Return those of the versions *numbers* of *model* whose records are not damaged."""
        places, none = self.places(model), Places()
        return [
            VersionView(model, record, *places.get(record.number, none))
            for record in self._read(model, numbers)
            if not isinstance(record, Invalid)
        ]

    def versions(self, model: str) -> Mapping[int, VersionView]:
        """Return the versions of *model* by number, newest first, without deleted and damaged versions.

        The record of a version is read only when the caller takes the version from the mapping. Raises NotFound if
        there is no such model.
        """
        self.model(model)
        return _Versions(self, model)

    def newest(self, model: str, most: int) -> Sequence[VersionView]:
        """Return the newest versions of *model*, at most *most*, without deleted and damaged versions."""
        return self._views(model, self.existing(model)[:most])

    def version(self, model: str, number: str | int) -> VersionView:
        """Return the version *number* of *model*. Raises NotFound if it does not exist, is deleted or is damaged."""
        found = self.versions(model).get(int(number)) if _NUMBER.fullmatch(str(number)) else None
        if found is None:
            raise NotFound(f"{model} has no version {number!a}", hint=f"`git model version list {model}` lists them")
        return found

    def deleted(self, model: str) -> tuple[int, ...]:
        """Return the numbers of the versions of *model* that were deleted, in ascending order."""
        return tuple(sorted(number for number, facts in self.facts(model).items() if facts.deleted))

    @remembered
    def numbers(self, model: str) -> Mapping[str, Mapping[int, float]]:
        """Return the numbers in the metadata of the versions of *model*, by key and then by version.

        At most 40 keys: the keys of `headline_keys` first, then the most frequent keys. The mapping of a key has only
        the versions with a finite number for this key.
        """
        facts = self.facts(model)
        found = numbers_by_key(((each, facts[each].numbers) for each in self.existing(model)), self.headline_keys)
        return dict(islice(found.items(), MOST_METRICS))

    def headline(self, model: str) -> str:
        """Return the key of the number to show first for *model*; "" if no version has a number."""
        return next(iter(self.numbers(model)), "")

    @cached_property
    def headline_keys(self) -> Sequence[str]:
        """The keys of metadata that pages show before all other keys (see `headline` in the glossary)."""
        return self.client.headline_keys()

    @property
    def stages(self) -> Sequence[StageRules]:
        """The stages with their rules, in the order in which `gitmodel.toml` lists them.

        If a shallow clone hides the rules, the stages have only names.
        """
        return self._stages[0]

    @property
    def rules_fault(self) -> str:
        """The reason why the rules of the stages are unknown; "" if they are known."""
        return self._stages[1]

    @cached_property
    def _stages(self) -> tuple[Sequence[StageRules], str]:
        try:
            return self.client.list_stages(), ""
        except Invalid as error:
            return [StageRules(StageRule(name=name), False) for name in self.client.stage_names], error.message


class _Versions(Mapping[int, "VersionView"]):
    """The result of `VersionData.versions`. It reads the record of a version only when the caller takes the version."""

    def __init__(self, registry: VersionData, model: str) -> None:
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
