"""One contender of throughput.py in a process of its own, told by lines of JSON what to do.

    python benches/peers/stream_worker.py NAME --generator G --folder DIR \\
        --workers W --threads T --chunk N --inputs DIR --images FILE

The first batch that its DataLoader delivers is made of the inputs that genset left in
`--inputs`, and goes to `--images`. It answers `{"versions": …}` then, and each

- `{"seconds": S}` with `{"images": N, "seconds": T}`: what was delivered in about that time,
- `{"vary": [{"chunk": N, "channels_last": B}, …], "seconds": S}` with `{"rates": […]}`: images a second
  of each variant; only without workers.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from generators import GENERATORS, VIEWS, Generator
from processes import Requests, stream
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
    parser.add_argument("--inputs", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    arguments = parser.parse_args()
    requests = Requests()
    variant = Variant(arguments.chunk, arguments.channels_last)
    dataset: Batches = STREAMS[arguments.name].make(arguments.generator, arguments.folder, variant, arguments.threads)
    dataset.first = read(dataset.generator, arguments.inputs)
    workers = arguments.workers

    def set_threads(_: int) -> None:
        torch.set_num_threads(arguments.threads)

    # Batches come out of the dataset as they are.
    batches = iter(DataLoader(dataset, batch_size=None, num_workers=workers, worker_init_fn=set_threads))
    first = next(batches)
    check(first, dataset.generator)
    first["images"].numpy().tofile(arguments.images)
    for _ in range(1, workers):
        next(batches)  # every worker makes that one

    def take() -> int:
        return next(batches)["images"].shape[0] * VIEWS

    requests.answer({"versions": dataset.versions()})
    for request in requests:
        if "vary" in request:
            rates = []
            for words in request["vary"]:
                dataset.vary(Variant(**words))
                found = stream(take, 1, request["seconds"])
                rates.append(found["images"] / found["seconds"])
            requests.answer({"rates": rates})
        else:
            requests.answer(stream(take, max(1, workers), request["seconds"]))


def check(batch: Batch, generator: Generator) -> None:
    """The form of a batch, which no one may fall short of."""
    images = batch["images"]
    form = tuple(images.shape), images.dtype, images.is_contiguous(), "label" in batch
    wanted = (generator.batch, VIEWS, *generator.image), torch.uint8, True, generator.classes > 0
    if form != wanted:
        raise SystemExit(f"a batch is {form}, not {wanted}")


def read(generator: Generator, folder: Path) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Latents `[B, V, …]` and classes `[B]` of a batch that genset made."""
    z = np.fromfile(folder / "latent", np.float32).reshape(-1, VIEWS, *generator.latent)
    label = np.fromfile(folder / "label", np.int64)
    return torch.from_numpy(z), torch.from_numpy(label) if generator.classes else None


if __name__ == "__main__":
    main()
