"""The helpers in browser.py find faults of pages, so that the other tests can rely on them."""

import asyncio

import pytest
from browser import accessibility_faults
from web_pages import QuietHandler, QuietServer, running

GOOD = '<!doctype html><html lang="en"><title>Iris</title><main><h1>Iris</h1><p>Version 5</p></main>'
POLICY = "default-src 'none'; style-src 'self'"


@pytest.fixture
def show():
    """A function `show(html)` that serves one page with gitmodel's content security policy, and returns its URL."""

    class Handler(QuietHandler):
        def do_GET(self):
            found = {"/": page[-1], "/favicon.ico": b""}.get(self.path)
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Security-Policy", POLICY)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(found or b"")

    page: list[bytes] = []
    with running(QuietServer(Handler)) as server:
        yield lambda html: page.append(html.encode()) or server.url + "/"


def test_a_page_without_faults_is_accepted(show, visitor):
    page = visitor.open(show(GOOD))
    assert page.text_content("h1") == "Iris"
    assert accessibility_faults(page) == []
    assert visitor.faults == []


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<script>document.title = 1</script>", "Content Security Policy"),
        ('<p style="color: red">', "Content Security Policy"),
        ('<img src="/missing.png" alt="">', "Content Security Policy"),
        ('<link rel="stylesheet" href="/missing.css">', "404"),
    ],
)
def test_a_fault_of_a_page_is_found(show, visitor, body, fault):
    visitor.open(show(GOOD + body))
    assert any(fault in found for found in visitor.take_faults())


def test_a_request_that_leaves_the_origin_is_found(show, visitor):
    page = visitor.open(show(f'{GOOD}<a href="http://elsewhere.invalid/">elsewhere</a>'))
    with page.expect_event("requestfailed"):
        page.click("a", no_wait_after=True)
    assert any("a request left http://127.0.0.1" in found for found in visitor.take_faults())


@pytest.mark.parametrize(("dark", "script", "width"), [(False, True, 1280), (True, False, 360)])
def test_a_visitor_opens_a_page_with_the_given_width_colours_and_script(show, visitor, dark, script, width):
    page = visitor.open(show(f"{GOOD}<noscript>No script</noscript>"), dark=dark, script=script, width=width)
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == dark
    assert page.evaluate("innerWidth") == width
    assert page.is_visible("noscript") == (not script)


def test_violations_of_accessibility_are_named(show, visitor):
    page = visitor.open(show("<!doctype html><title>Iris</title><main><h1>Iris</h1><button></button></main>"))
    found = accessibility_faults(page)
    assert any(fault.startswith("html-has-lang: html: ") for fault in found)
    assert any(fault.startswith("button-name: button: ") for fault in found)


def test_a_page_of_a_folder_may_read_only_files_of_the_folder(tmp_path, visitor):
    (tmp_path / "site").mkdir()
    (tmp_path / "outside.css").write_text("", encoding="utf-8")
    (tmp_path / "site" / "index.html").write_text(f'{GOOD}<link rel="stylesheet" href="../outside.css">', "utf-8")
    visitor.open((tmp_path / "site" / "index.html").as_uri())
    (fault,) = visitor.take_faults()
    assert fault.startswith("a request left file:///")


def test_other_tests_of_the_process_can_use_asyncio(chromium):
    assert asyncio.run(asyncio.sleep(0, "done")) == "done"
