"""The contract and the recipe are TOML that says what was meant."""

import tomllib

import onnx
import pytest
from contract import METADATA_KEY, Class, Contract, Latent, Recipe, label
from oddities_good import dynamic_batch

NAMES = ("T-shirt", 'quo"ted', "back\\slash", "Ödön")


def meaning() -> Contract:
    return Contract({"z": Latent(64), "label.y": Class(4, "one-hot", NAMES)}, 0, 255)


def test_recipe_reads_back_as_written():
    recipe = tomllib.loads(Recipe("my set", meaning(), block=8).toml())
    assert recipe == {
        "name": "my set",
        "seed": 7,
        "samples": 60_000,
        "generator": {
            "model": "my set.onnx",
            "block": 8,
            "inputs": {
                "z": {"role": "latent", "distribution": "normal"},
                "label.y": {"role": "class", "encoding": "one-hot", "classes": 4, "names": list(NAMES)},
            },
            "output": {"layout": "NCHW", "range": [0, 255]},
        },
        "views": {"count": 2, "latent": [{"op": "gaussian", "std": 0.5}]},
        "output": {"dtype": "u8", "layout": "NCHW"},
    }


def test_contract_is_the_generator_table_of_the_recipe():
    table = tomllib.loads(Recipe("x", meaning()).toml())["generator"]
    assert tomllib.loads(meaning().toml()) == {"inputs": table["inputs"], "output": table["output"]}


def test_label_survives_the_file(tmp_path):
    model = dynamic_batch()
    label(model, meaning(), licence="MIT", source="", description="two\nlines")
    onnx.save(model, tmp_path / "a.onnx")
    found = {entry.key: entry.value for entry in onnx.load(tmp_path / "a.onnx").metadata_props}
    assert tomllib.loads(found[METADATA_KEY]) == tomllib.loads(meaning().toml())
    assert found["genset.licence"] == "MIT"
    assert found["genset.description"] == "two\nlines"
    assert "genset.source" not in found


@pytest.mark.parametrize(
    ("what", "shape"),
    [
        (Latent(8), (3, 8)),
        (Latent(8, spatial=True), (3, 8, 1, 1)),
        (Class(5), (3, 5)),
        (Class(5, "index"), (3,)),
    ],
)
def test_shapes(what, shape):
    assert what.shape(3) == shape
