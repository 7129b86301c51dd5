"""The static export of a registry.

An export writes only changed files, and the old site stays complete until all of them are written.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from gitmodel.client.client import Client
from gitmodel.errors import Conflict, Refused
from gitmodel.files.failures import writing
from gitmodel.files.locks import lock
from gitmodel.files.open_flags import RAW
from gitmodel.frozen import Frozen
from gitmodel.version import __version__
from gitmodel.web import routes
from gitmodel.web.export.board import by_folder, render_board
from gitmodel.web.export.site_state import (
    SiteState,
    Stat,
    Written,
    digest_of,
    read_facts,
    read_state,
    write_facts,
    write_new_files,
    write_state,
)
from gitmodel.web.options import SiteOptions
from gitmodel.web.page import Page, Parameters
from gitmodel.web.registry_data.registry_data import RegistryData
from gitmodel.web.rendering.dependencies import Dependencies
from gitmodel.web.rendering.renderer import Renderer

# Called with the number of pages done and the number of all pages.
Report = Callable[[int, int], None]

# The folder in the site for files that only the export reads.
_OWN = ".gitmodel-site"
# The name of a page that the state of an export has, but not the site. Its only question is for the ids of all records,
# so the next export knows whether any record has changed.
_RECORDS = "records"
_ATTEMPTS = 5


class Exported(Frozen):
    """The result of an export: the folder, and how many files it has, and how many this export wrote and removed."""

    folder: Path
    files: int
    written: int
    removed: int


def export_site(
    client: Client, folder: Path, options: SiteOptions, *, report: Report = lambda done, total: None
) -> Exported:
    """Write the pages of the registry to *folder*. Other files in *folder* are not touched.

    New files are first written to a folder of their own, and then renamed into place. Raises Refused if a file that no
    export wrote has the path of a page, Conflict if the registry changed during each of 5 attempts, and Unreachable if
    the disk is full. After an error, the site is as before.
    """
    return _export({"": client}, folder, options, report)


def export_board(
    clients: Sequence[Client], folder: Path, options: SiteOptions, *, report: Report = lambda done, total: None
) -> Exported:
    """Write the pages of each registry to a folder in *folder*, and a first page with the models of all registries.

    Works as `export_site` does, and raises the same errors.
    """
    return _export({f"{name}/": client for name, client in by_folder(clients).items()}, folder, options, report)


def _export(clients: Mapping[str, Client], folder: Path, options: SiteOptions, report: Report) -> Exported:
    """Write the pages of the registries of *clients* to *folder*.

    The key of each client is the folder of its registry's pages in the site: "" or "NAME/".
    """
    for client in clients.values():
        if folder.resolve().is_relative_to(client.repository.common_dir.resolve()):
            raise Refused(f"{folder} is in the folder of git", hint="nothing was written; name another folder")
    for _ in range(_ATTEMPTS):
        with _locked(folder) as own, writing(folder, outcome="the site is as before"), _staging(own) as staging:
            export = _Export(clients, _Target(folder, own, staging), options, report)
            export.write_changed()
            if export.is_current():
                return export.publish()
    raise Conflict("the registry changed during each of 5 exports", hint="run the command again")


class _Target(NamedTuple):
    """The folder of the *site*, and two folders in it: *own* for the state of exports, *staging* for new files."""

    site: Path
    own: Path
    staging: Path


class _Export:
    """One export to *target*. The keys of *clients* are the folders of the registries in the site, "" or "NAME/"."""

    def __init__(self, clients: Mapping[str, Client], target: _Target, options: SiteOptions, report: Report) -> None:
        self._target = target
        self._options = options
        self._report = report
        self._known_facts = read_facts(target.own)
        self._registries = {
            prefix: RegistryData(client, options, self._known_facts.get(prefix)) for prefix, client in clients.items()
        }
        self._dependencies = Dependencies(lambda file: file in self._planned)
        self._renderers = {
            prefix: Renderer(registry, self._dependencies, prefix) for prefix, registry in self._registries.items()
        }
        self._old = read_state(target.own)
        self._stats = _stats_below(str(target.site))
        private = [(prefix, registry.private) for prefix, registry in self._registries.items()]
        self._new = SiteState(hashlib.sha256(f"{renderer_id()}\n{options!r}\n{private!r}".encode()).hexdigest())
        self._new.begin_after(self._old)
        self._folders: set[str] = set()
        self._written: list[str] = []
        self._has_changed = False
        # The renderer, kind and parameters of each page of the site, by the path of the page's file; None for the
        # board.
        self._planned = dict(self._plan())

    def is_current(self) -> bool:
        """Return True if no registry has changed since this export read it."""
        return all(registry.is_current() for registry in self._registries.values())

    def _plan(self) -> Iterator[tuple[str, tuple[Renderer, Page, Parameters] | None]]:
        for prefix, renderer in self._renderers.items():
            for page in routes.PAGES:
                for parameters in renderer.parameters(page):
                    yield prefix + page.file(parameters), (renderer, page, parameters)
        if "" not in self._renderers:
            yield "index.html", None  # the board

    def write_changed(self) -> None:
        """Write each file that differs from the file in the current site to the folder for new files."""
        for prefix in {"", *self._renderers}:
            for path, data in asset_files().items():
                self._write(prefix + path, data)
        is_same = self._old.key == self._new.key
        changed = self._dependencies.changed(self._old.questions) if is_same else set()
        outdated = {place for place, question in enumerate(self._old.questions) if question in changed}
        for done, (file, planned) in enumerate(self._planned.items()):
            paths = (file, routes.twin_of(file)) if file.endswith(".html") else (file,)
            questions = self._old.pages.get(file)
            if is_same and questions is not None and outdated.isdisjoint(questions) and all(map(self._keep, paths)):
                self._new.pages[file] = questions
            else:
                self._render(file, planned)
            if done % 100 == 0:
                self._report(done, len(self._planned))
        self._report(len(self._planned), len(self._planned))

    def _render(self, file: str, planned: tuple[Renderer, Page, Parameters] | None) -> None:
        """Render the page whose file is *file*, and write the page and its twin to the folder for new files."""
        self._has_changed = True
        with self._dependencies.recording() as questions:
            if planned is None:
                by_name = {key[:-1]: each for key, each in self._renderers.items()}
                prefix, rendered = "", render_board(by_name, self._options)
            else:
                renderer, page, parameters = planned
                prefix, rendered = renderer.prefix, renderer.render(page, parameters)
        for path, data in rendered.items():
            self._write(prefix + path, data)
        self._new.add_page(file, questions)

    def _keep(self, path: str) -> bool:
        """If the file at *path* is still as an earlier export wrote it, keep it in the site, and return True."""
        known, stat = self._old.files.get(path), self._stats.get(path)
        if known is None or stat is None:
            return False
        if known[1:] != stat:
            if digest_of((self._target.site / path).read_bytes()) != known.digest:
                return False
            self._has_changed = True
            known = Written(known.digest, *stat)
        self._new.files[path] = known
        return True

    def _write(self, path: str, data: bytes) -> None:
        """Write *data* to *path* in the folder for new files, unless the site has a file with these bytes at *path*."""
        known, digest = self._old.files.get(path), digest_of(data)
        if known is not None and known.digest == digest and self._keep(path):
            return
        target = self._target.site / path
        if path not in self._old.files and os.path.lexists(target):
            raise Refused(
                f"{target} is not a file of an earlier export, and a page belongs there",
                hint="nothing was changed; name another folder, or remove the file",
            )
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            _refuse_link(self._target.site, path)
            os.makedirs(self._target.staging / folder, exist_ok=True)
            self._folders.add(folder)
        self._new.files[path] = Written(digest, *_create(f"{self._target.staging}/{path}", data))
        self._written.append(path)

    def publish(self) -> Exported:
        """Rename the new files into place, pages before lists that link to them, and remove files of old pages."""
        site, own, staging = self._target
        removed = [path for path in self._old.files if path not in self._new.files]
        for path in removed:
            _refuse_link(site, path)
        if self._has_changed or removed or self._written:
            for prefix in self._registries:
                self._new.add_page(f"{prefix}{_RECORDS}", [(prefix, "record_ids")])
            self._new.complete(self._dependencies.fingerprint)
            write_new_files(own, staging, [path for path in self._written if path not in self._old.files])
            _move(staging, site)
            for path in removed:
                (site / path).unlink(missing_ok=True)
                _remove_empty(site, Path(path).parent)
            write_state(own, staging, self._new)
        self._keep_facts(own, staging)
        return Exported(site, len(self._new.files), len(self._written), len(removed))

    def _keep_facts(self, own: Path, staging: Path) -> None:
        """Write the facts of versions to a file, so that the next export need not read the records again."""
        is_same = self._old.key == self._new.key and self._known_facts.keys() == self._registries.keys()
        if is_same and not any(registry.has_new_facts for registry in self._registries.values()):
            return
        facts = {
            prefix: {model: registry.facts_to_keep(model) for model in registry.models}
            for prefix, registry in self._registries.items()
        }
        if facts != self._known_facts:
            write_facts(own, staging, facts)


def _stats_below(folder: str) -> dict[str, Stat]:
    """Return the `Stat` of each file in *folder*, by the path of the file."""
    found: dict[str, Stat] = {}
    left = [""]
    while left:
        inner = left.pop()
        try:
            entries = os.scandir(f"{folder}/{inner}")
        except FileNotFoundError:  # there is no site yet
            continue
        with entries:
            for entry in entries:
                path = inner + entry.name
                if entry.is_dir(follow_symlinks=False):
                    left.append(f"{path}/")
                elif entry.is_file(follow_symlinks=False):
                    found[path] = Stat.of(entry.stat(follow_symlinks=False))
    return found


def renderer_id() -> str:
    """Return a text that changes with the templates, the assets and the version of gitmodel."""
    digest = hashlib.sha256()
    templates = resources.files("gitmodel.web") / "templates"
    for each in sorted(templates.iterdir(), key=lambda each: each.name):
        digest.update(each.read_bytes())
    for data in asset_files().values():
        digest.update(data)
    return f"{__version__} {digest.hexdigest()}"


def _create(path: str, data: bytes) -> Stat:
    """Write *data* to a new file at *path*, and return the `Stat` of the file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]
        return Stat.of(os.fstat(descriptor))
    finally:
        os.close(descriptor)


