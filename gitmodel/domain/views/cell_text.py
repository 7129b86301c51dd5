"""Converting values to text for cells of tables and pages, and for TSV. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gitmodel.domain.changes.stages import StageState
    from gitmodel.domain.snapshots.snapshot_sources import Refusal
    from gitmodel.domain.views.record_views import ModelView, VersionView
    from gitmodel.domain.views.version_summaries import VersionRow

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape(text: str) -> str:
    r"""Return *text* on one line, with control characters and direction marks as escapes.

    >>> escape("a\x1b[2Jb\n" + chr(0x202E))
    'a\\x1b[2Jb\\n\\u202e'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or _is_space(c) else _SHORT.get(c) or ascii(c)[1:-1] for c in text)


def width(text: str) -> int:
    """Return the number of columns that *text* takes on a terminal.

    >>> width("iris"), width("花")
    (4, 2)
    """
    if text.isascii():
        return len(text)
    import unicodedata

    def columns(character: str) -> int:
        if unicodedata.combining(character):
            return 0
        return 2 if unicodedata.east_asian_width(character) in "WF" else 1

    return sum(map(columns, text))


def tsv_cell(value: Any) -> str:
    """Return *value* as a cell of TSV: None is empty, lists have commas, tables `key=value`; nested values are JSON.

    >>> tsv_cell(None), tsv_cell(True), tsv_cell(["a", "b"]), tsv_cell({"staging": 4})
    ('', 'true', 'a,b', 'staging=4')
    """
    from gitmodel.domain.views.record_views import plain

    return escape(_joined(plain(value)))


def count(number: int, what: str) -> str:
    """Return *number* and the noun *what*, in the plural unless *number* is 1.

    >>> count(1, "tag"), count(2, "tag")
    ('1 tag', '2 tags')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def utc_time(moment: datetime) -> str:
    """Return a time as `2026-11-23 10:12`, in UTC."""
    return moment.isoformat(" ", "minutes")[:16]  # ten times as fast as strftime


def size(count: int) -> str:
    """Return a number of bytes for people.

    >>> size(512), size(48_211), size(1_000_000_000)
    ('512 B', '48.2 kB', '1.0 GB')
    """
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 999.95 or unit == "TB":
            break
        amount /= 1000
    return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"


def number(of: int | None, local: bool) -> str:
    """Return *of*, the number of a version, as text; "-" for None.

    Adds "(local)" if *local* is True: the remote does not have the version, so that a pull may change its number.

    >>> number(4, False), number(4, True), number(None, False)
    ('4', '4 (local)', '-')
    """
    return "-" if of is None else f"{of} (local)" if local else str(of)


def commas(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))


def stage_cell(state: StageState) -> str:
    """Return a stage or alias as text, with the version in force and, if it differs, the recorded version.

    >>> from gitmodel.domain.changes.stages import StageState
    >>> stage_cell(StageState("production", 4, 3))
    'production 3 (4 pending)'
    """
    return f"{state.name} {'-' if state.in_force is None else state.in_force}{pending_suffix(state)}"


def is_hidden_by_shallow_clone(state: StageState) -> bool:
    """Return True if a shallow clone lacks the commit of the tag of a stage or alias."""
    from gitmodel.domain.snapshots.snapshot_sources import TOO_SHALLOW  # no cost: the module of `StageState` imports it

    return state.forged == TOO_SHALLOW


def pending_suffix(state: StageState) -> str:
    """Return the reason, in parentheses, why a tag does not count or a recorded change is not in force; else ""."""
    if state.forged:
        return " (clone too shallow)" if is_hidden_by_shallow_clone(state) else " (forged tag)"
    if not state.pending:
        return ""
    return f" ({'empty' if state.recorded is None else state.recorded} {_how_recorded(state)})"


def _how_recorded(state: StageState) -> str:
    return "recorded, without a tag" if state.untagged and state.refusal is None else pending_word(state.refusal)


def pending_word(refusal: Refusal | None) -> str:
    """Return the word for a recorded change that is not in force. *refusal* is the reason if a rule refuses the change.

    >>> pending_word(None)
    'pending'
    """
    if refusal is None:
        return "pending"
    return "recorded, not reviewed" if refusal.unreviewed else "recorded, refused by its rules"


def stages_of_model(view: ModelView) -> str:
    return commas(stage_cell(state) for state in view.stages if not state.alias)


def aliases_of_model(view: ModelView) -> str:
    return commas(stage_cell(state) for state in view.stages if state.alias)


def stage_of_version(view: VersionView | VersionRow) -> str:
    """Return the stage of a version, and pending changes that concern the version, as text.

    In `production (4 pending)`, version 4 will replace the version. In `(production pending)`, the version will enter.
    """
    if not view.pending:
        return view.stage or ""
    return _places([view.stage] if view.stage else [], [state for state in view.pending if not state.alias], view)


def aliases_of_version(view: VersionView | VersionRow) -> str:
    """Return the aliases of a version and their pending changes as text."""
    if not view.pending:
        return commas(view.aliases)
    return _places(view.aliases, [state for state in view.pending if state.alias], view)


def _places(names: Iterable[str], changing: Iterable[StageState], view: VersionView | VersionRow) -> str:
    states = {state.name: state for state in changing}
    here = [f"{name}{pending_suffix(states.pop(name)) if name in states else ''}" for name in names]
    coming = [state for state in states.values() if state.recorded == view.record.number]
    return commas([*here, *(f"({state.name} {_how_recorded(state)})" for state in coming)])


def _is_space(character: str) -> bool:
    """Return True if *character* is a non-ASCII space."""
    return character.isspace() and ord(character) > 0xFF and character not in "\u2028\u2029"


def _joined(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list) and not any(isinstance(item, (list, Mapping)) for item in value):
        return ",".join(map(_joined, value))
    if isinstance(value, Mapping) and not any(isinstance(item, (list, Mapping)) for item in value.values()):
        return ",".join(f"{key}={_joined(item)}" for key, item in value.items())
    if isinstance(value, (list, Mapping)):
        import json

        return json.dumps(value, ensure_ascii=False)
    return str(value)
