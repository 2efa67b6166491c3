"""One contender of throughput.py in a process of its own, told by lines of JSON what to do.

    python benches/peers/stream_worker.py NAME --generator G --folder DIR --workers W --threads T --chunk N

It answers `{"versions": …}` when ready, then each

- `{"seconds": S}` with `{"images": N, "seconds": T}`: what the DataLoader delivered in about that time,
- `{"vary": [{"chunk": N, "channels_last": B}, …], "seconds": S}` with `{"rates": […]}`: images a second
  that each variant makes; only without workers,
- `{"read": FOLDER, "shape": …, "write": PATH}` after making the images of the inputs there.

`examples/stream_throughput.rs` answers the first and writes what the last one reads.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from generators import GENERATORS, VIEWS, Generator
from processes import Requests
from streams import STREAMS, Variant
from streams.base import Batch, Batches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=STREAMS)
    parser.add_argument("--generator", choices=GENERATORS, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--chunk", type=int, required=True)
    parser.add_argument("--channels-last", action="store_true")
    arguments = parser.parse_args()
    requests = Requests()
    variant = Variant(arguments.chunk, arguments.channels_last)
    dataset: Batches = STREAMS[arguments.name].make(arguments.generator, arguments.folder, variant, arguments.threads)
    generator, workers = dataset.generator, arguments.workers

    def set_threads(_: int) -> None:
        torch.set_num_threads(arguments.threads)

    # Batches come out of the dataset as they are.
    batches = iter(DataLoader(dataset, batch_size=None, num_workers=workers, worker_init_fn=set_threads))
    check(next(batches), generator)
    requests.answer({"versions": dataset.versions()})
    for request in requests:
        if "vary" in request:
            rates = []
            for words in request["vary"]:
                dataset.vary(Variant(**words))
                next(batches)
                images, seconds = stream(batches, 1, request["seconds"])
                rates.append(images / seconds)
            requests.answer({"rates": rates})
        elif "read" in request:
            if workers:
                dataset.start()
            made = dataset.images(read(dataset, Path(request["read"])))
            made.numpy().tofile(request["write"])
            requests.answer({"written": len(made)})
        else:
            images, seconds = stream(batches, max(1, workers), request["seconds"])
            requests.answer({"images": images, "seconds": seconds})


def stream(batches: iter, step: int, seconds: float) -> tuple[int, float]:
    """Takes batches for about so long, from the end of one to the end of another. Their number is
    a multiple of `step`, as batches of workers that go in step come together."""
    next(batches)
    begun = time.perf_counter()
    images = 0
    while time.perf_counter() - begun < seconds:
        for _ in range(step):
            images += next(batches)["images"].shape[0] * VIEWS
    return images, time.perf_counter() - begun


def check(batch: Batch, generator: Generator) -> None:
    """The form of a batch, which no one may fall short of."""
    images = batch["images"]
    form = tuple(images.shape), images.dtype, images.is_contiguous(), "label" in batch
    wanted = (generator.batch, VIEWS, *generator.image), torch.uint8, True, generator.classes > 0
    if form != wanted:
        raise SystemExit(f"a batch is {form}, not {wanted}")


def read(dataset: Batches, folder: Path) -> list[torch.Tensor]:
    """The inputs of a batch that genset made."""
    generator = dataset.generator
    z = np.fromfile(folder / "latent", np.float32).reshape(-1, VIEWS, *generator.latent)
    label = np.fromfile(folder / "label", np.int64)
    return dataset.inputs(torch.from_numpy(z), torch.from_numpy(label) if generator.classes else None)


if __name__ == "__main__":
    main()