def _refuse_link(folder: Path, path: str) -> None:
    """Raise Refused if the file at *path* would be outside *folder*, because a folder above it is a symbolic link."""
    for inner in Path(path).parents:
        if inner.parts and (folder / inner).is_symlink():
            raise Refused(
                f"{folder / inner} is a symbolic link, and pages belong there",
                hint="nothing was changed; name another folder, or remove the link",
            )


def _move(source: Path, target: Path) -> None:
    """Move the content of the folder *source* to *target*: first its folders, as a whole if *target* lacks them."""
    entries = sorted(os.scandir(source), key=lambda entry: (not entry.is_dir(), entry.name))
    for entry in entries:
        to = target / entry.name
        if entry.is_dir() and to.is_dir():
            _move(Path(entry.path), to)
        else:
            os.replace(entry.path, to)


def _remove_empty(folder: Path, inner: Path) -> None:
    while inner.parts:
        try:
            (folder / inner).rmdir()
        except OSError:
            return
        inner = inner.parent


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """Wait until no other export runs in *folder*, and lock it. Yields the folder for the data of exports."""
    own = folder / _OWN
    _refuse_link(folder, f"{_OWN}/state")
    with writing(folder, outcome="nothing was written"):
        own.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(own, os.O_RDONLY | RAW)
    try:
        lock(descriptor)
        yield own
    finally:
        os.close(descriptor)


