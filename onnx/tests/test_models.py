"""The shipped generators: contract, behaviour, and papers that belong to them."""

import hashlib
import json
import tomllib

import numpy as np
import onnx
import pytest
from conftest import ROOT
from data import SOURCES
from generator import OnnxGenerator, equal_shares

MODELS = ROOT / "models"
pytestmark = pytest.mark.parametrize("name", sorted(SOURCES))


def inputs(count, seed=0):
    random = np.random.default_rng(seed)
    z = random.standard_normal((count, 64), dtype=np.float32)
    return {"z": z, "y": np.eye(10, dtype=np.float32)[equal_shares(count)]}


def test_shapes_operators_and_size(name):
    path = MODELS / f"{name}.onnx"
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    shapes = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in [*model.graph.input, *model.graph.output]
    }
    assert shapes == {"z": ["N", 64], "y": ["N", 10], "image": ["N", 1, 28, 28]}
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 18)]
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"BatchNormalization", "RandomNormal", "RandomNormalLike", "Dropout"}
    assert path.stat().st_size < 1_800_000


def test_images_are_in_range_and_differ(name):
    images = OnnxGenerator(MODELS / f"{name}.onnx").session.run(None, inputs(200))[0]
    assert images.shape == (200, 1, 28, 28)
    assert np.isfinite(images).all()
    assert np.abs(images).max() <= 1 + 1e-6  # the runtime's tanh may be a last bit outside
    assert images.max() - images.min() > 1.8
    same_class = images[::10].reshape(20, -1)
    assert np.linalg.norm(same_class[:, None] - same_class[None], axis=2)[~np.eye(20, dtype=bool)].min() > 1


def test_repeatable_and_independent_of_the_batch(name):
    session = OnnxGenerator(MODELS / f"{name}.onnx").session
    feed = inputs(32)
    images = session.run(None, feed)[0]
    assert np.array_equal(images, session.run(None, feed)[0])
    for rows in (slice(5, 6), slice(3, 10), slice(31, None, -1)):
        part = session.run(None, {key: value[rows] for key, value in feed.items()})[0]
        assert np.allclose(part, images[rows], atol=1e-5)


def test_classes_are_told_apart(name):
    feed = inputs(10)
    feed["z"][:] = feed["z"][0]
    images = OnnxGenerator(MODELS / f"{name}.onnx").session.run(None, feed)[0].reshape(10, -1)
    assert np.linalg.norm(images[:, None] - images[None], axis=2)[~np.eye(10, dtype=bool)].min() > 1


def test_metadata_is_the_recipe(name):
    metadata = {entry.key: entry.value for entry in onnx.load(MODELS / f"{name}.onnx").metadata_props}
    recipe = tomllib.loads((MODELS / f"{name}.toml").read_text())
    contract = tomllib.loads(metadata["genset.contract"])
    assert contract == {key: recipe["generator"][key] for key in ("inputs", "output")}
    assert contract["inputs"]["y"]["names"] == list(SOURCES[name].names)
    assert contract["output"] == {"layout": "NCHW", "range": [-1, 1]}
    assert recipe["name"] == name and recipe["generator"]["model"] == f"{name}.onnx"
    assert all(metadata[f"genset.{key}"] for key in ("licence", "source", "description"))


def test_papers_belong_to_the_file(name):
    content = (MODELS / f"{name}.onnx").read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    figures = json.loads((MODELS / f"{name}.quality.json").read_text())
    card = (MODELS / f"{name}.md").read_text()
    assert figures["sha256"] == digest
    assert digest in card
    for entry in figures["accuracy_percent"].values():
        assert f"{entry['generated']:.2f} %" in card and f"{entry['real']:.2f} %" in card
    assert (MODELS / f"{name}.png").read_bytes().startswith(b"\x89PNG")
