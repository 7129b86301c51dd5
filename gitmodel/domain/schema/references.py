"""Parsing references to versions: `iris@3`, `iris@1.2.3`, `iris@production`, `iris@latest`, `iris`. Pure."""

from __future__ import annotations

from dataclasses import field

from gitmodel.domain.schema.names import LATEST, check_name, check_version_name, suggest
from gitmodel.domain.schema.recorded_renumberings import Numbered
from gitmodel.errors import UsageError
from gitmodel.frozen import Frozen

# Numbers of 18 digits fit into the 64-bit integers of every TOML reader.
_MAX_DIGITS = 18


class _Reference(Frozen, kw_only=True):
    """A reference to a model or version, whose number or name a pull may have changed (see `recorded_renumberings`).

    If *renumbered* is True, the user confirms that the reference means the model or version that has this name or
    number now, although another one had it before a pull. *since* is None if a person wrote the reference. For a
    handle, it is the number of the last pull before the handle was created: gitmodel follows the changes by later
    pulls. *settles* are old references whose new meaning the user confirmed: from the first change by the handle on,
    gitmodel accepts writes with them.
    """

    renumbered: bool = field(default=False, repr=False)
    since: int | None = field(default=None, repr=False)
    settles: frozenset[Numbered] = field(default=frozenset(), repr=False)


class ModelRef(_Reference):
    """A reference to a model by its name."""

    model: str

    @classmethod
    def of(cls, model: str | ModelRef) -> ModelRef:
        """Return *model* as a reference. For a text, its *since* is None. Raises UsageError for an invalid name."""
        return model if isinstance(model, ModelRef) else cls(check_name(model, "model"))

    @property
    def number(self) -> None:
        """None: a model has no number."""

    def __str__(self) -> str:
        return self.model


class VersionRef(_Reference):
    """A reference to a version; *selector* is a number, name, stage, alias, "latest" or "" (left out).

    >>> VersionRef.parse("iris@production")
    VersionRef(model='iris', selector='production')
    >>> str(VersionRef.parse("iris"))
    'iris'
    """

    model: str
    selector: str = ""

    @classmethod
    def parse(cls, text: str) -> VersionRef:
        """Parse `MODEL` or `MODEL@VERSION`. Raises UsageError for anything else."""
        if DatedRef.is_dated(text):
            raise UsageError(f"{text!a} has a date, which only diff reads", hint="leave it out, or add --at DATE")
        model, at, selector = text.partition("@")
        if at and not selector:
            meant = suggest(model) or "MODEL"  # in place of *model*: an invalid name can contain anything
            raise UsageError(
                f"{text!a} names no version after '@'",
                hint=f"write {meant}@3, {meant}@production or {meant}@latest",
            )
        if not model:
            raise UsageError(f"{text!a} names no model before '@'", hint=f"write MODEL@{suggest(selector) or '3'}")
        return cls.of(model, selector)

    @classmethod
    def of(cls, model: str, version: str | int | None = None) -> VersionRef:
        """Return the reference to *version* (number, name, stage, alias, "latest"; None: left out) of *model*."""
        check_name(model, "model")
        if version is None or version == "":
            return cls(model)
        return cls(model, _selector(version))

    @property
    def number(self) -> int | None:
        """The version's number, if the selector is one.

        >>> VersionRef.parse("iris@3").number
        3
        """
        return int(self.selector) if self.selector.isdigit() else None

    @property
    def is_latest(self) -> bool:
        """True if the selector is "latest" or left out, so that the latest version is meant."""
        return self.selector in ("", LATEST)

    def required(self, verb: str) -> VersionRef:
        """Return this reference. Raises UsageError, whose message begins with *verb*, if the selector was left out."""
        if self.selector:
            return self
        raise UsageError(
            f"{verb} needs an explicit version of {self.model}",
            hint=f"write {self.model}@3, {self.model}@1.2.3 or {self.model}@latest",
        )

    def __str__(self) -> str:
        return f"{self.model}@{self.selector}" if self.selector else self.model


class DatedRef(Frozen):
    """A version at a past state of the registry: *when* is a date, a time or a commit; None: the present state.

    >>> DatedRef.parse("iris@production@{2026-10-01}")
    DatedRef(ref=VersionRef(model='iris', selector='production'), when='2026-10-01')
    >>> str(DatedRef.parse("iris@{2026-10-01}"))
    'iris@{2026-10-01}'
    """

    ref: VersionRef
    when: str | None = None

    @staticmethod
    def is_dated(text: str) -> bool:
        """Return True if *text* ends with a date as git writes it: `@{2026-10-01}`."""
        return "@{" in text and text.endswith("}")

    @classmethod
    def parse(cls, text: str) -> DatedRef:
        """Parse a reference with or without `@{WHEN}` at its end. Raises UsageError for anything else."""
        if not cls.is_dated(text):
            return cls(VersionRef.parse(text))
        ref, _, when = text[:-1].partition("@{")
        if not when.strip():
            raise UsageError(f"{text!a} has no date in its braces", hint="write a date, such as @{2026-10-01}")
        return cls(VersionRef.parse(ref), when.strip())

    def __str__(self) -> str:
        return f"{self.ref}@{{{self.when}}}" if self.when is not None else str(self.ref)


def _selector(version: str | int) -> str:
    if isinstance(version, bool) or (isinstance(version, int) and version < 1):
        raise UsageError(f"{version!r} is not a version number", hint="numbers begin at 1")
    text = str(version)
    if text.isascii() and text.isdigit():
        if len(text) > _MAX_DIGITS or int(text) < 1:
            raise UsageError(f"{text[:40]} is not a version number", hint="numbers begin at 1")
        return str(int(text))
    if text in ("archived", "none"):
        raise UsageError(
            f"'{text}' does not name one version: any number of versions can be {text}",
            hint="name the version by its number, for example MODEL@3",
        )
    return text if text == LATEST else check_version_name(text)
