"""Invalid names, references, files and values: the client raises an error with a hint, and no ref moves.

A version is in use if it is in a stage or has an alias.
"""

import re
import shutil

import editing
import pytest

from gitmodel import Client, Conflict, Model, NotFound, Refused, UsageError
from gitmodel.cli import run

LONG = "a" * 256
BAD_NAMES = {
    "empty": ("", "is empty"),
    "256 bytes": (LONG, "has 256 characters, more than 63"),
    "escape": ("\x1b[2Jiris", r"holds '\x1b'"),
    "newline": ("iris\n", r"holds '\n'"),
    "path out": ("../../etc/passwd", "begins with '.'"),
    "option": ("-rf", "begins with '-'"),
    "lock": ("x.lock", "ends in .lock"),
    "bidi": ("iris\u202eslut", r"holds '\u202e'"),
}


@pytest.fixture
def client(code_repo, tmp_path_factory):
    """A registry: iris@1 is archived, iris@2 is named 1.0 and in production, iris@3 has an alias, iris@4 has none."""
    template = tmp_path_factory.getbasetemp() / "bad-input"
    if not template.exists():
        build(code_repo)
        shutil.copytree(code_repo / ".git", template)
    else:
        shutil.copytree(template, code_repo / ".git", dirs_exist_ok=True)
    with Client(code_repo) as client:
        yield client


def build(repo):
    with Client(repo) as client:
        iris = client.register_model("iris")
        for name in (None, "1.0", None, None):
            iris.create_version(name)
        iris.get_version(1).set_stage("production")
        iris.get_version(2).set_stage("production")
        iris.get_version(3).add_alias("champion")


@pytest.fixture
def refused(client, code_repo):
    """A function: calls an action, checks that the action raises an error and moves no ref, and returns the error."""

    def run(error, action):
        before = editing.state(code_repo), editing.run(code_repo, "ls-tree", "-r", "gitmodel")
        with pytest.raises(error) as caught:
            action()
        assert (editing.state(code_repo), editing.run(code_repo, "ls-tree", "-r", "gitmodel")) == before
        message, hint = caught.value.message, caught.value.hint
        assert message
        assert hint
        assert message.isprintable(), "the message contains characters that control a terminal"
        assert hint.isprintable()
        assert len(message) < 400
        assert str(caught.value) == f"{message}\nhint: {hint}"
        return caught.value

    return run


def named(names):
    return pytest.mark.parametrize(("name", "fault"), names.values(), ids=names.keys())


@named(BAD_NAMES)
def test_an_invalid_name_of_a_model_is_refused(client, refused, name, fault):
    for use in (
        lambda: client.register_model(name),
        lambda: client.register_model(Model(name)),
        lambda: client.get_model("iris").rename(name),
        lambda: client.get_model(name),
        lambda: client.update_model(name, title="x"),
        lambda: client.update_model(name, new_name="flowers"),
        lambda: client.delete_model(name),
        lambda: client.apply(name),
    ):
        error = refused(UsageError, use)
        assert fault in error.message
        assert "letters, digits, '.', '_' and '-'" in error.hint


DIGITS = {
    "all digits": ("2026", "all digits"),
    "latest": ("latest", "word for a stage"),
    "none": ("None", "word for a stage"),
}


@named({**BAD_NAMES, **DIGITS})
def test_an_invalid_name_of_a_version_is_refused(client, refused, name, fault):
    iris = client.get_model("iris")
    assert fault in refused(UsageError, lambda: iris.create_version(name)).message
    assert fault in refused(UsageError, lambda: iris.get_version(4).update(name=name)).message


@named(
    {
        **BAD_NAMES,
        "all digits": ("7", "all digits"),
        "latest": ("latest", "word for a stage"),
        "plus": ("a+b", "holds '+'"),
    }
)
def test_an_invalid_alias_is_refused(client, refused, name, fault):
    assert fault in refused(UsageError, lambda: client.get_version("iris@1").add_alias(name)).message


@named(BAD_NAMES)
def test_an_invalid_name_of_an_artifact_is_refused(client, refused, tmp_path, name, fault):
    (tmp_path / "file").write_text("x")
    error = refused(UsageError, lambda: client.get_version("iris@4").link_artifact(name, tmp_path / "file"))
    assert fault in error.message


@named({**BAD_NAMES, "misspelled": ("prodution", ""), "upper case": ("Production", "")})
def test_an_invalid_name_of_a_stage_is_refused(client, refused, name, fault):
    error = refused(UsageError, lambda: client.get_version("iris@1").set_stage(name))
    assert "there is no stage" in error.message
    assert "staging, production, archived and none" in error.hint
    refused(UsageError, lambda: client.get_model("iris").demote(name))
    refused(UsageError, lambda: client.get_model("iris").rollback(name))


