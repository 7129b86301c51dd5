"""The records of the format (models, versions, stages, runs and others): writing a record and reading it gives the same
record, keys of newer formats are kept, and an error names file, key and rule.
"""

from dataclasses import replace
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmodel.domain.schema import codec, record_values, records
from gitmodel.domain.schema.names import check_version_name, fault_in
from gitmodel.domain.schema.records import (
    ArtifactLink,
    Attachment,
    Code,
    ModelRecord,
    NameRecord,
    PurgeRecord,
    StageRecord,
    VersionRecord,
    links_digest,
)
from gitmodel.domain.schema.registry_rules import registry_file, registry_record
from gitmodel.domain.schema.registry_rules.registry_file import encode_registry
from gitmodel.domain.schema.registry_rules.registry_record import RegistryRecord, StageRule
from gitmodel.errors import Invalid

repeatable = settings(derandomize=True, deadline=None, max_examples=60)
WHEN = datetime(2026, 11, 23, 10, 12, 13, tzinfo=timezone.utc)
DIGEST = "sha256:" + "ab" * 32
COMMIT = "9fceb02d0ae598e95dc970b74767f19372d61af8"

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
WORDS = st.sets(TEXT, max_size=4).map(lambda words: tuple(sorted(words)))
MOMENTS = st.datetimes(timezones=st.just(timezone.utc)).map(lambda moment: moment.replace(microsecond=0))
NUMBERS = st.integers(1, 10**18 - 1)
DIGESTS = st.binary(min_size=32, max_size=32).map(lambda data: f"sha256:{data.hex()}")
NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda name: fault_in(name) is None
)
METADATA = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10),
    st.one_of(
        st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.booleans(), TEXT, st.lists(TEXT, max_size=3)
    ),
    max_size=4,
)
RUNS = st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}", fullmatch=True), max_size=3).map(tuple)
OPTIONAL_TEXT = st.none() | TEXT


def is_version_name(name):
    try:
        return check_version_name(name) == name
    except Exception:
        return False


CODE = st.builds(
    Code,
    commit=st.none()
    | st.binary(min_size=20, max_size=20).map(bytes.hex)
    | st.binary(min_size=32, max_size=32).map(bytes.hex),
    dirty=st.none() | st.booleans(),
    repository=OPTIONAL_TEXT,
    outside=st.booleans(),
)
LINK = st.builds(
    ArtifactLink,
    name=NAMES,
    kind=st.sampled_from(record_values.KINDS),
    digest=DIGESTS,
    size=st.integers(0, 2**63 - 1),
    format=st.sampled_from(["json", "skops", "folder", "bytes"]),
    pipeline=st.none() | NAMES,
    step=OPTIONAL_TEXT,
    metadata=METADATA,
    uri=OPTIONAL_TEXT,
    version_id=OPTIONAL_TEXT,
    digest_by=st.none() | st.just("provider"),
    needs_trust=st.sets(TEXT, max_size=3).map(sorted).map(tuple),
    file=st.none() | NAMES,
)
ATTACHMENT = LINK.map(lambda link: Attachment(**{**vars(link), "kind": records.ATTACHMENT}))
RECORDS = {
    "registry": st.builds(
        RegistryRecord,
        format=st.just("1.0"),
        store=OPTIONAL_TEXT,
        stores=st.dictionaries(NAMES, TEXT, max_size=3),
        stages=st.lists(st.builds(StageRule, name=NAMES), max_size=4).map(tuple),
    ),
    "model": st.builds(
        ModelRecord,
        created=MOMENTS,
        **dict.fromkeys(["title", "license", "description", "audience", "use_cases"], TEXT),
        **dict.fromkeys(["limitations", "trade_offs", "ethics", "reason"], TEXT),
        tags=WORDS,
        owners=WORDS,
        store=st.none() | NAMES,
        deleted=st.none() | MOMENTS,
        last_number=st.none() | st.integers(0, 10**18),
        renamed_to=st.none() | NAMES,
        metadata=METADATA,
    ),
    "version": st.builds(
        VersionRecord,
        number=NUMBERS,
        created=MOMENTS,
        name=st.none() | NAMES.filter(is_version_name),
        description=TEXT,
        tags=WORDS,
        runs=RUNS,
        failed=st.booleans(),
        deleted=st.none() | MOMENTS,
        reason=TEXT,
        code=st.none() | CODE,
        metadata=METADATA,
        artifacts=st.lists(LINK, max_size=3).map(tuple),
        attachments=st.lists(ATTACHMENT, max_size=2).map(tuple),
    ),
    "name": st.builds(NameRecord, version=NUMBERS),
    "stage": st.builds(StageRecord, version=NUMBERS, artifacts=DIGESTS, reason=TEXT, forced=WORDS),
    "purge": st.builds(PurgeRecord, digest=DIGESTS, purged=MOMENTS, reason=TEXT),
}


