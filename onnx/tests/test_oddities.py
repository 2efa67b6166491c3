"""Every odd generator is odd in the way that it says, and in no other."""

import numpy as np
import onnx
import onnxruntime
import pytest
from conftest import ROOT
from oddities import ODDITIES, readme, write
from oddities_table import GOOD, HOSTILE

BY_NAME = {entry.name: entry for entry in ODDITIES}
COMMITTED = ROOT.parent / "tests" / "models"


def open_model(name, folder):
    path = write(BY_NAME[name], folder)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def feeds(session, batch=6, seed=0):
    random = np.random.default_rng(seed)
    made = {}
    for value in session.get_inputs():
        shape = [batch if isinstance(size, str) else size for size in value.shape]
        if value.type == "tensor(int64)":
            made[value.name] = random.integers(0, 5, shape)
        else:
            made[value.name] = np.asarray(random.standard_normal(shape), np.float32)
    return made


def run(session, inputs):
    return session.run(None, inputs)[0]


@pytest.mark.parametrize("name", [entry.name for entry in ODDITIES if entry.group == GOOD])
def test_good_ones_are_sound(name, tmp_path):
    session = open_model(name, tmp_path)
    inputs = feeds(session)
    images = run(session, inputs)
    assert np.array_equal(images, run(session, inputs))
    assert np.isfinite(images.astype(np.float64)).all()
    declared = session.get_outputs()[0].shape
    assert [size for size in declared if not isinstance(size, str)] == [
        size for size, name in zip(images.shape, declared, strict=True) if not isinstance(name, str)
    ]
    for key in inputs:
        changed = inputs | {key: feeds(session, seed=1)[key]}
        assert not np.array_equal(images, run(session, changed)), f"{key} does nothing"
    if declared[0] == "N":
        per_item = {key for key, value in inputs.items() if value.ndim and len(value) == 6}
        alone = {key: value[2:3] if key in per_item else value for key, value in inputs.items()}
        # The last bits of a product may hang on the batch size; u8 may round the other way.
        tolerance = 1 if images.dtype == np.uint8 else 2e-3 if images.dtype == np.float16 else 1e-4
        assert np.allclose(run(session, alone)[0].astype(float), images[2].astype(float), atol=tolerance, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("static-batch-4", (4, 3, 8, 8)),
        ("static-batch-1", (1, 3, 8, 8)),
        ("no-batch", (3, 8, 8)),
        ("nhwc", (6, 8, 8, 3)),
        ("flat-784", (6, 784)),
        ("flat-192", (6, 192)),
        ("flat-ambiguous", (6, 256)),
        ("channels-1", (6, 1, 8, 8)),
        ("channels-4", (6, 4, 8, 8)),
    ],
)
def test_shapes(name, shape, tmp_path):
    session = open_model(name, tmp_path)
    assert run(session, feeds(session)).shape == shape


@pytest.mark.parametrize(
    ("name", "dtype", "low", "high"),
    [
        ("dynamic-batch", np.float32, -1, 1),
        ("output-f16", np.float16, -1, 1),
        ("output-f64", np.float64, -1, 1),
        ("output-u8", np.uint8, 0, 255),
        ("range-0-1", np.float32, 0, 1),
        ("range-0-255", np.float32, 0, 255),
    ],
)
def test_types_and_ranges(name, dtype, low, high, tmp_path):
    session = open_model(name, tmp_path)
    images = run(session, feeds(session, batch=200))
    assert images.dtype == dtype
    assert low <= images.min() < low + 0.2 * (high - low)
    assert high - 0.2 * (high - low) < images.max() <= high


def test_latent_ignored(tmp_path):
    session = open_model("latent-ignored", tmp_path)
    inputs, other = feeds(session), feeds(session, seed=1)
    images = run(session, inputs)
    assert np.array_equal(images, run(session, inputs | {"style": other["style"]}))
    assert not np.array_equal(images, run(session, inputs | {"z": other["z"]}))


def test_constant_output(tmp_path):
    session = open_model("constant-output", tmp_path)
    images = run(session, feeds(session))
    assert (images == images[:1]).all()
    assert images.std() > 0.1


def test_nan_always(tmp_path):
    session = open_model("nan-always", tmp_path)
    assert np.isnan(run(session, feeds(session))).all()


def test_nan_sometimes(tmp_path):
    session = open_model("nan-sometimes", tmp_path)
    inputs = feeds(session, batch=500)
    bad = np.isnan(run(session, inputs)).any((1, 2, 3))
    assert np.array_equal(bad, inputs["z"][:, 0] < -1.5)
    assert 0 < bad.mean() < 0.2