@pytest.mark.parametrize(
    ("reference", "error", "said", "next_step"),
    [
        ("iris@", UsageError, "names no version after '@'", "iris@3"),
        ("@production", UsageError, "names no model before '@'", "MODEL@production"),
        ("", UsageError, "names no model", "MODEL"),
        ("iris@prodution", NotFound, "there is no iris@prodution", "iris@champion, iris@production, iris@latest (4)"),
        ("iris@staging", NotFound, "no version of iris is in staging", "iris@production"),
        ("iris@9", NotFound, "there is no version 9 of iris", "git model version list iris"),
        ("iris@0", UsageError, "0 is not a version number", "begin at 1"),
        ("iris@-1", UsageError, "begins with '-'", "letters"),
        ("iris@3.lock", UsageError, "ends in .lock", "letters"),
        ("iris@" + "9" * 400, UsageError, "is not a version number", "begin at 1"),
        ("iris@2.0", NotFound, "there is no iris@2.0", "iris@production"),
        ("iris@archived", UsageError, "does not name one version", "MODEL@3"),
        ("iris@none", UsageError, "does not name one version", "MODEL@3"),
        ("irsi@production", NotFound, "there is no model irsi", "did you mean iris"),
        ("Iris", NotFound, "there is no model Iris", "did you mean iris"),
        ("zebra", NotFound, "there is no model zebra", "git model register zebra"),
        ("iris@production@2", UsageError, "holds '@'", "letters"),
        ("iris@production\n", UsageError, r"holds '\n'", "letters"),
        ("iris@HEAD~1", UsageError, "holds '~'", "letters"),
        ("a/b@1", UsageError, "holds '/'", "letters"),
    ],
)
def test_the_error_for_an_invalid_reference_shows_what_to_write(client, refused, reference, error, said, next_step):
    for use in (lambda: client.get_version(reference), lambda: client.get_version(reference).set_stage("staging")):
        found = refused(error, use)
        assert said in found.message
        assert next_step in found.hint


@pytest.mark.parametrize("version", [0, -3, True, "0", "00"])
def test_an_invalid_version_number_is_refused(client, refused, version):
    assert (
        "is not a version number" in refused(UsageError, lambda: client.get_model("iris").get_version(version)).message
    )


def test_a_second_model_with_the_same_name_is_refused(client, refused):
    error = refused(Conflict, lambda: client.register_model("iris"))
    assert error.message == "there is a model iris already"
    assert "git model show iris" in error.hint
    assert "differs only in upper and lower case" in refused(Conflict, lambda: client.register_model("IRIS")).message


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("Staging", UsageError, "a stage"),
        ("archived", UsageError, "a word for a stage"),
        ("1.0", Conflict, "1.0 is the name of iris 2"),
        ("gold", Conflict, "Gold is the name of iris 4"),
        ("Champion", Conflict, "champion"),
    ],
)
def test_a_stage_an_alias_and_a_version_name_cannot_be_equal_or_differ_only_by_case(client, refused, name, error, said):
    client.get_version("iris@4").update(name="Gold")
    assert said in refused(error, lambda: client.get_version("iris@1").add_alias(name)).message
    refused(error, lambda: client.get_model("iris").create_version(name))


@pytest.mark.parametrize(("number", "place"), [(2, "production"), (3, "champion")])
def test_a_version_in_a_stage_or_with_an_alias_is_not_deleted(client, refused, number, place):
    error = refused(Refused, lambda: client.get_model("iris").get_version(number).delete())
    assert error.message == f"iris {number} is in use: {place}"
    assert "--force" in error.hint


def test_a_version_in_use_can_be_deleted_after_the_user_ran_the_commands_in_the_hint(client, refused, code_repo):
    client.get_version("iris@2").add_alias("best")
    hint = refused(Refused, lambda: client.get_version("iris@2").delete()).hint
    commands = re.findall("`git model (.*?)`", hint)
    assert commands == ["demote iris production", "alias remove iris best"]
    for command in commands:
        assert run(["-C", str(code_repo), *command.split()]) == 0
    client.get_version("iris@2").delete()


def test_a_version_that_only_a_stage_tag_names_counts_as_in_use(client, refused, code_repo, git):
    tag = git(code_repo, "rev-parse", "refs/tags/model/iris/production")
    client.get_model("iris").demote("production")
    git(code_repo, "update-ref", "refs/tags/model/iris/production", tag)
    assert "production" in refused(Refused, lambda: client.get_version("iris@2").delete()).message
    assert "production" in refused(Refused, lambda: client.get_model("iris").delete()).message
    client.get_version("iris@2").delete(force=True)
    assert "refs/tags/model/iris/production" not in editing.state(code_repo)


def test_a_model_with_a_version_in_use_is_not_deleted(client, refused):
    error = refused(Refused, lambda: client.get_model("iris").delete())
    assert error.message == "iris is in use: 2 is in production, 3 is called champion"
    assert "demote" in error.hint


