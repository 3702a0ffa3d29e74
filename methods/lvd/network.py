"""LVD (Corona et al., ECCV 2022): a field that tells every vertex, from any point, which way it lies.

The image filter gives feature maps; a point is projected into each view and the maps are sampled there; a small
network turns the point and its features into offsets, of which vertex v reads its own three. At `PAPER` sizes the
modules and their names are those of the official checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.methods.lvd.hourglass import FilterSizes, ImageFilter

POINT_SCALE = 50.0  # points enter the network divided by this
CLUES = 3 * 68
CLUE_SCALE = 0.04  # of a crop's half side: a usual difference of a landmark from the placed template's
TRUSTED_SPREAD = 0.02  # likewise: a landmark whose expected error is below this counts in full


@dataclass(frozen=True)
class Sizes:
    """Dimensions of an LVD network.

    Attributes:
        image: side of the square input in pixels.
        filter: the image filter.
        hidden: width of the vertex field's two hidden layers.
        rank: None: a hidden unit has a weight for every output, as published. A number: hidden units are reduced to
            so many values first, and an output is the point plus a combination of these (see `OwnRows`).
        code: width of the code of a whole view that joins the point features; 0 as published (none).
    """

    image: int = 256
    filter: FilterSizes = field(default_factory=FilterSizes)
    hidden: int = 512
    rank: int | None = None
    code: int = 0


PAPER = Sizes()
MINI = Sizes(
    image=96,
    filter=FilterSizes(inputs=4, stem=(32, 64, 64), stride=4, stacks=1, depth=3, groups=8),
    hidden=256,
    rank=88,
    code=128,
)


@dataclass(frozen=True, eq=False)
class Features:
    """What a network knows about the views of a batch.

    Attributes:
        maps: (B, n, C, h, w) feature maps of all stacks.
        projection: (B, n, 3, 4): homogeneous point (millimetres) -> (x w, y w, w), x and y in [-1, 1].
        code: (B, n, K) code of each view; K = 0 where there is none.
    """

    maps: Tensor
    projection: Tensor
    code: Tensor

    def sample(self, points: Tensor) -> Tensor:
        """(B, P, 3) points -> (B, n, P, C) features at their projections; zero outside an image."""
        batch, views, channels = self.maps.shape[:3]
        homogeneous = functional.pad(points, (0, 1), value=1.0)
        image = torch.einsum("bnij,bpj->bnpi", self.projection, homogeneous)
        grid = image[..., :2] / image[..., 2:].clamp_min(1e-3)
        flat = functional.grid_sample(self.maps.flatten(0, 1), grid.flatten(0, 1)[:, :, None], align_corners=True)
        return flat[..., 0].reshape(batch, views, channels, -1).transpose(2, 3)


def landmark_clues(points: Tensor, spread: Tensor, projection: Tensor, template: Tensor) -> Tensor:
    """What the landmarks of a view tell beyond the placement: where they are found against the placed template's.

    Args:
        points: (B, n, 68, 2) found, in [-1, 1].
        spread: (B, n, 68) their expected error, same unit.
        projection: (B, n, 3, 4) placed head -> homogeneous coordinates in [-1, 1].
        template: (68, 3) landmarks of the template.

    Returns:
        (B, n, 204) trust in each landmark, 0..1, and the differences weighted with it.
    """
    image = torch.einsum("bnij,kj->bnki", projection[..., :3], template) + projection[:, :, None, :, 3]
    difference = points - image[..., :2] / image[..., 2:].clamp_min(1e-3)
    trust = (TRUSTED_SPREAD / spread).clamp(max=1.0)
    weighted = (difference / CLUE_SCALE).clamp(-4, 4) * trust[..., None]
    return torch.cat([trust, weighted.flatten(3).flatten(2)], dim=-1)


class WeightNorm(nn.Module):
    """A linear layer over the last dimension with weight = g v / |v|, stored like a weight-normalised 1x1 Conv1d."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        direction = torch.randn(outputs, inputs, 1) * (2 / inputs) ** 0.5
        self.weight_v = nn.Parameter(direction)
        self.weight_g = nn.Parameter(direction.norm(dim=(1, 2), keepdim=True))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def weight(self, rows: Tensor | None = None) -> Tensor:
        """(outputs, inputs), or those rows of it."""
        v, g = (self.weight_v, self.weight_g) if rows is None else (self.weight_v[rows], self.weight_g[rows])
        return (g * v / v.norm(dim=(1, 2), keepdim=True))[..., 0]

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        return functional.linear(x, self.weight(), self.bias)

    def own_rows(self, x: Tensor, ids: Tensor, ahead: Tensor) -> Tensor:
        """(B, P, inputs) hidden values -> (B, P, 3): each point gets the offset of its own vertex `ids` (P,)."""
        del ahead
        rows = (3 * ids[:, None] + torch.arange(3, device=ids.device)).flatten()
        weight = self.weight(rows).unflatten(0, (-1, 3))
        return torch.einsum("bpc,pkc->bpk", x, weight) + self.bias[rows].unflatten(0, (-1, 3))


