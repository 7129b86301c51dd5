"""Renders the value of a page as HTML and as JSON. Pure: the same values always give the same bytes."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import is_dataclass
from datetime import date, datetime, timezone
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from jinja2.bccache import Bucket
from markupsafe import Markup

from gitmodel.branch.by_url.url_cache import cache_folder
from gitmodel.domain.views import cell_text
from gitmodel.domain.views.comparison import rounded
from gitmodel.domain.views.lineage import within
from gitmodel.domain.views.lineage_drawing import tree
from gitmodel.domain.views.record_views import plain
from gitmodel.frozen import Frozen
from gitmodel.version import __version__
from gitmodel.web import routes
from gitmodel.web.options import SiteOptions
from gitmodel.web.page import Page, Parameters
from gitmodel.web.pages.of_model import history
from gitmodel.web.pages.of_registry import rules, runs
from gitmodel.web.rendering.dependencies import FILE, Dependencies
from gitmodel.web.rendering.drawings import draw_history, draw_line_chart, draw_lineage, draw_sparkline
from gitmodel.web.rendering.markdown import render_markdown

if TYPE_CHECKING:
    from gitmodel.web.registry_data.registry_data import RegistryData

# The content security policy in each page. Browsers ignore `frame-ancestors` in a page, so only the server adds it.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'"
)


class NavigationItem(Frozen):
    """An entry of the navigation: its text, and its relative address.

    *current* is the value of `aria-current`: "page" if the entry is the shown page, "true" if the shown page belongs to
    the part of the site that the entry opens, else "".
    """

    label: str
    address: str
    current: str


class Renderer:
    """Renders the pages of *registry*.

    An export passes *dependencies*, which records what each page asks, and *prefix*, the folder of the pages: "" or
    "NAME/".
    """

    def __init__(self, registry: RegistryData, dependencies: Dependencies | None = None, prefix: str = "") -> None:
        self.registry = registry
        self._dependencies = dependencies
        self.prefix = prefix
        self._watched = dependencies.watch(prefix, registry) if dependencies is not None else registry
        self._options = registry.rules_of_text.value(registry.options)
        self._files: dict[str, set[str]] = {}
        self._addresses: dict[tuple[object, ...], tuple[str, bool]] = {}
        self._parameters: dict[str, list[Parameters]] = {}

    def render(self, page: Page, parameters: Parameters) -> dict[str, bytes]:
        """Return the files of *page* with *parameters*, by path: the page and its JSON twin, or a single file.

        Raises NotFound if there is no such page.
        """
        value = page.read(self._watched, **parameters)
        file = page.file(parameters)
        if page.template is None and isinstance(value, (bytes, str)):
            return {file: value if isinstance(value, bytes) else value.encode()}
        value = self._watched.rules_of_text.value(value)
        if page.template is None:
            data = twin(value)
            return {file: b"gitmodelData(" + data.strip() + b");\n" if file.endswith(".js") else data}
        html = render_template(page.template, {**self._surroundings(page, parameters, file), "page": value})
        return {file: html, routes.twin_of(file): twin(value)}

    def address(self, name: str, parameters: Mapping[str, object]) -> str:
        """Return the path of the file of the page of kind *name* with *parameters*; "" if there is no such page."""
        key = (name, *parameters.items())
        if key not in self._addresses:
            self._addresses[key] = self._find(name, parameters)
        file, exists = self._addresses[key]
        if self._dependencies is not None and parameters:
            self._dependencies.record((self.prefix, FILE, file), exists)
        return file if exists else ""

    def _find(self, name: str, parameters: Mapping[str, object]) -> tuple[str, bool]:
        """Return the path of the file of a page of kind *name* with *parameters*, and True if this page exists."""
        page = _pages().get(name)
        if page is None:
            return "", False
        file = page.file(parameters)
        if self._dependencies is not None:
            return file, self._dependencies.has_file(self.prefix + file)
        if name not in self._files:
            self._files[name] = {page.file(one) for one in self.parameters(page)}
        return file, file in self._files[name]

    def value(self, page: Page) -> Any:
        """Return the value of *page*, a kind without parameters, with its text cleaned for the site."""
        return self._watched.rules_of_text.value(page.read(self._watched))

    def parameters(self, page: Page) -> list[Parameters]:
        """Return the parameters of each page of the kind *page*."""
        if page.name not in self._parameters:
            self._parameters[page.name] = list(page.list(self.registry))
        return self._parameters[page.name]

    def _surroundings(self, page: Page, parameters: Parameters, file: str) -> dict[str, Any]:
        """Return the variables of the template for everything around the value of the page, such as the navigation."""
        variables = layout_variables(self._options, page.name, file)

        def link(name: str, **to: object) -> str:
            found = self.address(name, to)
            return routes.relative(file, found) if found else ""

        model = parameters.get("model", "")
        return {
            **variables,
            "link": link,
            "navigation": self._navigation(page, {}, file),
            "model_navigation": self._navigation(page, {"model": model}, file) if model else (),
            "model": model,
        }

    def _navigation(self, page: Page, of: Parameters, file: str) -> tuple[NavigationItem, ...]:
        found = ((each, self.address(each.name, of)) for each in _labelled(tuple(of)))
        return tuple(
            NavigationItem(each.label, routes.relative(file, to), _current(each, page, of)) for each, to in found if to
        )


@cache
def _labelled(parameters: tuple[str, ...]) -> tuple[Page, ...]:
    """Return the kinds of pages that the navigation shows and whose parameters have exactly the names *parameters*."""
    return tuple(page for page in routes.PAGES if page.label and page.parameters == parameters)


def _current(item: Page, page: Page, of: Parameters) -> str:
    """Return `aria-current` of the entry *item* on *page*. *of* are the parameters of the navigation that has *item*.

    The bar of the site has no parameters; the navigation below the name of a model has the model.
    """
    if item is page:
        return "page"
    if of:
        return "true" if item.name == "model" and not page.label else ""
    part = "" if "model" in page.parameters else page.path.split("/")[1]
    return "true" if item.path.split("/")[1] == part else ""


def layout_variables(options: SiteOptions, kind: str, file: str) -> dict[str, Any]:
    """Return the variables of `layout.html` for the page in *file*, without links to other pages.

    *kind* is the name of the kind of page, which the template puts into a class for the style sheet.
    """
    return {
        "site": options,
        "root": "../" * file.count("/"),
        "link": lambda name, **to: "",
        "kind": kind,
        "twin": routes.twin_of(file).rpartition("/")[2],
        "navigation": (),
        "model_navigation": (),
        "model": "",
        "policy": Markup(POLICY),  # not escaped: the attribute is in double quotes, and POLICY has single quotes only
        "version_of_gitmodel": __version__,
    }


def render_template(name: str, variables: Mapping[str, Any]) -> bytes:
    """Return the bytes of the template *name*, rendered with *variables*."""
    return _template(name).render(variables).encode()


@cache
def _pages() -> Mapping[str, Page]:
    return {page.name: page for page in routes.PAGES}


def twin(value: object) -> bytes:
    """Return *value*, the value of a page, as JSON without characters that HTML or JavaScript takes for markup."""
    fields = {"schema": 1, **vars(value)}
    try:
        text = _encode(fields)
    except ValueError:  # raised for infinity and NaN, which JSON cannot represent; `plain` replaces them
        text = _encode(plain(fields))
    return (escape_json(text) + "\n").encode()


def _plain_fields(value: object) -> object:
    return vars(value) if is_dataclass(value) else plain(value)


_encode = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), check_circular=False, allow_nan=False, default=_plain_fields
).encode


def escape_json(text: str) -> str:
    r"""Escape the characters of JSON that HTML or JavaScript could take for markup or the end of a line.

    >>> escape_json('{"a":"</script>"}')
    '{"a":"\\u003c/script\\u003e"}'
    """
    return text.translate(_ESCAPES)


_ESCAPES = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


@cache
def _template(name: str) -> jinja2.Template:
    return _environment().get_template(name)


class _CompiledTemplates(jinja2.BytecodeCache):
    """Stores compiled templates in the user's cache, because compiling takes as long as rendering a thousand pages."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError, EOFError, ValueError, TypeError), open(self._folder / bucket.key, "rb") as file:
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
                bucket.write_bytecode(file)
            os.replace(file.name, self._folder / bucket.key)