@pytest.mark.parametrize("kind", RECORDS)
@repeatable
@given(data=st.data())
def test_any_record_has_the_same_bytes_after_writing_reading_and_writing(kind, data):
    record = data.draw(RECORDS[kind])
    written = codec.encode(record)
    found = codec.decode(type(record), written, "x.toml")
    assert found == record
    assert codec.encode(found) == written


@pytest.mark.parametrize("kind", RECORDS)
@repeatable
@given(data=st.data())
def test_any_record_keeps_the_keys_of_a_newer_minor_format(kind, data):
    unknown = {f"new {key}": value for key, value in data.draw(METADATA).items()}
    tables = {"new table": {"a": {"b": 1}}, "new tables": [{"c": 1}, {}]}
    record = replace(data.draw(RECORDS[kind]), extra={**unknown, **tables})
    written = codec.encode(record)
    found = codec.decode(type(record), written, "x.toml", newer=True)
    assert codec.encode(found) == written
    assert found == record
    with pytest.raises(Invalid, match=r"record.unknown-key"):
        codec.decode(type(record), written, "x.toml")


def test_the_record_of_a_version_is_written_in_the_canonical_form():
    record = VersionRecord(
        number=4,
        name="1.2.3",
        created=WHEN,
        description="The one with more data.",
        tags=("baseline",),
        runs=("20261123T101112Z-train-7f3a",),
        code=Code(commit=COMMIT, dirty=False, repository="https://example.com/iris.git"),
        metadata={"accuracy": 0.97},
        artifacts=(
            ArtifactLink(
                name="classifier",
                kind="model",
                digest=DIGEST,
                size=48211,
                format="skops",
                pipeline="train",
                step="fit",
                metadata={"rows": 150},
            ),
            ArtifactLink(name="data", kind="data", digest=DIGEST, size=12, format="bytes"),
        ),
    )
    assert codec.encode(record).decode() == (
        "number = 4\n"
        'name = "1.2.3"\n'
        "created = 2026-11-23T10:12:13Z\n"
        'description = "The one with more data."\n'
        "tags = [\n"
        '    "baseline",\n'
        "]\n"
        "runs = [\n"
        '    "20261123T101112Z-train-7f3a",\n'
        "]\n"
        "\n"
        "[code]\n"
        f'commit = "{COMMIT}"\n'
        "dirty = false\n"
        'repository = "https://example.com/iris.git"\n'
        "\n"
        "[metadata]\n"
        "accuracy = 0.97\n"
        "\n"
        "[[artifacts]]\n"
        'name = "classifier"\n'
        'kind = "model"\n'
        f'digest = "{DIGEST}"\n'
        "size = 48211\n"
        'format = "skops"\n'
        'pipeline = "train"\n'
        'step = "fit"\n'
        "\n"
        "[artifacts.metadata]\n"
        "rows = 150\n"
        "\n"
        "[[artifacts]]\n"
        'name = "data"\n'
        'kind = "data"\n'
        f'digest = "{DIGEST}"\n'
        "size = 12\n"
        'format = "bytes"\n'
    )


