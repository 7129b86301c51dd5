"""A user can choose the format of a file, with --as-format or in Python.

A step gets the file with a matching suffix.
"""

from pathlib import Path

import pytest
from transcripts import ask

from gitmodel import Client, ModelConfig, pipeline, step
from gitmodel.errors import UsageError
from gitmodel.pipelines import ExternalArtifact


@pytest.fixture
def iris(code_repo, monkeypatch, capsys):
    monkeypatch.chdir(code_repo)
    Path("scores").write_text("[1]")
    Path("model.onnx").write_bytes(b"\x08\x08")
    Path("folder").mkdir()
    Path("folder", "a.txt").write_text("a")
    assert ask(capsys, "register", "iris")[0] == 0
    return code_repo


def test_the_option_as_format_sets_the_format_of_one_of_several_files(iris, capsys):
    files = ("--data", "scores=scores", "--model-object", "net=model.onnx")
    assert ask(capsys, "version", "create", "iris", *files, "--as-format", "scores=json")[0] == 0
    assert ask(capsys, "link", "iris@1", "--data", "more=scores", "--as-format", "more=text")[0] == 0
    with Client() as client:
        version = client.get_version("iris@1")
        formats = {found.name: found.link.format for found in version.artifacts}
        assert formats == {"scores": "json", "net": "onnx", "more": "text"}
        assert version.get_artifact("scores").load() == [1]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("scores", "'scores' is not NAME=FORMAT"),
        ("scores=", "'scores=' is not NAME=FORMAT"),
        ("scores=zarr", "there is no format 'zarr'"),
        ("other=json", "there is no artifact 'other' for the format json"),
        ("all=json", "a folder cannot have the format 'json'"),
        ("scores=folder", "a file cannot have the format folder"),
        ("scores=transformers", "a file cannot have the format transformers"),
    ],
)
def test_a_format_that_does_not_match_the_file_is_refused_and_nothing_is_stored(iris, capsys, given, said):
    files = ("--data", "scores=scores", "--data", "all=folder")
    for command in (("version", "create", "iris"), ("link", "iris@1")):
        code, _, err = ask(capsys, *command, *files, "--as-format", given)
        assert (code, said in err) == (2, True), err
        ask(capsys, "version", "create", "iris")
    with Client() as client:
        assert [list(version.artifacts) for version in client.get_model("iris").versions] == [[], []]
    assert not list((iris / ".git/gitmodel").rglob("sha256/*/*"))


def test_python_can_choose_the_format_of_files_and_objects(iris):
    with Client() as client:
        model = client.get_model("iris")
        version = model.create_version(data={"a": [1], "b": "scores"}, formats={"a": "pickle", "b": "json"})
        assert [found.link.format for found in version.artifacts] == ["pickle", "json"]
        with pytest.raises(UsageError, match="there is no format"):
            version.link_artifacts(data={"c": [1]}, formats={"c": "zarr"})


def test_a_step_gets_a_path_with_the_suffix_of_the_format(iris, capsys):
    assert ask(capsys, "version", "create", "iris", "--model-object", "net=model.onnx")[0] == 0

    @step
    def suffix(net: Path) -> str:
        return net.suffix

    @pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
    def one():
        suffix(ExternalArtifact(model="iris", version=1, name="net"))

    with Client() as client:
        one.run(client=client)
        assert client.get_version("demo").get_artifact("suffix").load() == ".onnx"
