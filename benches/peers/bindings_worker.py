"""One contender of bindings.py in a process of its own, told by lines of JSON what to do.

    python benches/peers/bindings_worker.py KIND --recipe FILE --generator G --folder DIR --workers N

It answers `{"versions": …}` when it is ready, and each `{"seconds": S}` with `{"images": N, "seconds": T}`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from generators import GENERATORS, VIEWS
from processes import Requests, stream

SAMPLES = 20_000
"""Of a pass, where there must be an end."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind")
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--generator", choices=GENERATORS, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--workers", type=int, required=True)
    arguments = parser.parse_args()
    requests = Requests()
    batches = KINDS[arguments.kind](arguments)
    for _ in range(1 + arguments.workers):
        next(batches)
    requests.answer({"versions": {}})

    def take() -> int:
        return next(batches)

    for request in requests:
        requests.answer(stream(take, max(1, arguments.workers), request["seconds"]))


def of_loader(form: str) -> Callable[[argparse.Namespace], Iterator[int]]:
    def batches(arguments: argparse.Namespace) -> Iterator[int]:
        import genset

        size = GENERATORS[arguments.generator].batch
        dataset = genset.Dataset(arguments.recipe, samples="endless", provider="cpu")
        cores = len(os.sched_getaffinity(0))
        for batch in dataset.loader(batch=size, workers=cores, format=form):
            images, _, _ = batch.images, batch.labels, batch.index
            yield images.shape[0] * VIEWS

    return batches


def of_data_loader(kind: str) -> Callable[[argparse.Namespace], Iterator[int]]:
    def batches(arguments: argparse.Namespace) -> Iterator[int]:
        import torch
        from torch.utils.data import DataLoader

        import genset.torch

        size, workers = GENERATORS[arguments.generator].batch, arguments.workers
        more: dict[str, Any] = {"num_workers": workers, "drop_last": True}
        options: dict[str, Any] = {"provider": "cpu"}
        if kind.startswith("stream, openvino"):
            options = {"provider": "openvino"}
        if kind.endswith("bf16"):
            options["generator"] = {"precision": "bf16"}
        if kind == "by index":
            dataset = genset.torch.Dataset(arguments.recipe, samples=SAMPLES, **options)
            loader = DataLoader(dataset, batch_size=size, shuffle=True, persistent_workers=workers > 0, **more)
        elif kind == "samples":
            dataset = genset.torch.IterableDataset(arguments.recipe, samples="endless", **options)
            loader = DataLoader(dataset, batch_size=size, **more)
        else:
            dataset = genset.torch.IterableDataset(arguments.recipe, batch_size=size, samples="endless", **options)
            loader = DataLoader(dataset, batch_size=None, num_workers=workers)
        torch.set_num_threads(1)
        while True:
            for views, _ in loader:
                assert isinstance(views, (list, tuple))
                yield views[0].shape[0] * len(views)

    return batches


def plain(arguments: argparse.Namespace) -> Iterator[int]:
    from torch.utils.data import DataLoader

    from streams import STREAMS, Variant

    workers = arguments.workers
    threads = 1 if workers else len(os.sched_getaffinity(0))
    dataset = STREAMS["onnxruntime"].make(arguments.generator, arguments.folder, Variant(32), threads)
    dataset.first = dataset.draw()
    for batch in DataLoader(dataset, batch_size=None, num_workers=workers):
        yield batch["images"].shape[0] * VIEWS


KINDS: dict[str, Callable[[argparse.Namespace], Iterator[int]]] = {
    "numpy": of_loader("numpy"),
    "torch": of_loader("torch"),
    "stream": of_data_loader("stream"),
    "stream, openvino": of_data_loader("stream, openvino"),
    "stream, openvino bf16": of_data_loader("stream, openvino bf16"),
    "samples": of_data_loader("samples"),
    "by index": of_data_loader("by index"),
    "plain": plain,
}


if __name__ == "__main__":
    main()
