"""Encoders are exported as they say, and the losses that training is held against are right."""

import json
import struct

import numpy as np
import onnxruntime
import pytest
from conftest import ROOT

torch = pytest.importorskip("torch")

import encoders  # noqa: E402
import objectives  # noqa: E402
import training_fixtures as fixtures  # noqa: E402

COMMITTED = ROOT.parent / "tests" / "training"


def read(name):
    data = (COMMITTED / f"{name}.safetensors").read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    kinds = {"F32": "<f4", "F64": "<f8", "I64": "<i8", "U8": "u1"}
    case = json.loads(header.pop("__metadata__")["case"])

    def tensor(entry):
        start, end = (8 + size + at for at in entry["data_offsets"])
        return np.frombuffer(data[start:end], kinds[entry["dtype"]]).reshape(entry["shape"])

    return case, {name: tensor(entry) for name, entry in header.items()}


def tiny(name, way):
    size = encoders.FAMILIES[name].size
    network = encoders.build(name, tiny=True, moved=True)
    return network, encoders.export(
        network, torch.rand(3, 3, size, size), way.exporter, way.opset, way.kept, way.folding
    )


@pytest.mark.parametrize(("name", "way"), [("conv-small", 0), ("convnext", 0), ("vit", 0), ("vit-mean", 1)])
def test_committed_files_are_what_the_script_writes(name, way):
    way = fixtures.WAYS[name][way]
    network, model = tiny(name, way)
    written = model.SerializeToString(deterministic=True)
    assert written == (COMMITTED / f"{name}.{way.name}.onnx").read_bytes()
    size = encoders.FAMILIES[name].size
    images = torch.rand(5, 3, size, size)
    with torch.no_grad():
        expected = network.eval()(images).numpy()
    session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"image": images.numpy()})[0], expected, atol=1e-5)


def test_normalisations_are_kept_or_folded():
    for exporter, opset in [("torchscript", 17), ("dynamo", 18)]:
        for kept in (True, False):
            _, model = tiny("conv-small", fixtures.Way(exporter, opset, kept))
            assert ("BatchNormalization" in {node.op_type for node in model.graph.node}) == kept


def test_gradients_are_those_of_differences():
    """Of one weight, in the committed fixture, by moving it."""
    case, tensors = read("conv-small")
    images = torch.from_numpy(tensors["images"].copy())
    name, step = "body.1.0.weight", 1e-5

    def loss(moved):
        network = encoders.build("conv-small", tiny=True, moved=True).double().train()
        dict(network.named_parameters())[name].data[0, 1, 2, 0] += moved
        with torch.no_grad():
            return fixtures.loss_of(network, images).item()

    difference = (loss(step) - loss(-step)) / (2 * step)
    assert difference == pytest.approx(tensors[f"gradient/{name}"][0, 1, 2, 0], rel=1e-5)
    assert loss(0) == pytest.approx(tensors["loss/sgd"][0], rel=1e-9)
    assert case["objective"] == "contrast:temperature=0.5"


def test_losses_of_two_views_are_those_that_pytorch_has():
    torch.manual_seed(0)
    a, b = torch.randn(2, 6, 4, dtype=torch.float64).unbind()
    # NT-Xent as it is commonly written: a cross-entropy whose own column is left out.
    z = torch.nn.functional.normalize(torch.cat([a, b]), dim=1)
    scores = (z @ z.T / 0.3).fill_diagonal_(-torch.inf)
    wanted = torch.nn.functional.cross_entropy(scores, torch.arange(12).roll(6))
    assert objectives.contrast([a, b], 0.3).item() == pytest.approx(wanted.item())
    # Where every sample is a class of its own, classes are samples.
    label = torch.arange(6)
    assert objectives.supcon([a, b], label, 0.3).item() == pytest.approx(wanted.item())
    assert objectives.byol([a, b], [b, a]).item() == pytest.approx(0)
