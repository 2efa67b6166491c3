"""Memory: handed out without a copy, kept as long as it is used, and no longer."""

from __future__ import annotations

import gc
from pathlib import Path

import genset
import numpy as np
import pytest
import torch


def test_arrays_lie_where_the_loader_wrote_them(digits: genset.Dataset) -> None:
    raw = next(iter(digits.loader(batch=64, format="dlpack")))
    tensor = raw.images
    assert tensor.data_ptr % 64 == 0
    assert np.from_dlpack(tensor).ctypes.data == tensor.data_ptr
    assert torch.from_dlpack(tensor).data_ptr() == tensor.data_ptr
    assert tuple(torch.from_dlpack(tensor).shape) == tensor.shape == (64, 2, 1, 28, 28)
    assert tensor.__dlpack_device__() == (1, 0)
    with pytest.raises(BufferError):
        tensor.__dlpack__(copy=True)
    with pytest.raises(BufferError):
        tensor.__dlpack__(dl_device=(2, 0))


def test_the_old_protocol_is_spoken_too(digits: genset.Dataset) -> None:
    tensor = next(iter(digits.loader(batch=8, format="dlpack"))).images
    assert "dltensor_versioned" in repr(tensor.__dlpack__(max_version=(1, 0)))
    assert "dltensor_versioned" not in repr(tensor.__dlpack__())


def test_arrays_outlive_batch_and_loader(digits: genset.Dataset, images: dict[int, bytes]) -> None:
    loader = digits.loader(batch=50)
    kept = [batch.images for batch in loader]
    loader.close()
    del loader
    gc.collect()
    for number, array in enumerate(kept):
        for at, image in enumerate(array):
            assert image.tobytes() == images[50 * number + at]


def test_arrays_may_be_written_to(digits: genset.Dataset) -> None:
    batch = next(iter(digits.loader(batch=8)))
    batch.images[:] = 0
    assert not batch.images.any()
    tensor = next(iter(digits.loader(batch=8, format="torch"))).images
    tensor.zero_()


def test_a_buffer_goes_back_when_nobody_has_it(digits: genset.Dataset) -> None:
    """A loader whose batches are dropped goes round with as many buffers as are under way."""
    places = set()
    for batch in genset.Dataset("builtin:digits", samples=20_000).loader(batch=64, prefetch=2, workers=1):
        places.add(batch.images.ctypes.data)
        labels = batch.labels  # noqa: F841 - labels alone keep no images
    assert len(places) < 40


def test_every_type_that_a_recipe_delivers(digits: genset.Dataset) -> None:
    for dtype, expected in (("u8", torch.uint8), ("f16", torch.float16), ("f32", torch.float32)):
        dataset = genset.Dataset("builtin:digits", samples=8, output={"dtype": dtype}, format="torch")
        batch = dataset[0:8]
        assert batch.images.dtype == expected
        assert batch.labels.dtype == torch.int64
        assert batch.latents.dtype == torch.float32
        assert batch.images.is_contiguous()
    last = genset.Dataset("builtin:digits", samples=8, output={"layout": "NHWC"})
    assert last[0].images.shape == (1, 2, 28, 28, 1)


def test_groups_of_views_are_arrays_of_their_own() -> None:
    crop = {"op": "random-resized-crop", "scale": [0.5, 1.0]}
    dataset = genset.Dataset(
        generator={"model": "builtin:digits"},
        samples=100,
        views={
            "groups": [
                {"name": "large", "count": 2, "pixel": [{**crop, "size": 28}]},
                {"name": "small", "count": 3, "pixel": [{**crop, "size": 12}]},
            ]
        },
    )
    batch = next(iter(dataset.loader(batch=10)))
    shapes = {name: array.shape for name, array in batch.groups.items()}
    assert shapes == {"large": (10, 2, 1, 28, 28), "small": (10, 3, 1, 12, 12)}
    assert dataset.shapes == {"large": (2, 1, 28, 28), "small": (3, 1, 12, 12)}


def test_what_is_mapped_may_not_be_written_to(tmp_path: Path, digits: genset.Dataset) -> None:
    genset.export(digits, tmp_path / "shards")
    stored = genset.Dataset(tmp_path / "shards")
    assert stored.is_stored
    assert stored.digest == digits.digest
    batch = next(iter(stored.loader(batch=32, zero_copy=True)))
    assert not batch.images.flags.writeable
    assert np.array_equal(batch.images, digits[0:32].images)
    raw = next(iter(stored.loader(batch=32, zero_copy=True, format="dlpack"))).images
    with pytest.raises(BufferError):
        raw.__dlpack__()
