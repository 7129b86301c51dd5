"""The static export of a registry. Only changed files are written, and the old site stays complete until the end."""

from __future__ import annotations

import hashlib
import json
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
from gitmodel.web.board import by_folder, render_board
from gitmodel.web.options import SiteOptions
from gitmodel.web.page import Page, Parameters
from gitmodel.web.registry_data import RegistryData
from gitmodel.web.rendering import Renderer

# Called with the number of pages done and the number of all pages.
Report = Callable[[int, int], None]

# The folder in the site for files that only the export reads.
_OWN = ".gitmodel-site"
_MANIFEST = "files.json"
_ATTEMPTS = 5


class Exported(Frozen):
    """The result of an export: the folder, its files, those that were *written*, and those that were *removed*."""

    folder: Path
    files: int
    written: int
    removed: int


class _Known(NamedTuple):
    """A file of the site: its size, and the state of its page when it was written ("": not known)."""

    size: int
    state: str = ""


def export_site(
    client: Client, folder: Path, options: SiteOptions, *, report: Report = lambda done, total: None
) -> Exported:
    """Write the pages of the registry to *folder*. Files there that no export wrote are not touched.

    New files are first written beside the site, and then renamed into place. Raises Refused if a file that no export
    wrote has the path of a page, Conflict if the registry changes all the time, and Unreachable if the disk is full.
    After an error, the site is as before.
    """
    return _export({"": client}, folder, options, report)


def export_board(
    clients: Sequence[Client], folder: Path, options: SiteOptions, *, report: Report = lambda done, total: None
) -> Exported:
    """Write the pages of each registry to a folder of its name in *folder*, and a page with the models of all.

    Works as `export_site` does, and raises the same errors.
    """
    return _export({f"{name}/": client for name, client in by_folder(clients).items()}, folder, options, report)


def _export(clients: Mapping[str, Client], folder: Path, options: SiteOptions, report: Report) -> Exported:
    """Write the pages of each of *clients* below its prefix."""
    for client in clients.values():
        if folder.resolve().is_relative_to(client.repository.common_dir.resolve()):
            raise Refused(f"{folder} is in the folder of git", hint="nothing was written; name another folder")
    for _ in range(_ATTEMPTS):
        renderers = {prefix: Renderer(RegistryData(client, options)) for prefix, client in clients.items()}
        with _locked(folder) as own:
            known = _read_manifest(own / _MANIFEST)
            with writing(folder, outcome="the site is as before"), _staging(own) as staging:
                files = _write_changed(renderers, options, _Folders(folder, staging, known), report)
                if not all(renderer.registry.is_current() for renderer in renderers.values()):
                    continue
                return _publish(folder, own, staging, known, files)
    raise Conflict("the registry changed during each of 5 exports", hint="run the command again")


class _Folders(NamedTuple):
    """The *site* with the files that are *known* there, and the folder for new files."""

    site: Path
    staging: Path
    known: Mapping[str, _Known]


def _write_changed(
    renderers: Mapping[str, Renderer], options: SiteOptions, folders: _Folders, report: Report
) -> dict[str, _Known]:
    """Write the files that differ from those of the site beside it; return all files of the site."""
    files: dict[str, _Known] = {}
    known, existing, renderer_now = folders.known, set(_files_in(folders.site)), renderer_id()
    for prefix in {"", *renderers}:
        for path, data in asset_files().items():
            files[prefix + path] = _write(prefix + path, data, "", folders)
    everything = [
        (prefix, renderer, page, parameters)
        for prefix, renderer in renderers.items()
        for page in routes.PAGES
        for parameters in renderer.parameters(page)
    ]
    for done, (prefix, renderer, page, parameters) in enumerate(everything):
        state = _state(renderer_now, renderer.registry, page, parameters)
        file = prefix + page.file(parameters)
        expected = (file,) if page.template is None else (file, routes.twin_of(file))
        if state and all(path in existing and path in known and known[path].state == state for path in expected):
            files.update((path, known[path]) for path in expected)
        else:
            for path, data in renderer.render(page, parameters).items():
                files[prefix + path] = _write(prefix + path, data, state, folders)
        if done % 100 == 0:
            report(done, len(everything))
    if "" not in renderers:
        named = {prefix[:-1]: renderer for prefix, renderer in renderers.items()}
        for path, data in render_board(named, options).items():
            files[path] = _write(path, data, "", folders)
    report(len(everything), len(everything))
    return files


def _files_in(folder: Path) -> Iterator[str]:
    for root, _, names in os.walk(folder):
        inner = os.path.relpath(root, folder)
        yield from names if inner == "." else (f"{inner}/{name}" for name in names)


def _state(renderer_id: str, registry: RegistryData, page: Page, parameters: Parameters) -> str:
    """Return the state of a page; "" if only rendering shows whether the page changed."""
    if page.state is None:
        return ""
    found = f"{renderer_id}\n{registry.options!r}\n{page.state(registry, **parameters)}"
    return hashlib.sha256(found.encode()).hexdigest()[:24]


