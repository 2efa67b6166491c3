"""PyTorch: every sample once a pass, the same bytes, whatever workers, ranks and start method."""

from __future__ import annotations

import itertools
import pickle
import warnings
from collections import Counter
from collections.abc import Iterable
from typing import Any

import genset
import genset.torch
import pytest
import torch
from conftest import SAMPLES
from genset import errors
from torch.utils.data import DataLoader, DistributedSampler

# Forking a process that has threads is what is tested here.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

WORKERS = [(0, None), (1, "fork"), (2, "fork"), (1, "spawn"), (2, "spawn")]


@pytest.fixture(scope="session")
def contents(images: dict[int, bytes]) -> Counter[bytes]:
    """What a pass over the dataset in the first epoch delivers."""
    return Counter(images.values())


def settings(workers: int, method: str | None) -> dict[str, Any]:
    return {"num_workers": workers, "multiprocessing_context": method}


def of_batches(loader: Iterable[Any]) -> Counter[bytes]:
    """The bytes of each sample of batches of two views."""
    found: Counter[bytes] = Counter()
    for (first, second), labels in loader:
        assert len(first) == len(second) == len(labels)
        found.update(pair.numpy().tobytes() for pair in torch.stack([first, second], 1))
    return found


@pytest.mark.parametrize("random_access", [0, 1 << 30])
@pytest.mark.parametrize("workers, method", WORKERS)
def test_map_style_delivers_every_sample_once(
    contents: Counter[bytes], workers: int, method: str | None, random_access: int
) -> None:
    dataset = genset.torch.Dataset("builtin:digits", samples=SAMPLES, random_access=random_access)
    assert (dataset._blocks is None) == (random_access == 0)
    loader = DataLoader(dataset, batch_size=64, shuffle=True, **settings(workers, method))
    assert of_batches(loader) == contents


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("workers, method", WORKERS)
@pytest.mark.parametrize("batch_size", [None, 32])
def test_streams_deliver_every_sample_once(
    contents: Counter[bytes], ranks: int, workers: int, method: str | None, batch_size: int | None
) -> None:
    found: Counter[bytes] = Counter()
    for rank in range(ranks):
        dataset = genset.torch.IterableDataset(
            "builtin:digits", samples=SAMPLES, batch_size=batch_size, rank=(rank, ranks)
        )
        size = 50 if batch_size is None else None
        found += of_batches(DataLoader(dataset, batch_size=size, **settings(workers, method)))
    assert found == contents


