"""PyTorch: gitmodel saves modules without pickle, and loads them if the names of their classes are trusted.

Files of `torch.save` are pickles, and load only with `trusted=True`.
"""

import json

import pytest

from gitmodel.errors import Invalid, Refused, UsageError
from gitmodel.formats import detect_format, load, materializers, save, trust
from gitmodel.formats.shipped.torch_files import changed_tensors

torch = pytest.importorskip("torch")
nn = torch.nn


class Net(nn.Module):
    """A user's module, with a shared weight, a shared module, a buffer and attributes."""

    def __init__(self, width=4):
        super().__init__()
        self.width, self.kind, self.act = (width, width), torch.float32, nn.functional.relu
        self.embed = nn.Embedding(8, width)
        self.head = nn.Linear(width, 8)
        self.head.weight = self.embed.weight
        self.again = self.head
        self.register_buffer("scale", torch.tensor(2.0))
        self.register_buffer("step", torch.arange(3), persistent=False)

    def forward(self, x):
        return self.act(self.again(self.embed(x))) * self.scale


NAMES = ("test_torch.Net", "torch.nn.functional.relu")


def test_a_module_is_loaded_with_its_classes_if_they_are_trusted(kept):
    value = Net().eval()
    with trust.trusting(lambda: NAMES):
        found = kept(value, "torch", kind="model")
    assert type(found) is Net
    assert found.head.weight is found.embed.weight
    assert found.again is found.head
    assert (found.training, found.width, found.kind, found.step.tolist()) == (False, (4, 4), torch.float32, [0, 1, 2])
    assert torch.equal(found(torch.tensor([1, 2])), value(torch.tensor([1, 2])))
    assert "step" not in found.state_dict()


def test_a_module_with_untrusted_classes_is_refused_and_the_error_names_them(kept):
    with pytest.raises(Refused, match=r"are not trusted here: test_torch\.Net, torch\.nn\.functional\.relu"):
        kept(Net(), "torch", kind="model")


def test_modules_of_torch_itself_need_no_trust(kept):
    value = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    value(torch.zeros(2, 1, 5, 5))
    found = kept(value.eval(), "torch", kind="model")
    x = torch.rand(2, 1, 5, 5)
    assert torch.equal(found(x), value(x))
    value = nn.LSTM(2, 3, num_layers=2, batch_first=True)
    assert torch.equal(kept(value, "torch", kind="model")(torch.ones(1, 2, 2))[0], value(torch.ones(1, 2, 2))[0])


def test_a_module_with_tensors_of_eight_bit_floats_is_loaded_unchanged(kept):
    value = nn.Linear(1, 1)
    value.register_buffer("small", torch.tensor([0.5, float("nan")]).to(torch.float8_e4m3fn))
    found = kept(value, "torch", kind="model")
    assert found.small.dtype == torch.float8_e4m3fn
    assert found.small.to(torch.float32)[0] == 0.5


class Packed(torch.Tensor):
    """A tensor without memory of its own, like those of libraries that quantize: *held* has the values."""

    @staticmethod
    def __new__(cls, held):
        made = torch.Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype)
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), named=None):
        done = function(*(one.held if isinstance(one, cls) else one for one in arguments), **(named or {}))
        return cls(done) if isinstance(done, torch.Tensor) else done


def test_tensors_without_memory_of_their_own_are_compared_by_value():
    one, same, other = (Packed(torch.tensor([1.0, number])) for number in (2, 2, 3))
    assert one.data_ptr() == 0
    assert changed_tensors({"a": one}, {"a": same}) == []
    assert changed_tensors({"a": one}, {"a": other}) == ["a"]


def test_a_state_dict_is_loaded_as_tensors_from_an_artifact_and_a_file(kept, tmp_path):
    value = {"weight": torch.ones(2, 3, dtype=torch.bfloat16).T, "bias": torch.zeros(2)}
    save(value, tmp_path / "by-format", "safetensors")
    for found in (kept(value, "safetensors", kind="model"), load(tmp_path / "by-format", "safetensors")):
        assert found.keys() == value.keys()
        assert all(torch.equal(found[name], value[name]) for name in value)


def test_a_file_of_tensors_from_another_program_is_loaded_as_arrays(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors", {"format": "pt"})
    assert type(load(tmp_path / "x.safetensors", "safetensors")["a"]).__module__ == "numpy"


def test_the_refusal_names_the_place_of_a_hook_lambda_or_object_in_a_module(tmp_path):
    hooked, odd, other = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)
    hooked.register_forward_hook(print)
    odd.act = lambda x: x
    other.thing = object()
    for value, said in (
        (hooked, r"Linear has hooks \(_forward_hooks\)"),
        (nn.Sequential(odd), r"Sequential\.0\.act is a function without a name"),
        (other, r"Linear\.thing is a builtins\.object"),
    ):
        with pytest.raises(UsageError, match=said):
            materializers.save(value, tmp_path / "x", "output x", "")
    assert list(tmp_path.iterdir()) == []


def crafted(path, **changes):
    from safetensors.torch import load_file, save_file

    save(nn.Linear(1, 1), path, "torch")
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        told = json.loads(file.metadata()["gitmodel.module"])
    told.update(changes)
    save_file(load_file(path), path, {"gitmodel.module": json.dumps(told)})
    return path


@pytest.mark.parametrize("name", ["subprocess.Popen", "os.system", "builtins.eval", "torch.load", "torch.nn.Linear"])
def test_a_file_that_names_no_module_class_is_refused_and_runs_nothing(name, tmp_path):
    mark = tmp_path / "mark"
    attributes = {"call": {"named": name}, "text": {"value": f"touch {mark}"}}
    for changes in ({"class": name}, {"attributes": attributes}):
        with pytest.raises((Refused, Invalid)):
            load(crafted(tmp_path / "x", **changes), "torch")
    with pytest.raises(Invalid):  # also refused with trust, because gitmodel creates only subclasses of torch.nn.Module
        load(crafted(tmp_path / "x", **{"class": name}), "torch", trusted=True)
    assert not mark.exists()


def test_the_list_of_trusted_names_has_every_module_of_torch():
    kinds = [kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Module)]
    ours = [kind for kind in kinds if kind.__module__.startswith("torch.nn.modules.")]
    wanted = {f"{kind.__module__}.{kind.__qualname__}" for kind in ours}
    assert len(wanted) > 100
    assert wanted <= trust.shipped()


class Evil:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return open, (self.mark, "w")


def test_a_file_of_torch_save_is_recognized_and_needs_trust(tmp_path):
    mark = tmp_path / "mark"
    torch.save({"a": torch.ones(2), "b": Evil(str(mark))}, tmp_path / "model.pt")
    assert detect_format(tmp_path / "model.pt") == "torch-pickle"
    for name in ("torch-pickle", "torch", "safetensors", "numpy"):
        with pytest.raises(Refused, match=r"torch-pickle file|pickle file"):
            load(tmp_path / "model.pt", name)
    assert not mark.exists()
    torch.save({"a": torch.ones(2)}, tmp_path / "model.pt")
    assert load(tmp_path / "model.pt", "torch-pickle", trusted=True)["a"].tolist() == [1, 1]
