"""`git model check` reports the faults of records that a person or another program wrote to the metadata branch."""

from collections.abc import Callable
from pathlib import Path

import pytest
from editing import begin_at_format, edit, read

from gitmodel import Client
from gitmodel.domain.urls import holds_credentials
from gitmodel.registry.health.checking import check
from gitmodel.teams.checks.range_checks import check_between


def test_a_record_whose_canonical_form_is_too_long_is_reported(code_repo: Path, git: Callable[..., str]) -> None:
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


DIGEST = "sha256:" + "ab" * 32
STONE = f'digest = "{DIGEST}"\npurged = 2026-11-23T10:12:13Z\nreason = "asked for"\n'
STAGES = '\n[[stages]]\nname = "staging"\n'
VERSION = (
    "number = 1\ncreated = 2026-11-23T10:12:13Z\n\n[[artifacts]]\n"
    f'name = "raw"\nkind = "data"\ndigest = "{DIGEST}"\nsize = 3\nformat = "csv"\n'
)


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (
            {"gitmodel.toml": f'format = "1.1"\nstore = "s3://id:secret@bucket/x"\n{STAGES}'},
            [("gitmodel.toml", "store", "registry.stores")],
        ),
        (
            {"gitmodel.toml": f'format = "1.1"\n\n[stores]\nold = "https://host/x?X-Amz-Signature=1"\n{STAGES}'},
            [("gitmodel.toml", "stores.old", "registry.stores")],
        ),
        (
            {"gitmodel.toml": f'format = "1.0"\n\n[stores]\nold = "s3://bucket/x"\n{STAGES}'},
            [("gitmodel.toml", "", "record.format")],
        ),
        (
            {"models/iris/model.toml": 'created = 2026-11-23T10:12:13Z\nstore = "old"\n'},
            [("models/iris/model.toml", "", "record.format"), ("models/iris/model.toml", "store", "model.store")],
        ),
        (
            {"models/iris/versions/1.toml": f'{VERSION}uri = "https://ada:pw@host/raw.csv"\n'},
            [
                ("models/iris/versions/1.toml", "artifacts.raw.uri", "registry.stores"),
                ("models/iris/versions/1.toml", "", "record.format"),
            ],
        ),
        (
            {f"purged/cd/{'ab' * 31}.toml": STONE.replace("asked for", " ")},
            [
                (f"purged/cd/{'ab' * 31}.toml", "digest", "purge.digest"),
                (f"purged/cd/{'ab' * 31}.toml", "reason", "purge.digest"),
                (f"purged/cd/{'ab' * 31}.toml", "", "record.format"),
            ],
        ),
        ({f"purged/ab/{'ab' * 31}.toml": STONE, "gitmodel.toml": f'format = "1.1"\n{STAGES}'}, []),
    ],
)
def test_check_reports_faults_in_records_of_stores_external_artifacts_and_tombstones(code_repo, files, wanted):
    with Client(code_repo) as client:
        client.register_model("iris")
        begin_at_format(code_repo, "1.0")
        edit(code_repo, files)
        found = check(client.repository)
    assert sorted((problem.path, problem.key, problem.rule) for problem in found) == sorted(wanted)


def test_check_refuses_a_change_or_removal_of_a_tombstone(code_repo, git):
    with Client(code_repo) as client:
        client.register_model("iris")
        path = f"purged/ab/{'ab' * 31}.toml"
        base = edit(code_repo, {path: STONE, "gitmodel.toml": f'format = "1.1"\n{STAGES}'})
        for change in ({path: None}, {path: STONE.replace("asked for", "asked")}):
            head = edit(code_repo, change)
            found = check_between(client.repository, base, head).problems
            assert [(problem.path, problem.rule) for problem in found] == [(path, "change.purge")]
            git(code_repo, "update-ref", "refs/heads/gitmodel", base)


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("s3://bucket/models", False),
        ("s3://bucket/models?endpoint=http://127.0.0.1:8333&region=eu", False),
        ("sftp://ada@host/models", False),
        ("https://example.com/a@b/raw.csv?version=3", False),
        ("/srv/models?key=1", False),
        ("sftp://ada:pw@host/models", True),
        ("https://token@example.com/x", True),
        ("id:secret@bucket/x", True),
        ("az://c/x?sv=1&sig=abc", True),
        ("s3://b/x?AWSAccessKeyId=1&Expires=2&Signature=3", True),
        ("gs://b/x?X-Goog-Signature=1", True),
        ("s3://b/x?a=1;secret=2", True),
    ],
)
def test_a_url_is_searched_for_credentials(url, secret):
    assert holds_credentials(url) is secret


COMMENTED = (
    '# ours\nformat = \'1.2\'  # as it began\n\n[[stages]]\r\n"name"="staging"\n[[stages]]\nname = "production"\n'
)


def test_gitmodel_toml_may_have_comments_and_any_layout(code_repo):
    with Client(code_repo) as client:
        client.register_model("iris")
        edit(code_repo, {"gitmodel.toml": COMMENTED})
        assert check(client.repository) == []
        client.add_store("large", (code_repo.parent / "large").as_uri())
        store = f'\r\n[stores]\r\nlarge = "{(code_repo.parent / "large").as_uri()}"\r\n'
        assert read(code_repo, "gitmodel.toml") == COMMENTED.replace("began\n", f"began\n{store}")
        assert check(client.repository) == []


def test_a_comment_with_characters_that_change_the_order_of_displayed_text_is_reported(code_repo):
    with Client(code_repo) as client:
        client.register_model("iris")
        edit(code_repo, {"gitmodel.toml": COMMENTED.replace("ours", "\u202eours")})
        (found,) = check(client.repository)
    assert (found.path, found.rule) == ("gitmodel.toml", "record.canonical")
    assert "U+202E" in found.message
