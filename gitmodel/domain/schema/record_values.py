"""The types of the values in records, and the words that some of these values can be. Pure."""

import re
from collections.abc import Callable
from typing import Annotated, Any

from gitmodel.domain.schema import names, toml_values
from gitmodel.domain.schema.object_ids import Oid
from gitmodel.domain.schema.toml_values import Wrong
from gitmodel.errors import UsageError

# The format of a new registry. An older registry keeps its format until a change needs a newer one, so that
# earlier releases can read it as long as possible.
FORMAT = (1, 2)
_FORMAT_VERSION = r"([0-9]{1,4})\.([0-9]{1,4})"
KINDS = ("data", "model", "deployment")
RUN_STATUSES = ("succeeded", "failed", "cancelled")
# Only the local journal of a machine has running runs, and lost runs, whose process ended without a result.
ALL_RUN_STATUSES = (*RUN_STATUSES, "running", "lost")
STEP_STATUSES = ("succeeded", "cached", "failed", "skipped")
DIGEST_SOURCES = ("provider",)
# The settings for uncommitted changes, from loose to strict.
DIRTY = ("record", "snapshot", "refuse")
FOLDER_FORMAT = "folder"
SKIPPED = "skipped by version "  # the start of the reason in the tombstone of a number that was skipped
# The digest in a link until the artifact is stored.
NO_DIGEST = "sha256:" + "0" * 64


def matching(pattern: str, what: str) -> Callable[[Any], str]:
    """Return a function that reads a text from TOML, and raises Wrong unless all of it matches *pattern*.

    *what* describes the valid values in the message.
    """

    def read(value: Any) -> str:
        found = toml_values.text(value)
        if not re.fullmatch(pattern, found):
            raise Wrong(f"takes {what}")
        return found

    return read


def _name(value: Any) -> str:
    fault = names.fault_in(toml_values.text(value))
    if fault:
        raise Wrong(f"takes a name, and this one {fault}")
    return str(value)


def _version_name(value: Any) -> str:
    try:
        return names.check_version_name(toml_values.text(value))
    except UsageError as error:
        raise Wrong(error.message) from None


def _file_name(value: Any) -> str:
    if names.fault_in(toml_values.text(value)) is None:  # a faster check, which most file names pass
        return str(value)
    # imported here: its patterns take 1 ms, and few names need them
    from gitmodel.domain.schema.portable_paths import file_name_fault

    fault = file_name_fault(value)
    if fault:
        raise Wrong(f"takes the name of a file, and not this one: {fault}")
    return str(value)


def one_of(*words: str) -> Callable[[Any], str]:
    """Return a function that reads a text from TOML, and raises Wrong unless the text is one of *words*."""

    def read(value: Any) -> str:
        if value not in words:
            raise Wrong(f"takes one of {', '.join(words)}")
        return str(value)

    return read


def full_names(value: Any) -> tuple[str, ...]:
    """Return *value*, an array of full names of classes and functions, as a tuple. Raises Wrong for anything else."""
    found = toml_values.word_set(value)
    for name in found:
        if not names.is_full_name(name):
            raise Wrong("takes full names of classes and functions, such as package.module.Class, and no patterns")
    return found


def store_urls(value: Any) -> dict[str, str]:
    """Return *value*, a table of the URLs of artifact stores by name, as a dict. Raises Wrong for an invalid name."""
    return {_name(name): toml_values.text(url) for name, url in toml_values.metadata(value).items()}


Name = Annotated[str, _name]
VersionName = Annotated[str, _version_name]
Number = Annotated[int, toml_values.number]
Words = Annotated[tuple[str, ...], toml_values.word_set]
Digest = Annotated[str, matching(r"sha256:[0-9a-f]{64}", "'sha256:' and 64 lower-case hex digits")]
CommitId = Annotated[Oid, matching(r"[0-9a-f]{40}|[0-9a-f]{64}", "a full commit id")]
Format = Annotated[str, matching(r"[a-z0-9][a-z0-9._+-]{0,62}", "the name of a format, such as json or skops")]
FormatVersion = Annotated[str, matching(_FORMAT_VERSION, "MAJOR.MINOR")]
FileName = Annotated[str, _file_name]
MetadataKey = Annotated[
    str, matching(r"\S(.{0,198}\S)?", "a key of metadata, such as accuracy or test.loss, of at most 200 characters")
]
WebAddress = Annotated[
    str,
    matching(
        r"https?://[A-Za-z0-9.:-]+(/[A-Za-z0-9._~/-]*)?",
        "the address of a site, such as https://models.example.org, without user, query or fragment",
    ),
]
RunId = Annotated[str, matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", "a run id")]
Kind = Annotated[str, one_of(*KINDS)]


def check_kind(kind: str) -> None:
    """Raise UsageError if *kind* is not a kind of artifact."""
    if kind not in KINDS:
        raise UsageError(f"{kind!a} is not a kind of artifact", hint=f"the kinds are {', '.join(KINDS)}")


def is_newer(written: str) -> bool:
    """Return True if the format version *written* is newer than the one that gitmodel supports.

    >>> is_newer("1.2"), is_newer("1.9")
    (False, True)
    """
    return format_version(written) > FORMAT


def format_version(text: str) -> tuple[int, int]:
    """Parse a version of the format; return (0, 0) if *text* is not one.

    >>> format_version("1.1")
    (1, 1)
    """
    match = re.fullmatch(_FORMAT_VERSION, text)
    return (int(match[1]), int(match[2])) if match else (0, 0)