@contextmanager
def _staging(own: Path) -> Iterator[Path]:
    """Yield a new folder in *own* for new files, and remove it at the end. First remove folders of killed exports."""
    for left in own.glob("new-*"):
        shutil.rmtree(left, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix="new-", dir=own))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def asset_files() -> dict[str, bytes]:
    """Return the style sheet, the script and the icon, each by its path in the site."""
    folder = resources.files("gitmodel.web") / "assets"
    found = sorted(folder.iterdir(), key=lambda each: each.name)
    return {
        f"assets/{each.name}": _shorter(each.name, each.read_text(encoding="utf-8")) for each in found if each.is_file()
    }


# A string, template or regular expression of our script, whose spaces must stay, or punctuation with spaces to remove.
_SPACES = re.compile(r'("[^"\n]*"|`[^`]*`|/(?! )(?:[^/\\\n]|\\.)+/)| *([=+\-*/<>!&|?:;,(){}[\]]) *')

# A string of our style sheet, whose spaces must stay, or punctuation with spaces to remove. A space before a colon
# stays, because it has a meaning in a selector.
_SPACES_OF_STYLES = re.compile(r'("[^"\n]*")| *([{};,]) *|: ')


def _shorter(name: str, text: str) -> bytes:
    """Return *text*, a style sheet or script, without indentation, comment lines, and most spaces and line breaks."""
    lines = (line.strip() for line in text.splitlines())
    text = "\n".join(line for line in lines if line and not line.startswith("//")) + "\n"
    if name.endswith(".js"):
        text = re.sub(r"\bconst\b", "let", _SPACES.sub(lambda found: found[1] or found[2], text))
    elif name.endswith(".css"):
        text = _SPACES_OF_STYLES.sub(lambda found: found[1] or found[2] or ":", text)
    return re.sub(r"(?<=[;{},])\n", "", text).replace(";}", "}").encode()