def test_a_deleted_version_can_no_longer_be_used(client, refused):
    version = client.get_version("iris@1")
    version.delete(reason="no good")
    for use in (
        version.delete,
        lambda: version.set_stage("staging"),
        lambda: version.set_stage("none"),
        lambda: version.add_alias("best"),
        lambda: version.log_metadata(a=1),
        lambda: version.update(description="x"),
        lambda: version.unlink("a"),
        lambda: version.stage,
    ):
        assert "version 1 of iris was deleted" in refused(NotFound, use).message


def test_a_deleted_model_can_no_longer_be_used(client, refused):
    iris = client.get_model("iris")
    iris.delete(force=True, reason="no good")
    for use in (
        iris.delete,
        iris.create_version,
        lambda: iris.versions,
        lambda: iris.update(title="x"),
        lambda: iris.rename("flowers"),
        lambda: iris.demote("production"),
        lambda: iris.rollback("production"),
        lambda: iris.remove_alias("champion"),
        lambda: client.get_version("iris@production"),
    ):
        assert "model iris was deleted" in refused(NotFound, use).message
    assert "its name is never used again" in refused(Conflict, lambda: client.register_model("iris")).message


def test_an_alias_that_does_not_exist_is_not_removed(client, refused):
    iris = client.get_model("iris")
    assert "champion" in refused(NotFound, lambda: iris.remove_alias("best")).hint
    assert "no version of iris is in staging" in refused(NotFound, lambda: iris.demote("staging")).message
    assert "its artifacts: none" in refused(NotFound, lambda: iris.get_version(1).unlink("weights")).hint


@pytest.mark.parametrize("place", ["missing", "folder/missing"])
def test_linking_a_file_that_does_not_exist_is_refused(client, refused, tmp_path, place):
    for use in (
        lambda: client.get_version("iris@4").link_artifact("weights", tmp_path / place),
        lambda: client.get_model("iris").create_version(data={"weights": tmp_path / place}),
    ):
        assert "missing" in refused(NotFound, use).message


def test_an_unknown_kind_of_artifact_is_refused(client, refused, tmp_path):
    (tmp_path / "file").write_text("x")
    error = refused(
        UsageError, lambda: client.get_version("iris@4").link_artifact("a", tmp_path / "file", kind="weights")
    )
    assert "data, model, deployment" in error.hint


@pytest.mark.parametrize(
    "metadata",
    [{"a": [None]}, {"": 1}, {"a": 2**64}, {"a": [{}, 1]}, {"a": 1j}, {"x" * 129: 1}, {"a": b"x"}, {"a": "\ud800"}],
    ids=str,
)
def test_metadata_that_a_record_cannot_hold_is_refused(client, refused, tmp_path, metadata):
    (tmp_path / "file").write_text("x")
    version = client.get_version("iris@4")
    for use in (
        lambda: version.log_metadata(metadata),
        lambda: client.get_model("iris").create_version(metadata=metadata),
        lambda: version.link_artifact("a", tmp_path / "file", metadata=metadata),
    ):
        refused(UsageError, use)


def test_text_that_is_too_long_for_a_record_is_refused(client, refused):
    version = client.get_version("iris@4")
    for use in (
        lambda: version.log_metadata(note="x" * 70_000),
        lambda: version.update(description="x" * 70_000),
        lambda: version.set_stage("staging", reason="x" * 70_000),
        lambda: client.update_model("iris", description="x" * 70_000),
        lambda: client.register_model("big", description="x" * 70_000),
    ):
        assert "more than 65536" in refused(UsageError, use).message


def test_apply_for_a_model_that_does_not_exist_is_refused(client, refused):
    assert "did you mean iris" in refused(NotFound, lambda: client.apply("irsi")).hint


@pytest.mark.parametrize("filter", ["(", "metadata.accuracy >", "nonsense(1)", "1" * 5000])
def test_a_filter_that_is_not_a_valid_expression_is_refused(client, refused, filter):
    refused(UsageError, lambda: client.get_model("iris").list_versions(filter=filter))
    refused(UsageError, lambda: client.list_models(filter=filter))


@pytest.mark.parametrize(
    ("date", "said"),
    [
        ("yesterday or so, garbage", "git does not accept a date in the environment"),
        ("@253402300800 +0000", "the date in GIT_COMMITTER_DATE is not before the year 10000"),
    ],
)
def test_a_commit_date_in_the_environment_that_no_record_can_hold_is_refused(code_repo, monkeypatch, date, said):
    with Client(code_repo) as client:
        client.register_model("iris")
    with editing.refs_unchanged(code_repo):
        monkeypatch.setenv("GIT_COMMITTER_DATE", date)
        with Client(code_repo) as client, pytest.raises(UsageError, match=f"^{said}"):
            client.get_model("iris").create_version()
