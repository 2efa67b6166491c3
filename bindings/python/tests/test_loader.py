"""Streams: the same bytes however they are cut, passes, state, signals, forks, and the end of the process."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import time

import genset
import numpy as np
import pytest
from conftest import SAMPLES
from genset import errors


def delivered(loader: genset.Loader) -> list[tuple[int, bytes]]:
    return [
        (int(index), image.tobytes())
        for batch in loader
        for index, image in zip(batch.index, batch.images, strict=True)
    ]


@pytest.mark.parametrize("batch, workers", [(1, 1), (64, 2), (33, 3), (1000, 1)])
def test_batch_size_and_workers_change_nothing(
    digits: genset.Dataset, images: dict[int, bytes], batch: int, workers: int
) -> None:
    with digits.loader(batch=batch, workers=workers) as loader:
        assert delivered(loader) == sorted(images.items())
        assert len(loader) == -(-SAMPLES // batch)


def test_ranks_share_the_samples(digits: genset.Dataset, images: dict[int, bytes]) -> None:
    everything = []
    for rank in range(3):
        with digits.loader(batch=32, rank=(rank, 3)) as loader:
            part = delivered(loader)
            assert len(loader) == -(-len(part) // 32)
            everything += part
    assert sorted(everything) == sorted(images.items())


def test_each_pass_is_the_next_epoch(digits: genset.Dataset) -> None:
    with digits.loader(batch=100) as loader:
        epochs = [{batch.epoch for batch in loader} for _ in range(3)]
        assert epochs == [{0}, {1}, {2}]
        loader.set_epoch(1)
        again = next(iter(loader))
        assert np.array_equal(again.images, digits.gather(range(100), 1).images)
        # Broken off: the next pass is whole, and the next one.
        batches = list(loader)
        assert [batch.epoch for batch in batches] == [2] * 7
        assert batches[0].index[0] == 0


def test_a_pass_that_was_counted_out_is_over(digits: genset.Dataset) -> None:
    with digits.loader(batch=100) as loader:
        assert {batch.epoch for batch, _ in zip(loader, range(len(loader)))} == {0}
        assert [batch.epoch for batch in loader] == [1] * 7


def test_incomplete_batches_can_be_dropped(digits: genset.Dataset) -> None:
    with digits.loader(batch=64, drop_last=True) as loader:
        for epoch in range(2):
            batches = list(loader)
            assert [len(batch) for batch in batches] == [64] * (SAMPLES // 64) == [64] * len(loader)
            assert {batch.epoch for batch in batches} == {epoch}


def test_an_endless_stream_goes_on(digits: genset.Dataset) -> None:
    endless = genset.Dataset("builtin:digits", samples="endless")
    with endless.loader(batch=10) as loader:
        firsts = [int(next(iter(loader)).index[0]) for _ in range(3)]
        assert firsts == [0, 10, 20]
        with pytest.raises(TypeError):
            len(loader)


def test_state_goes_on_in_mid_pass_with_other_batches(
    digits: genset.Dataset, images: dict[int, bytes]
) -> None:
    with digits.loader(batch=64) as loader:
        stream = iter(loader)
        taken = [next(stream) for _ in range(3)]
        state = loader.state_dict()
    assert state == {"digest": digits.digest, "epoch": 0, "next": 192}
    assert taken[-1].index[-1] == 191
    with digits.loader(batch=50, workers=1) as other:
        other.load_state_dict(state)
        assert delivered(other) == sorted(images.items())[192:]
        assert {batch.epoch for batch in other} == {1}
    with genset.Dataset("builtin:fashion", samples=SAMPLES).loader() as wrong:
        with pytest.raises(errors.StateError, match="dataset"):
            wrong.load_state_dict(state)


def test_pickling_a_loader_carries_where_it_is(digits: genset.Dataset) -> None:
    with digits.loader(batch=64) as loader:
        next(iter(loader))
        with pickle.loads(pickle.dumps(loader)) as other:
            assert other.state_dict() == loader.state_dict()
            assert np.array_equal(next(iter(other)).images, digits[64:128].images)


def test_a_closed_loader_goes_on_where_it_was(digits: genset.Dataset) -> None:
    with digits.loader(batch=64) as loader:
        stream = iter(loader)
        next(stream)
        loader.close()
        assert next(stream).index[0] == 64


def test_latents_and_statistics_are_there_when_asked_for(digits: genset.Dataset) -> None:
    with digits.loader(batch=64, latents=True) as loader:
        batch = next(iter(loader))
        assert np.array_equal(batch.latents, digits[0:64].latents)
        assert loader.statistics()["samples"] == 64
    assert next(iter(digits.loader(batch=64))).latents is None


def test_what_makes_no_sense_is_said_at_once(digits: genset.Dataset) -> None:
    for settings, words in (
        ({"batch": 0}, "at least one sample"),
        ({"rank": (3, 2)}, "rank 3"),
        ({"range": (0, SAMPLES + 1)}, str(SAMPLES)),
        ({"shuffle": 1}, "cannot be shuffled"),
        ({"workers": 0}, "at least one worker"),
        ({"memory": 1}, "MiB do not suffice"),
        ({"view_threads": 10**6}, "too many"),
        ({"batch": 2**39, "memory": 2**63}, "too many"),
        ({"prefetch": 2**60, "memory": 2**63}, "too many"),
    ):
        with pytest.raises(genset.Error, match=words):
            digits.loader(**settings)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of Unix")
def test_ctrl_c_ends_a_wait_and_the_loader_goes_on(digits: genset.Dataset) -> None:
    # A block that takes far longer than the signal does to come.
    slow = genset.Dataset("builtin:fashion", samples=10**6, generator={"block": 20_000})
    with slow.loader(batch=200_000, workers=1, memory=4 << 30) as loader:
        stream = iter(loader)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        handler = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        begin = time.monotonic()
        try:
            with pytest.raises(KeyboardInterrupt):
                next(stream)
        finally:
            signal.signal(signal.SIGALRM, handler)
        assert time.monotonic() - begin < 20
        assert loader.state_dict()["next"] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_threads_of_its_own(digits: genset.Dataset, images: dict[int, bytes]) -> None:
    with digits.loader(batch=64, workers=2) as loader:
        stream = iter(loader)
        next(stream)
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.alarm(60)
                rest = delivered(_Rest(stream))
                good = rest == sorted(images.items())[64:] and digits[3].images.tobytes() == images[3]
                loader.close()
                status = 0 if good else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        # The parent's are as they were.
        assert delivered(_Rest(stream)) == sorted(images.items())[64:]


class _Rest:
    """What is left of an iterator, as a loader."""

    def __init__(self, stream: object) -> None:
        self._stream = stream

    def __iter__(self) -> object:
        return self._stream


ENDS = {
    "a loader that was never closed": "for batch in loader: break",
    "a stream in a global": "stream = iter(loader)\nnext(stream)",
    "a cycle": "loader.me = loader\nnext(iter(loader))\ndel loader",
    "an exception": "for batch in loader: raise SystemExit(0)",
    "a daemon thread that waits": (
        "import threading, time\n"
        "def take():\n"
        "    while True:\n"
        "        for batch in loader: pass\n"
        "threading.Thread(target=take, daemon=True).start()\n"
        "time.sleep(0.5)"
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_the_process_ends(how: str, run: object) -> None:
    opened = "import genset\nloader = genset.Dataset('builtin:digits').loader(batch=4096)\n"
    ended = run(opened + ENDS[how], seconds=60)
    assert (ended.returncode, ended.stderr) == (0, "")