class OwnRows(nn.Module):
    """The reduced last layer: hidden -> rank values, shared; vertex = where its descent began + own rows times these.

    The offset is the point against that estimate. The rows may start from a head model's modes.
    """

    def __init__(self, hidden: int, rank: int, vertices: int) -> None:
        super().__init__()
        self.reduce = WeightNorm(hidden, rank)
        self.rows = nn.Parameter(torch.randn(vertices, 3, rank) * 0.1)

    def own_rows(self, x: Tensor, ids: Tensor, ahead: Tensor) -> Tensor:
        """(B, P, hidden) values -> (B, P, 3) offsets from the vertices `ids` (P,); `ahead` (B, P, 3): point - start."""
        return ahead - torch.einsum("bpc,pkc->bpk", self.reduce(x), self.rows[ids])

    def start_from(self, modes: Tensor) -> None:
        """Sets the first rows to `modes` (R, V, 3), millimetres per unit, R <= rank."""
        with torch.no_grad():
            self.reduce.weight_g.mul_(0.3)  # the first estimate is near the start
            self.rows[:, :, : len(modes)] = modes.permute(1, 2, 0)


class ViewCode(nn.Module):
    """A code of a whole view from its last feature map, its camera's rotation and its landmarks; it modulates the maps.

    The modulation lets features that are measured along image axes be turned into the head's axes, which matters
    once views are averaged.
    """

    def __init__(self, channels: int, maps: int, code: int, groups: int) -> None:
        super().__init__()
        widths = (channels, channels * 3 // 2, channels * 2, channels * 3)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.GroupNorm(groups, outputs), nn.ReLU()]
        self.down = nn.Sequential(*layers)
        self.mix = nn.Sequential(
            nn.Linear(9 * widths[-1] + 9 + CLUES, code), nn.ReLU(), nn.Linear(code, code), nn.ReLU()
        )
        self.modulate = nn.Linear(code, 2 * maps)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) or (isinstance(layer, nn.Linear) and layer is not self.modulate):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, last: Tensor, rotation: Tensor, clues: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Code (N, K) and modulated maps (N, M, h, w).

        From the last map (N, C, h, w), rotations (N, 3, 3), clues (N, 204) and all maps (N, M, h, w).
        """
        layout = functional.adaptive_avg_pool2d(self.down(last), 3).flatten(1)
        code = self.mix(torch.cat([layout, rotation.flatten(1), clues], dim=1))
        scale, shift = self.modulate(code)[:, :, None, None].chunk(2, dim=1)
        return code, maps * (1 + scale) + shift


def encode(
    filter: ImageFilter, code: ViewCode | None, images: Tensor, projection: Tensor, rotation: Tensor, clues: Tensor
) -> Features:
    """Images (B, n, C, H, W) with their cameras -> Features.

    Rotation (B, n, 3, 3) head to camera and clues (B, n, 204), see `landmark_clues`, are used for codes only.
    """
    batch, views = images.shape[:2]
    stacks = filter(images.flatten(0, 1))
    maps = torch.cat(stacks, dim=1)
    codes = maps.new_zeros(batch * views, 0)
    if code is not None:
        codes, maps = code(stacks[-1], rotation.flatten(0, 1), clues.flatten(0, 1), maps)
    return Features(maps.unflatten(0, (batch, views)), projection, codes.unflatten(0, (batch, views)))


class LVD(nn.Module):
    """Learned vertex descent for a mesh of `vertices` vertices; several views are averaged before the field."""

    def __init__(self, sizes: Sizes, vertices: int) -> None:
        super().__init__()
        self.sizes, self.vertices = sizes, vertices
        maps = sizes.filter.channels * sizes.filter.stacks
        self.image_filter = ImageFilter(sizes.filter)
        self.view_code: ViewCode | None = None
        if sizes.code:
            self.view_code = ViewCode(sizes.filter.channels, maps, sizes.code, sizes.filter.groups)
        self.fc1 = WeightNorm(3 + maps + sizes.code, sizes.hidden)
        self.fc2 = WeightNorm(sizes.hidden, sizes.hidden)
        self.fc3 = (
            WeightNorm(sizes.hidden, 3 * vertices)
            if sizes.rank is None
            else OwnRows(sizes.hidden, sizes.rank, vertices)
        )

    def encode(self, images: Tensor, projection: Tensor, rotation: Tensor, clues: Tensor) -> Features:
        """See `encode`."""
        return encode(self.image_filter, self.view_code, images, projection, rotation, clues)

    def hidden(self, features: Features, points: Tensor) -> Tensor:
        """(B, P, 3) points -> (B, P, hidden) values of the second hidden layer."""
        sampled = features.sample(points).mean(dim=1)
        code = features.code.mean(dim=1)[:, None].expand(-1, points.shape[1], -1)
        x = functional.relu(self.fc1(torch.cat([points / POINT_SCALE, sampled, code], dim=-1)))
        return functional.relu(self.fc2(x))

    def query(self, features: Features, points: Tensor) -> Tensor:
        """(B, P, 3) points -> (B, 3V, P): the offset of every vertex from every point, vertex-major."""
        if not isinstance(self.fc3, WeightNorm):
            raise TypeError("query needs the published last layer (rank=None)")
        return self.fc3(self.hidden(features, points)).transpose(1, 2)

    def field(self, features: Features, points: Tensor, ids: Tensor, start: Tensor) -> Tensor:
        """(B, P, 3) points of the vertices `ids` (P,), begun at `start` -> (B, P, 3) offsets point - vertex."""
        return self.fc3.own_rows(self.hidden(features, points), ids, points - start)

    def descend(self, features: Features, start: Tensor, steps: int) -> Tensor:
        """(B, V, 3) start -> (B, V, 3) after `steps` times point <- point - field(point)."""
        ids, points = torch.arange(self.vertices, device=start.device), start
        for _ in range(steps):
            points = points - self.field(features, points, ids, start)
        return points
