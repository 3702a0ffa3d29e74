"""LVD (Corona et al., ECCV 2022): a field that tells every vertex, from any point, which way it lies.

The image filter gives feature maps; a point is projected into each view and the maps are sampled there; a small
network turns the point and its features into offsets, of which vertex v reads its own three. At `PAPER` sizes the
modules and their names are those of the official checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.methods.lvd.expectation import CHANNELS, PROBES, Expected, sampled
from harness.methods.lvd.fitting import MODES
from harness.methods.lvd.hourglass import FilterSizes, ImageFilter
from harness.methods.lvd.perception import NORMAL_SCALE, VECTORS, Dense, Reading, SurfaceCode

POINT_SCALE = 50.0  # points enter the network divided by this


@dataclass(frozen=True)
class Sizes:
    """Dimensions of an LVD network.

    Attributes:
        image: side of the square input in pixels.
        filter: the image filter.
        hidden: width of the vertex field's two hidden layers.
        rank: None: a hidden unit has a weight for every output, as published. A number: hidden units are reduced to
            so many values first, and an output is the point plus a combination of these (see `OwnRows`).
        probes: points of the starting head at which the whole surface is read; 0 as published (none).
        free: values that are read there besides the vectors.
    """

    image: int = 256
    filter: FilterSizes = field(default_factory=FilterSizes)
    hidden: int = 512
    rank: int | None = None
    probes: int = 0
    free: int = 0

    @property
    def values(self) -> int:
        """How many values join a point: of the maps, of what is read densely, and of the code."""
        more = 3 * VECTORS + self.free + (self.rank or 0) if self.probes else 0
        return self.filter.channels * self.filter.stacks + more


PAPER = Sizes()
MINI = Sizes(
    image=96,
    filter=FilterSizes(inputs=4, stem=(32, 64, 64), stride=4, stacks=1, depth=3, groups=8, expected=CHANNELS),
    hidden=256,
    rank=88,
    probes=PROBES,
    free=6,
)


@dataclass(frozen=True, eq=False)
class Features:
    """What a network knows about the views of a batch.

    Attributes:
        maps: (B, n, C, h, w) feature maps of all stacks.
        projection: (B, n, 3, 4): homogeneous point (millimetres) -> (x w, y w, w), x and y in [-1, 1].
        code: (B, K) coefficients that the whole surface suggests in all views; K = 0 where there are none.
    """

    maps: Tensor
    projection: Tensor
    code: Tensor

    def sample(self, points: Tensor) -> Tensor:
        """(B, P, 3) points -> (B, n, P, C) features at their projections; zero outside an image."""
        return sampled(self.maps.flatten(0, 1), points, self.projection)


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

    def own_rows(self, x: Tensor, ids: Tensor, ahead: Tensor, code: Tensor) -> Tensor:
        """(B, P, inputs) hidden values -> (B, P, 3): each point gets the offset of its own vertex `ids` (P,)."""
        del ahead, code
        rows = (3 * ids[:, None] + torch.arange(3, device=ids.device)).flatten()
        weight = self.weight(rows).unflatten(0, (-1, 3))
        return torch.einsum("bpc,pkc->bpk", x, weight) + self.bias[rows].unflatten(0, (-1, 3))


class OwnRows(nn.Module):
    """The reduced last layer: hidden -> rank values, shared; vertex = where its descent began + own rows times these.

    The offset is the point against that estimate. The rows may start from a head model's modes; then the code, which
    is added to the values, is in coefficients of these.
    """

    def __init__(self, hidden: int, rank: int, vertices: int) -> None:
        super().__init__()
        self.reduce = WeightNorm(hidden, rank)
        self.rows = nn.Parameter(torch.randn(vertices, 3, rank) * 0.1)

    def own_rows(self, x: Tensor, ids: Tensor, ahead: Tensor, code: Tensor) -> Tensor:
        """(B, P, hidden) values -> (B, P, 3) offsets from the vertices `ids` (P,).

        `ahead` (B, P, 3) is point - start; the code is (B, rank), or (B, 0) for none.
        """
        values = self.reduce(x)
        values = values + code[:, None] if code.shape[1] else values
        return ahead - torch.einsum("bpc,pkc->bpk", values, self.rows[ids])

    def start_from(self, modes: Tensor) -> None:
        """Sets the first rows to `modes` (R, V, 3), millimetres per unit, R <= rank."""
        with torch.no_grad():
            self.reduce.weight_g.mul_(0.03)  # the first estimate is the code's, or the start
            self.rows[:, :, : len(modes)] = modes.permute(1, 2, 0)


class Perception(nn.Module):
    """What the minis read off the maps of f_v before the fields; see `harness.methods.lvd.perception`."""

    def __init__(self, channels: int, probes: int, free: int, rank: int) -> None:
        super().__init__()
        self.width = 3 * VECTORS + free
        self.dense = Dense(channels, free)
        self.surface = SurfaceCode(3 * VECTORS + free + 3, probes, channels, 68, MODES, rank)

    def forward(self, last: Tensor, projection: Tensor, rotation: Tensor, expected: Expected) -> tuple[Tensor, Tensor]:
        """Last maps (B, n, C, h, w) with their cameras -> dense maps (B, n, D, h, w) and code (B, rank)."""
        shape = last.shape[:2]
        dense = self.dense(last.flatten(0, 1), rotation.flatten(0, 1)).unflatten(0, shape)
        return dense, self.surface(*self.read(last, dense, projection, expected))

    def read(
        self, last: Tensor, dense: Tensor, projection: Tensor, expected: Expected
    ) -> tuple[Reading, Reading, Tensor]:
        """Arguments of `SurfaceCode`, from last and dense maps (B, n, D, h, w)."""
        found = sampled(dense.flatten(0, 1), expected.points, projection)
        surface = torch.cat([found, expected.bent / NORMAL_SCALE], dim=-1), expected.seen
        keys = functional.relu(sampled(last.flatten(0, 1), expected.keys, projection)), expected.keys_seen
        return surface, keys, expected.coefficients


def encode(
    filter: ImageFilter,
    perception: Perception | None,
    images: Tensor,
    projection: Tensor,
    rotation: Tensor,
    expected: Expected | None,
) -> Features:
    """Images (B, n, C, H, W) with their cameras and, for a network with a perception, what is expected -> Features.

    Projection (B, n, 3, 4) goes to [-1, 1], rotation (B, n, 3, 3) from head to camera.
    """
    shape = images.shape[:2]
    if perception is None or expected is None:
        maps = torch.cat(filter(images.flatten(0, 1)), dim=1).unflatten(0, shape)
        return Features(maps, projection, maps.new_zeros(shape[0], 0))
    stacks = [m.unflatten(0, shape) for m in filter(images.flatten(0, 1), expected.picture.flatten(0, 1))]
    dense, code = perception(stacks[-1], projection, rotation, expected)
    return Features(torch.cat([*stacks, dense], dim=2), projection, code)


class LVD(nn.Module):
    """Learned vertex descent for a mesh of `vertices` vertices; several views are averaged before the field."""

    def __init__(self, sizes: Sizes, vertices: int) -> None:
        super().__init__()
        self.sizes, self.vertices = sizes, vertices
        self.image_filter = ImageFilter(sizes.filter)
        self.perception: Perception | None = None
        if sizes.probes and sizes.rank is not None:
            self.perception = Perception(sizes.filter.channels, sizes.probes, sizes.free, sizes.rank)
        self.fc1 = WeightNorm(3 + sizes.values, sizes.hidden)
        self.fc2 = WeightNorm(sizes.hidden, sizes.hidden)
        self.fc3 = (
            WeightNorm(sizes.hidden, 3 * vertices)
            if sizes.rank is None
            else OwnRows(sizes.hidden, sizes.rank, vertices)
        )

    def encode(
        self, images: Tensor, projection: Tensor, rotation: Tensor, expected: Expected | None = None
    ) -> Features:
        """See `encode`."""
        return encode(self.image_filter, self.perception, images, projection, rotation, expected)

    def hidden(self, features: Features, points: Tensor) -> Tensor:
        """(B, P, 3) points -> (B, P, hidden) values of the second hidden layer."""
        sampled = features.sample(points).mean(dim=1)
        code = features.code[:, None].expand(-1, points.shape[1], -1)
        x = functional.relu(self.fc1(torch.cat([points / POINT_SCALE, sampled, code], dim=-1)))
        return functional.relu(self.fc2(x))

    def query(self, features: Features, points: Tensor) -> Tensor:
        """(B, P, 3) points -> (B, 3V, P): the offset of every vertex from every point, vertex-major."""
        if not isinstance(self.fc3, WeightNorm):
            raise TypeError("query needs the published last layer (rank=None)")
        return self.fc3(self.hidden(features, points)).transpose(1, 2)

    def field(self, features: Features, points: Tensor, ids: Tensor, start: Tensor) -> Tensor:
        """(B, P, 3) points of the vertices `ids` (P,), begun at `start` -> (B, P, 3) offsets point - vertex."""
        return self.fc3.own_rows(self.hidden(features, points), ids, points - start, features.code)

    def descend(self, features: Features, start: Tensor, steps: int) -> Tensor:
        """(B, V, 3) start -> (B, V, 3) after `steps` times point <- point - field(point)."""
        ids, points = torch.arange(self.vertices, device=start.device), start
        for _ in range(steps):
            points = points - self.field(features, points, ids, start)
        return points
