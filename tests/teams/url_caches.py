"""For tests: what the cache of a registry by URL contains, and the number of requests to the server."""

import subprocess


def entry(client):
    """Return the folder in the cache for the registry of *client*."""
    return client.repository.common_dir.parent


def objects(client, name, kind):
    """Return the number of objects of a *kind* in the repository *name* of the cache, without fetching any."""
    command = ["git", "-C", str(entry(client) / name), "cat-file", "--batch-all-objects", "--batch-check=%(objecttype)"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return said.split().count(kind)


def trips(host, work):
    """Call *work*, and return the number of requests that the server *host* received."""
    host.seen.clear()
    work()
    return len(host.seen)
