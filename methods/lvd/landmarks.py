"""A small network for landmarks in a crop: heat maps, their expected positions, and how far off these may be.

Besides the 68 iBUG points it finds vertices all over the face, as Wood et al. do (3D Face Reconstruction with Dense
Landmarks, ECCV 2022): rendered pictures know where each of them is, also those that no person could mark.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.heads.head import Head
from harness.methods.lvd.expectation import face_vertices, spread_out
from harness.methods.lvd.hourglass import FilterSizes, ImageFilter

POINTS = 68  # iBUG
DENSE = 132  # vertices of the face
SOUGHT = POINTS + DENSE


@dataclass(frozen=True)
class LandmarkSizes:
    """Dimensions of the landmark network: side of its input in pixels and its image filter."""

    image: int = 128
    filter: FilterSizes = field(
        default_factory=lambda: FilterSizes(inputs=4, stem=(32, 64, 64), stride=4, stacks=1, depth=3, groups=8)
    )


@dataclass(frozen=True, eq=False)
class Landmarks:
    """What the network says about a batch of crops.

    Attributes:
        heat_maps: (B, K, h, w), each sums to 1.
        points: (B, K, 2) expected positions, in [-1, 1] across the crop (pixel centres of its edges).
        spread: (B, K) expected absolute error per coordinate (the scale of a Laplace distribution), same unit.
    """

    heat_maps: Tensor
    points: Tensor
    spread: Tensor


class SoughtPoints:
    """The points of a head that the network looks for: the 68 landmarks, then vertices far from each other."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.dense = spread_out(head.template, face_vertices(head), DENSE)

    def __call__(self, vertices: Tensor) -> Tensor:
        """(N, V, 3) -> (N, SOUGHT, 3)."""
        return torch.cat([self.head.landmarks(vertices), vertices[:, self.dense]], dim=1)


class LandmarkNetwork(nn.Module):
    """Image filter, then one heat map and one map of log spread per landmark."""

    def __init__(self, sizes: LandmarkSizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes or LandmarkSizes()
        self.filter = ImageFilter(self.sizes.filter)
        self.head = nn.Conv2d(self.sizes.filter.channels, 2 * SOUGHT, 1)

    def forward(self, crops: Tensor) -> Landmarks:
        """(B, C, H, W) normalised crops -> Landmarks."""
        logits, log_spread = self.head(functional.relu(self.filter(crops)[-1])).chunk(2, dim=1)
        heat = logits.flatten(2).softmax(dim=2)
        height, width = logits.shape[-2:]
        y = torch.linspace(-1, 1, height, device=crops.device)
        x = torch.linspace(-1, 1, width, device=crops.device)
        grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).flatten(0, 1)
        spread = (heat * log_spread.flatten(2)).sum(dim=2).clamp(-6, 2).exp()
        return Landmarks(heat.view_as(logits), heat @ grid, spread)


def landmark_loss(found: Landmarks, truth: Tensor) -> Tensor:
    """How far the landmarks are from `truth` (B, K, 2); points outside the crop are left out.

    Negative log-likelihood of Laplace distributions at the expected positions, and the cross-entropy of the heat maps
    with Gaussians of one cell at the truth: from it the maps become peaks within a few hundred steps.
    """
    inside = (truth.abs() <= 1).all(dim=-1)
    error = (found.points - truth).abs().sum(dim=-1)
    likelihood = error / found.spread + 2 * found.spread.log()
    height, width = found.heat_maps.shape[-2:]
    x = torch.linspace(-1, 1, width, device=truth.device) - truth[..., :1]
    y = torch.linspace(-1, 1, height, device=truth.device) - truth[..., 1:]
    column, row = (-0.5 * (d * (n - 1) / 2).square() for d, n in ((x, width), (y, height)))
    target = (row[..., :, None] + column[..., None, :]).flatten(2).softmax(dim=2)
    entropy = -(target * found.heat_maps.flatten(2).clamp_min(1e-9).log()).sum(dim=2)
    return (likelihood + 4 * error + entropy)[inside].mean()
