"""What the command ``genset`` does, as functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from . import _genset
from ._dataset import Dataset
from ._recipe import Engine, Recipe, native, onnxruntime

Progress = Callable[[int, int], object]
"""Is told how far the work is: so much is done, of so much. What it raises ends the work."""

Path = str | os.PathLike[str]


class _Reading(NamedTuple):
    batch: int
    workers: int | None
    prefetch: int = 4
    memory: int = 512 << 20


class _Export(NamedTuple):
    format: str
    images: str | None
    first: int | None
    samples: int | None
    shard_bytes: int | None
    shard_samples: int | None
    latents: bool
    parameters: bool
    rows: bool
    rank: tuple[int, int] | None


class _Probe(NamedTuple):
    output: str | None
    neighbours: int | None
    l2: float | None
    baselines: bool
    limit: int | None
    test_limit: int | None
    seed: int
    batch: int
    workers: int | None


class _Audit(NamedTuple):
    output: str | None
    samples: int
    limit: int | None
    neighbours: int
    level: float
    seed: int
    batch: int
    workers: int | None
    sheet: str | None
    pairs: int


class _Attributes(NamedTuple):
    attributes: list[str]
    output: str | None
    samples: int
    first: int | None
    seed: int


class _Train(NamedTuple):
    objective: str
    head: list[int]
    optimizer: str
    learning_rate: float | None
    schedule: str
    warmup: int | None
    steps: int
    batch: int
    accumulate: int
    clip: float | None
    seed: int
    restart: bool
    features: str | None
    log_every: int
    save_every: int
    keep: int
    precision: str
    step_threads: int | None
    workers: int


class _Bench(NamedTuple):
    rounds: int
    seconds: float
    against: list[Path]
    exports: bool
    samples: int | None
    folder: Path | None
    plot: Path | None


def _opened(dataset: Dataset | Recipe) -> Dataset:
    return dataset if isinstance(dataset, Dataset) else Dataset(dataset)


def export(
    dataset: Dataset | Recipe,
    folder: Path,
    *,
    format: str = "safetensors",
    images: str | None = None,
    first: int | None = None,
    samples: int | None = None,
    shard_bytes: int | None = None,
    shard_samples: int | None = None,
    latents: bool = False,
    parameters: bool = False,
    rows: bool = False,
    rank: tuple[int, int] | None = None,
    batch: int = 256,
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Writes samples to disk as shards, which ``genset.Dataset(folder)`` reads back to the same bytes.

    The same call goes on where it was interrupted; ranks that share the work make the same files as one
    alone.

    Args:
        dataset: What to write.
        folder: Where to; made if it is not there.
        format: ``"safetensors"``, ``"webdataset"``, ``"mds"`` or ``"images"``.
        images: How images are written: ``"raw"``, ``"png"``, ``"jpeg"``, ``"jpeg:QUALITY"`` or ``"webp"``.
            Default: raw in safetensors and mds, png in the others.
        first: The first sample.
        samples: How many. Default: all.
        shard_bytes: Bytes of images in a shard before they are encoded. Default 256 MiB.
        shard_samples: Samples in a shard, instead.
        latents: Write the latents of every view too.
        parameters: Write what was drawn for every view too.
        rows: Write what views are made from, so that views are drawn anew whenever shards are read.
        rank: ``(rank, world_size)``. Default: from torchrun's environment.
        batch, workers: As for ``Loader``.
        progress: Is told samples that are done, and all.

    Returns:
        What came of it: ``shards``, ``images`` and ``bytes`` that it wrote, shards ``resumed``, ``samples``
        of ``samples_wanted``, ``complete``, …
    """
    settings = _Export(
        format, images, first, samples, shard_bytes, shard_samples, latents, parameters, rows, rank
    )
    native = _opened(dataset)._native
    return _genset.export(native, os.fspath(folder), settings, _Reading(batch, workers), progress)