def test_a_promotion_is_a_change_of_one_line_of_the_stage_file():
    old = codec.encode(StageRecord(version=3, artifacts=DIGEST)).splitlines()
    new = codec.encode(StageRecord(version=4, artifacts=DIGEST)).splitlines()
    assert [pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]] == [(b"version = 3", b"version = 4")]


VERSION = {"number": "1", "created": "2026-11-23T10:12:13Z"}
STAGE = {"version": "4", "artifacts": f"'{DIGEST}'"}
ARTIFACT = {"name": "'a'", "kind": "'data'", "digest": f"'{DIGEST}'", "size": "1", "format": "'json'"}


def toml(**keys):
    return "".join(f"{key} = {value}\n" for key, value in keys.items()).encode()


WRONG = [
    (records.VersionRecord, toml(created="2026-11-23T10:12:13Z"), "number", "record.required"),
    (records.VersionRecord, toml(number="1"), "created", "record.required"),
    (records.VersionRecord, toml(**VERSION | {"number": "0"}), "number", "record.type"),
    (records.VersionRecord, toml(**VERSION | {"number": "'1'"}), "number", "record.type"),
    (records.VersionRecord, toml(**VERSION | {"number": "1.0"}), "number", "record.type"),
    (records.VersionRecord, toml(**VERSION | {"number": "99999999999999999999"}), "number", "record.type"),
    (records.VersionRecord, toml(**VERSION | {"created": "2026-11-23"}), "created", "record.type"),
    (records.VersionRecord, toml(**VERSION | {"created": "2026-11-23T10:12:13+01:00"}), "created", "record.type"),
    (records.VersionRecord, toml(**VERSION, name="'1'"), "name", "record.type"),
    (records.VersionRecord, toml(**VERSION, name="'latest'"), "name", "record.type"),
    (records.VersionRecord, toml(**VERSION, name="'../x'"), "name", "record.type"),
    (records.VersionRecord, toml(**VERSION, tags="['b', 'a']"), "tags", "record.type"),
    (records.VersionRecord, toml(**VERSION, tags="[1]"), "tags", "record.type"),
    (records.VersionRecord, toml(**VERSION, runs="['../x']"), "runs", "record.type"),
    (records.VersionRecord, toml(**VERSION, failed="1"), "failed", "record.type"),
    (records.VersionRecord, toml(**VERSION, metadata="[]"), "metadata", "record.type"),
    (records.VersionRecord, toml(**VERSION, code="{commit = 'HEAD'}"), "code.commit", "record.type"),
    (records.VersionRecord, toml(**VERSION, code="{branch = 'main'}"), "code.branch", "record.unknown-key"),
    (records.VersionRecord, toml(**VERSION, artifacts="[{}]"), "artifacts[0].name", "record.required"),
    (records.VersionRecord, toml(**VERSION, stage="'production'"), "stage", "record.unknown-key"),
    (records.StageRecord, toml(artifacts=f"'{DIGEST}'"), "version", "record.required"),
    (records.StageRecord, toml(version="4"), "artifacts", "record.required"),
    (records.StageRecord, toml(**STAGE | {"artifacts": "'sha256:AB'"}), "artifacts", "record.type"),
    (records.StageRecord, toml(**STAGE, forced="'gate'"), "forced", "record.type"),
    (records.NameRecord, toml(version="-1"), "version", "record.type"),
    (records.NameRecord, b"", "version", "record.required"),
    (records.ModelRecord, b"", "created", "record.required"),
    (records.ModelRecord, toml(created="2026-11-23T10:12:13Z", owners="'ada'"), "owners", "record.type"),
    (records.ModelRecord, toml(created="2026-11-23T10:12:13Z", renamed_to="'a/b'"), "renamed_to", "record.type"),
    (records.ModelRecord, toml(created="2026-11-23T10:12:13Z", last_number="-1"), "last_number", "record.type"),
    (registry_record.RegistryRecord, b"[[stages]]\nname = 'a'", "format", "record.required"),
    (registry_record.RegistryRecord, toml(format="1.0", stages="[]"), "format", "record.type"),
    (registry_record.RegistryRecord, toml(format="'one'", stages="[]"), "format", "record.type"),
    (registry_record.RegistryRecord, toml(format="'1.0'"), "stages", "record.required"),
    (registry_record.RegistryRecord, toml(format="'1.0'", stages="[{name = 'a b'}]"), "stages[0].name", "record.type"),
    *(
        (records.ArtifactLink, toml(**ARTIFACT | {key: value}), key, "record.type")
        for key, value in [
            ("name", "'a/b'"),
            ("kind", "'weights'"),
            ("kind", "['data']"),
            ("digest", "'md5:12'"),
            ("size", "-1"),
            ("format", "'A B'"),
            ("pipeline", "'-x'"),
            ("step", "1"),
            ("metadata", "1"),
        ]
    ),
]


