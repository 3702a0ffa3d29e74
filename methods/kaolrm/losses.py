"""KaoLRM's losses: landmarks and rest, the drawn picture, and what binds the Gaussians to the mesh."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

INNER, MOUTH = slice(17, 48), slice(48, 68)
LANDMARK_SIDE = 192
"""The published weights count pixels of pictures of this side."""
SUBJECT = 0.7
"""How much more a pixel of the subject counts in the pixel loss: lambda m + (1 - lambda)."""
_WINDOW, _SPREAD = 11, 1.5
_STABLE = (0.01**2, 0.03**2)


def landmark_loss(found: Tensor, seen: Tensor, side: int) -> Tensor:
    """Huber's loss of all points, of brows, nose and eyes once more, and of the mouth once more.

    Pictures that cut a landmark off at the left or the top do not count, as in the published code.

    Args:
        found: (B, n, 68, 2) pixels.
        seen: (B, n, 68, 2) the truth.
        side: of the picture, which the loss brings to LANDMARK_SIDE.

    Returns:
        (); 0 where no picture counts.
    """
    counts = (seen > 0).flatten(2).all(dim=2)
    error = (found - seen)[counts] * (LANDMARK_SIDE / side)
    if not len(error):
        return found.sum() * 0
    huber = functional.huber_loss(error, torch.zeros_like(error), reduction="none")
    return huber.mean() + huber[:, INNER].mean() + huber[:, MOUTH].mean()


def pixel_loss(drawn: Tensor, seen: Tensor, masks: Tensor) -> Tensor:
    """Mean squares of (N, 3, R, R) pictures, those of the subject (N, 1, R, R) with weight 1, others with 0.3."""
    weight = SUBJECT * masks + (1 - SUBJECT)
    return (weight * (drawn - seen).square()).mean()


def dissimilarity(drawn: Tensor, seen: Tensor) -> Tensor:
    """1 - SSIM (Wang et al., 2004) of (N, C, R, R) pictures in 0..1, R at least 11; windows within the picture."""
    axis = torch.arange(_WINDOW, dtype=drawn.dtype, device=drawn.device) - _WINDOW // 2
    bell = (-(axis**2) / (2 * _SPREAD**2)).exp()
    bell = bell / bell.sum()

    def mean(x: Tensor) -> Tensor:
        rows = functional.conv2d(x.flatten(0, 1)[:, None], bell.view(1, 1, -1, 1))
        return functional.conv2d(rows, bell.view(1, 1, 1, -1))

    first, second = mean(drawn), mean(seen)
    variances = mean(drawn**2) - first**2, mean(seen**2) - second**2
    together = mean(drawn * seen) - first * second
    bright, contrast = _STABLE
    likeness = (2 * first * second + bright) * (2 * together + contrast)
    return 1 - (likeness / ((first**2 + second**2 + bright) * (sum(variances) + contrast))).mean()


def mask_loss(opacity: Tensor, masks: Tensor) -> Tensor:
    """Mean squares between what the Gaussians cover (N, R, R) and the subject (N, R, R)."""
    return (opacity - masks).square().mean()


def binding(values: Tensor, mesh: Tensor, where: Tensor) -> Tensor:
    """L1 between what the Gaussians show and what the mesh shows, where (N, R, R) the mesh's face is.

    Args:
        values: (N, R, R, C) depths or normals of the Gaussians.
        mesh: (N, R, R, C) the mesh's.
        where: bool.
    """
    return ((values - mesh).abs().sum(dim=-1) * where).sum() / where.sum().clamp_min(1)
