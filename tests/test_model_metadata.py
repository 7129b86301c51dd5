"""Metadata of models, and the refusal to remove a tag or a key of metadata that does not exist."""

import editing
import pytest
from transcripts import fail, said, succeed

from gitmodel import Model, ModelConfig, NotFound, Refused, UsageError
from gitmodel.registry.health import checking

PATH = "models/rose/model.toml"


def test_a_model_can_be_registered_with_metadata_which_can_change_key_by_key(client, git):
    editing.begin_at_format(client.repository.common_dir, "1.0")
    client.register_model(Model("rose", metadata={"contact": "#flowers", "weights": {0: 1.0}, "none": None}))
    model = client.get_model("rose")
    assert model.metadata == {"contact": "#flowers", "weights": {"0": 1.0}}
    model.log_metadata({"risk": 2}, reviewed=True)
    model.set_metadata({"risk": 3}, remove=["weights"])
    model.log_metadata(reviewed=None, never=None)
    assert model.metadata == {"contact": "#flowers", "risk": 3}
    client.update_model("rose", title="Rose", metadata={"stage": "pilot"}, remove_metadata=["risk"])
    assert (model.title, model.metadata) == ("Rose", {"contact": "#flowers", "stage": "pilot"})
    model = client.update_model("rose", new_name="tulip", metadata={"was": "rose"})
    assert model.metadata == {"contact": "#flowers", "stage": "pilot", "was": "rose"}
    assert [found.name for found in client.list_models(filter='metadata.contact == "#flowers"')] == ["tulip"]
    folder = client.repository.common_dir
    assert editing.read(folder, "gitmodel.toml").startswith('format = "1.2"')
    assert "Update metadata of rose" in git(folder, "log", "--format=%s", "gitmodel")
    assert checking.check(client.repository) == []
    model.delete()
    assert "metadata" not in editing.read(folder, "models/tulip/model.toml")


def test_a_registry_keeps_its_older_format_until_a_model_has_metadata(client):
    editing.begin_at_format(client.repository.common_dir, "1.0")
    client.register_model("rose", metadata={})
    assert editing.read(client.repository.common_dir, "gitmodel.toml").startswith('format = "1.0"')
    assert "metadata" not in editing.read(client.repository.common_dir, PATH)


def test_metadata_of_a_model_that_cannot_be_recorded_is_refused(client):
    with pytest.raises(UsageError, match="a is an object"):
        client.register_model("rose", metadata={"a": object()})
    with pytest.raises(Refused, match=r"metadata\.password of rose looks like a password"):
        client.register_model("rose", metadata={"password": "hunter2"})
    client.register_model("rose", metadata={"a": 1})
    with pytest.raises(UsageError, match="both set and removed"):
        client.get_model("rose").set_metadata({"a": 2}, remove=["a"])
    with pytest.raises(UsageError, match="metadata"):
        client.update_model("rose", metadata=["a"])
    assert client.get_model("rose").metadata == {"a": 1}


@pytest.mark.parametrize("reference", ["iris", "iris@1"])
def test_setting_or_removing_a_key_of_an_inner_table_keeps_its_other_keys(client, reference):
    owner = client.get_version(reference) if "@" in reference else client.get_model(reference)
    owner.set_metadata({"tags": {"team": "plants", "draft": "yes"}, "risk": 2})
    owner.set_metadata({"season": "spring"}, remove=["draft"], table="tags")
    assert owner.metadata == {"tags": {"team": "plants", "season": "spring"}, "risk": 2}
    with pytest.raises(UsageError, match=f"the metadata 'risk' of {reference} is not a table"):
        owner.set_metadata({"a": 1}, table="risk")
    with pytest.raises(NotFound, match="no metadata 'draft'"):
        owner.set_metadata(remove=["draft"], table="tags")
    owner.set_metadata({"team": None}, remove=["season"], table="tags")
    assert owner.metadata == {"risk": 2}


def test_removing_a_missing_tag_or_key_is_refused_with_the_nearest_name(client):
    version = client.get_version("iris@1")
    version.update(add_tags=["baseline"])
    version.log_metadata(accuracy=0.9)
    version.link_artifact("train", [1], metadata={"rows": 1})
    model = client.register_model("rose", tags=["garden"], metadata={"contact": "#flowers"})
    before = editing.state(client.repository.common_dir)
    for remove, message, hint in (
        (lambda: version.update(remove_tags=["basline"]), "iris@1 has no tag 'basline' to remove", "baseline?"),
        (lambda: version.set_metadata(remove=["acuracy"]), "iris@1 has no metadata 'acuracy'", "accuracy?"),
        (lambda: version.set_metadata(remove=["row"], artifact="train"), "train of iris@1 has no metadata", "rows?"),
        (lambda: model.update(remove_tags=["zz"], title="x"), "rose has no tag 'zz'", "it has garden"),
        (lambda: model.set_metadata({"a": 1}, remove=["kontact"]), "rose has no metadata 'kontact'", "contact?"),
    ):
        with pytest.raises(NotFound, match=message) as caught:
            remove()
        assert caught.value.hint.endswith(hint)
    assert editing.state(client.repository.common_dir) == before
    version.set_metadata(remove=["accuracy"])
    assert version.metadata == {}


def test_commands_set_show_filter_and_remove_metadata_of_models(client, capsys):
    succeed(capsys, "register", "rose", "--metadata", "risk=2", "--metadata", "contact=#flowers")
    assert "metadata  risk = 2" in succeed(capsys, "show", "rose").replace("contact = #flowers\n          ", "")
    succeed(capsys, "update", "rose", "--metadata", "risk=3", "--remove-metadata", "contact")
    assert said(capsys, "show", "rose")[1]["metadata"] == {"risk": 3}
    assert succeed(capsys, "list", "--filter", "metadata.risk > 2", "--quiet") == "rose\n"
    assert "did you mean risk?" in fail(capsys, 3, "update", "rose", "--remove-metadata", "rik")
    assert "'zz' to remove" in fail(capsys, 3, "version", "update", "iris@1", "--remove-tag", "zz")
    assert "is not KEY=VALUE" in fail(capsys, 2, "update", "rose", "--metadata", "risk")


def test_a_card_shows_metadata_of_the_version_and_of_the_model_if_the_version_lacks_the_key(client):
    client.update_model("iris", metadata={"language": "en", "base_model": "a/b", "contact": "#flowers <b>"})
    client.get_version("iris@1").log_metadata(base_model="c/d")
    text = client.get_version("iris@1").card()
    assert "language: en\n" in text
    assert "base_model: c/d\n" in text
    assert "## About the model\n\n|  |  |\n| --- | --- |\n| contact | \\#flowers &lt;b&gt; |" in text


@pytest.mark.parametrize("wrong", ["metadata = 3\n", '[metadata]\n"" = 1\n', "[[metadata]]\na = 1\n"])
def test_check_finds_faults_in_metadata_of_a_model_that_was_edited_by_hand(client, wrong):
    client.register_model("rose", metadata={"a": 1})
    folder = client.repository.common_dir
    text = editing.read(folder, PATH).partition("\n[metadata]")[0]
    editing.edit(folder, {PATH: f"{text}\n{wrong}"})
    assert {problem.path for problem in checking.check(client.repository)} == {PATH}


def test_the_descriptive_fields_of_a_model_config_include_metadata():
    config = ModelConfig(name="demo", create_new_model_version=True, metadata={"contact": "#flowers"})
    assert config.described() == {"metadata": {"contact": "#flowers"}}
