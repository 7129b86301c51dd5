"""Finding credentials in files before they are stored as an artifact."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gitmodel.domain.secrets.credentials import OVERRIDE, redacted
from gitmodel.domain.secrets.credentials_in_files import HEAD_SIZE, TEXT_SIZE, credential_in_path, credentials_in_file
from gitmodel.domain.secrets.secret_values import SecretValues
from gitmodel.errors import Refused
from gitmodel.stores.sources.source_files import find_source, list_folder, open_source

WAY_OUT = f"store a copy without them; {OVERRIDE}"
_SHOWN = 3


def refuse_credentials(path: Path, name: str, follow_links: Path | None = None) -> None:
    """Raise Refused if the file or folder *path*, the source of the artifact *name*, seems to hold credentials.

    Links may lead to the folder *follow_links*.
    """
    if found := find_credentials(path, follow_links=follow_links):
        raise Refused(f"{describe_credentials(f'the artifact {name}', found)}; nothing was stored", hint=WAY_OUT)


def refuse_secrets(
    what: str, value: Any, path: Path, secrets: SecretValues, *, follow_links: Path | None = None
) -> None:
    """Raise Refused if *what*, such as "the output model", holds the value of a Secret.

    Searches the plain data of *value*, and the names and bytes of the files at *path*. Links may lead to the folder
    *follow_links*.
    """
    if secrets.holds(value) or holds_secret(secrets, path, follow_links):
        raise Refused(
            f"{what} holds the value of a Secret", hint="remove it from there: artifacts are shared and permanent"
        )


def holds_secret(secrets: SecretValues, path: Path, follow_links: Path | None = None) -> bool:
    """Return True if a name or the bytes of a file at or below *path* hold the value of a Secret.

    Links may lead to the folder *follow_links*.
    """
    place = find_source(path, follow_links)
    files = [(path.name, place)]
    if place.is_dir():
        files = [(file.name, file.place) for file in list_folder(place, follow_links)]
    return any(
        secrets.holds([name, *name.split("/")]) or (file.is_file() and secrets.are_in_bytes(_chunks(file)))
        for name, file in files
    )


def _chunks(file: Path) -> Iterator[bytes]:
    with open(file, "rb") as reader:
        while chunk := reader.read(1 << 20):
            yield chunk


def describe_credentials(what: str, places: Sequence[str]) -> str:
    """Return the message that *what*, such as "the artifact model", seems to contain credentials at *places*."""
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return f"{what} seems to hold credentials: {', '.join(places[:_SHOWN])}{more}"


def find_credentials(path: Path, top: Path | None = None, *, follow_links: Path | None = None) -> list[str]:
    """Return the places of credentials in the file or folder *path*, such as "sub/.env (environment variables)".

    A file is named by its path; if *top* is given, by its path relative to the folder *top*. Links may lead to the
    folder *follow_links*. Reads at most the first 8 KiB of a file, or 1 MiB of a text file. Raises the errors of
    `list_folder` and `open_source`.
    """
    place = find_source(path, follow_links)
    if not place.is_dir():
        return list(_in_file(place, str(path.relative_to(top) if top else path), os.path.abspath(path)))
    found: list[str] = []
    for file in list_folder(place, follow_links):
        if what := credential_in_path(file.name):
            found.append(f"the name {_shown(redacted(file.name))} ({what})")
        found += _in_file(file.place, file.name, f"{place}/{file.name}", linked=file.linked)
    return found


def _in_file(place: Path, shown: str, named: str, *, linked: bool = False) -> Iterator[str]:
    """Yield a text for each credential in the file at *place*.

    *shown* is the path in this text, *named* the path before links were resolved. *linked* is True if a link led to the
    file.
    """
    for what, line in credentials_in_file(_beginning(place, shown, linked), *{named, str(place)}):
        yield f"{_shown(redacted(shown))}{f' line {line}' if line else ''} ({what})"


def _shown(text: str) -> str:
    return text if text.isprintable() else ascii(text)


def _beginning(place: Path, shown: str, linked: bool) -> bytes:
    """Return the part of the file at *place* that gitmodel searches for credentials: its beginning."""
    with open_source(place, shown, linked=linked) as source:
        head = source.read(HEAD_SIZE)
        if len(head) < HEAD_SIZE or b"\0" in head:
            return head
        return head + (source.read(TEXT_SIZE - HEAD_SIZE) or b"")
