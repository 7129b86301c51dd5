"""All kinds of artifact stores. A test with `@pytest.mark.parametrize("kind", KINDS)` runs on each of them."""

import os

import pytest

# tests/test_artifact_store.py and tests/stores/test_interruptions.py run all their tests on each kind in these lists.
SERVERS = ("s3", "oci", "sftp", "gcs", "azure")
KINDS = ["default", "shared", *(pytest.param(kind, marks=pytest.mark.xdist_group(kind)) for kind in SERVERS)]
# The servers delete unfinished uploads after a time, and do not list them to clients.
EXPIRING = ("oci", "gcs", "azure")


def url_of(kind, request, tmp_path):
    """Return the URL of an unused store of this kind. "" stands for the default store, a folder in a repository."""
    if kind == "default":
        return ""
    if kind == "shared":
        return (tmp_path / "shared store").as_uri()
    if kind == "sftp":
        return f"sftp://{request.getfixturevalue('sftp')}{tmp_path}/shared store"
    if kind == "oci":
        return f"oci://{request.getfixturevalue('registry')}/models/{os.urandom(8).hex()}"
    return request.getfixturevalue("s3").prefix() if kind == "s3" else request.getfixturevalue(kind)


def read(store, digest):
    """Return the bytes of the object with this digest."""
    with store.open(digest) as reader:
        return reader.read()
