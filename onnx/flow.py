"""The learned prior: a class-conditional normalising flow over the decoder's codes.

A VAE's codes do not fill the unit normal, least of all class by class; drawing
from the normal then decodes to what is no digit. The flow maps the normal onto
the distribution that the codes do have, by affine coupling layers (Dinh,
Sohl-Dickstein, Bengio, "Density estimation using Real NVP", 2017), and is
trained by maximum likelihood, which punishes every code that is left out.
"""

from __future__ import annotations

import math

import torch
from torch import nn


class Coupling(nn.Module):
    """Scales and shifts one half of a code `[N, size]` by what the other half and the class say."""

    def __init__(self, size: int, classes: int, hidden: int, permutation: torch.Tensor) -> None:
        super().__init__()
        self.half = size // 2
        self.register_buffer("order", permutation)
        self.register_buffer("back", permutation.argsort())
        self.network = nn.Sequential(nn.Linear(self.half + classes, hidden), nn.ReLU(), nn.Linear(hidden, size))
        nn.init.zeros_(self.network[2].weight)  # starts as the identity
        nn.init.zeros_(self.network[2].bias)

    def _scale_and_shift(self, kept: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        log_scale, shift = self.network(torch.cat([kept, y], 1)).split(self.half, 1)
        return torch.tanh(log_scale), shift  # a factor within [1/e, e] cannot run away

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Towards the code."""
        kept, changed = z.split(self.half, 1)
        log_scale, shift = self._scale_and_shift(kept, y)
        return torch.cat([kept, changed * log_scale.exp() + shift], 1)[:, self.order]

    def inverse(self, code: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Towards the normal; also the log determinant `[N]` of this direction."""
        kept, changed = code[:, self.back].split(self.half, 1)
        log_scale, shift = self._scale_and_shift(kept, y)
        return torch.cat([kept, (changed - shift) * (-log_scale).exp()], 1), -log_scale.sum(1)


class Flow(nn.Module):
    """Latent `[N, size]`, unit normal, and one-hot class `[N, classes]` -> code `[N, size]`."""

    def __init__(self, size: int, classes: int, layers: int = 8, hidden: int = 160) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(0)  # the permutations are part of the architecture
        orders = [torch.randperm(size, generator=random) for _ in range(layers)]
        self.layers = nn.ModuleList(Coupling(size, classes, hidden, order) for order in orders)

    def forward(self, z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            z = layer(z, y)
        return z

    def inverse(self, code: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The latent `[N, size]` of a code, and the log determinant `[N]`."""
        total = torch.zeros(len(code))
        for layer in reversed(self.layers):
            code, determinant = layer.inverse(code, y)
            total = total + determinant
        return code, total

    def log_density(self, code: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Log density `[N]` in nats of codes under the prior of their class."""
        z, determinant = self.inverse(code, y)
        return log_normal(z, torch.zeros_like(z)) + determinant


def fit(
    flow: Flow, mean: torch.Tensor, log_variance: torch.Tensor, y: torch.Tensor, steps: int, batch: int, rate: float
) -> float:
    """Fits the flow alone to codes that no longer move; gives the last mean loss in nats.

    The codes are normals with `mean [N, size]` and `log_variance [N, size]`,
    drawn anew for every batch, of the classes `y [N, classes]`. The second stage
    of Dai and Wipf, "Diagnosing and Enhancing VAE Models", 2019: it is cheap, and
    what the prior misses, no decoder can make up for.
    """
    optimizer = torch.optim.Adam(flow.parameters(), rate, betas=(0.9, 0.99))
    recent: list[float] = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps)))
        rows = torch.randint(len(mean), (batch,))
        codes = mean[rows] + torch.randn_like(mean[rows]) * (0.5 * log_variance[rows]).exp()
        loss = -flow.log_density(codes, y[rows]).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(flow.parameters(), 50.0)
        optimizer.step()
        recent = [*recent[-99:], loss.item()]
    return sum(recent) / len(recent)


def log_normal(deviation: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Log density `[N]` of independent normals at `deviation [N, D]` from their means."""
    return -0.5 * (deviation.square() / log_variance.exp() + log_variance + math.log(2 * math.pi)).sum(1)
