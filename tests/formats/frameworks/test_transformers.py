"""Transformers: models are folders with safetensors. Loading runs no code of the folder."""

import json

import pytest

from gitmodel import Client, ModelConfig, pipeline, step
from gitmodel.errors import GitModelError, UsageError
from gitmodel.formats import load, materializers

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture
def model():
    config = transformers.BertConfig(
        vocab_size=16, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8
    )
    return transformers.BertForSequenceClassification(config).eval()


def test_a_model_is_loaded_from_a_folder_without_trust(model, kept):
    found = kept(model, "transformers", kind="model")
    weights = found.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())
    ids = torch.tensor([[1, 2, 3]])
    # not exactly equal: the place of weights in memory changes the order of additions, and so the last bits of a sum
    assert torch.allclose(found(ids).logits, model(ids).logits)


def test_steps_can_return_and_take_transformers_models(model, code_repo, monkeypatch):
    monkeypatch.chdir(code_repo)

    @step
    def make() -> transformers.BertForSequenceClassification:
        return model

    @step
    def count(bert: transformers.BertForSequenceClassification) -> int:
        return bert.num_labels

    @pipeline(model_config=ModelConfig(name="demo", create_new_model_version=True))
    def run():
        count(make())

    with Client() as client:
        assert run.run(client=client).status == "succeeded"
        assert client.get_version("demo").get_artifact("make").link.kind == "model"


def test_code_and_pickles_in_the_folder_are_not_used(model, tmp_path):
    place, mark = tmp_path / "x", tmp_path / "mark"
    materializers.save(model, place, "output x", "")
    (place / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass Evil: pass\n")
    config = json.loads((place / "config.json").read_text())
    remote = {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil", "AutoModelForSequenceClassification": "evil.Evil"}
    (place / "config.json").write_text(json.dumps({**config, "auto_map": remote}))
    load(place, "folder")
    for name in ("Evil", "AutoModel", "pipeline", "os", "utils"):
        (place / "config.json").write_text(json.dumps({**config, "architectures": [name], "auto_map": remote}))
        with pytest.raises(GitModelError, match="is not a model of transformers"):
            load(place, "folder")
    (place / "config.json").write_text(json.dumps(config))
    torch.save(model.state_dict(), place / "pytorch_model.bin")
    (place / "model.safetensors").rename(place / "other.safetensors")
    with pytest.raises(GitModelError):
        load(place, "folder")
    assert not mark.exists()


def test_a_users_subclass_of_a_transformers_model_is_refused(tmp_path, model):
    class Mine(transformers.BertForSequenceClassification):
        pass

    with pytest.raises(UsageError, match="is not a model of transformers itself"):
        materializers.save(Mine(model.config), tmp_path / "x", "output x", "")
    assert list(tmp_path.iterdir()) == []
