"""The values of a run's Secrets: finding them in what is about to be written, and taking them out. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from gitmodel.pipelines.config import Secret

# The placeholder for a secret in a record.
HIDDEN = "(secret)"
# Shorter texts are found by chance in metadata and messages, and still shorter ones in the bytes of a file.
_SHORTEST = 4
_SHORTEST_IN_BYTES = 8
# A part of a Secret, such as f"Bearer {token}", counts as secret from this length.
_SHORTEST_PART = 6
# Lines of a private key count by themselves, as parsers repeat them.
_SHORTEST_LINE = 20


class SecretValues:
    """The values of Secrets, in each form that is looked for: as they are, escaped as JSON and URLs do, and in Base64.

    *given* are the parameters of the run: a text in them that is a part of a Secret, as the k of `Secret("pre" + k)`,
    is hidden in parameters and messages, too.

    >>> values = SecretValues([Secret("hunter2")])
    >>> values.hide("cannot log in with hunter2"), values.holds({"deep": ["hunter2"]}), values.holds("hunter")
    ('cannot log in with (secret)', True, False)
    """

    def __init__(self, secrets: Iterable[Secret], given: Iterable[Any] = ()) -> None:
        whole = list(dict.fromkeys(text for secret in secrets for text in _texts(secret.value)))
        self._whole = [text for text in whole if text.strip()]
        forms = {form for text in self._whole for form in _forms(text) if len(form) >= _SHORTEST}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        texts = {text for value in given for text in _texts(value)} if self._whole else set()
        parts = {form for text in texts if self._is_part(text) for form in _forms(text)}
        self._parts = sorted(parts, key=lambda part: (-len(part), part))

    def holds(self, value: Any) -> bool:
        """Return True if *value* contains a secret."""
        if isinstance(value, Mapping):
            return any(self.holds(item) for pair in value.items() for item in pair)
        if isinstance(value, (list, tuple, set, frozenset)):
            return any(map(self.holds, value))
        if isinstance(value, Secret):
            return True
        if isinstance(value, str) and any(form in value for form in self._forms):
            return True
        return _text(value) in self._whole

    def hide(self, text: str) -> str:
        """Return *text* with "(secret)" in place of each secret."""
        for form in (*self._forms, *self._parts):
            text = text.replace(form, HIDDEN)
        return text

    def hide_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return *parameters* as they are recorded: one that holds a secret, or a part of one, is "(secret)"."""
        return {
            name: HIDDEN if self.holds(value) or self._holds_part(value) else value
            for name, value in parameters.items()
            if value is not None
        }

    def are_in_bytes(self, chunks: Iterable[bytes]) -> bool:
        """Return True if the bytes of *chunks* contain a secret, also across two of them."""
        wanted = [form.encode("utf-8", "surrogateescape") for form in self._forms]
        wanted = [form for form in wanted if len(form) >= _SHORTEST_IN_BYTES]
        longest = max(map(len, wanted), default=0)
        tail = b""
        for chunk in chunks if wanted else ():
            data = tail + chunk
            if any(form in data for form in wanted):
                return True
            tail = data[-longest:]
        return False

    def _holds_part(self, value: Any) -> bool:
        if isinstance(value, Mapping):
            return any(self._holds_part(item) for pair in value.items() for item in pair)
        if isinstance(value, (list, tuple)):
            return any(map(self._holds_part, value))
        text = _text(value)
        return text is not None and (self._is_part(text) or any(part in text for part in self._parts))

    def _is_part(self, text: str) -> bool:
        return len(text) >= _SHORTEST_PART and any(text in whole for whole in self._whole)


@dataclass
class RunSecrets:
    """The Secrets that a run knows so far, and the parameters that it was given."""

    secrets: list[Secret] = field(default_factory=list)
    given: list[Any] = field(default_factory=list)

    def values(self) -> SecretValues:
        """The values to look for."""
        return SecretValues(self.secrets, self.given)


def _texts(value: Any) -> Iterator[str]:
    """The texts that *value*, of a Secret, is made of."""
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, (bytes, bytearray)):
        yield bytes(value).decode("utf-8", "surrogateescape")
    elif (text := _text(value)) is not None:
        yield text


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _forms(text: str) -> Iterator[str]:
    yield text
    yield text.strip()
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    data = text.encode("utf-8", "surrogateescape")
    yield quote(data, safe="")
    if len(text) >= _SHORTEST_PART:
        yield base64.b64encode(data).decode().rstrip("=")
    yield from (line.strip() for line in text.splitlines() if len(line.strip()) >= _SHORTEST_LINE)
