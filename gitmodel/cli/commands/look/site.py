"""The commands of the pages: site, ui."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import click

from gitmodel.cli import options
from gitmodel.cli.invocation import Invocation, command
from gitmodel.cli.shapes import record_shapes as shapes
from gitmodel.errors import UsageError


@command(example="git model site public")
@click.argument("folder", metavar="DIR")
@click.option("--title", default="Model registry", metavar="TEXT", help="Title of the site.")
@click.option("--base-url", default="", metavar="URL", help="Address at which the site is published, for feeds.")
@click.option("--public", is_flag=True, help="Leave out e-mail addresses.")
@click.option(
    "--pages",
    type=click.Choice(["staged", "all"]),
    default="all",
    help="Versions with a page: all (default), or those that are or were in use.",
)
@click.option("--verified", metavar="FILE", help="Show the result of `git model verify --format json` in FILE.")
@click.option(
    "--repo",
    "repos",
    multiple=True,
    metavar="PATH|URL",
    help="Registry to show; repeat for more: a folder for each, and one page with the models of all.",
)
@click.option("--artifacts", is_flag=True, help="Include pictures up to 5 MB, texts up to 64 kB and packages of runs.")
def site(
    invocation: Invocation, folder: str, pages: str, verified: str | None, repos: tuple[str, ...], **given: Any
) -> None:
    """Write the registry as a static site.

    DIR is the folder of the site. Any web server, GitHub Pages or GitLab Pages can publish it, and a browser can open
    DIR/index.html without a server. Run the command again to update the site: only changed files are written. Files in
    DIR that no export wrote stay as they are. Everybody who can read the site can read all metadata and reasons in the
    registry.
    """
    options.refuse_stdout(folder, "site writes a folder")
    _require_extra()
    from gitmodel.web.export.site import export_board, export_site
    from gitmodel.web.options import SiteOptions, read_verified

    result = read_verified(Path(verified)) if verified is not None else None
    chosen = SiteOptions(**given, only_staged=pages == "staged", verified=result)
    gc.disable()  # with all records in memory, each garbage collection is slow; the process ends soon
    with invocation.open_each(repos) as clients, invocation.output.progress("writing the pages", unit="pages") as show:
        report = show or (lambda done, total: None)
        if len(clients) == 1:
            made = export_site(clients[0], Path(folder), chosen, report=report)
        else:
            made = export_board(clients, Path(folder), chosen, report=report)
    fields = {"folder": str(made.folder), "files": made.files, "written": made.written, "removed": made.removed}
    said = f"{made.folder}: {made.files} files, {made.written} written, {made.removed} removed"
    invocation.output.outcome(said, shapes.SITE, fields, name=str(made.folder))


@command(example="git model ui")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, metavar="N", help="Port. Default: 8765; 0: any.")
@click.option("--no-open", is_flag=True, help="Do not open a browser.")
@click.option("--title", default="Model registry", metavar="TEXT", help="Title of the pages.")
def ui(invocation: Invocation, port: int, no_open: bool, title: str) -> None:
    """Show the registry in a browser.

    The server runs until Ctrl-C. It listens on 127.0.0.1, so that only this machine can reach it. It changes nothing.
    The pages show the current state of the registry each time they are loaded.
    """
    _require_extra()
    from gitmodel.web.options import SiteOptions
    from gitmodel.web.server import serve

    serve(
        invocation.client,
        SiteOptions(title=title, artifacts=True),
        port=port,
        on_start=lambda url: invocation.output.note(f"the pages are at {url}; Ctrl-C ends the server"),
        open_browser=not no_open,
    )


def _require_extra() -> None:
    """Raise UsageError if a library of the pages is not installed."""
    from importlib.util import find_spec

    missing = [name for name in ("jinja2", "markdown_it", "starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UsageError(f"the pages need {', '.join(missing)}, not installed", hint="pip install 'gitmodel[ui]'")
