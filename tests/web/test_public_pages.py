"""`site --public` exports no e-mail addresses: no file contains a text that looks like an address."""

import re
from collections.abc import Iterator
from pathlib import Path

import editing
import pytest

from gitmodel import Client, RunFailed, pipeline, step
from gitmodel.web.export.site import export_board, export_site
from gitmodel.web.options import FaultyArtifact, SiteOptions, VerifiedArtifacts
from gitmodel.web.shown_text import TextRules

ADDRESSES = (
    "ada@laptop, <bob@desk>, cleo@example.com, o'neil+x@a-b.example.org, dan%40example.com, "
    r"eve\@example.com, fay&#64;example.com, mailto:gus@example.com"
)
# Texts that stay although they look like addresses: references of versions, and names of metrics.
KEPT = "iris@2, iris@production, iris@shadow, iris@spring, recall@10, mAP@0.5, hits@k, @org/team"
_FORM = re.compile(r"[\w.+'-]+(?:\\{0,2}@|%40|&#64;)[\w-]+(?:\.[\w-]+)*|<[^<>\s@]+@[^<>\s]+>")
_NO_ADDRESS = re.compile(r"(iris|wine)@(\d+|N|production|shadow|spring)|recall@10|mAP@0.5|hits@k|MODEL@VERSION")


@step
def _fails(note: str) -> None:
    raise ValueError(ADDRESSES)


@pipeline
def faulty(note: str) -> None:
    _fails(note)


@pytest.fixture
def client(code_repo: Path, tmp_path: Path) -> Iterator[Client]:
    """A registry with e-mail addresses in every field that can contain text."""
    for key, value in (("user.name", "Ada ada@laptop"), ("user.email", "ada@laptop")):
        editing.run(code_repo, "config", key, value)
    note = tmp_path / "note"
    note.write_text(f"# Note\n{ADDRESSES}\n", encoding="utf-8")
    with Client(code_repo) as client:
        model = client.register_model(
            "iris", title=ADDRESSES, owners=["ada@laptop", "Bob <bob@desk>"], tags=["of cleo@desk"], license="bob@desk",
            description=f"{ADDRESSES}; **{KEPT}**",
        )  # fmt: skip
        client.register_model("wine", description=ADDRESSES)
        for number in (1, 2):
            with client.start_run("train") as run:
                run.log_parameters(by=ADDRESSES)
                metadata = {"by": [ADDRESSES], "of": {"ada@laptop": ADDRESSES}, "accuracy": number / 4}
                run.create_version("iris", description=ADDRESSES, metadata=metadata, deployments={"note": str(note)})
            client.promote(f"iris@{number}", "production", reason=f"{ADDRESSES}; {KEPT}")
        model.create_version(tags=["of cleo@desk"], name="spring")
        client.set_alias("iris@1", "shadow")
        client.add_stage("canary", reason=ADDRESSES)
        client.add_gate("canary", "good", "metadata.by != 'ada@laptop'", message=ADDRESSES, reason=ADDRESSES)
        with pytest.raises(RunFailed):
            faulty.run(client=client, note=ADDRESSES)
        client.propose(("iris@1", "production"), reason=ADDRESSES)
        editing.edit(code_repo, {"allowed_signers": "ada@laptop ssh-ed25519 AAAA\n"}, "Add ada@laptop")
        editing.edit(code_repo, {"models/iris/versions/7.toml": 'number = "ada@laptop"\n'}, "Break it, ada@laptop")
        yield client


def shown_addresses(folder: Path) -> set[str]:
    """Return the texts in files of *folder* that look like e-mail addresses, with their files."""
    found = set()
    for path in folder.rglob("*"):
        text = path.read_bytes().decode("utf-8", "replace") if path.is_file() else ""
        for one in _FORM.finditer(text):
            if not _NO_ADDRESS.fullmatch(one[0]):
                found.add(f"{path.relative_to(folder)}: {one[0]}")
    return found


def test_no_file_of_a_public_site_contains_an_e_mail_address(client: Client, tmp_path: Path) -> None:
    verified = VerifiedArtifacts(1, (FaultyArtifact("sha256:" + "0" * 64, ("iris@1",), ADDRESSES, False),))
    options = SiteOptions(title="Models of ada@laptop", artifacts=True, public=True, verified=verified)
    export_site(client, tmp_path / "site", options)
    assert shown_addresses(tmp_path / "site") == set()
    text = (tmp_path / "site/m/iris/index.html").read_text(encoding="utf-8")
    assert KEPT in text
    export_board([client, client], tmp_path / "board", options)
    assert shown_addresses(tmp_path / "board") == set()


def test_a_site_that_is_not_public_contains_all_e_mail_addresses(client: Client, tmp_path: Path) -> None:
    export_site(client, tmp_path / "site", SiteOptions(artifacts=True))
    found = {one.partition(": ")[2] for one in shown_addresses(tmp_path / "site")}
    assert {"ada@laptop", "cleo@example.com", "dan%40example.com", "o'neil+x@a-b.example.org"} <= found
    assert not any("pw@" in one for one in found)


@pytest.mark.parametrize(
    "address",
    [
        "<ada@laptop>", "<ada@laptop.(none)>", "o'brien@example.com", '"ada b"@example.com', "<ada+x@a-b.example>",
        "ada@laptop", "ada@laptop2", "ada@10.0.0.1", "ada%40laptop", r"ada\@laptop", "ada&#64;laptop",
        "ada&commat;example.com", "édith@exämple.fr", "churn@laptop", "ada&#x40;laptop",
    ],
)  # fmt: skip
def test_a_public_text_has_no_e_mail_address_of_any_form(address: str) -> None:
    rules = TextRules(public=True, is_version=lambda model, word: (model, word) == ("churn", "champion"))
    assert rules.text(f"Ada {address}, churn@13") == "Ada, churn@13"


@pytest.mark.parametrize(
    "text",
    ["churn@13", "churn@champion", "recall@k", "mAP@0.5", "@org/team", "it@sha256:ab", "a @ b"],
)
def test_a_public_text_keeps_references_of_versions_and_names_of_metrics(text: str) -> None:
    rules = TextRules(public=True, is_version=lambda model, word: (model, word) == ("churn", "champion"))
    assert rules.text(text) == text