@cache
def _environment() -> jinja2.Environment:
    compiled = cache_folder(os.environ) / f"templates-{__version__}-{jinja2.__version__}"
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gitmodel.web"),
        bytecode_cache=_CompiledTemplates(compiled),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        when=_when,
        day=partial(_when, shown="%Y-%m-%d"),
        number=_number,
        value=_shown,
        size=cell_text.size,
        markdown=render_markdown,
        plural=_plural,
        sparkline=draw_sparkline,
        line_chart=draw_line_chart,
    )
    environment.globals.update(
        draw_history=draw_history,
        draw_lineage=draw_lineage,
        within=within,
        tree=tree,
        history_rows=history.MOST_ROWS,
        rule_rows=rules.MOST_ROWS,
        run_rows=runs.MOST_ROWS,
    )
    return environment


def _when(moment: datetime | None, shown: str = "%Y-%m-%d %H:%M") -> Markup | str:
    """Return *moment* as an HTML element `time`, whose text is in UTC in the format *shown*; "" for None."""
    if moment is None:
        return ""
    utc = moment.astimezone(timezone.utc)
    return Markup(f'<time datetime="{utc:%Y-%m-%dT%H:%M:%SZ}">{utc:{shown}}</time>')


def _number(value: Any) -> str:
    """Return a number rounded for people, and any other value as the filter `value` shows it."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return _shown(value)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return rounded(value)


def _shown(value: Any) -> str:
    """Return a value of the metadata as text."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (date, datetime)):
        return value.isoformat()
    return json.dumps(plain(value), ensure_ascii=False, default=str)


def _plural(count: int, noun: str) -> str:
    """Return *count* and *noun*, to which an s is added unless *count* is 1.

    >>> _plural(1, "version"), _plural(1200, "version")
    ('1 version', '1,200 versions')
    """
    return f"{count:,} {noun}{'s' * (count != 1)}"
