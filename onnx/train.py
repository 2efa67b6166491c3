"""Trains a shipped generator, from download to ONNX.

    python onnx/train.py digits
    python onnx/train.py fashion

Fetches the data, trains for at most `--minutes`, keeps a checkpoint in the work
folder every few minutes, and goes on from it when started again. At the end, or
at any time with `--export-only`, writes the averaged generator with its recipe,
contact sheet, measured quality and model card to `onnx/models/`.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from pathlib import Path

import numpy as np
import torch

import classifiers
import data
import ship
from gan import Pools, Settings, Trainer
from networks import CLASSES, LATENT, Generator

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=sorted(data.SOURCES))
    parser.add_argument("-o", "--output", type=Path, default=HERE / "models")
    parser.add_argument("--work", type=Path, help="folder of checkpoints and log (default: in the user's cache)")
    parser.add_argument("--cache", type=Path, help="folder of downloaded data (default: the user's cache)")
    parser.add_argument("--minutes", type=float, default=90, help="stop training after this long")
    parser.add_argument("--steps", type=int, default=Settings.steps, help="training steps of 64 images each")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--probe-minutes", type=float, default=4, help="between checkpoints with quick accuracies")
    parser.add_argument("--note", default="", help="a sentence on this run for the model card")
    parser.add_argument("--export-only", action="store_true", help="export the last checkpoint, train no further")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    keep_memory()
    work = arguments.work or data.default_cache().parent / "train" / arguments.name
    work.mkdir(parents=True, exist_ok=True)
    run = Run(arguments, work)
    if not arguments.export_only:
        run.train()
    run.export()


def keep_memory() -> None:
    """Has glibc keep freed memory for the next step.

    By default it gives tensors of some MB back to the kernel after each use; on
    a small virtual machine half of the time then goes to page faults.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except OSError:
        return  # another C library; only speed is lost
    trim_threshold, top_pad, mmap_max = -1, -2, -4
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 256 << 20)


class Run:
    """One training run: data, trainer, checkpoint, log."""

    def __init__(self, arguments: argparse.Namespace, work: Path) -> None:
        self.arguments = arguments
        self.checkpoint = work / "checkpoint.pt"
        self.log_file = work / "log.txt"
        self.real, self.test = data.load(arguments.name, arguments.cache)
        self.trainer = Trainer(Settings(steps=arguments.steps), arguments.seed)
        self.judges = {}  # by kind: classifiers trained on real images, made when first needed
        self.seconds = 0.0  # spent training, over all restarts
        if self.checkpoint.exists():
            state = torch.load(self.checkpoint, weights_only=True)
            self.trainer.restore(state["trainer"])
            self.seconds = state["seconds"]
            torch.manual_seed(arguments.seed + self.trainer.steps)

    def log(self, text: str) -> None:
        line = f"{time.strftime('%H:%M:%S')} step {self.trainer.steps} {text}"
        print(line, flush=True)
        with self.log_file.open("a") as file:
            file.write(line + "\n")

    def train(self) -> None:
        """Trains until the steps or the minutes are used up."""
        arguments, trainer = self.arguments, self.trainer
        batch, group = trainer.settings.batch, trainer.settings.group
        pools = Pools(self.real.images, self.real.labels, arguments.seed + trainer.steps)
        limit, began = 60 * arguments.minutes, time.monotonic() - self.seconds
        next_probe = self.seconds + 60 * arguments.probe_minutes
        next_log, since, sums = self.seconds + 30, trainer.steps, {}
        self.log(f"starts; {trainer.settings}")
        while trainer.steps < trainer.settings.steps and self.seconds < limit:
            if trainer.steps == trainer.settings.warm_up:
                self.log(f"flow fitted to {trainer.fit_flow(pools.images, pools.labels):.2f} nats")
            for key, value in trainer.step(*pools.draw(batch, group)).items():
                sums.setdefault(key, []).append(value)
            previous, self.seconds = self.seconds, time.monotonic() - began
            if self.seconds >= next_log:
                speed = (trainer.steps - since) * batch / (self.seconds - next_log + 30)
                means = " ".join(f"{key} {torch.stack(values).mean():.3f}" for key, values in sums.items())
                self.log(f"{speed:.0f} images/s {means}")
                next_log, since, sums = self.seconds + 30, trainer.steps, {}
            if self.seconds >= next_probe:
                self.save()
                self.probe()
                next_probe = self.seconds + 60 * arguments.probe_minutes
                # Probing is not training: leave it out of the time.
                began = time.monotonic() - self.seconds
        self.save()

    def save(self) -> None:
        """Writes the checkpoint under its name only when it is whole."""
        partial = self.checkpoint.with_suffix(".partial")
        torch.save({"trainer": self.trainer.state(), "seconds": self.seconds}, partial)
        partial.replace(self.checkpoint)

    def probe(self) -> None:
        """Logs one quick pair of accuracies, generated beside real, of the fixed classifiers."""
        images, labels = sample(self.trainer.averaged(), 10_000, seed=1)
        parts = []
        for kind in classifiers.CLASSIFIERS:
            made = classifiers.train(kind, images, labels, seed=0)
            true = self.judge(kind)
            scores = [classifiers.accuracy(network, self.test.images, self.test.labels) for network in (made, true)]
            agreement = classifiers.accuracy(true, images, labels)
            parts.append(f"{kind} {scores[0]:.2f} real {scores[1]:.2f} label agreement {agreement:.2f}")
        self.log("probe " + "; ".join(parts))

    def judge(self, kind: str) -> torch.nn.Module:
        """The classifier `kind` trained on 10,000 real images."""
        if kind not in self.judges:
            rows = np.random.default_rng(0).permutation(len(self.real.images))[:10_000]
            self.judges[kind] = classifiers.train(kind, self.real.images[rows], self.real.labels[rows], seed=0)
        return self.judges[kind]

    def export(self) -> None:
        """Writes the model and everything that goes with it."""
        trainer = self.trainer
        training = ship.Training(
            steps=trainer.steps,
            images=trainer.steps * trainer.settings.batch,
            hours=self.seconds / 3600,
            settings=str(trainer.settings),
            note=self.arguments.note,
        )
        ship.ship(self.arguments.name, trainer.averaged(), training, self.real, self.test, self.arguments.output)
        self.log(f"exported to {self.arguments.output}")


@torch.no_grad()
def sample(network: Generator, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` u8 images `[N, 28, 28]`, classes in equal shares, and their labels `[N]`."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % CLASSES
    made = []
    for part in labels.split(500):
        y = torch.nn.functional.one_hot(part, CLASSES).float()
        made.append(network(torch.randn(len(part), LATENT, generator=random), y))
    images = torch.cat(made)[:, 0].add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)
    return images.numpy(), labels.numpy()


if __name__ == "__main__":
    main()
