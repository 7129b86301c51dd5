"""Secrets and their values in a run: finding them in values, texts and files, and hiding them. Pure."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

# The hint of the error for a parameter that looks like a credential.
AS_SECRET = "pass it as gitmodel.Secret, which is never written"
# The text that a record has in place of a secret.
HIDDEN = "(secret)"
# The shortest secrets that gitmodel searches for in text, and in the bytes of files. Shorter ones occur by chance.
_SHORTEST = 4
_SHORTEST_IN_BYTES = 8
# The shortest part of a Secret that is hidden, too, such as the token in f"Bearer {token}".
_SHORTEST_PART = 6
# The shortest line of a private key that is hidden on its own, because the errors of parsers print lines.
_SHORTEST_LINE = 20


# The lists of `collecting_secrets`. `Secret.__init__` adds each new Secret to all of them.
_collectors: list[list[Secret]] = []
_collecting = threading.Lock()


@contextmanager
def collecting_secrets(secrets: list[Secret]) -> Iterator[None]:
    """Add each Secret that any thread of this process creates during the block to *secrets*, which a run then hides.

    Some may be from threads of other runs; hiding them does no harm.
    """
    with _collecting:
        _collectors.append(secrets)
    try:
        yield
    finally:
        with _collecting:
            _collectors[:] = [other for other in _collectors if other is not secrets]


class Secret:
    """A value that gitmodel passes to a step as a parameter, but never writes or prints.

    >>> Secret("hunter2")
    Secret(...)
    """

    def __init__(self, value: Any) -> None:
        self.value: Any = value.value if isinstance(value, Secret) else value
        with _collecting:
            for secrets in _collectors:
                secrets.append(self)

    def __repr__(self) -> str:
        return "Secret(...)"


class SecretValues:
    """The values of Secrets in all forms that gitmodel searches for: plain, escaped as in JSON and URLs, and Base64.

    *parameters* are those of the run. If a text in them is a part of a Secret, such as k in `Secret("pre" + k)`, it is
    hidden in parameters and messages, too.

    >>> values = SecretValues([Secret("hunter2")])
    >>> values.hide("cannot log in with hunter2"), values.holds({"deep": ["hunter2"]}), values.holds("hunter")
    ('cannot log in with (secret)', True, False)
    """

    def __init__(self, secrets: Iterable[Secret], parameters: Iterable[Any] = ()) -> None:
        whole = list(dict.fromkeys(text for secret in secrets for text in _texts(secret.value)))
        self._whole = [text for text in whole if text.strip()]
        forms = {form for text in self._whole for form in _forms(text) if len(form) >= _SHORTEST}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        texts = {text for value in parameters for text in _texts(value)} if self._whole else set()
        parts = {form for text in texts if self._is_part(text) for form in _forms(text)}
        self._parts = sorted(parts, key=lambda part: (-len(part), part))

    def holds(self, value: Any) -> bool:
        """Return True if *value* contains a secret."""
        return any(map(self._is_secret, _leaves(value)))

    def hide(self, text: str) -> str:
        """Return *text* with "(secret)" in place of each secret."""
        for form in (*self._forms, *self._parts):
            text = text.replace(form, HIDDEN)
        return text

    def hide_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return *parameters* for the record, with "(secret)" for values with a secret or a part of a secret."""
        return {
            name: HIDDEN if any(self._is_secret(leaf) or self._has_part(leaf) for leaf in _leaves(value)) else value
            for name, value in parameters.items()
            if value is not None
        }

    def are_in_bytes(self, chunks: Iterable[bytes]) -> bool:
        """Return True if the bytes of *chunks* contain a secret, even one that spans two chunks."""
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

    def _is_secret(self, leaf: Any) -> bool:
        if isinstance(leaf, Secret) or (isinstance(leaf, str) and any(form in leaf for form in self._forms)):
            return True
        return _text(leaf) in self._whole

    def _has_part(self, leaf: Any) -> bool:
        text = _text(leaf)
        return text is not None and (self._is_part(text) or any(part in text for part in self._parts))

    def _is_part(self, text: str) -> bool:
        return len(text) >= _SHORTEST_PART and any(text in whole for whole in self._whole)


@dataclass
class RunSecrets:
    """The Secrets that a run knows so far, and its parameters."""

    secrets: list[Secret] = field(default_factory=list)
    given: list[Any] = field(default_factory=list)

    def values(self) -> SecretValues:
        """Return the values to search for."""
        return SecretValues(self.secrets, self.given)


def _leaves(value: Any, *, keys: bool = True) -> Iterator[Any]:
    """Yield the values in lists, sets and tables; if *keys* is True, also the keys of tables."""
    if isinstance(value, Mapping):
        value = (item for pair in value.items() for item in (pair if keys else pair[1:]))
    elif not isinstance(value, (list, tuple, set, frozenset)):
        yield value
        return
    for item in value:
        yield from _leaves(item, keys=keys)


def _texts(value: Any) -> Iterator[str]:
    for leaf in _leaves(value, keys=False):
        if isinstance(leaf, (bytes, bytearray)):
            yield bytes(leaf).decode("utf-8", "surrogateescape")
        elif (text := _text(leaf)) is not None:
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
