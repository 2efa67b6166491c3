"""What the command does, as functions."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

import genset
import numpy as np
import pytest
from conftest import SAMPLES
from genset import errors


def test_an_export_is_the_dataset(tmp_path: Path, digits: genset.Dataset) -> None:
    told: list[tuple[int, int]] = []
    done = genset.export(
        digits, tmp_path / "a", shard_samples=256, progress=lambda *now: told.append(now)
    )
    assert (done["shards"], done["samples"]) == (3, SAMPLES)
    assert told[-1] == (SAMPLES, SAMPLES)
    stored = genset.Dataset(tmp_path / "a")
    assert (stored.digest, len(stored)) == (digits.digest, SAMPLES)
    assert np.array_equal(stored[100:200].images, digits[100:200].images)
    with stored.loader(batch=100, shuffle=3) as loader:
        index = np.concatenate([batch.index for batch in loader])
    assert index.tolist() != sorted(index) == list(range(SAMPLES))
    # Again: nothing is left to do.
    assert genset.export(digits, tmp_path / "a", shard_samples=256)["resumed"] == 3
    for rank in (1, 0):
        genset.export(digits, tmp_path / "b", shard_samples=256, rank=(rank, 2))
    files = sorted(file.name for file in (tmp_path / "a").iterdir())
    assert files == sorted(file.name for file in (tmp_path / "b").iterdir())
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_makes_no_sense_to_export_is_an_error(tmp_path: Path, digits: genset.Dataset) -> None:
    for wrong in ({"format": "zip"}, {"images": "gif"}, {"shard_bytes": 9, "shard_samples": 9}):
        with pytest.raises(genset.Error):
            genset.export(digits, tmp_path, **wrong)
    with pytest.raises(errors.ArgumentError):
        genset.export(genset.Dataset("builtin:digits", samples="endless"), tmp_path / "endless")


def test_faults_are_found_and_samples_made_anew(tmp_path: Path, digits: genset.Dataset) -> None:
    genset.export(digits, tmp_path, samples=300, shard_samples=100)
    good = genset.verify(tmp_path, regenerate=20)
    assert (good["good"], good["samples"], good["faults"]) == (True, 300, [])
    assert good["regenerated"]["equal"] == good["regenerated"]["pictures"] == 40
    shard = sorted(tmp_path.glob("*.safetensors"))[1]
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    bad = genset.verify(tmp_path)
    assert not bad["good"]
    assert shard.name in json.dumps(bad["faults"])


def test_what_a_callback_raises_ends_the_work(tmp_path: Path, digits: genset.Dataset) -> None:
    def angry(*_: int) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        genset.export(digits, tmp_path, shard_samples=64, progress=angry)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of Unix")
def test_ctrl_c_ends_an_export_which_goes_on_later(tmp_path: Path, digits: genset.Dataset) -> None:
    def interrupt(done: int, _: int) -> None:
        if done >= 200:
            signal.raise_signal(signal.SIGINT)

    many = genset.Dataset("builtin:digits", samples=20_000)
    with pytest.raises(KeyboardInterrupt):
        genset.export(many, tmp_path, shard_samples=100, progress=interrupt)
    with pytest.raises(errors.StateError, match="unfinished"):
        genset.Dataset(tmp_path)
    again = genset.export(many, tmp_path, shard_samples=100)
    assert again["resumed"] > 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("run")
    start = folder / "start.onnx"
    genset.make_encoder("conv-small", start, channels=1)
    dataset = genset.Dataset("builtin:digits", samples=2000)
    return genset.train(dataset, start, folder / "run", steps=6, batch=32, log_every=2)


def test_an_encoder_learns_and_goes_on(trained: dict[str, Any]) -> None:
    assert (trained["steps"], trained["resumed"]) == (6, 0)
    assert Path(trained["encoder"]).is_file()
    losses = [line["loss"] for line in trained["lines"]]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    with pytest.raises(errors.Error, match="objective"):
        genset.train("builtin:digits", trained["encoder"], "unused", objective="none")


def test_its_features_are_probed(trained: dict[str, Any]) -> None:
    train, test = (
        genset.Dataset("builtin:digits", samples=500, seed=seed, views={"count": 1, "latent": []})
        for seed in (1, 2)
    )
    report = genset.probe(trained["encoder"], train=train, test=test, baselines=False)
    linear = report["features"]["linear"]["accuracy"]
    assert linear["interval"][0] < linear["value"] < linear["interval"][1]
    assert linear["value"] > 0.3
    with pytest.raises(errors.Error, match="same"):
        genset.probe(trained["encoder"], train=train, test=train)


def test_copies_are_found_named_and_shown(tmp_path: Path) -> None:
    one = {"count": 1, "latent": []}
    real, held_out = (
        genset.Dataset("builtin:digits", samples=300, seed=seed, views=one) for seed in (7, 8)
    )
    sheet = tmp_path / "pairs.png"
    told: list[tuple[int, int]] = []
    report = genset.audit(
        "builtin:digits",
        against=real,
        held_out=held_out,
        samples=1000,
        sheet=sheet,
        progress=lambda *now: told.append(now),
    )
    # They are the first samples of the same seed.
    assert report["alarm"] and told
    assert {pair["index"] for pair in report["spaces"][0]["copies"]["closest"]} <= set(range(300))
    assert sheet.read_bytes().startswith(b"\x89PNG")
    other = genset.Dataset("builtin:digits", seed=9)
    assert not genset.audit(other, against=real, held_out=held_out, samples=1000)["alarm"]
    with pytest.raises(errors.ArgumentError, match="level"):
        genset.audit(other, against=real, level=2.0)


def test_what_edits_do_is_audited(tmp_path: Path) -> None:
    examples = Path(__file__).parents[3] / "examples" / "recipes"
    file = tmp_path / "dirs.safetensors"
    file.write_bytes((examples / "digits-directions.safetensors").read_bytes())
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('generator.model = "builtin:digits"\n')
    edit = [{"file": file.name, "directions": ["slant"], "op": "fix", "value": 2}]
    dataset = genset.Dataset(recipe, edit=edit)
    report = genset.audit_attributes(dataset, ["slant"], samples=100, first=0)
    [slant] = report["attributes"]
    assert slant["after"]["mean"] > slant["before"]["mean"] + 0.1
    with pytest.raises(errors.ArgumentError, match="no edits"):
        genset.audit_attributes("builtin:digits", ["slant"])


def test_a_benchmark_says_its_ceiling(digits: genset.Dataset) -> None:
    report = genset.bench(digits, rounds=1, seconds=0.2)
    assert report["images_per_second"] > 0
    assert report["ceiling_images_per_second"] > 0
    with pytest.raises(errors.ArgumentError):
        genset.bench(digits, rounds=0)


def test_a_benchmark_compares_with_what_is_stored(tmp_path: Path, digits: genset.Dataset) -> None:
    genset.export(digits, tmp_path / "shards", samples=200)
    told: list[tuple[int, int]] = []
    report = genset.bench(
        digits,
        against=[tmp_path / "shards"],
        exports=True,
        samples=100,
        plot=tmp_path / "plot.svg",
        rounds=1,
        seconds=0.05,
        progress=lambda *now: told.append(now),
    )
    names = [one["name"] for one in report["against"]]
    assert (len(names), names[-1], report["absent"]) == (6, "shards", [])
    assert report["live"]["ratio_to_live"] == 1
    assert all(one["images_per_second"] > 0 for one in report["against"])
    assert (tmp_path / "plot.svg").read_text().startswith("<svg")
    # Rounds, samples, turns.
    assert {total for _, total in told} >= {2, 100}
    for wrong in ({"samples": 5}, {"folder": tmp_path}, {"plot": tmp_path / "none.svg"}):
        with pytest.raises(errors.ArgumentError):
            genset.bench(digits, **wrong)
    assert not (tmp_path / "none.svg").exists()
    with pytest.raises(errors.FileError, match="nowhere"):
        genset.bench(digits, against=tmp_path / "nowhere")


def test_a_generator_is_inspected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Path(__file__).parents[3] / "onnx/models/digits.onnx"
    (tmp_path / "net.onnx").write_bytes(model.read_bytes())
    recipe = tmp_path / "net.toml"
    report = genset.inspect(tmp_path / "net.onnx", output=recipe, samples=50)
    assert (report["error"], report["image"]["height"]) == (None, 28)
    assert {port["name"] for port in report["inputs"]} == {"z", "y"}
    # What was written is a recipe that runs, and so is what was returned.
    written = genset.Dataset(recipe)
    assert len(written) == 50
    assert written[3].images.shape[-2:] == (28, 28)
    again = genset.inspect(recipe, generator={"block": 16})
    assert "block = 16" in again["recipe"]
    # A table's paths are relative to where one is.
    monkeypatch.chdir(tmp_path)
    assert genset.inspect({"generator": {"model": "net.onnx"}})["error"] is None


def test_what_is_no_generator_is_told_and_gets_no_recipe(tmp_path: Path) -> None:
    encoder, recipe = tmp_path / "encoder.onnx", tmp_path / "encoder.toml"
    genset.make_encoder("conv-small", encoder, channels=1)
    report = genset.inspect(encoder)
    assert report["recipe"] is None
    assert report["error"]["kind"] in ("model", "recipe")
    assert report["findings"] or report["questions"]
    with pytest.raises((errors.ModelError, errors.RecipeError)):
        genset.inspect(encoder, output=recipe)
    assert not recipe.exists()
    with pytest.raises(errors.FileError, match=r"none\.onnx"):
        genset.inspect(tmp_path / "none.onnx")


def test_what_runs_how_is_inspected(digits: genset.Dataset) -> None:
    placed = genset.inspect_providers(digits)
    assert {node["provider"] for node in placed["nodes"]} == {"cpu"}
    assert placed["shares"][0]["nodes"] == len(placed["nodes"])
    assert placed["fallen_back"] == []
    told: list[tuple[int, int]] = []
    measured = genset.inspect_rewrites(digits, seconds=0.5, progress=lambda *now: told.append(now))
    assert told[-1][0] == told[-1][1] == len(measured["tried"]) + 1
    assert {one["taken"] for one in measured["tried"]} <= {True, False}
    # Which is asked for by name, and is the same dataset.
    named = [f"{edit['rewrite']}@{edit['node']}" for edit in measured["tried"][0]["with"]]
    assert genset.Dataset("builtin:digits", samples=SAMPLES, rewrites=named).digest == digits.digest
    with pytest.raises(errors.ArgumentError, match="f32 itself"):
        genset.inspect_precision(digits)
