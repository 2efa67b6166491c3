"""Lightning: its trainer takes both kinds of datasets, alone and with ranks of its own."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import genset.torch
import pytest
import pytorch_lightning as lightning
import torch
from conftest import SAMPLES
from torch.utils.data import DataLoader

EPOCHS = 2

# Each rank of a real run writes what it was given.
SCRIPT = """
import sys
import genset.torch
import pytorch_lightning as lightning
import torch
from torch.utils.data import DataLoader


class Noting(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(28 * 28, 4)
        self.seen = []

    def training_step(self, batch, _):
        (first, second), labels = batch
        self.seen += [image.numpy().tobytes().hex() for image in first]
        return self.layer(first.flatten(1).float()).mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 1e-3)

    def on_train_end(self):
        with open(f"{sys.argv[2]}.{self.global_rank}", "w") as file:
            file.write("\\n".join(self.seen))


if __name__ == "__main__":
    # A whole number of steps for both ranks: Lightning ends a pass with the first that has no more.
    if sys.argv[1] == "stream":
        dataset = genset.torch.IterableDataset("builtin:digits", samples=512, batch_size=64)
        loader = DataLoader(dataset, batch_size=None, num_workers=1)
    else:
        dataset = genset.torch.Dataset("builtin:digits", samples=512)
        loader = DataLoader(dataset, batch_size=64, num_workers=1)
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", devices=2, strategy="ddp", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )
    trainer.fit(Noting(), loader)
"""


def trained(loader: DataLoader[Any]) -> list[Counter[bytes]]:
    """The first views that a training step gets, pass by pass."""
    passes: list[Counter[bytes]] = []

    class Noting(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(28 * 28, 4)

        def on_train_epoch_start(self) -> None:
            passes.append(Counter())

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            (first, _second), labels = batch
            assert len(first) == len(labels)
            passes[-1].update(image.numpy().tobytes() for image in first)
            return self.layer(first.flatten(1).float()).mean()

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 1e-3)

    trainer = lightning.Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # It advises more workers.
        trainer.fit(Noting(), loader)
    return passes


@pytest.mark.parametrize("workers", [0, 2])
def test_a_trainer_gets_every_sample_once_a_pass(workers: int) -> None:
    stream = genset.torch.IterableDataset("builtin:digits", samples=SAMPLES, batch_size=64)
    table = genset.torch.Dataset("builtin:digits", samples=SAMPLES)
    streamed = trained(DataLoader(stream, batch_size=None, num_workers=workers))
    shuffled = trained(DataLoader(table, batch_size=64, shuffle=True, num_workers=workers))
    assert [passed.total() for passed in streamed + shuffled] == [SAMPLES] * 2 * EPOCHS
    # The same images in both, and views drawn anew in the second pass.
    assert streamed[0] == shuffled[0]
    assert streamed[0] != streamed[1]


@pytest.mark.parametrize("kind", ["stream", "table"])
def test_ranks_of_its_own_share_the_samples(
    kind: str, tmp_path: Path, run: Callable[..., Any]
) -> None:
    done = run(SCRIPT, kind, str(tmp_path / "seen"))
    assert done.returncode == 0, done.stderr
    parts = [(tmp_path / f"seen.{rank}").read_text().split() for rank in (0, 1)]
    assert [len(part) for part in parts] == [256, 256]
    images = genset.Dataset("builtin:digits", samples=512).gather(range(512)).images[:, 0]
    assert Counter(parts[0] + parts[1]) == Counter(image.tobytes().hex() for image in images)
