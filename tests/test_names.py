"""Names of models, versions, aliases and artifacts: gitmodel uses a valid name unchanged in paths and refs. It refuses
every other name with an error that says the fault and the allowed characters.
"""

import re
import subprocess

import pytest
from expected_errors import error_with_hint
from hypothesis import given, settings
from hypothesis import strategies as st

from gitmodel.domain.schema import paths
from gitmodel.domain.schema.names import (
    MAX_LENGTH,
    check_alias,
    check_name,
    check_version_name,
    fault_in,
    fold,
    suggest,
)
from gitmodel.domain.schema.paths import parse_path
from gitmodel.domain.schema.references import VersionRef
from gitmodel.domain.schema.refs import StageRef, reserved_ref
from gitmodel.errors import UsageError

repeatable = settings(derandomize=True, deadline=None)
INNER = "abcxyzABCXYZ0189._-"
ENDS = "abcxyzABCXYZ0189"


def named(inner=INNER):
    return st.one_of(
        st.sampled_from(ENDS),
        st.tuples(st.sampled_from(ENDS), st.text(inner, max_size=61), st.sampled_from(ENDS)).map("".join),
        # Names that are not allowed (of devices, lock files or stages), and allowed names that are similar.
        st.sampled_from(["con", "com1.x", "a.lock", "a..b", "production", "latest", "1", "0.1", "CON", "x.LOCK"]),
    )


NAMES = named().filter(lambda name: fault_in(name) is None)
NUMBERS = st.integers(1, 10**18 - 1)


def is_version_name(name):
    try:
        return check_version_name(name) == name
    except UsageError:
        return False


VERSION_NAMES = named(INNER + "+").filter(is_version_name)


@repeatable
@given(NAMES, NAMES)
def test_a_valid_name_is_unchanged_in_a_ref(model, stage):
    ref = StageRef(model, stage)
    assert StageRef.parse(ref.full) == ref
    assert ref.full == f"refs/tags/{ref.name}"


@repeatable
@given(NAMES, NAMES, NUMBERS)
def test_a_valid_name_is_unchanged_in_every_path(model, name, number):
    for path, kind, key in [
        (paths.version_file(model, number), "version", str(number)),
        (paths.archived_file(model, number), "archived", str(number)),
        (paths.stage_file(model, name), "stage", name),
        (paths.alias_file(model, name), "alias", name),
        (paths.name_file(model, name), "name", name),
        (paths.model_file(model), "model", ""),
    ]:
        found = parse_path(path)
        assert (found.kind, found.model, found.key) == (kind, model, key)


@repeatable
@given(st.tuples(NAMES, NAMES, NUMBERS), st.tuples(NAMES, NAMES, NUMBERS))
def test_two_records_never_have_the_same_path_or_ref_even_on_a_disk_that_ignores_case(one, other):
    def places(model, name, number):
        return {
            ("model", fold(model)): paths.model_file(model),
            ("version", fold(model), number): paths.version_file(model, number),
            ("archived", fold(model), number): paths.archived_file(model, number),
            ("stage", fold(model), fold(name)): paths.stage_file(model, name),
            ("alias", fold(model), fold(name)): paths.alias_file(model, name),
            ("name", fold(model), fold(name)): paths.name_file(model, name),
            ("tag", fold(model), fold(name)): StageRef(model, name).full,
            ("reserved", fold(model), number): reserved_ref(model, number),
        }

    first, second = places(*one), places(*other)
    assert len({fold(path) for path in first.values()}) == len(first)
    for key in first.keys() - second.keys():
        assert fold(first[key]) not in {fold(path) for path in second.values()}
    for key in first.keys() & second.keys():
        assert fold(first[key]) == fold(second[key])


@repeatable
@given(st.one_of(NAMES, VERSION_NAMES))
def test_a_valid_name_has_only_characters_that_shells_and_file_systems_do_not_change(name):
    assert re.fullmatch(r"[A-Za-z0-9._+-]+", name)
    assert not name.startswith(("-", ".", "+"))
    assert not name.endswith((".", "-", "+", "_"))
    assert len(name) <= MAX_LENGTH


