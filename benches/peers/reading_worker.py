"""One contender of reading.py in a process of its own, told by lines of JSON what to do.

    python benches/peers/reading_worker.py NAME --collection C --folder DIR --workers W [--shuffle]

It answers `{"versions": …}` when its first batch has come, and each

- `{"seconds": S}` with `{"images": N, "seconds": T}`: what was delivered in about that time,
- `{"write": FOLDER}` with `{"images": [B, …]}` after writing the next batch there: `images`, u8,
  and `label`, i64, both raw.

`examples/read_throughput.rs` speaks the same.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from collection import BATCH, COLLECTIONS
from processes import Requests, stream
from readers import READERS, Batch, Source


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=READERS)
    parser.add_argument("--collection", choices=COLLECTIONS, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--shuffle", action="store_true")
    arguments = parser.parse_args()
    requests = Requests()
    reader = READERS[arguments.name]
    collection = COLLECTIONS[arguments.collection]
    source = Source(collection, arguments.folder / collection.name / reader.store, arguments.workers, arguments.shuffle)
    contender = reader.make(source)
    batches = iter(contender)
    side = collection.size
    form = (BATCH, 3, side, side) if reader.channels_first else (BATCH, side, side, 3)
    check(next(batches), form)
    requests.answer({"versions": contender.versions})
    for request in requests:
        if "write" in request:
            images, labels = (np.asarray(part) for part in next(batches))
            images.tofile(Path(request["write"]) / "images")
            labels.astype(np.int64).tofile(Path(request["write"]) / "label")
            requests.answer({"images": images.shape})
        else:
            requests.answer(stream(lambda: len(next(batches)[1]), max(1, arguments.workers), request["seconds"]))


def check(batch: Batch, form: tuple[int, ...]) -> None:
    """The form of a batch, which no one may fall short of."""
    images, labels = (np.asarray(part) for part in batch)
    found = images.shape, images.dtype, images.flags.c_contiguous, labels.shape
    wanted = form, np.uint8, True, (BATCH,)
    if found != wanted:
        raise SystemExit(f"a batch is {found}, not {wanted}")


if __name__ == "__main__":
    main()
