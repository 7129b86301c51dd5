"""ONNX: models in one file. gitmodel refuses a model whose weights are in other files, and does not read these."""

import struct

import pytest

from gitmodel.errors import UsageError
from gitmodel.formats import load, save

onnx = pytest.importorskip("onnx")


@pytest.fixture
def model():
    one, two = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, 2]) for name in "xy")
    weights = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [2], struct.pack("<2f", 2, 3), raw=True)
    node = onnx.helper.make_node("Mul", ["x", "w"], ["y"])
    graph = onnx.helper.make_graph([node], "double", [one], [two], [weights])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def test_a_loaded_model_equals_the_saved_one(model, kept, tmp_path):
    assert kept(model, "onnx", kind="model", detected="bytes") == model
    save(model, tmp_path / "model.onnx", "onnx")
    onnx.checker.check_model(tmp_path / "model.onnx")


def test_a_model_with_weights_in_another_file_is_refused_and_the_file_is_not_read(model, tmp_path):
    tensor = model.graph.initializer[0]
    (tmp_path / "secret").write_bytes(b"\0" * 8)
    onnx.external_data_helper.set_external_data(tensor, "../secret", length=8)
    tensor.ClearField("raw_data")
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(UsageError, match="the weights w of the model are in another file"):
        load(tmp_path / "model.onnx", "onnx")
    with pytest.raises(UsageError, match="are in another file"):
        save(model, tmp_path / "again.onnx", "onnx")
