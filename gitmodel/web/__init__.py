"""Pages of a registry, as a static site and from a local server.

A page is a kind of address, such as `/m/{model}/v/{number}`. To add a page:

1. Write `pages/of_registry/NAME.py`, or `pages/of_model/NAME.py` for an address below `/m/{model}/`. The module has a
   `Frozen` value with everything that the page shows, a function that reads this value from the `RegistryData`, and a
   constant of the class `Page` (see `page.py`) with the address and a function that lists the addresses that exist.
2. Write `templates/NAME.html`. The template extends `layout.html` and shows the value, which it has as `page`. In the
   template, `link("version", model="iris", number=3)` returns the relative address of another page, or "" if there is
   no such page.
3. Add the constant to `PAGES` in `routes.py`. The server, the export, the navigation and the test for dead links then
   have the page.

The JSON twin of a page is its value as JSON. A page without a template is a file such as a feed: its function returns
the text or bytes of the file. A value contains no addresses, no ages and nothing of this machine, so that the exports
of two clones have the same bytes.

The function of a page must read everything through `RegistryData`. An export records each call of the function and its
answer (`rendering/dependencies.py`). The next export renders the page again only if an answer has changed.
"""