def renderer_id() -> str:
    """Return a text that changes with the templates, the assets and the version of gitmodel."""
    return f"{__version__} {_resources_digest()}"


def _write(path: str, data: bytes, state: str, folders: _Folders) -> _Known:
    """Write *data* to *path* in the folder for new files, unless the site has this file already."""
    target, known = folders.site / path, folders.known
    if path in known and known[path].size == len(data) and target.is_file() and target.read_bytes() == data:
        return _Known(len(data), state)
    if path not in known and os.path.lexists(target):
        raise Refused(
            f"{target} is not a file of an earlier export, and a page belongs there",
            hint="nothing was changed; name another folder, or remove the file",
        )
    new = folders.staging / path
    if not new.parent.is_dir():  # the first file of its folder
        _refuse_link(folders.site, path)
        new.parent.mkdir(parents=True)
    new.write_bytes(data)
    return _Known(len(data), state)


def _refuse_link(folder: Path, path: str) -> None:
    """Raise Refused if the file at *path* would be outside *folder*, because a folder above it is a symbolic link."""
    for inner in Path(path).parents:
        if inner.parts and (folder / inner).is_symlink():
            raise Refused(
                f"{folder / inner} is a symbolic link, and pages belong there",
                hint="nothing was changed; name another folder, or remove the link",
            )


def _publish(
    folder: Path, own: Path, staging: Path, known: Mapping[str, _Known], files: Mapping[str, _Known]
) -> Exported:
    """Rename the files of *staging* into place, pages before the lists that link to them. Remove outdated files."""
    removed = [path for path in known if path not in files]
    for path in removed:
        _refuse_link(folder, path)
    written = sorted(_files_in(staging))
    if written:
        # Until the end, the manifest names the old and the new files, so that a later export may replace both. The
        # manifest has no state for the files that are replaced now, so that an export after an interruption writes them
        # again.
        _write_manifest(own, staging, {**known, **{path: _Known(files[path].size) for path in written}})
    for path in sorted(written, key=lambda path: (-path.count("/"), path)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        os.replace(staging / path, folder / path)
    for path in removed:
        (folder / path).unlink(missing_ok=True)
        _remove_empty(folder, Path(path).parent)
    if files != known:
        _write_manifest(own, staging, files)
    return Exported(folder, len(files), len(written), len(removed))


def _write_manifest(own: Path, staging: Path, files: Mapping[str, _Known]) -> None:
    (staging / _MANIFEST).write_text(json.dumps(files, separators=(",", ":")), encoding="utf-8")
    os.replace(staging / _MANIFEST, own / _MANIFEST)


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
    _refuse_link(folder, f"{_OWN}/{_MANIFEST}")
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
    """Yield an empty folder for new files, which is removed at the end."""
    for left in own.glob("new-*"):
        shutil.rmtree(left, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix="new-", dir=own))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _read_manifest(path: Path) -> dict[str, _Known]:
    """Return the files that exports wrote, or no files if the manifest is missing or damaged."""
    try:
        found = json.loads(path.read_bytes())
        known = {name: _Known(size, state) for name, (size, state) in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    is_safe = not any(name.startswith("/") or ".." in name.split("/") for name in known)
    return known if is_safe else {}


def asset_files() -> dict[str, bytes]:
    """Return the style sheet, the script and the icon, each by its path in the site."""
    folder = resources.files("gitmodel.web") / "assets"
    found = sorted(folder.iterdir(), key=lambda each: each.name)
    return {
        f"assets/{each.name}": _shorter(each.name, each.read_text(encoding="utf-8")) for each in found if each.is_file()
    }


# Strings, templates and regular expressions of our script, whose spaces must stay, or spaces around punctuation.
_SPACES = re.compile(r'("[^"\n]*"|`[^`]*`|/(?! )(?:[^/\\\n]|\\.)+/)| *([=+\-*/<>!&|?:;,(){}[\]]) *')

# Strings of our style sheet, and spaces around punctuation. A space before a colon counts in a selector.
_SPACES_OF_STYLES = re.compile(r'("[^"\n]*")| *([{};,]) *|: ')


def _shorter(name: str, text: str) -> bytes:
    """Return a style sheet or script without indentation, lines of comments, and most spaces and ends of lines."""
    lines = (line.strip() for line in text.splitlines())
    text = "\n".join(line for line in lines if line and not line.startswith("//")) + "\n"
    if name.endswith(".js"):
        text = re.sub(r"\bconst\b", "let", _SPACES.sub(lambda found: found[1] or found[2], text))
    elif name.endswith(".css"):
        text = _SPACES_OF_STYLES.sub(lambda found: found[1] or found[2] or ":", text)
    return re.sub(r"(?<=[;{},])\n", "", text).replace(";}", "}").encode()


def _resources_digest() -> str:
    digest = hashlib.sha256()
    templates = resources.files("gitmodel.web") / "templates"
    for each in sorted(templates.iterdir(), key=lambda each: each.name):
        digest.update(each.read_bytes())
    for data in asset_files().values():
        digest.update(data)
    return digest.hexdigest()
