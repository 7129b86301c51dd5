"""The plug-in for MLflow: calls of MLflow's model registry read and write a registry of gitmodel."""

import doctest
import importlib
import os
import pkgutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("mlflow.version")

from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersionTag, RegisteredModelTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from gitmodel import Client
from gitmodel.interop import mlflow_plugin
from gitmodel.interop.mlflow_plugin.store import GitmodelStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "models"
    subprocess.run(["git", "init", "-q", str(place)], check=True)
    return place


@pytest.fixture
def store(folder: Path) -> GitmodelStore:
    return GitmodelStore(f"gitmodel:{folder}")


@pytest.fixture
def client(folder: Path) -> Iterator[Client]:
    with Client(folder) as client:
        yield client


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with files, as MLflow logs a model."""
    place = tmp_path / "logged"
    (place / "data").mkdir(parents=True)
    (place / "MLmodel").write_text("flavors: {}\n")
    (place / "data" / "weights.json").write_text("[1, 2]\n")
    return place


@pytest.fixture
def iris(store: GitmodelStore, files: Path) -> GitmodelStore:
    """A registry with two versions of iris."""
    store.create_registered_model("iris", description="Flowers")
    for _ in range(2):
        store.create_model_version("iris", files.as_uri())
    return store


def commits(folder: Path) -> int:
    counted = subprocess.run(
        ["git", "-C", str(folder), "rev-list", "--count", "gitmodel"], capture_output=True, text=True
    )
    return int(counted.stdout or 0)


@pytest.mark.parametrize("module", [module.name for module in pkgutil.iter_modules(mlflow_plugin.__path__)])
def test_the_examples_in_the_docstrings_of_the_plug_in_are_right(module: str) -> None:
    tested = doctest.testmod(importlib.import_module(f"{mlflow_plugin.__name__}.{module}"))
    assert tested.failed == 0


# Calls of MLflow's registry, and the number of commits that each makes.
CALLS = {
    "register": (lambda s, f: s.create_registered_model("rose", [RegisteredModelTag("a", "b")], "Red"), 1),
    "describe": (lambda s, f: s.update_registered_model("iris", "Irises"), 1),
    "rename": (lambda s, f: s.rename_registered_model("iris", "tulip"), 1),
    "delete": (lambda s, f: s.delete_registered_model("iris"), 1),
    "tag": (lambda s, f: s.set_registered_model_tag("iris", RegisteredModelTag("team", "plants")), 1),
    "version": (lambda s, f: s.create_model_version("iris", f.as_uri(), tags=[ModelVersionTag("a", "b")]), 1),
    "copy": (lambda s, f: s.create_model_version("iris", "models:/iris/1"), 1),
    "describe version": (lambda s, f: s.update_model_version("iris", 1, "first"), 1),
    "stage": (lambda s, f: s.transition_model_version_stage("iris", 1, "Production", True), 1),
    "same stage": (lambda s, f: s.transition_model_version_stage("iris", 1, "None", False), 0),
    "delete version": (lambda s, f: s.delete_model_version("iris", 1), 1),
    "tag version": (lambda s, f: s.set_model_version_tag("iris", 1, ModelVersionTag("team", "plants")), 1),
    "alias": (lambda s, f: s.set_registered_model_alias("iris", "champion", 1), 1),
    "remove missing alias": (lambda s, f: s.delete_registered_model_alias("iris", "champion"), 0),
    "remove missing tag": (lambda s, f: s.delete_model_version_tag("iris", 1, "team"), 0),
    "search": (lambda s, f: s.search_model_versions(), 0),
}


@pytest.mark.parametrize("name", CALLS)
def test_each_call_of_mlflow_makes_the_expected_number_of_commits(name, iris, folder, files):
    call, expected = CALLS[name]
    before = commits(folder)
    call(iris, files)
    assert commits(folder) - before == expected


def test_mlflow_and_gitmodel_show_the_same_files_tags_and_facts_of_a_version(iris, client, files, tmp_path):
    made = iris.create_model_version(
        "iris", files.as_uri(), tags=[ModelVersionTag("team", "plants")], description="third", run_link="https://x/1"
    )
    assert (made.version, made.tags, made.description) == (3, {"team": "plants"}, "third")
    assert (made.source, made.run_link, made.status) == (files.as_uri(), "https://x/1", "READY")
    version = client.get_version("iris@3")
    assert version.metadata["tags"] == {"team": "plants"}
    assert (version.get_artifact("model").path() / "MLmodel").read_text() == "flavors: {}\n"
    uri = iris.get_model_version_download_uri("iris", 3)
    got = Path(download_artifacts(artifact_uri=uri, dst_path=str(tmp_path)))
    assert (got / "data" / "weights.json").read_text() == "[1, 2]\n"
    assert Path(download_artifacts(artifact_uri=f"{uri}/data/weights.json")).read_text() == "[1, 2]\n"
    repository = get_artifact_repository(uri)
    assert [file.path for file in repository.list_artifacts()] == ["MLmodel", "data"]
    assert [file.path for file in repository.list_artifacts("data")] == ["data/weights.json"]
    with pytest.raises(MlflowException, match="artifacts do not change"):
        repository.log_artifact(str(files / "MLmodel"))


def test_mlflow_finds_a_version_that_gitmodel_created(iris, client):
    version = client.get_model("iris").create_version(metadata={"accuracy": 0.9, "parameters": {"lr": 1}, "ok": True})
    version.set_stage("staging")
    version.add_alias("champion")
    seen = iris.get_model_version("iris", 3)
    assert seen.tags == {"accuracy": "0.9", "parameters.lr": "1", "ok": "true"}
    assert (seen.current_stage, seen.aliases) == ("Staging", ["champion", "staging"])
    assert iris.get_registered_model("iris").aliases == {"champion": 3, "staging": 3}
    iris.set_model_version_tag("iris", 3, ModelVersionTag("accuracy", "0.95"))
    assert client.get_version("iris@3").metadata["accuracy"] == 0.95


def test_copy_model_version_copies_artifacts_and_metadata(iris, client):
    client.get_version("iris@1").log_metadata(accuracy=0.9)
    copied = iris.copy_model_version(iris.get_model_version("iris", 1), "iris prod")
    assert (copied.name, copied.version, copied.source) == ("iris prod", 1, "models:/iris/1")
    version = client.find_versions(filter='model != "iris"')[0]
    assert version.record.metadata["accuracy"] == 0.9
    assert "tags" not in version.record.metadata
    assert version.record.artifacts[0].digest == client.get_version("iris@1").get_artifact("model").digest


@pytest.mark.parametrize(("word", "stage"), [("Production", "production"), ("staging", "staging")])
def test_a_stage_transition_in_mlflow_promotes_the_version(word, stage, iris, client):
    iris.transition_model_version_stage("iris", 1, word, False)
    moved = iris.transition_model_version_stage("iris", 2, word, False)
    assert moved.current_stage == stage.capitalize()
    assert client.get_version("iris@2").stage == stage
    assert client.get_version("iris@1").stage == "archived"
    assert client.get_model("iris").history()[0].reason == "through MLflow"
    assert [v.version for v in iris.get_latest_versions("iris", [word])] == [2]


def test_a_transition_to_archived_or_none_takes_a_version_out_of_its_stage(iris, client):
    iris.transition_model_version_stage("iris", 1, "Production", False)
    assert iris.transition_model_version_stage("iris", 1, "Archived", False).current_stage == "Archived"
    assert iris.transition_model_version_stage("iris", 1, "None", False).current_stage == "None"
    assert client.get_version("iris@1").stage is None


def test_an_mlflow_alias_with_the_name_of_a_stage_sets_the_stage(iris, client):
    iris.set_registered_model_alias("iris", "production", 2)
    assert client.get_version("iris@production").number == 2
    assert iris.get_model_version_by_alias("iris", "production").version == 2
    iris.delete_registered_model_alias("iris", "production")
    assert client.get_version("iris@2").stage is None


def test_an_unknown_stage_is_refused_and_the_error_lists_the_stages(iris, client):
    client.add_stage("canary", before="production")
    client.remove_stage("staging")
    assert iris.transition_model_version_stage("iris", 1, "canary", False).current_stage == "canary"
    with pytest.raises(MlflowException, match=r"stages of this registry: canary, production, archived, none") as caught:
        iris.transition_model_version_stage("iris", 1, "Staging", False)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_gate_refuses_a_transition_with_the_hint_of_gitmodel(iris, client, folder):
    client.add_gate("production", "accurate", "metadata.accuracy >= 0.9")
    before = commits(folder)
    for promote in (
        lambda: iris.transition_model_version_stage("iris", 1, "Production", False),
        lambda: iris.set_registered_model_alias("iris", "production", 1),
    ):
        with pytest.raises(MlflowException, match=r"accurate(.|\n)*--force") as caught:
            promote()
        assert (caught.value.error_code, caught.value.get_http_status_code()) == ("PERMISSION_DENIED", 403)
    assert commits(folder) == before
    client.get_version("iris@1").log_metadata(accuracy=0.92)
    assert iris.transition_model_version_stage("iris", 1, "Production", False).current_stage == "Production"


PROTECTED = {
    "enter": lambda s: s.transition_model_version_stage("iris", 2, "Production", True),
    "leave": lambda s: s.transition_model_version_stage("iris", 1, "None", False),
    "alias": lambda s: s.set_registered_model_alias("iris", "production", 2),
    "remove alias": lambda s: s.delete_registered_model_alias("iris", "production"),
    "delete version": lambda s: s.delete_model_version("iris", 1),
    "delete model": lambda s: s.delete_registered_model("iris"),
    "rename model": lambda s: s.rename_registered_model("iris", "tulip"),
}


@pytest.fixture
def protected(iris: GitmodelStore, client: Client) -> GitmodelStore:
    """The registry of `iris`, with version 1 in production, which is `proposal_only`."""
    iris.transition_model_version_stage("iris", 1, "Production", False)
    client.update_stage("production", proposal_only=True)
    return iris


@pytest.mark.parametrize("name", PROTECTED)
def test_each_call_that_changes_a_proposal_only_stage_is_refused_and_shows_the_command_to_propose(
    name, protected, folder
):
    before = commits(folder)
    with pytest.raises(MlflowException, match=r"proposal_only(.|\n)*git model propose") as caught:
        PROTECTED[name](protected)
    assert caught.value.error_code == "PERMISSION_DENIED"
    assert commits(folder) == before
    assert protected.get_model_version("iris", 1).current_stage == "Production"


@pytest.mark.parametrize("name", ["enter", "leave", "alias"])
def test_with_the_option_proposals_a_call_proposes_the_change_of_a_proposal_only_stage_and_says_so(
    name, protected, folder, client
):
    store = GitmodelStore(f"gitmodel:{folder}?proposals=open")
    with pytest.raises(MlflowException, match="waits in the branch propose/") as caught:
        PROTECTED[name](store)
    assert caught.value.error_code == "PERMISSION_DENIED"
    assert len(client.known_proposals()) == 1
    assert store.get_model_version("iris", 1).current_stage == "Production"


def test_names_that_gitmodel_cannot_use_are_mapped_and_found_again(store, client, files):
    names = ["my model", "Iris (v2)", "iris", "Iris", "IRIS"]
    for name in names:
        store.create_registered_model(name)
        assert store.create_model_version(name, files.as_uri()).name == name
    assert sorted(model.name for model in store.search_registered_models()) == sorted(names)
    assert [v.name for v in store.search_model_versions("name = 'my model'")] == ["my model"]
    assert store.rename_registered_model("Iris", "another name").name == "another name"
    store.set_registered_model_alias("my model", "champion", 1)
    assert store.get_model_version_by_alias("my model", "champion").name == "my model"
    with pytest.raises(MlflowException, match="not found"):
        store.get_registered_model("Iris")
    with pytest.raises(MlflowException, match="already exists") as caught:
        store.create_registered_model("my model")
    assert caught.value.error_code == "RESOURCE_ALREADY_EXISTS"
    assert not client.check()


def test_a_deleted_or_renamed_model_can_be_created_again(store):
    for _ in range(3):
        store.create_registered_model("iris")
        store.delete_registered_model("iris")
    store.create_registered_model("iris")
    store.rename_registered_model("iris", "rose")
    assert store.create_registered_model("iris").name == "iris"
    assert sorted(model.name for model in store.search_registered_models()) == ["iris", "rose"]


def test_searches_can_filter_sort_and_return_pages_of_results(store, files):
    for name, team in (("a", "x"), ("b", "y"), ("c", "x")):
        store.create_registered_model(name, [RegisteredModelTag("team", team)])
        for _ in range(2):
            store.create_model_version(name, files.as_uri(), tags=[ModelVersionTag("of", name)])
    first = store.search_registered_models("tags.team = 'x'", 1, ["name DESC"])
    assert [model.name for model in first] == ["c"]
    rest = store.search_registered_models("tags.team = 'x'", 1, ["name DESC"], first.token)
    assert ([model.name for model in rest], rest.token) == (["a"], None)
    order = ["name ASC", "version_number DESC"]
    page = store.search_model_versions("tags.of != 'b'", 3, order)
    assert [(v.name, v.version) for v in page] == [("a", 2), ("a", 1), ("c", 2)]
    assert [v.version for v in store.search_model_versions("tags.of != 'b'", 3, order, page.token)] == [1]
    assert [v.name for v in store.search_model_versions("name LIKE 'b%' and version_number > 1")] == ["b"]
    assert store.search_model_versions("name = 'nothing'") == []
    with pytest.raises(MlflowException, match="Invalid"):
        store.search_model_versions("size > 3")


def test_prompts_and_webhooks_are_refused_and_their_lists_are_empty(iris, folder):
    prompt = "mlflow.prompt.is_prompt"
    assert list(iris.list_webhooks()) == list(iris.list_webhooks_by_event(None)) == []
    with pytest.raises(MlflowException, match=r"no webhooks(.|\n)*hint: use the webhooks of your git host"):
        iris.create_webhook("hook", "https://example.com", [])
    assert iris.search_registered_models(f"tags.`{prompt}` = 'true'") == []
    before = commits(folder)
    with pytest.raises(MlflowException, match=r"does not store prompts(.|\n)*hint: keep prompts"):
        iris.create_registered_model("ask", [RegisteredModelTag(prompt, "true")])
    with pytest.raises(MlflowException, match="does not store prompts"):
        iris.create_model_version("iris", "x", tags=[ModelVersionTag(prompt, "true")])
    assert commits(folder) == before


def test_long_keys_of_tags_are_kept(iris):
    long, text = "k" * 250, 'line one\nline "two"'
    iris.set_model_version_tag("iris", 1, ModelVersionTag(long, text))
    iris.set_model_version_tag("iris", 1, ModelVersionTag("mlflow", "x"))
    iris.set_model_version_tag("iris", 1, ModelVersionTag("tags", "y"))
    assert iris.get_model_version("iris", 1).tags == {long: text, "mlflow": "x", "tags": "y"}
    assert [v.version for v in iris.search_model_versions(f"tags.`{long}` LIKE 'line%'")] == [1]
    iris.delete_model_version_tag("iris", 1, long)
    assert iris.get_model_version("iris", 1).tags == {"mlflow": "x", "tags": "y"}


def test_files_that_cannot_be_read_are_refused_unless_the_uri_asks_for_links(iris, folder, tmp_path):
    before = commits(folder)
    with pytest.raises(MlflowException, match=r"cannot be read from(.|\n)*artifacts=link"):
        iris.create_model_version("iris", (tmp_path / "missing").as_uri())
    assert commits(folder) == before
    linked = GitmodelStore(f"gitmodel:{folder}?artifacts=link")
    assert linked.create_model_version("iris", "s3://bucket/model").version == 3
    assert iris.get_model_version_download_uri("iris", 3) == "s3://bucket/model"


@pytest.mark.parametrize(("uri", "message"), [
    ("gitmodel:/x?proposals=maybe", "unknown option proposals=maybe"),
    ("gitmodel:", "the URI names no registry"),
    ("gitmodel:?proposals=open", "the URI names no registry"),
    ("gitmodel:/x?what=1", "artifacts=store, artifacts=link"),
])  # fmt: skip
def test_a_uri_with_an_unknown_option_or_without_a_registry_is_refused(uri, message):
    with pytest.raises(MlflowException, match=message):
        GitmodelStore(uri)


ERRORS = {
    "RESOURCE_DOES_NOT_EXIST": lambda s: s.get_registered_model("nothing"),
    "INVALID_PARAMETER_VALUE": lambda s: s.set_registered_model_alias("iris", "_x_", 1),
    "RESOURCE_ALREADY_EXISTS": lambda s: s.create_registered_model("iris"),
}


@pytest.mark.parametrize("code", ERRORS)
def test_errors_of_gitmodel_have_the_error_codes_of_mlflow(code, iris):
    with pytest.raises(MlflowException) as caught:
        ERRORS[code](iris)
    assert caught.value.error_code == code


def test_threads_lose_no_tag_and_no_version(iris, files):
    def work(number: int) -> None:
        iris.set_model_version_tag("iris", 1, ModelVersionTag(f"t{number}", "x"))
        iris.create_model_version("iris", files.as_uri())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(iris.get_model_version("iris", 1).tags) == {f"t{number}" for number in range(6)}
    assert sorted(v.version for v in iris.search_model_versions("name = 'iris'")) == list(range(1, 9))


def test_two_stores_on_one_registry_see_the_changes_of_each_other(iris, folder):
    other = GitmodelStore(f"gitmodel:{folder}")
    assert len(other.search_model_versions()) == 2
    for number in range(4):
        (iris, other)[number % 2].set_registered_model_tag("iris", RegisteredModelTag(f"t{number}", "x"))
    assert len(iris.get_registered_model("iris").tags) == len(other.get_registered_model("iris").tags) == 4
    other.delete_model_version("iris", 1)
    assert [v.version for v in iris.search_model_versions()] == [2]


def test_a_forked_process_reads_and_writes(iris, client):
    iris.search_model_versions()
    child = os.fork()
    if child == 0:
        try:
            iris.set_registered_model_alias("iris", "forked", 2)
            os._exit(0 if iris.get_model_version_by_alias("iris", "forked").version == 2 else 1)
        except BaseException:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    assert iris.get_model_version_by_alias("iris", "forked").version == 2
    iris.set_registered_model_alias("iris", "champion", 1)


def test_a_version_has_the_author_of_its_commit_and_the_time_of_its_last_change(iris, folder, monkeypatch):
    assert iris.get_model_version("iris", 1).user_id == "Ada Example"
    before = iris.get_model_version("iris", 1).last_updated_timestamp
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2099-11-23T10:12:13Z")
    with Client(folder) as client:
        client.get_version("iris@1").log_metadata(reviewed=True)
    after = iris.get_model_version("iris", 1)
    assert after.last_updated_timestamp > before
    assert [v.version for v in iris.search_model_versions()] == [1, 2]


@pytest.mark.parametrize("search", [False, True])
def test_a_cached_version_is_read_again_after_another_client_changed_its_stage(iris, client, search):
    def seen():
        found = iris.search_model_versions("version_number = 1") if search else [iris.get_model_version("iris", 1)]
        return found[0].aliases

    assert seen() == []
    client.promote("iris@1", "production")
    assert seen() == ["production"]
    client.set_alias("iris@1", "champion")
    assert seen() == ["champion", "production"]
    client.set_alias("iris@2", "champion")
    assert seen() == ["production"]
    found = iris.get_model_version("iris", 1)
    found.aliases.append("mine")
    found.tags["mine"] = "x"
    assert seen() == ["production"]


def test_a_change_of_a_returned_entity_does_not_change_the_next_answer(iris):
    for read in (lambda: iris.get_model_version("iris", 1), lambda: iris.search_model_versions()[0]):
        read().aliases.append("mine")
        read().tags["mine"] = "x"
        assert ("mine" in read().aliases, "mine" in read().tags) == (False, False)
