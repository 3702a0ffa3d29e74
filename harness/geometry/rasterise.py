"""Which triangle is in front at each pixel, for batches of small pictures, and values interpolated on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.errors import ContractError
from harness.geometry.warp_setup import wp

if TYPE_CHECKING:  # Warp reads array types from annotations that are calls; type checkers do not take those.
    Points = Any
    Triangles = Any
    Keys = Any
else:
    Points, Triangles = wp.array(dtype=wp.vec3, ndim=2), wp.array(dtype=wp.vec3i)
    Keys = wp.array(dtype=wp.int64, ndim=3)

_EMPTY = torch.iinfo(torch.int64).max


@wp.kernel(enable_backward=False)
def _fill(points: Points, faces: Triangles, size: int, keys: Keys) -> None:
    picture, face = wp.tid()  # type: ignore[misc]
    corners = faces[face]
    a, b, c = points[picture, corners[0]], points[picture, corners[1]], points[picture, corners[2]]
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if area < 0.0:  # counter-clockwise seen from outside: clockwise area in a picture whose y points down
        left = wp.max(int(wp.ceil(wp.min(a[0], wp.min(b[0], c[0])))), 0)
        right = wp.min(int(wp.floor(wp.max(a[0], wp.max(b[0], c[0])))), size - 1)
        top = wp.max(int(wp.ceil(wp.min(a[1], wp.min(b[1], c[1])))), 0)
        bottom = wp.min(int(wp.floor(wp.max(a[1], wp.max(b[1], c[1])))), size - 1)
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                px, py = float(x), float(y)
                u = ((b[0] - px) * (c[1] - py) - (b[1] - py) * (c[0] - px)) / area
                v = ((c[0] - px) * (a[1] - py) - (c[1] - py) * (a[0] - px)) / area
                w = 1.0 - u - v
                if u >= 0.0 and v >= 0.0 and w >= 0.0:
                    depth = u * a[2] + v * b[2] + w * c[2]
                    if depth >= 0.0 and depth <= 1.0:
                        key = (wp.int64(depth * float(1 << 30)) << wp.int64(32)) + wp.int64(face)  # type: ignore[operator]
                        wp.atomic_min(keys, picture, y, x, key)


@dataclass(frozen=True, eq=False)
class Fragments:
    """What is in front, at the P pixels that show anything.

    Attributes:
        picture, row, column: (P,) int64, where.
        face: (P,) int64, which triangle.
        weights: (P, 3) barycentric coordinates of the pixel's centre; differentiable in the points.
        size: side of the pictures.
        pictures: how many.
    """

    picture: Tensor
    row: Tensor
    column: Tensor
    face: Tensor
    weights: Tensor
    size: int
    pictures: int

    def interpolate(self, values: Tensor, faces: Tensor) -> Tensor:
        """(B, V, C) values at vertices -> (P, C) at the pixels."""
        corners = values[self.picture[:, None], faces[self.face]]
        return (self.weights[..., None] * corners).sum(dim=1)

    def picture_of(self, values: Tensor) -> Tensor:
        """(P, C) values -> (B, C, S, S) pictures, zero where nothing is shown."""
        empty = values.new_zeros(self.pictures, self.size, self.size, values.shape[1])
        return empty.index_put((self.picture, self.row, self.column), values).permute(0, 3, 1, 2)


def rasterise(points: Tensor, faces: Tensor, size: int) -> Fragments:
    """Finds the triangle in front at each pixel centre, from the side that is seen from outside.

    Which triangle it is has no derivative; where on it the pixel lies has one, and so have values interpolated there.

    Args:
        points: (B, V, 3) pixel columns and rows (y down, centres at integers), and depth: the smallest is in front.
        faces: (F, 3) int64, counter-clockwise seen from outside.
        size: side of the square pictures.

    Raises:
        ContractError: a shape does not hold.
    """
    if points.ndim != 3 or points.shape[2] != 3 or faces.ndim != 2 or faces.shape[1] != 3:
        raise ContractError(f"rasterise: points {tuple(points.shape)}, faces {tuple(faces.shape)}; (B, V, 3), (F, 3)")
    found = _front(points.detach(), faces, size)
    picture, row, column = torch.nonzero(found >= 0, as_tuple=True)
    face = found[picture, row, column]
    corners = points[picture[:, None], faces[face]][..., :2]
    weights = _barycentric(corners, torch.stack([column, row], dim=1).to(points))
    return Fragments(picture, row, column, face, weights, size, len(points))


def _front(points: Tensor, faces: Tensor, size: int) -> Tensor:
    """(B, S, S) int64: the triangle in front, or -1."""
    depth = points[..., 2]
    low, high = depth.min(), depth.max()
    scaled = (depth - low) / (high - low).clamp_min(1e-6)
    placed = torch.stack([points[..., 0], points[..., 1], scaled], dim=-1).float().contiguous()
    keys = torch.full((len(points), size, size), _EMPTY, dtype=torch.int64, device=points.device)
    triangles = faces.to(points.device, torch.int32).contiguous()
    arguments = [
        wp.from_torch(placed, dtype=wp.vec3),
        wp.from_torch(triangles, dtype=wp.vec3i),
        size,
        wp.from_torch(keys, dtype=wp.int64),
    ]
    wp.launch(_fill, dim=(len(points), len(faces)), inputs=arguments, device=str(points.device))
    return torch.where(keys == _EMPTY, -1, keys & 0xFFFFFFFF)


def _barycentric(corners: Tensor, pixels: Tensor) -> Tensor:
    """(P, 3, 2) corners and (P, 2) points -> (P, 3)."""
    a, b, c = (corners[:, i] - pixels for i in range(3))
    u, v, w = (p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0] for p, q in ((b, c), (c, a), (a, b)))
    weights = torch.stack([u, v, w], dim=1)
    return weights / weights.sum(dim=1, keepdim=True)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """(B, V, 3) unit normals, means over the neighbouring faces by area; differentiable."""
    a, b, c = (vertices[:, faces[:, i]] for i in range(3))
    normal = torch.cross(b - a, c - a, dim=-1)
    total = torch.zeros_like(vertices)
    for i in range(3):
        total = total.index_add(1, faces[:, i], normal)
    return torch.nn.functional.normalize(total, dim=-1, eps=1e-12)
