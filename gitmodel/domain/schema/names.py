"""Rules for the names of models, versions, stages, aliases and artifacts. Pure: strings in, strings out."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from gitmodel.errors import UsageError

MAX_LENGTH = 63
LATEST = "latest"
ARCHIVED = "archived"
NONE = "none"
# Words that commands accept or show in place of the name of a stage. No stage, alias or version can have such a name.
STAGE_WORDS = frozenset({LATEST, ARCHIVED, NONE})

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_VERSION_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9.+_-]{0,61}[A-Za-z0-9])?"
_AFTER_AN = r"[aeio]|un(?!i)|[AEIO]|nd|[FHLMNRSX][A-Z]"
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul"] + [f"{port}{digit}" for port in ("com", "lpt") for digit in range(10)]
)


def fold(name: str) -> str:
    """Return *name* in the form in which gitmodel compares names: without case, because file systems may ignore it.

    >>> fold("Demo")
    'demo'
    """
    return name.casefold()


@lru_cache(maxsize=1024)  # a list has the same few names many times
def fault_in(name: str, *, pattern: re.Pattern[str] = _NAME) -> str | None:
    """Return the reason why *name* is invalid, in words that follow "because it", or None.

    *pattern* matches the names that have only valid characters.

    >>> fault_in("iris"), fault_in("a/b"), fault_in("x.lock")
    (None, "holds '/'", 'ends in .lock')
    """
    if not name:
        return "is empty"
    if len(name) > MAX_LENGTH:
        return f"has {len(name)} characters, more than {MAX_LENGTH}"
    if not pattern.fullmatch(name):
        return _bad_character(name, pattern)
    if ".." in name:
        return "holds '..'"
    if fold(name).endswith(".lock"):
        return "ends in .lock"
    if is_device(name):
        return "is the name of a Windows device"
    return None


def is_device(name: str) -> bool:
    """Return True if *name*, up to its first dot, is the name of a device on Windows.

    >>> is_device("AUX.txt"), is_device("auxiliary")
    (True, False)
    """
    return fold(name).split(".")[0].rstrip(" ") in _DEVICES


def is_full_name(name: str) -> bool:
    """Return True for the full name of a class or function, with its module.

    >>> is_full_name("sklearn.tree._tree.Tree"), is_full_name("sklearn"), is_full_name("sklearn.*")
    (True, False, False)
    """
    return re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", name) is not None


def check_name(name: str, what: str) -> str:
    """Return *name* if it is valid; else raise UsageError, with the reason and a valid name.

    *what* is the kind of object with this name, for the message: "model", "stage", "alias" or "artifact".
    """
    return _checked(name, what, fault_in(name))


def check_version_name(name: str) -> str:
    """Return *name* if it can be the name of a version; else raise UsageError.

    It may contain `+`, but must not be all digits or a word in `STAGE_WORDS`.
    """
    return _checked(name, "version", version_name_fault(name), version=True)


def version_name_fault(name: str) -> str | None:
    """Return the reason why *name* cannot be the name of a version, in words that follow "because it", or None.

    >>> version_name_fault("1.2.3+cpu"), version_name_fault("None")
    (None, 'is a word for a stage')
    """
    return fault_in(name, pattern=re.compile(_VERSION_NAME)) or _word_fault(name)


def check_alias(name: str) -> str:
    """Return *name* if it can be an alias; else raise UsageError.

    It must not be all digits or a word in `STAGE_WORDS`.
    """
    return _checked(name, "alias", alias_fault(name), version=True)


def alias_fault(name: str) -> str | None:
    """Return the reason why *name* cannot be an alias, in words that follow "because it", or None.

    >>> alias_fault("champion"), alias_fault("7"), alias_fault("Latest")
    (None, 'is all digits, as version numbers are', 'is a word for a stage')
    """
    return fault_in(name) or _word_fault(name)


def _word_fault(name: str) -> str | None:
    if name.isdigit():
        return "is all digits, as version numbers are"
    return "is a word for a stage" if fold(name) in STAGE_WORDS else None


def nearest(word: str, words: Iterable[str]) -> str:
    """Return the one of *words* that is most similar to *word*; "" if none is similar."""
    import difflib  # imported here: it costs 5 ms, and only errors need it

    names = list(words)
    found = [name for name in names if fold(name) == fold(word)] or difflib.get_close_matches(word, names, 1)
    return found[0] if found else ""


def did_you_mean(word: str, words: Iterable[str], hint: str = "") -> str:
    """Return *hint*, after the question "did you mean ...?" if a word in *words* is similar to *word*.

    >>> did_you_mean("prodution", ["staging", "production"], "see `git model stages`")
    'did you mean production? see `git model stages`'
    """
    meant = nearest(word, words)
    return f"did you mean {meant}? {hint}".rstrip() if meant else hint


def suggest(name: str, *, version: bool = False) -> str:
    """Return a valid name similar to *name*, or "" if none of its characters is valid.

    If *version* is True, the name is also valid for a version or alias: neither a number nor a word in `STAGE_WORDS`.

    >>> suggest("Iris / flowers (v2)"), suggest("12", version=True), suggest("///")
    ('Iris-flowers-v2', 'v12', '')
    """
    plain = unicodedata.normalize("NFKD", name[:256]).encode("ascii", "ignore").decode()
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", plain)
    kept = re.sub(r"\.\.+", ".", re.sub(r"--+", "-", kept))
    kept = re.sub(r"(?i)(\.lock)+$", "", kept.strip("-._"))[:MAX_LENGTH].strip("-._")
    if not kept:
        return ""
    if fold(kept).split(".")[0] in _DEVICES or (version and (kept.isdigit() or fold(kept) in STAGE_WORDS)):
        kept = f"v{kept}" if kept[0].isdigit() else f"my-{kept}"
    return kept if fault_in(kept) is None else ""


def _bad_character(name: str, pattern: re.Pattern[str]) -> str:
    for position, character in enumerate(name):
        inner = "a" + character + "a"
        if not pattern.fullmatch(inner):
            # the code point, if the character can be confused with another one
            number = "" if character.isascii() or not character.isprintable() else f" (U+{ord(character):04X})"
            return f"holds {character!r}{number}"
        if position == 0 and not character.isalnum():
            return f"begins with {character!r}"
    return f"ends in {name[-1]!r}"


def _checked(name: str, what: str, fault: str | None, *, version: bool = False) -> str:
    if fault is None:
        return name
    suggestion = suggest(name, version=version)
    shown = repr(name if len(name) <= 80 else name[:77] + "...")
    hint = "use letters, digits, '.', '_' and '-', beginning and ending with a letter or digit"
    if what == "model" and "@" in name[1:]:
        suggestion, hint = "", f"write the model alone: {name.partition('@')[0]}; for a new model, {hint}"
    raise UsageError(
        f"{shown} cannot be the name of {with_article(what)}, because it {fault}",
        hint=f"{hint}; for example {suggestion}" if suggestion else hint,
    )


def shown(value: object) -> str:
    """Return *value* for a message: short, in ASCII. Never calls `repr` of an unknown class, which may fail or be long.

    >>> shown(None), shown(b"x"), shown([1]), shown("a" * 90)[:6]
    ('None', "b'x'", 'a list', "'aaaaa")
    """
    if value is None or isinstance(value, bool | float) or (type(value) is int and value.bit_length() < 100):
        return str(value)
    if type(value) in (str, bytes):
        said = ascii(value)
        return said if len(said) <= 60 else f"{said[:57]}..."
    return with_article(type(value).__name__)


def with_article(noun: str) -> str:
    """Return *noun*, which can be the name of a type, with its indefinite article.

    >>> [with_article(noun) for noun in ("object", "ndarray", "uint8", "MLPClassifier", "list")]
    ['an object', 'an ndarray', 'a uint8', 'an MLPClassifier', 'a list']
    """
    return f"{'an' if re.match(_AFTER_AN, noun) else 'a'} {noun}"
