"""Reading the tags of GTO in a git repository, without GTO. GTO 1.x writes them: https://dvc.org/doc/gto

`NAME@v1.2.3` registers a version and `NAME@v1.2.3!` removes it; `NAME#STAGE#N` assigns the version of its commit to a
stage and `NAME#STAGE!#N` removes it; `NAME@deprecated#N` marks a model as deprecated. *N* is a number
that makes the tag unique. The model `dir:name` is written `dir=name`, because git allows no ":" in tags.
"""

from __future__ import annotations

import io
import re
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from gitmodel.errors import GitModelError, UsageError
from gitmodel.git.history.tagged_commits import list_tags, pack_files_at, read_file_at
from gitmodel.git.repositories.discovery import find_repository
from gitmodel.interop.sources.source_values import FilesUnavailable, Point, SourceModel, SourceRun, SourceVersion

_NAME = r"[a-zA-Z0-9](?:[a-zA-Z0-9_./=-]*[a-zA-Z0-9])?"
_VERSION = r"v?[0-9]+\.[0-9]+\.[0-9]+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
_TAG = re.compile(
    rf"(?P<model>{_NAME})"
    rf"(?:@(?P<version>{_VERSION})(?P<gone>!)?|@(?P<deprecated>deprecated)"
    r"|\#(?P<stage>[a-zA-Z0-9_-]+)(?P<left>!)?)(?:\#(?P<count>[0-9]+))?"
)
# The files in which GTO describes models; the first is used by newer versions of GTO.
_DESCRIPTIONS = ("dvc.yaml", "artifacts.yaml")
_DEPRECATED = "deprecated"


class Event(NamedTuple):
    """A parsed tag of GTO. It registers *version* of *model*, or assigns *stage* to the version at *commit*.

    If *removes* is True, it removes the version or the assignment instead.
    """

    model: str
    version: str | None
    stage: str | None
    removes: bool
    commit: str
    time: datetime
    author: str


class GtoRepository:
    """Reads the tags of GTO in the repository at *path*; implements `Reader`.

    The versions of a model are numbered in the order of the times of their tags.
    """

    name = "GTO"

    def __init__(self, path: Path, environ: Mapping[str, str]) -> None:
        self._git = find_repository(path, environ=environ, named=True).git
        self.url = self._git.common_dir.absolute().as_uri()
        self._described: dict[tuple[str, str], dict[str, Any]] = {}

    def models(self) -> Iterator[SourceModel]:
        events: dict[str, list[Event]] = {}
        for event in self._events():
            events.setdefault(event.model, []).append(event)
        for model, found in sorted(events.items()):
            # If no tag registers a version, the tags are probably those of another program, and are ignored.
            if any(event.version is not None for event in found):
                yield self._model(model, found)

    def run(self, id: str) -> SourceRun | None:
        return None

    def points(self, run: SourceRun) -> list[Point]:
        return []

    @contextmanager
    def files(self, version: SourceVersion) -> Iterator[Path]:
        try:
            archive = pack_files_at(self._git, str(version.commit), version.location)
        except GitModelError:
            raise FilesUnavailable(
                f"commit {str(version.commit)[:10]} has no {version.location}; if DVC keeps it, fetch it with "
                "`dvc get` and link it"
            ) from None
        with tempfile.TemporaryDirectory(prefix="gitmodel-") as folder:
            with tarfile.open(fileobj=io.BytesIO(archive)) as packed:
                for member in packed.getmembers():  # `git archive` writes no path that leaves the folder
                    if member.isfile() or member.isdir():
                        packed.extract(member, folder)
            yield Path(folder, version.location)

    def close(self) -> None:
        pass

    def _events(self) -> list[Event]:
        """Return the parsed tags, sorted by time.

        Of tags in the same second, those of versions come before those of stages, which need the versions.
        """
        found = []
        for tagged in list_tags(self._git):
            parts = _TAG.fullmatch(tagged.tag)
            if parts is None:
                continue
            event = Event(
                parts["model"].replace("=", ":"),
                parts["version"],
                parts["stage"] or (_DEPRECATED if parts["deprecated"] else None),
                bool(parts["gone"] or parts["left"]),
                tagged.commit,
                tagged.time,
                tagged.author,
            )
            found.append((event.time, event.version is None, int(parts["count"] or 0), event))
        return [event for *_, event in sorted(found, key=lambda item: item[:3])]

    def _model(self, name: str, events: list[Event]) -> SourceModel:
        made: dict[str, SourceVersion] = {}
        holders: dict[str, str] = {}
        about: dict[str, str] = {}
        for event in events:
            if event.version is not None and not event.removes:
                made.setdefault(event.version, self._version(name, len(made) + 1, event))
            elif event.version is not None:
                if event.version in made:
                    made[event.version] = replace(made[event.version], is_deleted=True)
            elif event.stage == _DEPRECATED:
                about["deprecated"] = event.time.date().isoformat()
            elif (version := _version_at(made, event.commit)) is not None and event.stage is not None:
                if not event.removes:
                    holders[event.stage] = version
                elif holders.get(event.stage) == version:
                    del holders[event.stage]
        for stage, version in holders.items():
            if not made[version].is_deleted:
                made[version] = replace(made[version], stages=(*made[version].stages, stage))
        fields = self._description(name, events[-1].commit)
        tags = {**about, **{key: str(fields[key]) for key in ("type", "path") if fields.get(key)}}
        labels = fields.get("labels")
        if isinstance(labels, list):
            tags["labels"] = ", ".join(map(str, labels))
        return SourceModel(
            name=name,
            created=events[0].time,
            description=str(fields.get("description") or ""),
            tags=tags,
            versions=tuple(made.values()),
        )

    def _version(self, model: str, number: int, event: Event) -> SourceVersion:
        folder = model.rpartition(":")[0]
        path = str(self._description(model, event.commit).get("path") or "")
        return SourceVersion(
            number,
            name=event.version,
            created=event.time,
            author=event.author,
            facts={"tag": f"{model.replace(':', '=')}@{event.version}"},
            location=f"{folder}/{path}" if folder and path else path,
            commit=event.commit,
        )

    def _description(self, model: str, commit: str) -> dict[str, Any]:
        """Return the entry of *model* in the file `dvc.yaml` or `artifacts.yaml` of *commit*; {} if there is none."""
        folder, _, name = model.rpartition(":")
        for file in _DESCRIPTIONS:
            found = self._yaml(commit, f"{folder}/{file}" if folder else file)
            entries = found.get("artifacts", {}) if file == "dvc.yaml" else found
            entry = entries.get(name) if isinstance(entries, dict) else None
            if isinstance(entry, dict):
                return entry
        return {}

    def _yaml(self, commit: str, path: str) -> dict[str, Any]:
        if (commit, path) not in self._described:
            text = read_file_at(self._git, commit, path)
            self._described[commit, path] = _read_yaml(text, path) if text else {}
        return self._described[commit, path]


def _version_at(made: Mapping[str, SourceVersion], commit: str) -> str | None:
    """Return the name of the last version in *made* that was registered at *commit* and is not deleted, or None.

    A tag that assigns a stage at *commit* puts this version into the stage.
    """
    found = [version for version, entry in made.items() if entry.commit == commit and not entry.is_deleted]
    return found[-1] if found else None


def _read_yaml(text: bytes, path: str) -> dict[str, Any]:
    try:
        import yaml
    except ImportError:
        raise UsageError(f"{path} needs PyYAML", hint="pip install 'gitmodel[yaml]'") from None
    try:
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}
