"""A kind of page: the form of its addresses, and the functions that list the pages and read their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

from gitmodel.frozen import Frozen

if TYPE_CHECKING:
    from gitmodel.web.registry_data.registry_data import RegistryData

Parameters = Mapping[str, str]


class Page(Frozen, eq=False):
    """A kind of page. *path* is the form of its addresses: parameters are in braces, such as "/m/{model}/v/{number}".

    *read* gets the registry and the parameters of one page, and returns the value of the page. It raises NotFound if
    there is no page with these parameters. *list* returns the parameters of all pages of this kind; the default is one
    page without parameters. *template* is the file in `templates/`. If *template* is None, the page is a plain file:
    *read* returns its text or bytes, or a value that is written as JSON. *label* is the name of the page in the
    navigation: in the bar of the site, or below the name of the model if *path* has the parameter `model` only.

    If *takes_query* is True, *read* also takes `query`, the text after "?q=" in the address. Only the server passes it;
    an export has no queries.
    """

    name: str
    path: str
    read: Callable[..., object]
    list: Callable[[RegistryData], Iterable[Parameters]] = lambda registry: [{}]
    template: str | None = None
    label: str = ""
    takes_query: bool = False

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters in `path`."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    def file(self, parameters: Mapping[str, object]) -> str:
        """Return the path, in the folder of a site, of the file of the page with *parameters*.

        >>> Page("version", "/m/{model}/v/{number}", read=str, template="version.html").file(
        ...     {"model": "iris", "number": 3}
        ... )
        'm/iris/v/3.html'
        """
        texts = {key: str(value) for key, value in parameters.items()}
        return self._file.format_map({
            key: text if text.isalnum() and text.isascii() else quote(text, safe="") for key, text in texts.items()
        })  # fmt: skip

    @cached_property
    def _file(self) -> str:
        """The path that `file` returns, with the names of the parameters in braces instead of their values."""
        if self.template is None:
            return self.path[1:]
        return f"{self.path[1:]}index.html" if self.path.endswith("/") else f"{self.path[1:]}.html"

    def find(self, path: str) -> Parameters | None:
        """Return the parameters in *path*, the address or the file of a page; None for a page of another kind.

        >>> Page("models", "/m/{model}/", read=str, template="model.html").find("/m/iris/index.html")
        {'model': 'iris'}
        """
        if self.template is not None:
            path = re.sub(r"(?<=/)index\.html$|(?<=[^/])\.html$", "", path)
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        match = re.fullmatch(pattern, path)
        return match.groupdict() if match else None
