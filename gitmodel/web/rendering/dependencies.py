"""The dependencies of pages: what each page asked of a registry, and fingerprints of the answers.

A page depends on the registry only by the answers of `RegistryData`, whose methods are the questions. An export renders
a page again if the fingerprint of an answer is not the same as at the previous export.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import date, time
from functools import cache
from typing import TYPE_CHECKING, Any, cast

from gitmodel.domain.views.lineage import VERSION, Lineage
from gitmodel.errors import GitModelError

if TYPE_CHECKING:
    from gitmodel.web.registry_data.registry_data import RegistryData

# A question that a page asked: the prefix of the registry's pages ("" or "NAME/"), the name of a method or property of
# `RegistryData`, and its arguments.
Question = tuple[Any, ...]

# The name of the question "does the site have a page with this file?", which `Renderer.address` asks before it links to
# the page.
FILE = "file"
# The name of a question whose answer cannot be compared. A page that asked it is rendered again by every export.
_UNKNOWN = "?"

# These questions have a model and a number as arguments. Each is recorded as the one question "version" about that
# version.
_OF_VERSION = ("neighbours", "states_of", "events_of", "changes_of", "open_proposals")
# The answers to these questions change only if a record of a version or run changes.
_OF_RECORDS = frozenset({"damaged", "holders_of", "holder_of", "count_holders", "readers_of", "used_by"})


def _about_version(registry: RegistryData, model: str, number: int) -> object:
    answers = [getattr(registry, name)(model, number) for name in _OF_VERSION]
    ids = registry.ids(model).get(number)
    return f"{ids} {answers[0]}" if not any(answers[1:]) else (ids, answers)


# For each question whose answer takes long to read or to compare, a function that returns a smaller value. The smaller
# value changes whenever the answer changes.
_STANDS_FOR: Mapping[str, Callable[..., object]] = {
    "version": _about_version,
    "versions": lambda registry, model: (registry.records_id(model), registry.places(model)),
    "newest": lambda registry, model, most: (registry.records_id(model), registry.places(model)),
    "facts": lambda registry, model: registry.records_id(model),
    "existing": lambda registry, model: registry.records_id(model),
    "deleted": lambda registry, model: registry.records_id(model),
    "numbers": lambda registry, model: (registry.records_id(model), registry.headline_keys),
    "headline": lambda registry, model: (registry.records_id(model), registry.headline_keys),
    "runs": lambda registry: registry.run_ids,
    "run": lambda registry, id: registry.run_ids.get(id),
    "picture_bytes": lambda registry, file: file,  # the name of the file has the digest of its bytes
}


class Dependencies:
    """Records the questions that pages ask about the registries of a site, with fingerprints of the answers.

    *has_file* gets the path of a file, and returns True if a page of the site has that file.
    """

    def __init__(self, has_file: Callable[[str], bool]) -> None:
        self.has_file = has_file
        self._registries: dict[str, RegistryData] = {}
        self._fingerprints: dict[Question, str] = {}
        self._asked: dict[Question, None] = {}

    def watch(self, prefix: str, registry: RegistryData) -> RegistryData:
        """Return an object that answers as *registry*, whose pages are in *prefix*, and records what pages ask."""
        self._registries[prefix] = registry
        return cast("RegistryData", _Watched(self, prefix, registry))

    @contextmanager
    def recording(self) -> Iterator[Collection[Question]]:
        """Yield a collection of the questions that are asked in the block."""
        self._asked = {}
        yield self._asked.keys()

    def record(self, question: Question, answer: object) -> None:
        """Record that a page asked *question* and got *answer*."""
        self._asked[question] = None
        if question not in self._fingerprints:
            self._fingerprints[question] = self._fingerprint_of(question, lambda: answer)

    def fingerprint(self, question: Question) -> str:
        """Return the fingerprint of the answer to *question*."""
        found = self._fingerprints.get(question)
        if found is None:
            found = self._fingerprints[question] = self._fingerprint_of(question, lambda: self._answer(question))
        return found

    def changed(self, previous: Mapping[Question, str]) -> set[Question]:
        """Return the questions whose answers differ from *previous*, the fingerprints of the last export."""
        records = ((prefix, "record_ids") for prefix in self._registries)
        same = {question[0] for question in records if previous.get(question) == self.fingerprint(question)}
        found = set()
        for question, mark in previous.items():
            prefix, name, *arguments = question
            if name == FILE:
                is_same = self.has_file(prefix + arguments[0]) is (mark == "true")
            elif name in _OF_RECORDS and prefix in same:
                is_same = True
            else:
                is_same = mark == self.fingerprint(question) != _UNKNOWN
            if is_same:
                self._fingerprints[question] = mark
            else:
                found.add(question)
        return found

    def _fingerprint_of(self, question: Question, answer: Callable[[], object]) -> str:
        prefix, name, *arguments = question
        stand_in = _STANDS_FOR.get(name)
        try:
            return _fingerprint(answer() if stand_in is None else stand_in(self._registries[prefix], *arguments))
        except GitModelError as error:
            return _fingerprint(error)

    def _answer(self, question: Question) -> object:
        prefix, name, *arguments = question
        if name == FILE:
            return self.has_file(prefix + arguments[0])
        # The state of an earlier export can have a question whose method no longer exists in this release of gitmodel.
        found = getattr(self._registries.get(prefix), name, _UNKNOWN)
        return found(*arguments) if callable(found) else found


class _Watched:
    """Answers as a `RegistryData`, and records which methods and properties a page uses, with the answers."""

    def __init__(self, dependencies: Dependencies, prefix: str, registry: RegistryData) -> None:
        self._dependencies = dependencies
        self._prefix = prefix
        self._registry = registry
        self.options = registry.options  # not recorded, because the options are the same for all pages of a site
        self.rules_of_text = registry.text_rules(lambda model, word: self.is_version(model, word))

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._registry, name)
        if not callable(found):
            self._record(name, (), found)
            return found

        def ask(*arguments: Any, **named: Any) -> object:
            try:
                answer = found(*arguments, **named)
            except GitModelError as error:
                self._record(_UNKNOWN if named else name, arguments, error)
                raise
            self._record(_UNKNOWN if named else name, arguments, answer)
            return answer

        self.__dict__[name] = ask  # the next use finds it without `__getattr__`
        return ask

    def _record(self, name: str, arguments: tuple[Any, ...], answer: object) -> None:
        if name == "version" or (name in _OF_VERSION and len(arguments) > 1):
            name, arguments = "version", (arguments[0], int(arguments[1]))
        # its arguments are words of a text, possibly of an e-mail address, which must not get into the saved state
        elif name == "is_version":
            name, arguments, answer = "references", (), self._registry.references
        elif name == "lineage" and isinstance(answer, Lineage):
            self._record_lineage(answer)
            return
        arguments = tuple(tuple(each) if isinstance(each, list) else each for each in arguments)
        if not all(isinstance(each, _COMPARABLE) for each in arguments):
            name, arguments = _UNKNOWN, ()
        self._dependencies.record((self._prefix, name, *arguments), answer)

    def _record_lineage(self, lineage: Lineage) -> None:
        """Record the questions on which *lineage* depends: the records of versions and runs, and stages and aliases."""
        models = sorted({node.id.partition("@")[0] for node in lineage.nodes if node.kind == VERSION})
        is_known = all(model in self._registry.models for model in models)
        is_complete = not lineage.unread and not any(node.missing for node in lineage.nodes)
        self._record("record_ids", (), self._registry.record_ids)
        for model in models if is_known else ():
            self._record("places", (model,), self._registry.places(model))
        if not is_known or not is_complete:
            self._record(_UNKNOWN, (), _UNKNOWN)


_SHORT = frozenset({"null", "true", "false", "[]", ""})
_COMPARABLE = (str, int, type(None), tuple)


def _fingerprint(answer: object) -> str:
    """Return a short text that differs for different answers; `_UNKNOWN` for values of an unknown type."""
    if isinstance(answer, bytes):
        return hashlib.sha256(answer).hexdigest()[:24]
    try:
        text = answer if type(answer) is str else _encode(answer)
    except (TypeError, ValueError):
        return _UNKNOWN
    # A digest, because the state of the export is in the folder of the site, and a public site must not contain private
    # text of the registry.
    return text if text in _SHORT else hashlib.sha256(text.encode()).hexdigest()[:24]


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of the fields of a class, without private fields, such as the registry of a handle."""
    return tuple(field.name for field in fields(kind) if not field.name.startswith("_"))


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *(getattr(value, name) for name in _names(type(value)))]
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, GitModelError):
        return value.message
    raise TypeError


_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False, default=_plain).encode
