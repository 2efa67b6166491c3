"""What the networks are trained towards, as functions of one batch.

The adversarial part is the relativistic pairing loss with zero-centred gradient
penalties on real and generated images (Huang et al., "The GAN is dead; long
live the GAN!", 2024): every generated image is scored against a real one of its
own class. Beside it stands the squared error of a conditional VAE (Kingma and
Welling, 2014; Bao et al., "CVAE-GAN", 2017): the decoder must go on rebuilding
real images from their codes.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F


def pairing(winner: torch.Tensor, loser: torch.Tensor) -> torch.Tensor:
    """Relativistic pairing loss of scores `[N]`: small when each winner beats its loser."""
    return F.softplus(loser - winner).mean()


def gradient_penalty(discriminator, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Mean squared gradient norm of the score by the image (R1 on real, R2 on generated)."""
    images = images.detach().requires_grad_(True)
    scores = discriminator(images, labels)
    (slope,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return slope.square().sum((1, 2, 3)).mean()


def squared_error(images: torch.Tensor, rebuilt: torch.Tensor) -> torch.Tensor:
    """Squared error summed over an image's pixels, mean over N."""
    return (images - rebuilt).square().sum((1, 2, 3)).mean()
