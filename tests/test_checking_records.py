"""`check` on records that a person or another program wrote."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gitmodel import Client
from gitmodel.registry.checking import check


def test_a_record_too_long_in_the_canonical_way_is_reported(code_repo: Path, git: Callable[..., str]) -> None:
    words = ",".join(f'"{number:04}"' for number in range(7000))
    record = f"created = 2026-11-23T10:12:13Z\ntags = [{words}]\n"
    with Client(code_repo) as client:
        client.register_model("iris")
        git(code_repo, "worktree", "add", "-q", "../branch", "gitmodel")
        branch = code_repo.parent / "branch"
        (branch / "models/iris/model.toml").write_text(record, encoding="utf-8")
        git(branch, "commit", "-qam", "Edit by hand")
        found = check(client.repository)
    assert [(problem.path, problem.rule) for problem in found] == [("models/iris/model.toml", "record.canonical")]
