"""One contender in a process of its own, told by lines of JSON what to do.

    python benches/peers/worker.py NAME --size S --images FILE

`FILE` holds raw u8 `[IMAGES, S, S, C]`. It answers `{"versions": …}` when ready,
then each `{"batches": N}` with `{"seconds": …}`, and each `{"batches": N,
"write": PATH}` after writing the batches there as raw f32.
`examples/views_throughput.rs` speaks the same.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from contenders import PEERS
from processes import Requests
from task import BATCH, IMAGES, Task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    requests = Requests()

    task = Task(arguments.size)
    images = np.fromfile(arguments.images, np.uint8).reshape(IMAGES, task.size, task.size, task.channels)
    contender = PEERS[arguments.name].make(task, images, arguments.seed)
    first = 0

    requests.answer({"versions": contender.versions})
    for request in requests:
        if "write" in request:
            with open(request["write"], "wb") as file:
                for _ in range(request["batches"]):
                    views = contender.batch(first)
                    check(views, task)
                    file.write(views.tobytes())
                    first += BATCH
            requests.answer({"written": request["batches"]})
        else:
            begun = time.perf_counter()
            for _ in range(request["batches"]):
                contender.batch(first)
                first += BATCH
            requests.answer({"seconds": time.perf_counter() - begun})


def check(views: np.ndarray, task: Task) -> None:
    """The form of a batch, which no one may fall short of."""
    wanted = task.new_batch()
    form = views.shape, views.dtype, views.flags.c_contiguous
    if form != (wanted.shape, wanted.dtype, True):
        raise SystemExit(f"a batch is {form}, not {wanted.shape} of contiguous f32")


if __name__ == "__main__":
    main()
