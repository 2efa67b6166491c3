"""The exporter on tiny networks: what it writes runs, what it refuses it names."""

import json
import tomllib

import numpy as np
import onnx
import onnxruntime
import pytest

torch = pytest.importorskip("torch")
export = pytest.importorskip("export")

NETWORKS = '''
import torch
from torch import nn

class Spatial(nn.Module):
    def __init__(self, channels=3):
        super().__init__()
        self.main = nn.Sequential(
            nn.ConvTranspose2d(6, 4, 4, 1, 0, bias=False), nn.BatchNorm2d(4), nn.ReLU(True), nn.Dropout(0.5),
            nn.ConvTranspose2d(4, channels, 4, 2, 1), nn.Tanh())
    def forward(self, z):
        return self.main(z)

class Squeezing(Spatial):
    def __init__(self):
        super().__init__()
        self.main[0] = nn.ConvTranspose2d(6 + 5, 4, 4, 1, 0)
    def forward(self, z, y):
        z = z.squeeze()
        if z.dim() == 1:
            z = z.unsqueeze(0)
        return self.main(torch.cat([z, y], 1)[:, :, None, None])

class Indexed(Spatial):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 6)
    def forward(self, z, label):
        return self.main((z + self.table(label))[:, :, None, None])

class Noisy(Spatial):
    def forward(self, z):
        return self.main(z + torch.randn_like(z))

class Score(nn.Linear):
    def forward(self, z):
        return super().forward(z)

class Broken(Spatial):
    def forward(self, z):
        return self.main(z) / 0
'''


@pytest.fixture(scope="module")
def code(tmp_path_factory):
    path = tmp_path_factory.mktemp("code") / "networks_under_test.py"
    path.write_text(NETWORKS)
    return path


def arguments(code, name, checkpoint, output, *inputs, kwargs=None, limits=("-1", "1")):
    flags = [part for text in inputs for part in ("--input", text)]
    return [
        *("--module", f"{code}:{name}", "--kwargs", json.dumps(kwargs or {})),
        *("--checkpoint", str(checkpoint), "--range", *limits, "-o", str(output)),
        *flags,
    ]


def make(code, name, tmp_path, wrap=lambda weights: weights, **kwargs):
    """A network with batch statistics that are not the initial ones, and its checkpoint."""
    torch.manual_seed(0)
    network = export.build(f"{code}:{name}", kwargs)
    for part in network.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    path = tmp_path / "weights.pth"
    torch.save(wrap(network.state_dict()), path)
    return network.eval(), path


def run(path, **inputs):
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, inputs)[0]


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_spatial_latent(code, tmp_path, channels):
    network, checkpoint = make(code, "Spatial", tmp_path, channels=channels)
    output = tmp_path / "out" / "face.onnx"
    inputs = arguments(code, "Spatial", checkpoint, output, "z=latent:6x1x1", kwargs={"channels": channels})
    assert export.main(inputs) == 0
    for count in (1, 7):
        z = torch.randn(count, 6, 1, 1)
        with torch.no_grad():
            assert np.abs(run(output, z=z.numpy()) - network(z).numpy()).max() < 1e-5
    model = onnx.load(output)
    kinds = {node.op_type for node in model.graph.node}
    assert not kinds & {"BatchNormalization", "Dropout"}
    assert {entry.version for entry in model.opset_import} == {18}
    recipe = tomllib.loads(output.with_suffix(".toml").read_text())
    assert recipe["name"] == "face"
    assert recipe["generator"]["model"] == "face.onnx"
    (contract,) = [entry.value for entry in model.metadata_props if entry.key == "genset.contract"]
    assert tomllib.loads(contract)["inputs"] == recipe["generator"]["inputs"]
    assert b"networks_under_test" not in output.read_bytes()


def test_squeeze_keeps_the_batch_at_one(code, tmp_path):
    network, checkpoint = make(code, "Squeezing", tmp_path)
    for shape in ("6", "6x1x1"):
        output = tmp_path / "eye.onnx"
        inputs = arguments(code, "Squeezing", checkpoint, output, f"z=latent:{shape}", "y=class:5:one-hot:a,b,c,d,e")
        assert export.main(inputs) == 0
        z, y = torch.randn(1, 6, *[1] * shape.count("x")), torch.eye(5)[:1]
        with torch.no_grad():
            assert np.abs(run(output, z=z.numpy(), y=y.numpy()) - network(z, y).numpy()).max() < 1e-5
    recipe = tomllib.loads(output.with_suffix(".toml").read_text())
    assert recipe["generator"]["inputs"]["y"]["names"] == list("abcde")


