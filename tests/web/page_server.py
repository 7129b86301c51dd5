"""Run the local server of the pages in a thread of a test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from gitmodel import Client
from gitmodel.web.options import SiteOptions
from gitmodel.web.server import HOST, listen, uvicorn_server

DEFAULT = SiteOptions()


@contextmanager
def serving(client: Client, options: SiteOptions = DEFAULT) -> Iterator[str]:
    """Serve the pages of *client*, with the *options* of the site, until the block ends. Yields the address."""
    socket, server = listen(0), uvicorn_server(client, options)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
    thread.start()
    try:
        yield f"http://{HOST}:{socket.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()
        socket.close()
