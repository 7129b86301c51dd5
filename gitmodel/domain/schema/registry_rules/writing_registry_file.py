"""Writing `gitmodel.toml`. People edit this file, too, so its comments, order and layout stay. Pure."""

from __future__ import annotations

from gitmodel.domain.schema import codec
from gitmodel.domain.schema.paths import REGISTRY as REGISTRY_FILE
from gitmodel.domain.schema.registry_rules import toml_editing
from gitmodel.domain.schema.registry_rules.reading_registry_file import UNKNOWN, decode_registry
from gitmodel.domain.schema.registry_rules.registry_record import REPAIR, RegistryRecord
from gitmodel.errors import Invalid


def encode_registry(record: RegistryRecord, written: bytes | None = None) -> bytes:
    """Return the content of `gitmodel.toml` for *record*: a changed version of *written*, the current content.

    A file in canonical form stays canonical. Raises Invalid if *record* was read from a file with faults, because the
    faulty parts would be lost; UsageError for an invalid value.
    """
    lost = next((fault for fault in record.faults if fault.rule != UNKNOWN), None)
    if lost is not None:
        raise Invalid(str(lost), hint=REPAIR)
    data = codec.encode(record.require(*record.unread))
    if written is None:
        return data
    before = codec.encode(decode_registry(written, REGISTRY_FILE))
    return _with_values(written, before, data)


def merged_registry(record: RegistryRecord, base: bytes, ours: bytes, theirs: bytes) -> bytes:
    """Return the file *theirs* with the values of the merged *record*, and with the comments that *ours* changed.

    *base* is the file before both sides changed it. Raises the errors of `encode_registry`.
    """
    commented = toml_editing.with_comments(*(data.decode() for data in (base, ours, theirs))).encode()
    return encode_registry(record, commented)


def _with_values(written: bytes, before: bytes, after: bytes) -> bytes:
    """Return the file *written* with the changes of values from the file *before* to the file *after*.

    Raises Invalid if the layout of *written* does not allow these changes.
    """
    data = toml_editing.edited(written.decode(), before.decode(), after.decode()).encode()
    if decode_registry(data, REGISTRY_FILE) != decode_registry(after, REGISTRY_FILE):
        raise Invalid(
            f"gitmodel cannot make this change and keep the layout of {REGISTRY_FILE}",
            hint="write its stages as [[stages]] tables, as the format describes them, then try again",
        )
    return data
