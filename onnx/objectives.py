"""The objectives of `genset train`, as their papers write them, for `training_fixtures.py`.

Each takes embeddings view by view, `[B, D]`, and gives one number. They are written for reading,
pair by pair, so that they share nothing with the graphs that they are held against.
"""

from __future__ import annotations

from itertools import combinations

import torch
import torch.nn.functional as F
from torch import Tensor


def infonce(views: list[Tensor], partners: list[list[int]], others: list[list[int]], temperature: float) -> Tensor:
    """The mean over embeddings of minus the mean log-share of their partners among the others."""
    z = F.normalize(torch.cat(views), dim=1)
    losses = []
    for i, (mine, rest) in enumerate(zip(partners, others)):
        scores = z @ z[i] / temperature
        whole = torch.logsumexp(scores[rest], 0)
        losses.append(torch.stack([whole - scores[p] for p in mine]).mean())
    return torch.stack(losses).mean()


def contrast(views: list[Tensor], temperature: float, source: Tensor | None = None) -> Tensor:
    """NT-Xent (Chen and others 2020, equation 1); StableRep (Tian and others 2023, equation 3).

    Samples of one `source` are neither partners nor others."""
    batch, count = len(views[0]), len(views) * len(views[0])
    partners = [[j for j in range(count) if j != i and j % batch == i % batch] for i in range(count)]
    others = [[j for j in range(count) if j != i] for i in range(count)]
    if source is not None:
        apart = lambda i, j: source[i % batch] != source[j % batch]  # noqa: E731
        others = [[j for j in others[i] if apart(i, j) or j in partners[i]] for i in range(count)]
    return infonce(views, partners, others, temperature)


def supcon(views: list[Tensor], label: Tensor, temperature: float) -> Tensor:
    """Khosla and others 2020, equation 2; a sample without a class (-1) is a class of its own."""
    batch, count = len(label), len(views) * len(label)

    def partner(i: int, j: int) -> bool:
        one, other = label[i % batch], label[j % batch]
        return i != j and (i % batch == j % batch or bool(one == other and one >= 0))

    partners = [[j for j in range(count) if partner(i, j)] for i in range(count)]
    others = [[j for j in range(count) if j != i] for i in range(count)]
    return infonce(views, partners, others, temperature)


def alignment(views: list[Tensor], uniformity: float, t: float) -> Tensor:
    """Wang and Isola 2020, figure 5."""
    units = [F.normalize(view, dim=1) for view in views]
    align = [(a - b).norm(dim=1).pow(2).mean() for a, b in combinations(units, 2)]
    uniform = [torch.pdist(unit).pow(2).mul(-t).exp().mean().log() for unit in units]
    return torch.stack(align).mean() + uniformity * torch.stack(uniform).mean()


def barlow_twins(views: list[Tensor], weight: float) -> Tensor:
    """Zbontar and others 2021, algorithm 1, with the normalisation of its code."""
    normal = [F.batch_norm(view, None, None, training=True, eps=1e-5) for view in views]
    losses = []
    for a, b in combinations(normal, 2):
        correlation = a.T @ b / len(a)
        on = torch.diagonal(correlation)
        off = correlation - torch.diag(on)
        losses.append((on - 1).pow(2).sum() + weight * off.pow(2).sum())
    return torch.stack(losses).mean()


def vicreg(views: list[Tensor], invariance: float, variance: float, covariance: float) -> Tensor:
    """Bardes, Ponce and LeCun 2022, with the halves of its code."""
    losses = []
    for a, b in combinations(views, 2):
        loss = invariance * F.mse_loss(a, b)
        for view in (a, b):
            deviation = (view.var(dim=0) + 1e-4).sqrt()
            loss = loss + variance * F.relu(1 - deviation).mean() / 2
            matrix = torch.cov(view.T)
            off = matrix - torch.diag(torch.diagonal(matrix))
            loss = loss + covariance * off.pow(2).sum() / view.shape[1]
        losses.append(loss)
    return torch.stack(losses).mean()


def byol(predicted: list[Tensor], wanted: list[Tensor]) -> Tensor:
    """Grill and others 2020, equation 2, over all ordered pairs of views."""
    pairs = [(i, j) for i in range(len(predicted)) for j in range(len(wanted)) if i != j]
    losses = [2 - 2 * F.cosine_similarity(predicted[i], wanted[j], dim=1).mean() for i, j in pairs]
    return torch.stack(losses).mean()


def cross_entropy(views: list[Tensor], label: Tensor) -> Tensor:
    """The mean over samples that have a class."""
    return F.cross_entropy(torch.cat(views), label.repeat(len(views)), ignore_index=-1)


def inverter(views: list[Tensor], latents: list[Tensor]) -> Tensor:
    """The mean squared distance to latents, without those that are not known."""
    read, drawn = torch.cat(views), torch.cat(latents)
    known = ~drawn.isnan()
    return F.mse_loss(read[known], drawn[known])
