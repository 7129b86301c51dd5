"""Pages of a registry: a static site (`site.py`) and a local server (`server.py`), from one pure renderer.

A page is a kind of address, such as `/m/{model}/v/{number}`. To add one:

1. Write `pages/NAME.py`: a `Frozen` value with everything that the page shows, a function that reads it from the
   `RegistryData`, and a constant of the class `Page` (see `page.py`) with the address and the addresses that exist.
2. Write `templates/NAME.html`. It extends `layout.html` and shows `page`, the value. `link("version", model="iris",
   number=3)` returns the relative address of another page, "" if there is none.
3. Add the constant to `PAGES` in `routes.py`.

The function of a page reads everything through `RegistryData`. An export records what it asked (`dependencies.py`), and
renders the page again only if an answer has changed.

The server, the export, the navigation, the JSON twins and the test for dead links then have the page. The value is also
the JSON twin. A page without a template is a file by itself, such as a feed: its function returns the text or bytes.
Values contain no addresses, no ages and nothing of this machine, so that two clones export the same bytes.
"""
