"""`docs/reference/format.md` agrees with the code: keys of records, examples, digests, limits and names of rules."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from gitmodel.domain.rules import change_rules
from gitmodel.domain.rules.invariants import RULES
from gitmodel.domain.schema import codec, manifest, names, paths, record_values, records, toml_values
from gitmodel.domain.schema.codec import SCHEMAS, Record
from gitmodel.domain.schema.digests import digest_of
from gitmodel.domain.schema.registry_rules import registry_record
from gitmodel.teams.checks import received_pushes

PAGE = (Path(__file__).parents[2] / "docs/reference/format.md").read_text(encoding="utf-8")
RECORDS: dict[str, type[Record]] = {
    "`gitmodel.toml`": registry_record.RegistryRecord,
    "`model.toml`": records.ModelRecord,
    "`versions/<n>.toml`": records.VersionRecord,
    "`names/<hh>/<name>.toml`": records.NameRecord,
    "`runs/<yyyy>/<mm>/<dd>/<run id>.toml`": records.RunRecord,
    "`stages/<stage>.toml` and `aliases/<alias>.toml`": records.StageRecord,
    "`purged/<hh>/<other 62 hex digits>.toml`": records.PurgeRecord,
}


def section(title: str) -> str:
    """Return the text of the page below the heading *title*, up to the next heading."""
    found = re.search(rf"^##+ {re.escape(title)}\n(.*?)(?=^##+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {title}"
    return found[1]


def key_tables(text: str) -> list[list[tuple[str, str]]]:
    """Return the columns for key and default of each table of keys in *text*."""
    tables = re.findall(r"^\| key \| type \| default \|\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    rows = [[line.strip("|").split("|") for line in table.splitlines()] for table in tables]
    return [[(row[0].strip(" `"), row[-1].strip()) for row in table] for table in rows]


def records_in(kind: type[Record]) -> list[type[Record]]:
    below = (records_in(key.table) for key in SCHEMAS[kind].keys if key.table is not None)
    return [kind, *(found for kinds in below for found in kinds)]


@pytest.mark.parametrize(
    ("title", "rules"), [("Invariants", RULES), ("Changes", change_rules.RULES), ("Pushes", received_pushes.RULES)]
)
def test_the_page_lists_the_rules_that_the_program_knows(title: str, rules: Mapping[str, str]) -> None:
    assert dict(re.findall(r"^\| `([a-z.-]+)` \| (.*) \|$", section(title), re.MULTILINE)) == dict(rules)


def test_every_rule_that_the_page_or_the_program_names_is_in_the_table() -> None:
    package = Path(codec.__file__).parents[1]
    families = "|".join({rule.split(".")[0] for rule in RULES})
    named = set(re.findall(rf"`((?:{families})\.[a-z-]+)`", PAGE))
    for module in package.rglob("*.py"):
        named |= set(re.findall(rf" \[((?:{families})\.[a-z-]+)\]", module.read_text(encoding="utf-8")))
    files = {"model.toml"}
    assert named - files <= set(RULES)


@pytest.mark.parametrize("title", RECORDS)
def test_the_tables_list_the_keys_in_the_order_of_the_record(title: str) -> None:
    for table, kind in zip(key_tables(section(title)), records_in(RECORDS[title]), strict=True):
        keys = SCHEMAS[kind].keys
        assert [name for name, _ in table] == [key.name for key in keys]
        required = [name for name, default in table if default == "required"]
        assert required == [key.name for key in keys if key.required]


@pytest.mark.parametrize("title", RECORDS)
def test_every_example_of_a_record_is_in_canonical_form(title: str) -> None:
    examples = re.findall(r"^```toml\n(.*?)^```", section(title), re.MULTILINE | re.DOTALL)
    assert examples
    for example in examples:
        record = codec.decode(RECORDS[title], example.encode(), "the page")
        assert codec.encode(record).decode() == example


def test_the_page_shows_the_archived_marker_that_the_program_writes() -> None:
    text = section("`stages/archived/<n>.toml`")
    assert f"```toml\n{records.ARCHIVED_MARKER.decode()}```" in text
    assert f"always contains the {len(records.ARCHIVED_MARKER)} bytes" in text


def test_the_digest_of_links_on_the_format_page_is_that_of_its_example() -> None:
    example = re.findall(r"^```toml\n(.*?)^```", section("`versions/<n>.toml`"), re.MULTILINE | re.DOTALL)[0]
    version = codec.decode(records.VersionRecord, example.encode(), "the page")
    digest = records.links_digest(version.artifacts)
    text = section("The digest of links")
    block = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[0]
    assert f"the digest is `{digest}`" in text
    assert f"sha256:{hashlib.sha256(block.encode()).hexdigest()}" == digest
    assert f"`{records.links_digest(())}`" in text
    assert digest in section("`stages/<stage>.toml` and `aliases/<alias>.toml`")


def test_the_manifest_on_the_format_page_is_that_of_its_example_folder() -> None:
    text = section("Folders")
    block = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[0].encode()
    entries = manifest.parse_manifest(block)
    assert entries == ((digest_of(b"one"), 3, "a.txt"), (digest_of(b"four"), 4, "sub/b.txt"))
    assert f"`{digest_of(block)}`" in text


def test_the_page_lists_the_limits_of_the_program() -> None:
    assert f"at most {codec.MAX_BYTES:,} bytes" in PAGE
    assert f"keys of 1 to {toml_values.MAX_KEY} characters" in PAGE
    assert f"at most {toml_values.MAX_NESTING} deep" in PAGE
    assert f"This page is {record_values.FORMAT[0]}.{record_values.FORMAT[1]}." in PAGE


def test_the_page_has_the_grammar_of_names_that_the_program_uses() -> None:
    pattern = re.findall(r"^```\n(.*?)^```", section("Names"), re.MULTILINE | re.DOTALL)[0].strip()
    assert names._NAME.pattern.replace("(?:", "(") == pattern
    assert "`1.2.3` is in `c4`" in PAGE
    assert paths.name_file("iris", "1.2.3") == "models/iris/names/c4/1.2.3.toml"


def test_the_page_lists_the_host_files_that_the_branch_keeps() -> None:
    sentence = re.search(r"no program reads them as records: (.*?)\n- ", section("The tree"), re.DOTALL)
    assert sentence
    assert set(re.findall(r"`([^`]+)`", sentence[1])) == paths.HOST_FILES