def test_git_accepts_every_kind_of_valid_name_in_a_ref():
    for name in ("a", "Z", "0", "a-b", "a.b", "a_b", "a" * 63, "1.2.3", "a.locks", "a--b", "a._-b", "HEAD", "refs"):
        ref = StageRef(check_name(name, "model"), check_name(name, "stage")).full
        assert subprocess.run(["git", "check-ref-format", ref]).returncode == 0, name


@repeatable
@given(NAMES)
def test_reading_the_text_of_a_reference_gives_the_same_reference(model):
    for selector in ("", "3", "1.2.3", "production", "latest", "1.0+cpu"):
        ref = VersionRef.of(model, selector)
        assert VersionRef.parse(str(ref)) == ref


@repeatable
@given(NAMES, VERSION_NAMES)
def test_a_version_name_is_never_read_as_a_number_or_as_latest(model, name):
    ref = VersionRef.parse(f"{model}@{name}")
    assert ref == VersionRef(model, name)
    assert ref.number is None
    assert not ref.is_latest


BAD = [
    ("", "is empty"),
    ("a" * 64, "has 64 characters, more than 63"),
    ("a" * 256, "has 256 characters"),
    ("a\x00b", "holds '\\x00'"),
    ("a\x1b[31mb", "holds '\\x1b'"),
    ("a\nb", "holds '\\n'"),
    ("iris\n", "holds '\\n'"),
    ("..", "begins with '.'"),
    ("a..b", "holds '..'"),
    ("../a", "begins with '.'"),
    ("-rf", "begins with '-'"),
    ("--upload-pack=x", "begins with '-'"),
    ("a/b", "holds '/'"),
    ("a\\b", "holds '\\\\'"),
    ("x.lock", "ends in .lock"),
    ("x.LOCK", "ends in .lock"),
    ("@{", "holds '@'"),
    ("a@{1}", "holds '@'"),
    ("a b", "holds ' '"),
    ("a:b", "holds ':'"),
    ("a~1", "holds '~'"),
    ("a^", "holds '^'"),
    ("a*", "holds '*'"),
    ("a?", "holds '?'"),
    ("[a", "holds '['"),
    ("$(x)", "holds '$'"),
    ("a`b", "holds '`'"),
    (".hidden", "begins with '.'"),
    ("_a", "begins with '_'"),
    ("a.", "ends in '.'"),
    ("a-", "ends in '-'"),
    ("con", "is the name of a Windows device"),
    ("NUL.txt", "is the name of a Windows device"),
    ("café", "holds 'é' (U+00E9)"),
    ("iris\u202e", "holds '\\u202e'"),
    ("٣", "holds '٣' (U+0663)"),
]


@pytest.mark.parametrize(("name", "fault"), BAD, ids=[ascii(name)[:20] for name, _ in BAD])
def test_the_error_for_an_invalid_name_says_the_fault_and_the_allowed_characters(name, fault):
    for check in (lambda name: check_name(name, "model"), check_version_name, check_alias):
        with pytest.raises(UsageError) as caught:
            check(name)
        assert f"because it {fault}" in caught.value.message
        assert caught.value.message.isprintable()
        assert len(caught.value.message) < 300
        assert "letters, digits" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "fault", "prefix"),
    [
        *((name, "is a word for a stage", "my-") for name in ("latest", "archived", "none", "Latest", "NONE")),
        *((name, "is all digits", "v") for name in ("1", "007", "20261123")),
    ],
)
def test_names_of_stages_and_digits_alone_are_refused_as_version_name_and_alias(name, fault, prefix):
    for check in (check_version_name, check_alias):
        with error_with_hint(UsageError, fault, f"for example {prefix}{name}"):
            check(name)


def test_only_a_version_name_may_contain_a_plus():
    assert check_version_name("1.2.3+cpu") == "1.2.3+cpu"
    with pytest.raises(UsageError, match=r"holds '\+'"):
        check_alias("1.2.3+cpu")


