"""FaRL's losses of its two heads."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from harness.methods.farl.network import centres

HEAT_SIZE, HEAT_RADIUS = 128, 5.0
"""Side of the target heat maps and where they end, in their pixels."""


def parsing_loss(logits: Tensor, classes: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross-entropy of the pixels: logits (B, C, h, w), bilinear at the size of the classes (B, H, W).

    With weights (C,) a pixel's is multiplied by that of its class.
    """
    sized = functional.interpolate(logits, size=classes.shape[1:], mode="bilinear", align_corners=False)
    return functional.cross_entropy(sized, classes, weights, reduction="none").mean()


def class_weights(classes: Tensor, count: int, power: float) -> Tensor:
    """(count,) shares of the classes among pixels to the power of `-power`, times what makes their mean over pixels 1.

    0 gives every pixel the same weight, as FaRL does; 1 every class.
    """
    shares = torch.bincount(classes.flatten(), minlength=count).double() / classes.numel()
    weights = (shares + 1e-4) ** -power
    return (weights / (weights @ shares)).float()


def heat_target(points: Tensor, size: int = HEAT_SIZE, radius: float = HEAT_RADIUS) -> Tensor:
    """(B, N, size, size) exp(-8 r^2 / R^2) within R pixels of each point (B, N, 2) in shares of the sides, else 0."""
    axis = torch.arange(size, dtype=points.dtype, device=points.device)
    x, y = (((points[..., i, None] * size - 0.5 - axis) / radius).square() for i in (0, 1))
    bell = (-8 * y).exp()[..., None] * (-8 * x).exp()[
        :, :, None
    ]  # the exponential of a sum, a row and a column at a time
    return bell * (y[..., None] + x[:, :, None] <= 1)


def alignment_losses(
    logits: Tensor, points: Tensor, size: int = HEAT_SIZE, radius: float = HEAT_RADIUS
) -> dict[str, Tensor]:
    """Of heat-map logits (B, N, h, w) and points (B, N, 2) in shares of the sides.

    "coordinates" is the mean distance of the maps' centres of mass to the points (FaRL's code calls it an l1 loss), and
    "heat" the binary cross-entropy of the maps, bilinear at `size`, to `heat_target`.
    """
    sized = functional.interpolate(logits, size=(size, size), mode="bilinear", align_corners=False)
    return {
        "coordinates": (centres(logits.sigmoid()) - points).norm(dim=2).mean(),
        "heat": functional.binary_cross_entropy_with_logits(sized, heat_target(points, size, radius)),
    }
