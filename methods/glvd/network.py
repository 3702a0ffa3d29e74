"""GLVD (Caselles Rico and Moreno-Noguer, NeurIPS 2025): vertex descent guided by descending keypoints.

The paper gives the structure; widths, the relative encoding and the fusion of views are choices of this
implementation (README.md lists them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.methods.lvd.expectation import CHANNELS, PROBES, Expected
from harness.methods.lvd.hourglass import FilterSizes, HourglassStack
from harness.methods.lvd.network import POINT_SCALE, Features, ImageFilter, OwnRows, Perception, WeightNorm, encode
from harness.methods.lvd.network import Sizes as DescentSizes

KEYPOINTS = 68


@dataclass(frozen=True)
class Sizes(DescentSizes):
    """Dimensions of a GLVD network: LVD's, whose image filter is f_v, and more.

    Attributes:
        keypoint_filter: f_s, the hourglasses behind f_v (its `inputs` and `stride` are not used).
        frequencies: of the relative encoding.
        distance_scale: millimetres that distances are divided by in the relative encoding.
    """

    filter: FilterSizes = field(default_factory=lambda: FilterSizes(inputs=4))
    keypoint_filter: FilterSizes = field(default_factory=lambda: FilterSizes(stacks=2))
    frequencies: int = 4
    distance_scale: float = 100.0


PAPER = Sizes()
MINI = Sizes(
    image=96,
    filter=FilterSizes(inputs=4, stem=(32, 64, 64), stride=4, stacks=1, depth=3, groups=8, expected=CHANNELS),
    keypoint_filter=FilterSizes(stem=(32, 48, 48), stacks=1, depth=3, groups=4),
    hidden=256,
    rank=88,
    probes=PROBES,
    free=6,
    frequencies=2,
)


class RelativeEncoding(nn.Module):
    """Sines and cosines of a point's distances to the keypoints: K distances -> 2 x frequencies x K values."""

    def __init__(self, frequencies: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.factors: Tensor
        self.register_buffer("factors", torch.pi * 2.0 ** torch.arange(frequencies), persistent=False)

    def forward(self, points: Tensor, keypoints: Tensor) -> Tensor:
        """Points (B, P, 3) and keypoints (B, K, 3) in millimetres -> (B, P, 2 x frequencies x K)."""
        distances = (points[:, :, None] - keypoints[:, None]).square().sum(dim=-1).add(1e-6).sqrt()
        angles = (distances / self.scale)[..., None] * self.factors
        return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(2)


class Field(nn.Module):
    """Offsets from point features: mean and variance over the views, two hidden layers, own rows per point."""

    def __init__(self, maps: int, code: int, extra: int, hidden: int, rank: int | None, points: int) -> None:
        super().__init__()
        self.fc1 = WeightNorm(3 + 2 * maps + code + extra, hidden)
        self.fc2 = WeightNorm(hidden, hidden)
        self.fc3 = WeightNorm(hidden, 3 * points) if rank is None else OwnRows(hidden, rank, points)

    def forward(
        self, features: Features, points: Tensor, ids: Tensor, start: Tensor, extra: Sequence[Tensor] = ()
    ) -> Tensor:
        """(B, P, 3) points with own rows `ids` (P,) and more inputs (B, P, E) -> (B, P, 3) displacements to add."""
        sampled = features.sample(points)
        variance, mean = torch.var_mean(sampled, dim=1, correction=0)
        code = features.code[:, None].expand(-1, points.shape[1], -1)
        x = torch.cat([points / POINT_SCALE, mean, variance, code, *extra], dim=-1)
        x = functional.relu(self.fc2(functional.relu(self.fc1(x))))
        return -self.fc3.own_rows(x, ids, points - start, features.code)


class GLVD(nn.Module):
    """Keypoints and vertices descend together; the vertices see their distances to the current keypoints."""

    def __init__(self, sizes: Sizes, vertices: int) -> None:
        super().__init__()
        self.sizes, self.vertices = sizes, vertices
        first, second = sizes.filter, sizes.keypoint_filter
        code = sizes.rank if sizes.probes and sizes.rank is not None else 0
        self.image_filter = ImageFilter(first)
        self.perception: Perception | None = None
        if code:
            self.perception = Perception(first.channels, sizes.probes, sizes.free, code)
        self.join = nn.Conv2d(first.channels + KEYPOINTS, second.channels, 1)
        self.keypoint_filter = HourglassStack(second)
        encoding = 2 * sizes.frequencies * KEYPOINTS
        self.encoding = RelativeEncoding(sizes.frequencies, sizes.distance_scale)
        keypoint_maps = second.channels * second.stacks
        self.keypoint_field = Field(keypoint_maps, code, 0, sizes.hidden, sizes.rank, KEYPOINTS)
        self.vertex_field = Field(sizes.values - code, code, encoding, sizes.hidden, sizes.rank, vertices)

    def encode(
        self, images: Tensor, heat_maps: Tensor, projection: Tensor, rotation: Tensor, expected: Expected | None = None
    ) -> tuple[Features, Features]:
        """Images (B, n, C, H, W) and the landmark estimator's heat maps (B, n, 68, h, w) -> F_v, F_k."""
        vertex = encode(self.image_filter, self.perception, images, projection, rotation, expected)
        first = self.sizes.filter
        end = first.channels * first.stacks
        last = vertex.maps[:, :, end - first.channels : end].flatten(0, 1)
        heat = functional.interpolate(heat_maps.flatten(0, 1), last.shape[-2:], mode="bilinear", align_corners=True)
        stacks = self.keypoint_filter(self.join(torch.cat([last, heat], dim=1)))
        maps = torch.cat(stacks, dim=1).unflatten(0, images.shape[:2])
        return vertex, Features(maps, projection, vertex.code)

    def keypoint_step(self, features: Features, keypoints: Tensor, start: Tensor) -> Tensor:
        """g_k: (B, 68, 3) keypoints, whose descent began at `start` -> (B, 68, 3) displacements to add."""
        return self.keypoint_field(features, keypoints, torch.arange(KEYPOINTS, device=keypoints.device), start)

    def vertex_step(self, features: Features, points: Tensor, ids: Tensor, start: Tensor, keypoints: Tensor) -> Tensor:
        """g_v: (B, P, 3) points of the vertices `ids`, given keypoints (B, 68, 3) -> (B, P, 3) displacements to add."""
        return self.vertex_field(features, points, ids, start, [self.encoding(points, keypoints)])

    def descend(
        self, features: tuple[Features, Features], vertices: Tensor, keypoints: Tensor, steps: int
    ) -> tuple[Tensor, Tensor]:
        """(B, V, 3) vertices and (B, 68, 3) keypoints -> the same after `steps` steps."""
        ids, start, first = torch.arange(self.vertices, device=vertices.device), vertices, keypoints
        for _ in range(steps):
            moved = vertices + self.vertex_step(features[0], vertices, ids, start, keypoints)
            keypoints = keypoints + self.keypoint_step(features[1], keypoints, first)
            vertices = moved
        return vertices, keypoints