def test_hidden_random(tmp_path):
    session = open_model("hidden-random", tmp_path)
    inputs = feeds(session)
    assert not np.array_equal(run(session, inputs), run(session, inputs))


def test_batch_statistics(tmp_path):
    session = open_model("batch-statistics", tmp_path)
    z = feeds(session)["z"]
    others = np.concatenate([z[:1], z[1:] + 1])
    assert not np.allclose(run(session, {"z": z})[0], run(session, {"z": others})[0], atol=0.01)


def test_batch_position(tmp_path):
    session = open_model("batch-position", tmp_path)
    z = feeds(session)["z"]
    images = run(session, {"z": z[[0, 0, 0]]})
    assert images[0].mean() < images[1].mean() < images[2].mean()
    assert np.allclose(images[0], run(session, {"z": z})[0], atol=1e-4)


def test_unknown_range(tmp_path):
    session = open_model("unknown-range", tmp_path)
    assert np.abs(run(session, feeds(session, batch=200))).max() > 2


def test_external_data_inside_equals_plain(tmp_path):
    inside, plain = (open_model(name, tmp_path) for name in ("external-data-inside", "dynamic-batch"))
    assert np.array_equal(run(inside, feeds(inside)), run(plain, feeds(plain)))


@pytest.mark.parametrize(
    ("name", "location"),
    [
        ("external-data-missing", "missing.bin"),
        ("external-data-outside", "../outside.bin"),
        ("external-data-absolute", "/outside.bin"),
    ],
)
def test_external_data_locations(name, location, tmp_path):
    model = onnx.load(write(BY_NAME[name], tmp_path), load_external_data=False)
    (matrix,) = [value for value in model.graph.initializer if value.external_data]
    assert {entry.key: entry.value for entry in matrix.external_data}["location"] == location


@pytest.mark.parametrize(
    "name", ["custom-operator", "external-data-missing", "truncated", "not-protobuf", "empty"]
)
def test_runtime_refuses(name, tmp_path):
    with pytest.raises(Exception, match="(?i)fail|invalid|no graph"):
        open_model(name, tmp_path)


@pytest.mark.parametrize("name", ["terabyte-output", "overflow-output"])
def test_declared_output_is_huge(name, tmp_path):
    model = onnx.load(write(BY_NAME[name], tmp_path))
    sizes = [size.dim_value for size in model.graph.output[0].type.tensor_type.shape.dim]
    assert np.prod([float(size) for size in sizes]) > 2**40


def test_terabyte_intermediate_declares_a_small_output(tmp_path):
    model = onnx.load(write(BY_NAME["terabyte-intermediate"], tmp_path))
    assert [size.dim_value for size in model.graph.output[0].type.tensor_type.shape.dim] == [1, 3, 1, 1]
    shapes = [onnx.numpy_helper.to_array(value) for value in model.graph.initializer if value.data_type == 7]
    assert any(np.prod(shape.astype(float)) > 2**40 for shape in shapes)


def test_terabyte_initializer_has_no_data(tmp_path):
    model = onnx.load(write(BY_NAME["terabyte-initializer"], tmp_path))
    matrix = model.graph.initializer[0]
    assert np.prod([float(size) for size in matrix.dims]) > 2**40
    assert not matrix.raw_data
    assert not matrix.float_data


def test_negative_dimension(tmp_path):
    model = onnx.load(write(BY_NAME["negative-dimension"], tmp_path))
    assert model.graph.output[0].type.tensor_type.shape.dim[0].dim_value < 0


@pytest.mark.parametrize("entry", ODDITIES, ids=lambda entry: entry.name)
def test_committed_file_is_what_the_script_makes(entry, tmp_path):
    path = write(entry, tmp_path)
    assert path.read_bytes() == (COMMITTED / path.name).read_bytes()
    for name, content in entry.beside.items():
        assert content == (COMMITTED / name).read_bytes()


def test_table_is_complete():
    assert (COMMITTED / "README.md").read_text() == readme()
    assert {path.stem for path in COMMITTED.glob("*.onnx")} == set(BY_NAME)
    assert sum(path.stat().st_size for path in COMMITTED.iterdir()) < 350_000
    assert all(entry.summary.endswith(".") for entry in ODDITIES)
    assert {entry.group for entry in ODDITIES} == {GOOD, "faulty", HOSTILE}
