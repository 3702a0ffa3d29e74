"""KaoLRM's appearance: a flat Gaussian at each point of the surface, read from the triplane."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.methods.kaolrm.cameras import PLANE_FOCAL
from harness.methods.kaolrm.triplanes import lookup

OPACITY, SCALES, QUATERNION, COLOUR = slice(0, 1), slice(1, 4), slice(4, 8), slice(8, 11)
NUMBERS = 11
FRONT = 1.8
"""A picture through a long lens shows the points with the largest z: their number over this."""


@dataclass(frozen=True, eq=False)
class Gaussians:
    """N flat Gaussians, each an ellipse with soft edges. (B, N, ...) where a batch is meant.

    Attributes:
        centres: (N, 3).
        opacities: (N, 1) at the centre, 0..1.
        scales: (N, 3) standard deviations along the first two axes; the third is not used.
        rotations: (N, 4) quaternions w, x, y, z of length 1, whose matrices' columns are the ellipse's axes and normal.
        colours: (N, 3) red, green, blue, about 0..1.
    """

    centres: Tensor
    opacities: Tensor
    scales: Tensor
    rotations: Tensor
    colours: Tensor

    def of(self, item: int) -> Gaussians:
        """Those of one item of a batch."""
        return Gaussians(**{name: value[item] for name, value in vars(self).items()})

    def chosen(self, which: Tensor) -> Gaussians:
        """Some of (N, ...) Gaussians, by their numbers."""
        return Gaussians(**{name: value[which] for name, value in vars(self).items()})

    def numbers(self) -> Tensor:
        """(..., N, 14): centre, opacity, scales, rotation, colour."""
        return torch.cat([self.centres, self.opacities, self.scales, self.rotations, self.colours], dim=-1)


class PointMlp(nn.Module):
    """Four layers; the last gives the raw numbers."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        hidden = [nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()]
        self.net = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), *hidden, nn.Linear(width, NUMBERS))

    def forward(self, features: Tensor) -> Tensor:
        """(B, N, inputs) -> (B, N, 11)."""
        return self.net(features)


class GaussianDecoder(nn.Module):
    """Reads the planes at points and gives each a Gaussian."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.decoder = PointMlp(3 * channels, width)

    def raw(self, planes: Tensor, points: Tensor, focal: float) -> Tensor:
        """Planes (B, 3, C, H, W) and points (B, N, 3) of the mesh's frame -> (B, N, 11) before the activations."""
        return self.decoder(lookup(planes, plane_points(points, focal)))

    def forward(self, planes: Tensor, points: Tensor, focal: float = PLANE_FOCAL) -> Gaussians:
        """Gaussians at points.

        Args:
            planes: (B, 3, C, H, W).
            points: (B, N, 3) of the mesh's frame.
            focal: of the picture that is drawn, in widths of it.
        """
        return activated(points, self.raw(planes, points, focal))


def plane_points(points: Tensor, focal: float) -> Tensor:
    """(..., 3) of the mesh's frame (y up, z to the camera) -> where the planes (z up) are read.

    What is drawn through a longer lens is smaller, and is enlarged to what the planes were made for.
    """
    x, y, z = (points * (focal / PLANE_FOCAL)).unbind(-1)
    return torch.stack([x, -z, y], dim=-1)


def activated(points: Tensor, raw: Tensor) -> Gaussians:
    """(B, N, 3) centres and (B, N, 11) raw numbers -> Gaussians."""
    return Gaussians(
        centres=points,
        opacities=raw[..., OPACITY].sigmoid(),
        scales=0.5 * functional.softplus(raw[..., SCALES]),
        rotations=functional.normalize(raw[..., QUATERNION], dim=-1),
        colours=raw[..., COLOUR].sigmoid() * 1.002 - 0.001,
    )


def front(points: Tensor) -> Tensor:
    """(N, 3) -> the numbers of the points that a long lens shows, those nearest to the camera first."""
    return points[:, 2].topk(int(len(points) / FRONT)).indices


def surface_points(vertices: Tensor, faces: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
    """Random points on a mesh, equally many per area; differentiable in the vertices.

    Args:
        vertices: (V, 3).
        faces: (F, 3) int64.
        count: points.
        generator: source of chance, on the CPU.

    Returns:
        (count, 3).
    """
    corners = vertices[faces]
    sides = corners[:, 1:] - corners[:, :1]
    areas = torch.linalg.cross(sides[:, 0], sides[:, 1]).norm(dim=1).detach().cpu()
    triangles = torch.multinomial(areas, count, replacement=True, generator=generator)
    root, other = torch.rand(2, count, 1, generator=generator, dtype=areas.dtype)
    root = root.sqrt()  # equally many per area within a triangle
    weights = torch.stack([1 - root, root * (1 - other), root * other], dim=1).to(vertices)
    return (weights * corners[triangles.to(vertices.device)]).sum(dim=1)