@repeatable
@given(st.text(max_size=300))
def test_a_suggested_name_is_always_valid(text):
    name = suggest(text)
    assert name == "" or check_name(name, "model") == name
    name = suggest(text, version=True)
    assert name == "" or check_version_name(name) == check_alias(name) == name


@repeatable
@given(st.text(max_size=300))
def test_parsing_any_text_as_a_name_returns_a_name_or_raises_usage_error(text):
    for check in (lambda name: check_name(name, "model"), check_version_name, check_alias, VersionRef.parse):
        refused = None
        try:
            check(text)
        except UsageError as error:
            refused = error
        assert refused is None or (refused.hint and refused.message.isprintable())


FOLDERS = [
    "models",
    "iris",
    "versions",
    "4xx",
    "0xx",
    "names",
    "c4",
    "stages",
    "archived",
    "aliases",
    "runs",
    "2026",
    "11",
]
FILES = ["7.toml", "07.toml", "412.toml", "1.2.3.toml", "production.toml", "model.toml", "gitmodel.toml", "a.toml"]
PARTS = st.sampled_from(FOLDERS + FILES)


@repeatable
@given(st.lists(PARTS, min_size=1, max_size=6).map("/".join))
def test_only_the_canonical_path_of_a_record_is_read_as_a_record(path):
    found = parse_path(path)
    if found is None:
        return
    homes = {
        "version": lambda: paths.version_file(found.model, int(found.key)),
        "archived": lambda: paths.archived_file(found.model, int(found.key)),
        "stage": lambda: paths.stage_file(found.model, found.key),
        "alias": lambda: paths.alias_file(found.model, found.key),
        "name": lambda: paths.name_file(found.model, found.key),
        "model": lambda: paths.model_file(found.model),
    }
    assert homes.get(found.kind, lambda: path)() == path


@pytest.mark.parametrize(
    "path",
    [
        "models/iris/versions/04.toml",
        "models/iris/versions/0.toml",
        "models/iris/versions/412.toml",
        "models/iris/versions/4xx/512.toml",
        "models/iris/versions/0xx/7.toml",
        "models/iris/versions/" + "9" * 30 + ".toml",
        "models/iris/names/00/1.2.3.toml",
        "models/iris/stages/archived/412.toml",
        "models/iris/model.toml/x",
        "models//model.toml",
        "gitmodel.toml\n",
        "notes.txt",
    ],
)
def test_a_path_in_another_form_is_not_read_as_a_record(path):
    assert parse_path(path) is None


@pytest.mark.parametrize("ref", ["refs/tags/v1", "refs/tags/model/a", "refs/tags/model/a/b/c", "refs/heads/model/a/b"])
def test_refs_of_other_forms_are_not_read_as_stage_tags(ref):
    assert StageRef.parse(ref) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("iris@", "names no version after '@'"),
        ("@production", "names no model before '@'"),
        ("@", "names no version after '@'"),
        ("", "names no model"),
        ("iris@0", "is not a version number"),
        ("iris@" + "9" * 19, "is not a version number"),
        ("iris@archived", "does not name one version"),
        ("iris@none", "does not name one version"),
        ("iris@a@b", "holds '@'"),
        ("iris@../x", "begins with '.'"),
    ],
)
def test_an_invalid_reference_is_refused_with_a_valid_suggestion(text, said):
    with pytest.raises(UsageError) as caught:
        VersionRef.parse(text)
    assert said in caught.value.message
    assert caught.value.hint


def test_leading_zeros_of_a_version_number_are_ignored():
    assert VersionRef.parse("iris@007") == VersionRef.parse("iris@7") == VersionRef.of("iris", 7)


def test_the_error_for_a_reference_that_lacks_a_version_shows_how_to_name_a_version():
    with error_with_hint(UsageError, "delete needs an explicit version of iris", "iris@3"):
        VersionRef.parse("iris").required("delete")