def verify(
    folder: Path,
    *,
    regenerate: int = 0,
    dataset: Dataset | Recipe | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Checks a folder of shards: every hash, every index once, images decode.

    Args:
        folder: What ``export`` wrote.
        regenerate: So many samples are made anew and compared.
        dataset: What they are made by. Default: what the shards say, for generators that ship with genset.
        seed: Chooses them.
        progress: Is told samples that are done, and all.

    Returns:
        ``good``, and what was seen: ``faults``, ``samples``, ``regenerated``, …
    """
    native = None if dataset is None else _opened(dataset)._native
    return _genset.verify(os.fspath(folder), native, regenerate, seed, progress)


def train(
    dataset: Dataset | Recipe,
    encoder: Path,
    folder: Path,
    *,
    objective: str = "contrast",
    head: Sequence[int] = (128, 64),
    optimizer: str = "sgd",
    learning_rate: float | None = None,
    schedule: str = "cosine",
    warmup: int | None = None,
    steps: int = 1000,
    batch: int = 128,
    accumulate: int = 1,
    clip: float | None = None,
    seed: int = 0,
    restart: bool = False,
    features: str | None = None,
    log_every: int = 10,
    save_every: int = 200,
    keep: int = 2,
    precision: str = "f32",
    step_threads: int | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Trains an ONNX encoder on a dataset's views, with no other framework; see ``genset train --help``.

    The same call goes on where it was interrupted, to the same bits.

    Args:
        dataset: What it learns from.
        encoder: An ONNX model from images ``[N, C, H, W]`` to features ``[N, D]``.
        folder: The run's: ``encoder.onnx``, ``metrics.jsonl``, ``curves.svg``, checkpoints.
        objective, optimizer, schedule: As the command has them: ``"contrast:temperature=0.2"``.
        progress: Is told steps that are done, and all, as often as lines are written.

    Returns:
        ``encoder``: the trained model's path; ``steps``, ``seconds``, ``lines`` of the record, …
    """
    settings = _Train(
        objective,
        list(head),
        optimizer,
        learning_rate,
        schedule,
        warmup,
        steps,
        batch,
        accumulate,
        clip,
        seed,
        restart,
        features,
        log_every,
        save_every,
        keep,
        precision,
        step_threads,
        workers,
    )
    native = _opened(dataset)._native
    return _genset.train(native, os.fspath(encoder), os.fspath(folder), settings, progress)


def make_encoder(
    architecture: str, file: Path, *, channels: int = 3, size: int = 32, seed: int = 0
) -> int:
    """Writes an untrained encoder, to start a training from.

    Args:
        architecture: ``"conv-small"``, ``"resnet-tiny"``, ``"resnet18-cifar"``, ``"resnet18"`` or
            ``"vit-tiny"``.
        file: The ONNX file to write.
        channels: Of the images it is for.
        size: Pixels a side of the images; only vit-tiny is for one size.
        seed: Draws the parameters.

    Returns:
        How many parameters it has.
    """
    return _genset.make_encoder(architecture, os.fspath(file), channels, size, seed)


def probe(
    encoder: Path,
    *,
    train: Dataset | Recipe,
    test: Dataset | Recipe,
    output: str | None = None,
    neighbours: int | None = 20,
    l2: float | None = None,
    baselines: bool = True,
    limit: int | None = None,
    test_limit: int | None = None,
    seed: int = 0,
    batch: int = 256,
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What an encoder's features are worth: linear and nearest-neighbour accuracy on labelled images.

    Args:
        encoder: An ONNX model from images to features.
        train, test: Labelled images: a folder by class, IDX, NumPy or CIFAR files, shards, a recipe.
        output: The output that features are read from. Default: the first.
        neighbours: Neighbours that vote; ``None`` for no such probe.
        l2: Regularisation of the linear probe. Default: chosen on a part of ``train``.
        baselines: Probe raw pixels and an untrained encoder too.
        limit, test_limit: At most so many images, the first.

    Returns:
        The report: ``report["features"]["linear"]["accuracy"]["value"]`` with its interval, classes,
        baselines and differences.
    """
    settings = _Probe(output, neighbours, l2, baselines, limit, test_limit, seed, batch, workers)
    pair = _opened(train)._native, _opened(test)._native
    return _genset.probe(os.fspath(encoder), *pair, settings, progress)


def audit(
    dataset: Dataset | Recipe,
    *,
    against: Dataset | Recipe,
    held_out: Dataset | Recipe | None = None,
    encoder: Path | None = None,
    output: str | None = None,
    samples: int = 10_000,
    limit: int | None = None,
    neighbours: int = 10,
    level: float = 0.01,
    seed: int = 0,
    sheet: Path | None = None,
    pairs: int = 40,
    batch: int = 256,
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Whether a generated dataset copies the images its generator learnt from, and has their variety.

    Args:
        dataset: What is audited: of a recipe the images as the generator makes them, without views.
        against: The images that the generator learnt from.
        held_out: Real images that it did not learn from. Default: a sixth of ``against``.
        encoder: Look in the features of this ONNX encoder too, from its output ``output``.
        samples, limit: At most so many generated and real images, the first.
        neighbours: Real images that each image is compared with.
        level: The probability of an alarm on a dataset without copies.
        sheet: Draw at most ``pairs`` of the closest pairs to this PNG file, if any is suspect.

    Returns:
        The report: ``report["alarm"]``, and for each of ``report["spaces"]`` what was found of
        ``copies`` and ``variety``.
    """
    held = None if held_out is None else _opened(held_out)._native
    pair = _opened(dataset)._native, _opened(against)._native
    drawn = None if sheet is None else os.fspath(sheet)
    settings = _Audit(output, samples, limit, neighbours, level, seed, batch, workers, drawn, pairs)
    return _genset.audit(*pair, held, None if encoder is None else os.fspath(encoder), settings, progress)


def audit_attributes(
    dataset: Dataset | Recipe,
    attributes: Sequence[str] = (),
    *,
    encoder: Path | None = None,
    output: str | None = None,
    samples: int = 10_000,
    first: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What the edits of a recipe do to attributes of its images, and whether they can still be read.

    Args:
        dataset: A recipe with ``edit``.
        attributes: Their names, such as ``"slant"``. Default: all that fit the images.
        encoder: Probe the features of this ONNX encoder too, from its output ``output``.
        samples: How many are looked at; probes learn from twice as many.
        first: The first sample. Default: past those that the directions were found on.

    Returns:
        The report: for each of ``report["attributes"]`` its distribution before and after, and whether it
        is ``removed``.
    """
    settings = _Attributes(list(attributes), output, samples, first, seed)
    model = None if encoder is None else os.fspath(encoder)
    return _genset.audit_attributes(_opened(dataset)._native, model, settings, progress)


def bench(
    dataset: Dataset | Recipe,
    *,
    against: Path | Sequence[Path] = (),
    exports: bool = False,
    samples: int | None = None,
    folder: Path | None = None,
    plot: Path | None = None,
    rounds: int = 5,
    seconds: float = 2.0,
    batch: int = 256,
    workers: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Images a second, against the bare generator and against what is stored, in the same run.

    Args:
        dataset: What is measured.
        against: Compare with these too: shards, a folder of images, tar, IDX or NumPy files, other
            recipes. Images of another size are brought to the dataset's.
        exports: Compare with the dataset's own first samples, written in five formats and read back.
        samples: How many of them. Default: what takes seconds.
        folder: Where they are written to, to be kept and used again. Default: a temporary folder.
        plot: Draw the comparison to this SVG file.
        rounds: Rounds of each contender; what is reported is medians.
        seconds: What a round takes.
        batch, workers: As for ``Loader``.
        progress: Is told rounds that are done, and all; then, of a comparison, samples that are written
            and turns, each counted anew.

    Returns:
        ``images_per_second``, ``ceiling_images_per_second``, ``efficiency``, ``limiting_stage``, …; of a
        comparison also ``live``, ``against`` and who is ``absent``.
    """
    paths = [against] if isinstance(against, (str, os.PathLike)) else against
    settings = _Bench(rounds, seconds, list(paths), exports, samples, folder, plot)
    native = _opened(dataset)._native
    return _genset.benchmark(native, settings, _Reading(batch, workers), progress)


def inspect(
    target: Recipe,
    *,
    output: Path | None = None,
    ort: Path | None = None,
    **keys: Any,
) -> dict[str, Any]:
    """What a generator takes and makes, what is wrong with it, and a recipe for it.

    ``genset.inspect("generator.onnx", output="generator.toml")`` is how a recipe begins. What the file
    does not say is among the ``questions``; answer by keys: ``generator={"output": {"range": [-1, 1]}}``.

    Args:
        target: An ONNX file, a recipe's file or table, or ``"builtin:NAME"``.
        output: Write the recipe to this file, beside the model or in a folder above it.
        ort: As for ``Dataset``.
        keys: Keys of a recipe, put over it.

    Returns:
        ``inputs``, ``outputs``, ``image``, ``parameters``, ``findings`` (each with ``severity``, ``code``,
        ``message``, ``help``), ``questions``, and the ``recipe``, or the ``error`` for which there is none.

    Raises:
        RecipeError, ModelError: ``output`` is asked for, and there is no recipe that runs.
    """
    engine = Engine(ort=None if ort is None else os.fspath(ort), package=onnxruntime())
    return _genset.inspect(*native(target, keys), os.getcwd(), engine, output)


def inspect_precision(dataset: Dataset | Recipe, *, images: int = 1000) -> dict[str, Any]:
    """How far images in a dataset's reduced precision are from those in f32.

    Returns:
        ``precision``, and the ``difference``: ``max``, ``mean``, ``psnr_db`` of so many ``images``, black
        being 0 and white 1.
    """
    return _genset.inspect_precision(_opened(dataset)._native, images)


def inspect_providers(dataset: Dataset | Recipe) -> dict[str, Any]:
    """Which execution provider runs each node of the generator's graph.

    Returns:
        ``nodes``, each with its ``provider``; ``shares`` of the providers; and nodes that have
        ``fallen_back`` to the CPU.
    """
    return _genset.inspect_providers(_opened(dataset)._native)


def inspect_rewrites(
    dataset: Dataset | Recipe, *, seconds: float = 20.0, progress: Progress | None = None
) -> dict[str, Any]:
    """Measures which exact edits of the generator's graph pay on this machine. Changes nothing.

    ``Dataset(..., rewrites=[...])`` asks for those that do; the command ``genset tune`` stores them.

    Args:
        dataset: Whose generator.
        seconds: What it may take.
        progress: Is told trials that are done, and all.

    Returns:
        What was ``tried``, each with its ``gain`` and ``why`` it was taken or not; ``taken``; ``gain`` of
        all that was.
    """
    return _genset.inspect_rewrites(_opened(dataset)._native, seconds, progress)


def install(name: str = "onnxruntime") -> str:
    """Fetches ONNX Runtime or a provider (``"openvino"``, ``"cuda"``) into genset's cache.

    Pinned by version and hash, with pip. Gives the path of its library.
    """
    return str(_genset.install(name))