@pytest.mark.parametrize(
    ("record", "data", "key", "rule"), WRONG, ids=[f"{case[0].__name__}-{case[2]}-{n}" for n, case in enumerate(WRONG)]
)
def test_the_error_for_a_record_names_file_key_and_rule(record, data, key, rule):
    with pytest.raises(Invalid) as caught:
        codec.decode(record, data, "models/iris/x.toml")
    assert caught.value.message.startswith(f"models/iris/x.toml, key {key}: ")
    assert caught.value.message.endswith(f"[{rule}]")
    assert caught.value.message.isascii()


def test_a_newer_minor_format_is_read_and_its_unknown_keys_are_kept():
    data = b'format = "1.9"\nreview = true\n\n[[stages]]\nname = "staging"\ncolour = "blue"\n'
    found = registry_file.decode_registry(data, "gitmodel.toml")
    assert found.newer
    assert found.stage_names == ("staging",)
    assert codec.encode(found) == data


def test_an_unknown_key_of_gitmodel_toml_outside_of_stages_is_kept_and_ignored():
    data = b'format = "1.0"\nstages = []\nreview = true\n'
    found = registry_file.decode_registry(data, "gitmodel.toml")
    assert not found.faults
    assert encode_registry(found) == data


def link(**values):
    return ArtifactLink(**{"name": "a", "kind": "data", "digest": DIGEST, "size": 1, **values})


def test_the_digest_of_all_artifact_links_does_not_depend_on_their_order_or_metadata():
    one, two = link(), link(name="b", kind="model")
    assert links_digest([one, two]) == links_digest([two, one])
    assert links_digest([replace(one, metadata={"rows": 3})]) == links_digest([one])
    assert links_digest([replace(one, extra={"new": 3})]) == links_digest([one])


@pytest.mark.parametrize(
    "other",
    [
        {"name": "b"},
        {"kind": "model"},
        {"digest": "sha256:" + "00" * 32},
        {"size": 2},
        {"format": "json"},
        {"pipeline": "train"},
        {"step": "fit"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_the_digest_of_all_artifact_links_depends_on_all_other_keys_of_every_link(other):
    assert links_digest([replace(link(), **other)]) != links_digest([link()])
    assert links_digest([link(), link(name="z")]) != links_digest([link()])


@repeatable
@given(st.lists(LINK, max_size=4, unique_by=lambda link: link.name), st.randoms(use_true_random=False))
def test_the_digest_of_all_artifact_links_is_the_same_after_writing_and_reading(links, random):
    written = codec.encode(VersionRecord(number=1, created=WHEN, artifacts=tuple(links)))
    random.shuffle(links)
    assert links_digest(codec.decode(records.VersionRecord, written, "x.toml").artifacts) == links_digest(links)
