"""Opening another registry by its address, to import its models."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gitmodel.errors import NotFound, UsageError
from gitmodel.interop.sources.source_values import Reader

_SQLITE = b"SQLite format 3\0"


def open_mlflow(source: str, environ: Mapping[str, str]) -> Reader:
    """Open MLflow's tracking server, SQLite database or folder of a file store at the address *source*.

    *environ* may contain the login for a server. Raises NotFound if a database or folder does not exist, UsageError if
    gitmodel cannot read this kind of address, Invalid if it is none of MLflow's.
    """
    scheme = urlsplit(source).scheme
    if scheme in ("http", "https"):
        from gitmodel.interop.sources.mlflow_server import MlflowServer  # imported here: an import has one source

        return MlflowServer(source, environ)
    if source.startswith("sqlite:///"):
        return _database(Path(source.removeprefix("sqlite:///").partition("?")[0]))
    if scheme not in ("", "file"):
        raise UsageError(
            f"a source at {scheme}:// cannot be read directly",
            hint="start `mlflow server --backend-store-uri` with it, and import from the address of that server",
        )
    path = Path(unquote(urlsplit(source).path) if scheme else source)
    if path.is_file():
        with open(path, "rb") as file:
            if file.read(len(_SQLITE)) == _SQLITE:
                return _database(path)
        raise UsageError(
            f"{path} is not an SQLite database", hint="give a database, a folder of the file store, or a server's URL"
        )
    if not path.exists():
        raise NotFound(f"there is no {path}", hint="give a folder such as mlruns, sqlite:///FILE or a server's URL")
    from gitmodel.interop.sources.mlflow_folder import MlflowFolder

    return MlflowFolder(path)


def open_gto(source: str, environ: Mapping[str, str]) -> Reader:
    """Open a repository with tags of GTO. Raises UsageError for a URL, NotFound if there is no repository."""
    if "://" in source:
        raise UsageError(f"{source} is not on this machine", hint="clone it with its tags, and give the folder")
    from gitmodel.interop.sources.gto_tags import GtoRepository  # imported here: an import has one source

    return GtoRepository(Path(source), environ)


def _database(path: Path) -> Reader:
    from gitmodel.interop.sources.mlflow_sqlite import MlflowDatabase

    return MlflowDatabase(path)


# The kinds of sources, as `--from` names them.
SOURCES: Mapping[str, Callable[[str, Mapping[str, str]], Reader]] = {"mlflow": open_mlflow, "gto": open_gto}


def open_source(kind: str, source: str, environ: Mapping[str, str]) -> Reader:
    """Open the registry at the address *source*. *kind* is a key of `SOURCES`, *environ* may contain the login."""
    return SOURCES[kind](source, environ)
