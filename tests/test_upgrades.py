"""Registries of older formats can be read and changed. The tests clone git bundles that earlier releases wrote.

In each bundle, the model iris has version 1 (archived, alias champion) and version 2 (in production, before that in
staging), and the model wine has no version. The bundle of format 1.1 also has a second store.
"""

from pathlib import Path

import pytest
from transcripts import said, succeed

BUNDLES = Path(__file__).with_name("upgrades")
FORMATS = sorted(path.stem.removeprefix("format-") for path in BUNDLES.glob("*.bundle"))
OBJECTS = {
    "1b465fa6b6bcbc06a3199e3d2d8aec35d37494a712f888b6d5536684dd89d0f0": b"weights\n",
    "52186c933993da4082b3cdc7c40bb4bf735b391ff54a2ef78c037dda6c38a680": b"1,2\n",
}


@pytest.fixture
def registry(format, tmp_path, git, monkeypatch):
    """A clone of the bundle of *format*, with a store that has the artifacts as the earlier release wrote them."""
    code = tmp_path / "code"
    git(tmp_path, "clone", "-q", str(BUNDLES / f"format-{format}.bundle"), str(code))
    git(code, "fetch", "-q", "origin", "refs/heads/gitmodel:refs/heads/gitmodel", "refs/tags/model/*:refs/tags/model/*")
    for digest, content in OBJECTS.items():
        kept = code / ".git/gitmodel/store/sha256" / digest[:2] / digest[2:]
        kept.parent.mkdir(parents=True)
        kept.write_bytes(content)
    monkeypatch.chdir(code)
    return code


def written_format(git, registry):
    return git(registry, "show", "gitmodel:gitmodel.toml").splitlines()[0]


@pytest.mark.parametrize("format", FORMATS)
def test_commands_read_a_registry_of_an_older_format_without_errors(format, registry, capsys, git):
    assert written_format(git, registry) == f'format = "{format}"'
    succeed(capsys, "check")
    succeed(capsys, "verify")
    iris, wine = said(capsys, "list")[1]
    assert (iris["versions"], iris["stages"], iris["aliases"]) == (2, {"production": 2}, {"champion": 1})
    assert (wine["name"], wine["versions"]) == ("wine", 0)
    first, second = (said(capsys, "show", f"iris@{n}")[1] for n in (1, 2))
    assert (first["name"], first["stage"], first["metadata"]) == ("1.0.0", "archived", {"accuracy": 0.9})
    assert second["metadata"] == {"accuracy": 0.95, "rows": 150}
    history = said(capsys, "history", "iris")[1]
    assert [(event["stage"], event["version"], event["reason"]) for event in history] == [
        ("champion", 1, ""),
        ("production", 2, "better"),
        ("staging", None, "better"),
        ("staging", 2, "more rows"),
        ("production", 1, "first"),
    ]
    succeed(capsys, "get", "iris@champion", "classifier", "-o", "classifier")
    assert (registry / "classifier").read_bytes() == b"weights\n"


@pytest.mark.parametrize("format", FORMATS)
def test_the_format_of_a_registry_rises_only_with_a_change_that_needs_the_newer_format(format, registry, capsys, git):
    succeed(capsys, "version", "create", "iris", "--metadata", "accuracy=0.97")
    succeed(capsys, "promote", "iris@3", "production", "--reason", "newer")
    succeed(capsys, "rollback", "iris", "production", "--reason", "older again")
    # The format did not rise, so the earlier release can still use the registry.
    assert written_format(git, registry) == f'format = "{format}"'
    succeed(capsys, "link", "iris@3", "--attachment", "report=train.py")
    assert written_format(git, registry) == 'format = "1.2"'
    succeed(capsys, "check")


@pytest.mark.parametrize("format", FORMATS)
def test_a_commit_that_restores_the_old_records_restores_the_older_format(format, registry, capsys, git):
    before = git(registry, "rev-parse", "gitmodel^{tree}")
    succeed(capsys, "metadata", "set", "iris@2", "note=new")
    succeed(capsys, "link", "iris@2", "--attachment", "report=train.py")
    old = git(registry, "rev-parse", "gitmodel~2")
    made = git(registry, "commit-tree", f"{old}^{{tree}}", "-p", "gitmodel", "-m", "Go back to the format of before")
    git(registry, "update-ref", "refs/heads/gitmodel", made)
    assert git(registry, "rev-parse", "gitmodel^{tree}") == before
    succeed(capsys, "check")
    assert said(capsys, "list")[1][0]["stages"] == {"production": 2}
