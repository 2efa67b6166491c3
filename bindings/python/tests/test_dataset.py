"""Random access, recipes in all their forms, and errors."""

from __future__ import annotations

import pickle
from pathlib import Path

import genset
import numpy as np
import pytest
from conftest import SAMPLES
from genset import errors

RECIPE = """
name = "small"
samples = 100
seed = 5
[generator]
model = "builtin:digits"
[views]
count = 3
latent = [{ op = "gaussian", std = 0.5 }]
"""


def test_a_sample_is_a_batch_of_one(digits: genset.Dataset) -> None:
    sample = digits[5]
    assert sample.images.shape == (1, 2, 1, 28, 28)
    assert sample.images.dtype == np.uint8
    assert sample.labels.dtype == np.int64
    assert sample.index.tolist() == [5]
    assert sample.latents.shape[:2] == (1, 2)
    assert digits.classes == [str(digit) for digit in range(10)]


def test_slices_lists_and_negative_numbers_give_the_same_bytes(digits: genset.Dataset) -> None:
    one_by_one = np.concatenate([digits[i].images for i in range(30, 40)])
    assert np.array_equal(digits[30:40].images, one_by_one)
    assert np.array_equal(digits[list(range(39, 29, -1))].images, one_by_one[::-1])
    assert np.array_equal(digits[np.arange(30, 40)].images, one_by_one)
    assert digits[-1].index.tolist() == [SAMPLES - 1]
    assert digits[[3, 3]].index.tolist() == [3, 3]
    for wrong in (SAMPLES, -SAMPLES - 1, [0, SAMPLES]):
        with pytest.raises(IndexError, match=str(SAMPLES)):
            digits[wrong]


def test_views_are_drawn_anew_in_another_epoch(digits: genset.Dataset) -> None:
    first, second = digits.gather([7], 0), digits.gather([7], 1)
    assert not np.array_equal(first.images, second.images)
    assert first.labels == second.labels
    plan = digits.plan(7)
    assert plan["index"] == 7
    assert plan["label"] == first.labels[0]


def test_files_tables_and_keywords_are_one_recipe(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text(RECIPE)
    of_file = genset.Dataset(file)
    table = {
        "name": "small",
        "samples": 100,
        "seed": 5,
        "generator": {"model": "builtin:digits"},
        "views": {"count": 3, "latent": [{"op": "gaussian", "std": 0.5}]},
    }
    builtin = genset.Dataset("builtin:digits")
    for other in (
        genset.Dataset(table),
        genset.Dataset(**table),
        genset.Dataset({**table, "seed": 1}, seed=np.int64(5)),
        genset.Dataset(file, samples=50),
    ):
        assert other.digest == of_file.digest
        assert np.array_equal(other[3].images, of_file[3].images)
    assert builtin.digest != of_file.digest
    assert "count = 3" in of_file.recipe


def test_errors_say_the_same_in_all_forms_and_are_of_pythons_classes(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text(RECIPE.replace("seed", "sede"))
    for open_it in (
        lambda: genset.Dataset(file),
        lambda: genset.Dataset("builtin:digits", sede=3),
        lambda: genset.Dataset(generator={"model": "builtin:digits"}, sede=3),
    ):
        with pytest.raises(errors.RecipeError, match="sede.*\n.*seed") as caught:
            open_it()
        assert isinstance(caught.value, (genset.Error, ValueError))
        assert "seed" in caught.value.advice
    with pytest.raises(OSError, match="nowhere"):
        genset.Dataset(tmp_path / "nowhere.toml")
    with pytest.raises(errors.ProviderError, match="warp"):
        genset.Dataset("builtin:digits", provider="warp")
    with pytest.raises(errors.RecipeError, match="None"):
        genset.Dataset("builtin:digits", seed=None)
    with pytest.raises(genset.Error, match="cuda.device_id"):
        genset.Dataset("builtin:digits", provider_options={"cuda.device_id": 0})[0]
    with pytest.raises(errors.ArgumentError, match="unknown format"):
        genset.Dataset("builtin:digits", format="tensorflow")
    error = pickle.loads(pickle.dumps(caught.value))
    assert (str(error), error.advice) == (str(caught.value), caught.value.advice)


def test_an_endless_dataset_has_any_sample_and_no_length() -> None:
    endless = genset.Dataset("builtin:digits", samples="endless")
    assert endless.is_endless
    assert endless[10**12].index.tolist() == [10**12]
    assert len(endless[5:8]) == 3
    with pytest.raises(TypeError, match="samples="):
        len(endless)
    with pytest.raises(IndexError):
        endless[5:]


def test_pickling_carries_the_recipe(digits: genset.Dataset) -> None:
    pickled = pickle.dumps(digits.with_format("dlpack"))
    assert len(pickled) < 1000
    other = pickle.loads(pickled)
    assert (other.digest, len(other), other.format) == (digits.digest, SAMPLES, "dlpack")
    assert np.array_equal(np.from_dlpack(other[3].images), digits[3].images)


def test_what_was_pickled_opens_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "small.toml").write_text(RECIPE)
    monkeypatch.chdir(tmp_path)
    pickled = pickle.dumps(genset.Dataset("small.toml"))
    monkeypatch.chdir("/")
    assert len(pickle.loads(pickled)) == 100


def test_blocks_are_kept_within_the_memory_that_is_given(digits: genset.Dataset) -> None:
    """The same bytes, in whatever order, whether blocks are made again or not."""
    order = np.random.default_rng(0).permutation(SAMPLES)[:200].tolist()
    expected = digits[order].images
    for memory in (0, 200_000, 1 << 30):
        dataset = genset.Dataset("builtin:digits", samples=SAMPLES, random_access=memory)
        parts = [dataset[order[at : at + 7]].images for at in range(0, 200, 7)]
        assert np.array_equal(np.concatenate(parts), expected)
