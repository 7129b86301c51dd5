"""A real browser for tests of pages: Chromium, which Playwright controls. Each process of the tests starts one.

A `Visitor` opens pages and collects their faults: errors on the console (such as a violation of the content security
policy), exceptions of scripts, and requests to another origin.
"""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Error, Page, sync_playwright
from store_servers import require

CHROMIUM = shutil.which("chromium")
NODE_MODULES = Path(__file__).resolve().parents[2] / ".nox" / "npm" / "node_modules"
AXE = NODE_MODULES / "axe-core" / "axe.min.js"
ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # prevents requests to other machines
]
TIMEOUT = 30_000  # in milliseconds, and long, because the machine may be busy

_FIND_VIOLATIONS = """async () => {
    const result = await axe.run(document, {preload: false, resultTypes: ["violations"]})
    return result.violations.flatMap(rule => rule.nodes.map(
        node => `${rule.id}: ${node.target.join(" ")}: ${node.failureSummary.replace(/\\s+/g, " ")}`))
}"""


class Chromium:
    """The browser of this process. Playwright controls it from an event loop of its own."""

    def __init__(self, browser: Browser, loop: asyncio.AbstractEventLoop) -> None:
        self.browser = browser
        self._loop = loop

    @contextmanager
    def in_use(self) -> Iterator[Browser]:
        """Give the browser to the block. After the block, other tests can use `asyncio` in this thread again."""
        asyncio._set_running_loop(self._loop)
        try:
            yield self.browser
        finally:
            asyncio._set_running_loop(None)


@contextmanager
def chromium() -> Iterator[Chromium]:
    """Start Chromium, with a new profile, and end it after the block. Skips the test if Chromium is missing."""
    require(CHROMIUM, "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, chromium_sandbox=False)
        used = Chromium(browser, asyncio.get_running_loop())
        asyncio._set_running_loop(None)
        try:
            yield used
        finally:
            with used.in_use():
                browser.close()
            asyncio._set_running_loop(used._loop)  # Playwright needs its event loop to end the browser


class Visitor:
    """Opens pages in the browser. *faults* describes what is wrong on these pages."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.faults: list[str] = []

    def open(
        self,
        url: str,
        *,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        script: bool = True,
        site: Path | None = None,
    ) -> Page:
        """Open *url* in a new window without cookies and cache. Only the origin of *url* may receive requests.

        For a URL of the scheme `file`, which has no origin, only files in the folder *site* may be read. The default is
        the folder of the page. If *script* is False, scripts on the page do not run.
        """
        context = self._browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        context.set_default_timeout(TIMEOUT)
        allowed = f"{site.as_uri()}/" if site else _allowed(url)
        page = context.new_page()
        page.on("console", lambda said: self._note(f"console: {said.text}") if said.type == "error" else None)
        page.on("pageerror", lambda error: self._note(f"exception: {error}"))
        page.on("websocket", lambda socket: self._note(f"a socket was opened: {socket.url}"))
        page.on("request", lambda sent: self._check(sent.url, allowed))
        page.goto(url)
        return page

    def take_faults(self) -> list[str]:
        """Return the faults found so far, and forget them, so that they do not fail the test."""
        self._receive()
        found, self.faults = self.faults, []
        return found

    def close(self) -> None:
        """Collect the faults that the browser has not yet reported, and close all windows."""
        self._receive()
        for context in self._browser.contexts:
            context.close()

    def _receive(self) -> None:
        """Receive pending events: ask each page for a value, because its events arrive before the answer."""
        for context in self._browser.contexts:
            for page in context.pages:
                with suppress(Error):  # a page that is being replaced does not answer
                    page.evaluate("0")

    def _check(self, url: str, allowed: str) -> None:
        if not url.startswith((allowed, "data:", "blob:")):
            self._note(f"a request left {allowed}: {url[:200]}")

    def _note(self, fault: str) -> None:
        self.faults.append(fault)


def _allowed(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return url.rpartition("/")[0] + "/"
    return f"{parts.scheme}://{parts.netloc}/"


def looks(page: Page) -> Iterator[tuple[int, bool]]:
    """Show *page* in a wide and a narrow window, in light and dark colours, without loading the page again.

    Yields the width of the window, and True if the colours are dark.
    """
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 900})
        for dark in (False, True):
            page.emulate_media(color_scheme="dark" if dark else "light", reduced_motion="reduce")
            yield width, dark


def accessibility_faults(page: Page) -> list[str]:
    """Return descriptions of the accessibility violations that axe-core finds on *page*."""
    require(AXE if AXE.exists() else None, "nodejs, and `python3 noxfile.py -s test`, which installs axe-core")
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    return page.evaluate(_FIND_VIOLATIONS)
