"""Samples one by one, as Hugging Face's datasets are used."""

from __future__ import annotations

import itertools

import genset
import numpy as np
import pytest
from conftest import SAMPLES
from genset import errors


def indices(stream: genset.Stream) -> list[int]:
    return [sample["index"] for sample in stream]


def test_samples_are_what_random_access_gives(digits: genset.Dataset) -> None:
    samples = list(digits.skip(300).take(270))
    assert [sample["index"] for sample in samples] == list(range(300, 570))
    for sample in samples[::50]:
        batch = digits[sample["index"]]
        assert np.array_equal(sample["images"], batch.images[0])
        assert sample["label"] == batch.labels[0]


def test_parts_are_disjoint_and_make_the_whole(digits: genset.Dataset) -> None:
    parts = [indices(digits.shard(4, part)) for part in range(4)]
    assert list(itertools.chain(*parts)) == list(range(SAMPLES))
    assert {len(part) for part in parts} == {175}
    assert [len(digits.shard(3, part)) for part in range(3)] == [233, 233, 234]


def test_selections_are_chosen_before_anything_is_made(digits: genset.Dataset) -> None:
    assert indices(digits.select([5, 3, 3])) == [5, 3, 3]
    assert indices(digits.select(range(0, 20, 5)).skip(1)) == [5, 10, 15]
    assert indices(digits.skip(10).select(np.array([0, 2]))) == [10, 12]
    assert indices(digits.take(0)) == []
    with pytest.raises(IndexError):
        digits.select(range(SAMPLES + 1))
    with pytest.raises(errors.ArgumentError):
        digits.take(-1)


def test_steps_after_a_map_count_what_is_left(digits: genset.Dataset) -> None:
    even = digits.filter(lambda sample: sample["label"] % 2 == 0)
    assert {sample["label"] % 2 for sample in even.take(50)} == {0}
    assert indices(even.skip(3).take(2)) == indices(even)[3:5]
    mapped = digits.map(lambda sample: {"index": -sample["index"]}).take(3)
    assert indices(mapped) == [0, -1, -2]
    for wrong in (lambda: even.shard(2, 0), lambda: even.select([0]), lambda: digits.shard(2, 2)):
        with pytest.raises(errors.ArgumentError):
            wrong()
    with pytest.raises(TypeError):
        len(even)


def test_an_endless_stream_is_cut_before_it_has_parts() -> None:
    endless = genset.Dataset("builtin:digits", samples="endless")
    assert indices(endless.skip(10**9).take(2)) == [10**9, 10**9 + 1]
    assert indices(endless.take(8).shard(2, 1)) == [4, 5, 6, 7]
    with pytest.raises(errors.ArgumentError, match="take"):
        endless.shard(2, 0)
    with pytest.raises(TypeError, match="take"):
        len(endless.stream())
    assert next(iter(endless.stream()))["index"] == 0


def test_formats_are_those_of_datasets(digits: genset.Dataset) -> None:
    import torch

    sample = next(iter(digits.stream().with_format("torch")))
    assert isinstance(sample["images"], torch.Tensor)
    assert "take(3)" in repr(digits.map(len).take(3))


def test_hugging_face_reads_it(digits: genset.Dataset) -> None:
    datasets = pytest.importorskip("datasets")
    stream = digits.to_hf()
    assert isinstance(stream, datasets.IterableDataset)
    first = next(iter(stream.take(1)))
    assert np.array_equal(np.array(first["images"], dtype=np.uint8), digits[0].images[0])
    assert sorted(sample["index"] for sample in stream) == list(range(SAMPLES))
