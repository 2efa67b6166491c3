"""One training step of the generator, and the averaged weights that are shipped."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

import losses
from flow import fit, log_normal
from networks import CLASSES, LATENT, Discriminator, Encoder, Generator


@dataclass(frozen=True)
class Settings:
    """Everything that decides how a generator is trained."""

    steps: int = 28_000  # of warm-up and adversarial training together
    batch: int = 64
    group: int = 4  # images of one class that the discriminator sees together
    # Warming up: the evidence bound alone, on all networks but the discriminator.
    warm_up: int = 18_000  # steps
    soft: int = 10_000  # of these with the soft precision, which fills the prior first
    soft_precision: float = 4.0  # 1 / (2 variance) of a pixel in the evidence bound
    precision: float = 12.0
    rate: float = 1e-3  # learning rate of decoder, encoder and flow
    # Then: the flow alone, on the codes of an encoder that no longer changes.
    flow_steps: int = 18_000
    flow_batch: int = 512
    flow_rate: float = 2e-3
    # Last: the decoder against the discriminator; encoder and flow stay as they are.
    head_start: int = 500  # last steps of the warm-up in which the discriminator learns too
    coverage: float = 0.003  # weight of the evidence bound beside the adversarial loss
    decoder_rate: float = 2e-4
    discriminator_rate: float = 4e-4
    penalty: float = 0.05  # weight of the two gradient penalties
    penalty_every: int = 8
    # Always.
    final: float = 0.1  # learning rate at the end of either part, relative to its start
    average: float = 0.999  # decay of the weight average

    def __post_init__(self) -> None:
        if not self.soft < self.warm_up < self.steps:
            raise ValueError(f"steps: soft {self.soft} < warm-up {self.warm_up} < all {self.steps} does not hold")


def to_unit(images: torch.Tensor) -> torch.Tensor:
    """u8 `[N, 28, 28]` -> f32 `[N, 1, 28, 28]` in [-1, 1]."""
    return images.float().div_(127.5).sub_(1).unsqueeze(1)


class Pools:
    """Real training images by class; draws batches in groups of one class."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.images, self.labels = torch.from_numpy(images.copy()), torch.from_numpy(labels)
        self.rows = [np.flatnonzero(labels == label) for label in range(CLASSES)]
        self.order = [self.random.permutation(rows) for rows in self.rows]
        self.used = [0] * CLASSES

    def draw(self, batch: int, group: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Images f32 `[batch, 1, 28, 28]` in [-1, 1] and labels `[batch]`.

        Item i and item i + batch / group are of one class. Each class is passed
        through without repetition before it starts anew.
        """
        distinct = batch // group
        rounds = [self.random.permutation(CLASSES) for _ in range(-(-distinct // CLASSES))]
        labels = np.tile(np.concatenate(rounds)[:distinct], group)
        rows = torch.from_numpy(np.array([self._next(label) for label in labels]))
        return to_unit(self.images[rows]), torch.from_numpy(labels)

    def _next(self, label: int) -> int:
        if self.used[label] == len(self.order[label]):
            self.order[label] = self.random.permutation(self.rows[label])
            self.used[label] = 0
        self.used[label] += 1
        return self.order[label][self.used[label] - 1]


PARTS = ("generator", "average", "discriminator", "encoder", "for_decoder", "for_discriminator", "for_codes")


@dataclass
class Batch:
    """Real images and what one step makes of them; N items, of which `rows` are rebuilt.

    One set of made images serves both updates, and the real scores of the
    discriminator's update serve the generator's: a seventh of the time less.
    """

    images: torch.Tensor  # [N, 1, 28, 28]
    labels: torch.Tensor  # [N]
    rows: torch.Tensor
    made: torch.Tensor | None = None  # [N, 1, 28, 28]
    rebuilt: torch.Tensor | None = None  # of images[rows]
    error: torch.Tensor | None = None
    divergence: torch.Tensor | None = None
    real_score: torch.Tensor | None = None  # [N]


class Trainer:
    """Generator, discriminator, encoder and their optimizers."""

    def __init__(self, settings: Settings, seed: int) -> None:
        torch.manual_seed(seed)
        self.settings = settings
        self.generator = Generator().to(memory_format=torch.channels_last)
        self.discriminator = Discriminator(group=settings.group).to(memory_format=torch.channels_last)
        self.encoder = Encoder().to(memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        decoder = [value for name, value in self.generator.named_parameters() if not name.startswith("flow.")]
        self.for_decoder = torch.optim.Adam(decoder, betas=(0.5, 0.99))
        self.for_discriminator = torch.optim.Adam(self.discriminator.parameters(), betas=(0.0, 0.99))
        codes = [*self.encoder.parameters(), *self.generator.flow.parameters()]
        self.for_codes = torch.optim.Adam(codes, betas=(0.9, 0.99))
        self.steps = 0

    @property
    def warming_up(self) -> bool:
        return self.steps < self.settings.warm_up

    @property
    def precision(self) -> float:
        """Weight of the squared error in the evidence bound at this step."""
        return self.settings.soft_precision if self.steps < self.settings.soft else self.settings.precision

    def set_rates(self) -> None:
        """Sets the learning rates of this step: each part ends in a cosine over its last stretch."""
        settings = self.settings
        decay = self._decay(settings.soft, settings.warm_up)
        decoder, discriminator = settings.rate * decay, settings.discriminator_rate
        if not self.warming_up:
            decay = self._decay(settings.warm_up, settings.steps)
            decoder, discriminator = settings.decoder_rate * decay, settings.discriminator_rate * decay
        self.for_decoder.param_groups[0]["lr"] = decoder
        self.for_codes.param_groups[0]["lr"] = settings.rate * decay
        self.for_discriminator.param_groups[0]["lr"] = discriminator

    def _decay(self, begin: int, end: int) -> float:
        """1 until half-way from `begin` to `end`, then down to `final` along a cosine."""
        late = min(1.0, max(0.0, 2 * (self.steps - begin) / (end - begin) - 1))
        return self.settings.final + (1 - self.settings.final) * 0.5 * (1 + math.cos(math.pi * late))

    def fit_flow(self, images: torch.Tensor, labels: torch.Tensor) -> float:
        """Fits the flow to the codes of all training images; gives its loss in nats.

        Images u8 `[N, 28, 28]`, labels `[N]`.
        """
        settings, means, log_variances = self.settings, [], []
        y = F.one_hot(labels, CLASSES).float()
        with torch.no_grad():
            for part, classes in zip(images.split(1000), y.split(1000), strict=True):
                mean, log_variance = self.encoder(to_unit(part), classes)
                means.append(mean)
                log_variances.append(log_variance)
        flow = self.generator.flow
        size = (settings.flow_steps, settings.flow_batch, settings.flow_rate)
        loss = fit(flow, torch.cat(means), torch.cat(log_variances), y, *size)
        self.average.flow.load_state_dict(flow.state_dict())
        return loss

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """One update of every network on real images `[N, 1, 28, 28]` and labels `[N]`."""
        self.set_rates()
        y = F.one_hot(labels, CLASSES).float()
        judged = self.steps >= self.settings.warm_up - self.settings.head_start
        batch = self._make(images, labels, y, judged)
        report = {"error": batch.error.detach()}
        if batch.divergence is not None:
            report["divergence"] = batch.divergence.detach()
        if judged:
            report |= self._update_discriminator(batch)
        report |= self._update_generator(batch)
        self.steps += 1
        self._average_weights()
        return report

    def _make(self, images, labels, y, judged: bool) -> Batch:
        """Rebuilds real images and, if they will be `judged`, generates from the prior."""
        count = len(labels)
        rows = torch.arange(count)
        if not self.warming_up:  # half of the groups is enough then, and much cheaper
            rows = rows.reshape(self.settings.group, -1).chunk(2, 1)[0].flatten()
        batch = Batch(images, labels, rows)
        classes = y[rows]
        with torch.set_grad_enabled(self.warming_up):
            with torch.autocast("cpu", torch.bfloat16):
                mean, log_variance = self.encoder(images[rows], classes)
            noise = torch.randn_like(mean)
            codes = mean + noise * (0.5 * log_variance).exp()
        if self.warming_up:
            posterior = log_normal(noise, torch.zeros_like(noise)) - 0.5 * log_variance.sum(1)
            batch.divergence = (posterior - self.generator.flow.log_density(codes, classes)).mean()
        if judged:
            with torch.no_grad():  # the flow learns by likelihood alone
                drawn = self.generator.flow(torch.randn(count, LATENT), y)
            codes, classes = torch.cat([drawn, codes]), torch.cat([y, classes])
        with torch.autocast("cpu", torch.bfloat16):
            made = self.generator.decode(codes, classes).float()
        batch.made, batch.rebuilt = made[: -len(rows)], made[-len(rows) :]
        batch.error = losses.squared_error(images[rows], batch.rebuilt)
        return batch

    def _update_discriminator(self, batch: Batch) -> dict[str, torch.Tensor]:
        settings = self.settings
        real, made = batch.images, batch.made.detach()
        with torch.autocast("cpu", torch.bfloat16):
            real_score = self.discriminator(real, batch.labels).float()
            made_score = self.discriminator(made, batch.labels).float()
        batch.real_score = real_score.detach()
        loss = losses.pairing(real_score, made_score)
        report = {"discriminator": loss.detach(), "margin": (real_score - made_score).mean().detach()}
        if self.steps % settings.penalty_every == 0:
            penalty = losses.gradient_penalty(self.discriminator, real, batch.labels)
            penalty = penalty + losses.gradient_penalty(self.discriminator, made, batch.labels)
            loss = loss + 0.5 * settings.penalty * settings.penalty_every * penalty
            report["penalty"] = penalty.detach()
        self.for_discriminator.zero_grad()
        loss.backward()
        self.for_discriminator.step()
        return report

    def _update_generator(self, batch: Batch) -> dict[str, torch.Tensor]:
        settings, report = self.settings, {}
        bound = self.precision * batch.error
        if self.warming_up:
            loss = settings.coverage * (bound + batch.divergence)
        else:
            self.discriminator.requires_grad_(False)
            with torch.autocast("cpu", torch.bfloat16):
                score = self.discriminator(batch.made, batch.labels).float()
                adversarial = losses.pairing(score, batch.real_score)
                score = self.discriminator(batch.rebuilt, batch.labels[batch.rows]).float()
                again = losses.pairing(score, batch.real_score[batch.rows])
            self.discriminator.requires_grad_(True)
            report["adversarial"] = adversarial.detach()
            loss = adversarial + 0.5 * again + settings.coverage * bound
        self.for_decoder.zero_grad()
        self.for_codes.zero_grad()
        loss.backward()
        self.for_decoder.step()
        if self.warming_up:
            self.for_codes.step()
        return report

    @torch.no_grad()
    def _average_weights(self) -> None:
        # Early weights are far off; a short memory at first forgets them.
        decay = min(self.settings.average, (1 + self.steps) / (10 + self.steps))
        for slow, fast in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)

    @torch.no_grad()
    def averaged(self, batches: int = 20) -> Generator:
        """The averaged generator with batch statistics of its own, ready for inference."""
        network = copy.deepcopy(self.average)
        for norm in (network.norm7, network.norm14):
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over all batches
        network.train()
        labels = torch.arange(CLASSES).repeat(40)
        random = torch.Generator().manual_seed(0)
        for _ in range(batches):
            z = torch.randn(len(labels), LATENT, generator=random)
            network(z, F.one_hot(labels, CLASSES).float())
        return network.eval()

    def state(self) -> dict:
        """Everything that a resumed run needs, as tensors and numbers."""
        return {"steps": self.steps} | {name: getattr(self, name).state_dict() for name in PARTS}

    def restore(self, state: dict) -> None:
        """Goes on from what `state` gave."""
        self.steps = state["steps"]
        for name in PARTS:
            getattr(self, name).load_state_dict(state[name])
