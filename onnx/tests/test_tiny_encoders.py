"""The tiny encoders are what is committed, and do what they say."""

import numpy as np
import onnxruntime
import pytest
from conftest import ROOT
from tiny_encoders import ENCODERS, write

COMMITTED = ROOT.parent / "tests" / "encoders"


def run(name, images, folder):
    session = onnxruntime.InferenceSession(str(write(name, folder)), providers=["CPUExecutionProvider"])
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, {"x": images})))


@pytest.mark.parametrize("name", ENCODERS)
def test_committed_files_are_what_the_script_writes(name, tmp_path):
    assert write(name, tmp_path).read_bytes() == (COMMITTED / f"{name}.onnx").read_bytes()


def test_edges_tell_the_way_of_stripes(tmp_path):
    across = np.tile((np.arange(8) // 2 % 2).astype(np.float32), (8, 1))
    images = np.stack([across, across.T])[:, None]
    made = run("edges", images, tmp_path)
    features = made["features"]
    assert features[0, 0] > 2 * features[0, 1] and features[1, 1] > 2 * features[1, 0]
    np.testing.assert_allclose(made["maps"].mean((2, 3)), features, rtol=1e-5)
    np.testing.assert_allclose(made["pooled"][:, :, 0, 0], features, rtol=1e-6)
    np.testing.assert_allclose(made["tokens"].mean(1), features, rtol=1e-5)


def test_a_white_pixel_is_not_a_number(tmp_path):
    images = np.zeros((2, 1, 8, 8), np.float32)
    images[1, 0, 3, 3] = 1
    assert np.isnan(run("not-a-number", images, tmp_path)["features"]).tolist() == [[False], [True]]