@pytest.mark.parametrize("ranks", [2, 3])
def test_a_distributed_sampler_shares_the_samples(contents: Counter[bytes], ranks: int) -> None:
    dataset = genset.torch.Dataset("builtin:digits", samples=SAMPLES)
    found: Counter[bytes] = Counter()
    for rank in range(ranks):
        # It fills up the last samples with the first ones, so that ranks have as many.
        sampler = DistributedSampler(dataset, ranks, rank, shuffle=True, drop_last=False)
        dataset.set_epoch(0)
        found += of_batches(DataLoader(dataset, batch_size=64, sampler=sampler, num_workers=1))
    assert set(found) == set(contents)
    assert found.total() == -(-SAMPLES // ranks) * ranks


@pytest.mark.parametrize("workers, method", [(0, None), (2, "fork"), (2, "spawn")])
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_pass_is_gone_on_with_from_its_middle(
    images: dict[int, bytes], workers: int, method: str | None, ranks: int
) -> None:
    """Any number of workers and ranks goes on where others stopped."""
    begin = 300
    rest = Counter(image for index, image in images.items() if index >= begin)
    found: Counter[bytes] = Counter()
    for rank in range(ranks):
        dataset = genset.torch.IterableDataset(
            "builtin:digits", samples=SAMPLES, batch_size=16, rank=(rank, ranks)
        )
        dataset.set_epoch(0, next=begin)
        found += of_batches(DataLoader(dataset, batch_size=None, **settings(workers, method)))
    assert found == rest


def test_what_was_delivered_is_a_prefix_after_any_step(images: dict[int, bytes]) -> None:
    """So the number of batches that a loop has seen says where to go on."""
    dataset = genset.torch.IterableDataset("builtin:digits", samples=SAMPLES, batch_size=16)
    loader = DataLoader(dataset, batch_size=None, num_workers=2)
    taken = of_batches(itertools.islice(loader, 8))
    assert taken == Counter(images[index] for index in range(8 * 16))


@pytest.mark.parametrize("batch_size", [None, 16])
@pytest.mark.parametrize("workers", [0, 2])
def test_torchdatas_stateful_loader_goes_on(
    images: dict[int, bytes], batch_size: int | None, workers: int
) -> None:
    stateful = pytest.importorskip("torchdata.stateful_dataloader").StatefulDataLoader

    def loader() -> Any:
        dataset = genset.torch.IterableDataset("builtin:digits", samples=SAMPLES, batch_size=batch_size)
        return stateful(dataset, batch_size=None if batch_size else 30, num_workers=workers)

    first = loader()
    stream = iter(first)
    taken = [next(stream) for _ in range(7)]
    state = pickle.loads(pickle.dumps(first.state_dict()))
    whole = of_batches(taken) + of_batches(stream)
    assert whole == Counter(images.values())
    second = loader()
    second.load_state_dict(state)
    assert of_batches(taken) + of_batches(second) == whole


@pytest.mark.parametrize("persistent", [False, True])
def test_views_are_drawn_anew_each_pass_without_being_told(persistent: bool) -> None:
    """As a folder's images are augmented anew, also by workers that are started again."""
    reference = genset.Dataset("builtin:digits", samples=100)
    expected = [
        Counter(image.tobytes() for image in reference.gather(range(100), epoch).images)
        for epoch in range(3)
    ]
    several = {"num_workers": 2, "persistent_workers": persistent}
    of_index = genset.torch.Dataset("builtin:digits", samples=100)
    loader = DataLoader(of_index, batch_size=32, shuffle=True, **several)
    assert [of_batches(loader) for _ in range(3)] == expected
    of_index.set_epoch(1)
    assert of_batches(loader) == of_batches(loader) == expected[1]

    streamed = genset.torch.IterableDataset("builtin:digits", samples=100, batch_size=32)
    loader = DataLoader(streamed, batch_size=None, **several)
    assert [of_batches(loader) for _ in range(3)] == expected
    streamed.set_epoch(1)
    assert [of_batches(loader) for _ in range(2)] == expected[1:]


def test_workers_make_each_block_once_together(images: dict[int, bytes]) -> None:
    dataset = genset.torch.Dataset("builtin:digits", samples=SAMPLES)
    assert of_batches(DataLoader(dataset, batch_size=64, shuffle=True, num_workers=2)).total() == SAMPLES
    tags = dataset._blocks._tags
    made_in_first_epoch = 2
    assert set(tags.tolist()) == {made_in_first_epoch}
    # What lies there is what is delivered, without a session.
    dataset.set_epoch(0)
    place = dataset._blocks._groups[0].view(-1, 2, 28, 28)[7]
    place.zero_()
    (first, second), _ = dataset[7]
    assert not first.any() and not second.any()


def test_a_worker_that_died_in_the_middle_of_a_block_spoils_nothing(images: dict[int, bytes]) -> None:
    dataset = genset.torch.Dataset("builtin:digits", samples=SAMPLES)
    dataset.set_epoch(0)
    being_made_in_first_epoch = 3
    dataset._blocks._tags.fill_(being_made_in_first_epoch)
    views, _ = dataset[5]
    assert torch.stack(views).numpy().tobytes() == images[5]
    assert set(dataset._blocks._tags.tolist()) == {being_made_in_first_epoch}


def test_blocks_of_another_epoch_are_made_again_in_the_same_memory() -> None:
    dataset = genset.torch.Dataset("builtin:digits", samples=100)
    for epoch in (0, 3, 1):
        dataset.set_epoch(epoch)
        expected = dataset.dataset.gather(range(100), epoch).images
        items = dataset.__getitems__(list(range(100)))
        assert torch.equal(torch.stack([torch.stack(views) for views, _ in items]), expected)


def test_a_sample_is_as_of_an_image_folder() -> None:
    views = genset.torch.Dataset("builtin:digits", samples=20)
    (first, second), label = views[3]
    assert first.shape == second.shape == (1, 28, 28)
    assert isinstance(label, int)
    assert views.class_to_idx[views.classes[label]] == label
    one = genset.torch.Dataset(
        "builtin:digits",
        samples=20,
        views={"count": 1, "latent": []},
        output={"dtype": "f32"},
        transform=lambda image: image * 2 - 1,
        target_transform=lambda label: label + 100,
    )
    image, label = one[-1]
    assert image.dtype == torch.float32
    assert -1 <= image.min() < image.max() <= 1
    assert label >= 100
    assert len(one) == 20
    endless = {"samples": "endless"}
    with pytest.raises(errors.ArgumentError, match="IterableDataset"):
        genset.torch.Dataset("builtin:digits", **endless)


def test_length_is_that_of_this_rank() -> None:
    def stream(**more: Any) -> Any:
        return genset.torch.IterableDataset("builtin:digits", samples=SAMPLES, **more)

    assert len(stream()) == SAMPLES
    assert len(stream(batch_size=64)) == 11
    assert len(stream(batch_size=64, rank=(1, 2))) == 6
    # However many workers share a rank, there are as many: Lightning stops there.
    for workers, drop_last in itertools.product((1, 2), (False, True)):
        loader = DataLoader(
            stream(batch_size=64, loader={"drop_last": drop_last}), batch_size=None, num_workers=workers
        )
        sizes = [len(labels) for _, labels in loader]
        assert len(sizes) == len(loader) == (10 if drop_last else 11)
        assert sum(sizes) == (640 if drop_last else SAMPLES)
    for ranks, drop_last, size in itertools.product((1, 3, 4), (False, True), (None, 64)):
        for rank in range(ranks):
            settings = {"loader": {"drop_last": drop_last}, "rank": (rank, ranks), "batch_size": size}
            assert len(stream(**settings)) == sum(1 for _ in stream(**settings))
    with pytest.raises(TypeError):
        len(genset.torch.IterableDataset("builtin:digits", samples="endless"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loader = DataLoader(stream(batch_size=64), batch_size=None)
        assert sum(1 for _ in loader) == len(loader) == 11


def test_batches_are_not_copied(digits: genset.Dataset) -> None:
    stream = genset.torch.IterableDataset("builtin:digits", samples=SAMPLES, batch_size=64)
    (first, second), _ = next(iter(DataLoader(stream, batch_size=None)))
    # Two views that lie in one buffer.
    assert second.data_ptr() - first.data_ptr() == 28 * 28
    assert first.stride(0) == 2 * 28 * 28
