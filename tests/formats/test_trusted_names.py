"""A user trusts names of classes and functions in a clone (`formats trust`) or by the variable `GITMODEL_TRUST`.

A registry can only suggest names. They count after the user accepted them.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from sklearn.feature_selection import SelectKBest
from sklearn.preprocessing import StandardScaler
from transcripts import ask

from gitmodel import Client, ModelConfig, pipeline, step
from gitmodel.domain.changes.planned_change import Change
from gitmodel.domain.schema import codec, paths
from gitmodel.domain.schema.registry_rules import registry_record
from gitmodel.errors import GitModelError, Invalid, NotFound, Refused, UsageError
from gitmodel.formats import save
from gitmodel.pipelines import ExternalArtifact
from gitmodel.registry.health import checking

NAME = "sklearn.feature_selection._univariate_selection.f_classif"
FEATURES = numpy.random.RandomState(0).rand(20, 3)


@pytest.fixture
def client(code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)
    save(SelectKBest(k=1).fit(FEATURES, FEATURES[:, 0] > 0.5), Path("best.skops"), "skops")
    with Client() as opened:
        opened.register_model("iris").create_version(model_objects={"best": "best.skops"})
        yield opened


def load(client):
    return client.get_version("iris@1").get_artifact("best").load()


def test_the_refusal_names_the_command_that_trusts_the_name(client, capsys):
    with pytest.raises(Refused, match=NAME.replace(".", r"\.")) as caught:
        load(client)
    assert f"git model formats trust {NAME}" in caught.value.hint
    assert ask(capsys, "formats", "trust", NAME)[0] == 0
    assert load(client).k == 1
    code, out, _ = ask(capsys, "formats", "list", "--format", "json")
    skops = next(found for found in json.loads(out) if found["name"] == "skops")
    assert (code, skops["trusted_names"]) == (0, [NAME])
    assert ask(capsys, "formats", "trust", "--remove", NAME)[0] == 0
    with pytest.raises(Refused):
        load(client)


def test_names_can_be_trusted_and_distrusted_in_python(client):
    assert client.trust_names(NAME, "numpy.mean") == ("numpy.mean", NAME)
    assert client.trust_names(NAME) == ("numpy.mean", NAME)
    assert load(client).k == 1
    with pytest.raises(NotFound, match="was not trusted"):
        client.distrust_names("numpy.mean", "numpy.median")
    assert client.trusted_names() == ("numpy.mean", NAME)
    assert client.distrust_names(NAME) == ("numpy.mean",)


def test_a_service_trusts_names_by_an_environment_variable(client):
    with Client(environ={"GITMODEL_TRUST": f"numpy.mean {NAME}"}) as service:
        assert load(service).k == 1
    with Client(environ={"GITMODEL_TRUST": "sklearn"}) as service, pytest.raises(Refused):
        load(service)


@pytest.mark.parametrize("name", ["", "sklearn", "sklearn.", "sklearn.*", "a b.c", "-x.y", "os.system()", "größe"])
def test_an_incomplete_name_is_refused_and_nothing_is_trusted(client, capsys, name):
    with pytest.raises(UsageError, match="not the full name"):
        client.trust_names("numpy.mean", name)
    assert client.trusted_names() == ()
    assert ask(capsys, "formats", "trust", "numpy.mean", "--", name)[0] == 2
    assert client.trusted_names() == ()


def test_saving_an_object_warns_of_the_names_that_loading_needs_and_records_them(client, caplog, capsys):
    model = SelectKBest(k=1).fit(FEATURES, FEATURES[:, 0] > 0.5)
    version = client.get_model("iris").create_version(model_objects={"best": model, "plain": StandardScaler()})
    assert f"best loads only after `git model formats trust {NAME}`, in each clone that loads it" in caplog.text
    assert [found.link.needs_trust for found in version.artifacts] == [(NAME,), ()]
    shown = json.loads(ask(capsys, "version", "artifacts", "iris@2", "--format", "json")[1])
    assert [found["needs_trust"] for found in shown] == [[NAME], []]
    client.trust_names(*version.artifacts[0].link.needs_trust)
    assert version.get_artifact("best").load().k == 1
    version.set_stage("production")
    assert client.get_version("iris@production").get_artifact("best").load().k == 1


def test_a_run_records_the_names_that_loading_its_outputs_needs_also_for_cached_outputs(client):
    @step
    def fit(seed: int) -> SelectKBest:
        return SelectKBest(k=1).fit(FEATURES, FEATURES[:, 0] > 0.5)

    @pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
    def one():
        fit(1)

    for _ in range(2):
        one.run(client=client)
        assert [found.link.needs_trust for found in client.get_version("demo").artifacts] == [(NAME,)]


def test_a_step_can_load_an_input_whose_names_are_trusted(client):
    @step
    def use(best: SelectKBest) -> int:
        return best.k

    @pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
    def one():
        use(ExternalArtifact(model="iris", version=1, name="best"))

    with pytest.raises(GitModelError, match="not trusted here"):
        one.run(client=client)
    client.trust_names(NAME)
    assert one.run(client=client).status == "succeeded"


def suggest(client, *names):
    """Commit to the registry that it suggests to trust these names."""

    def plan(snapshot):
        rules = registry_record.FormatRules(trust=tuple(sorted(names)))
        registry = replace(snapshot.registry(), formats=rules, format="1.2")
        return Change(None, "Suggest names", files={paths.REGISTRY: codec.encode(registry)})

    client.writer.transact(plan)


def test_a_suggested_name_counts_only_after_this_machine_trusted_it(client):
    suggest(client, NAME, "numpy.mean")
    with pytest.raises(Refused, match="the registry suggests to trust " + NAME.replace(".", r"\.")) as caught:
        load(client)
    assert f"git model formats trust {NAME}" in caught.value.hint
    assert "numpy.mean" not in caught.value.message
    assert client.suggested_names() == ("numpy.mean", NAME)
    assert client.trusted_names() == ()
    client.trust_names(*client.suggested_names())
    assert load(client).k == 1


def test_formats_trust_asks_before_it_trusts_suggested_names(client, capsys, monkeypatch):
    assert ask(capsys, "formats", "trust")[:2] == (0, "the registry suggests no names to trust\n")
    suggest(client, NAME)
    code, _, err = ask(capsys, "formats", "trust")
    assert (code, client.trusted_names()) == (2, ())
    assert f"suggests to trust {NAME}, and there is no terminal to ask" in err
    assert f"git model formats trust {NAME}" in err
    asked = []
    monkeypatch.setattr("gitmodel.cli.output.Output.confirm", lambda self, question: asked.append(question) or False)
    assert ask(capsys, "formats", "trust")[0] == 130
    assert client.trusted_names() == ()
    monkeypatch.setattr("gitmodel.cli.output.Output.confirm", lambda self, question: asked.append(question) or True)
    assert ask(capsys, "formats", "trust")[:2] == (0, f"this clone trusts {NAME} now\n")
    assert asked == [f"The registry suggests to trust {NAME}. Trust them?"] * 2
    assert ask(capsys, "formats", "trust")[1] == "this clone trusts every name that the registry suggests\n"
    assert len(asked) == 2


def test_a_later_suggestion_does_not_add_to_the_accepted_names(client):
    suggest(client, "numpy.mean")
    client.trust_names(*client.suggested_names())
    suggest(client, "numpy.mean", NAME)
    with pytest.raises(Refused, match="the registry suggests to trust"):
        load(client)
    assert client.trusted_names() == ("numpy.mean",)


def test_a_registry_by_url_suggests_names(client, code_repo):
    suggest(client, NAME)
    store = client.store.url
    with Client(repo=code_repo.as_uri(), store=store) as reader:
        with pytest.raises(Refused, match="the registry suggests to trust"):
            load(reader)
        assert reader.trust_names(*reader.suggested_names()) == (NAME,)
        assert load(reader).k == 1
    with Client(repo=code_repo.as_uri(), store=store, environ={**os.environ, "GITMODEL_TRUST": NAME}) as service:
        assert load(service).k == 1


def test_formats_trust_remove_without_a_name_is_refused(client, capsys):
    code, _, err = ask(capsys, "formats", "trust", "--remove")
    assert code == 2
    assert "--remove needs the names to remove" in err


@pytest.mark.parametrize("wrong", ["sklearn", "sklearn.*", "sklearn.", "os.system()", ""])
def test_only_full_names_can_be_suggested(client, wrong):
    def plan(snapshot):
        rule = f'\n[formats]\ntrust = [\n    "{wrong}",\n]\n'.encode()
        return Change(None, "Suggest", files={paths.REGISTRY: codec.encode(snapshot.registry()) + rule})

    client.writer.transact(plan)
    with pytest.raises(Invalid, match=r"formats\.trust: takes full names of classes and functions"):
        client.suggested_names()
    with pytest.raises(Refused) as caught:  # loading fails as without a suggestion
        load(client)
    assert "suggests" not in caught.value.message
    assert "formats.trust" in str(checking.check(client.repository))


def test_the_error_of_a_pipeline_lists_the_names_that_the_registry_suggests(client):
    suggest(client, NAME)

    @step
    def use(best: object) -> int:
        return best.k

    @pipeline
    def using():
        use(ExternalArtifact(model="iris", name="best", version=1))

    with pytest.raises(GitModelError, match="the registry suggests to trust"):
        using()
    client.trust_names(NAME)
    assert using().status == "succeeded"