def test_class_index(code, tmp_path):
    network, checkpoint = make(code, "Indexed", tmp_path)
    output = tmp_path / "a.onnx"
    inputs = arguments(code, "Indexed", checkpoint, output, "z=latent:6", "label=class:5:index")
    assert export.main(inputs) == 0
    z, label = torch.randn(3, 6), torch.tensor([0, 4, 2])
    with torch.no_grad():
        assert np.abs(run(output, z=z.numpy(), label=label.numpy()) - network(z, label).numpy()).max() < 1e-5


@pytest.mark.parametrize(
    "wrap",
    [
        lambda weights: {"netG_state_dict": weights},
        lambda weights: {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in weights.items()}},
        lambda weights: {f"_orig_mod.module.{name}": value for name, value in weights.items()},
        lambda weights: {"optimizer": {"state": {}}, "g_ema": weights, "discriminator": {"x": torch.zeros(1)}},
    ],
)
def test_common_wrappings(code, tmp_path, wrap):
    network, checkpoint = make(code, "Spatial", tmp_path, wrap)
    other = export.build(f"{code}:Spatial", {})
    export.load_checkpoint(other, checkpoint)
    for name, value in network.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def refusal(capsys, inputs):
    assert export.main(inputs) == 1
    return capsys.readouterr().err


def test_two_candidates_ask_for_the_key(code, tmp_path, capsys):
    _, checkpoint = make(code, "Spatial", tmp_path, lambda weights: {"first": weights, "second": weights})
    inputs = arguments(code, "Spatial", checkpoint, tmp_path / "a.onnx", "z=latent:6x1x1")
    assert "Give --key, one of: first, second" in refusal(capsys, inputs)
    assert export.main([*inputs, "--key", "second"]) == 0
    assert "no `third`" in refusal(capsys, [*inputs, "--key", "third"])


def test_pickled_code_is_not_run(code, tmp_path, capsys):
    _, checkpoint = make(code, "Spatial", tmp_path)
    torch.save({"state_dict": pytest.raises}, checkpoint)
    inputs = arguments(code, "Spatial", checkpoint, tmp_path / "a.onnx", "z=latent:6x1x1")
    assert "not a checkpoint of plain tensors" in refusal(capsys, inputs)


@pytest.mark.parametrize(
    ("name", "inputs", "limits", "message"),
    [
        ("Spatial", ["z=latent:7x1x1"], ("-1", "1"), "the network does not take"),
        ("Spatial", ["z=latent:6x1x1"], ("0", "1"), "outside --range 0 1"),
        ("Spatial", ["z=latent"], ("-1", "1"), "write NAME=latent:SIZE"),
        ("Spatial", ["z=latent:0"], ("-1", "1"), "a size of 0"),
        ("Spatial", ["z=latent:6:cauchy"], ("-1", "1"), "neither normal nor uniform"),
        ("Spatial", ["y=class:3:one-hot:a,b"], ("-1", "1"), "2 names for 3 classes"),
        ("Noisy", ["z=latent:6x1x1"], ("-1", "1"), "RandomNormal"),
        ("Broken", ["z=latent:6x1x1"], ("-1", "1"), "NaN or infinite"),
        ("Missing", ["z=latent:6x1x1"], ("-1", "1"), "no `Missing`"),
    ],
)
def test_refusals_say_why(code, tmp_path, capsys, name, inputs, limits, message):
    _, checkpoint = make(code, "Spatial", tmp_path)
    assert message in refusal(capsys, arguments(code, name, checkpoint, tmp_path / "a.onnx", *inputs, limits=limits))
    assert not (tmp_path / "a.onnx").exists()


def test_no_image_is_refused(code, tmp_path, capsys):
    _, checkpoint = make(code, "Score", tmp_path, in_features=6, out_features=4)
    kwargs = {"in_features": 6, "out_features": 4}
    inputs = arguments(code, "Score", checkpoint, tmp_path / "a.onnx", "z=latent:6", kwargs=kwargs)
    assert "expected [4, 1 or 3 or 4, height, width]" in refusal(capsys, inputs)


def test_wrong_weights_are_refused(code, tmp_path, capsys):
    _, checkpoint = make(code, "Spatial", tmp_path, channels=1)
    inputs = arguments(code, "Spatial", checkpoint, tmp_path / "a.onnx", "z=latent:6x1x1")
    assert "does not fit the network" in refusal(capsys, inputs)
