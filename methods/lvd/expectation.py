"""What the starting head lets expect in each view: its own picture, and which of its points are seen."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from harness.geometry.rasterise import rasterise, vertex_normals
from harness.heads.head import PARTS, Head
from harness.training_data import IMAGE_DEVIATION, IMAGE_MEAN

CHANNELS = 11  # of the picture: normals in the camera's axes, positions in the head's, coverage; see `shading`
PROBES = 352
POSITION_SCALE = 100.0  # millimetres
FACE_REACH = 95.0  # millimetres from the tip of the nose: what H3DS calls the face
_FINE = 2  # picture elements per cell of the maps and axis
_ALBEDO_WIDTH = 0.2  # of the mean brightness: what differs more from the shading is not skin
_RIDGE = 1e-2
_LARGEST = 0.3  # of the mean brightness: larger differences count as so much
_FAINT = 0.1  # square of a slope below which shading says little
_INSIDE = ("left_eye", "right_eye", "inner_mouth")
_NOSE_TIP = 30


@dataclass(frozen=True, eq=False)
class Expected:
    """What is expected to be seen of a batch of starting heads.

    Attributes:
        picture: (B, n, CHANNELS, 2h, 2w) the rendered head, for feature maps of h x w.
        points: (B, P, 3) the probes: chosen vertices of the head.
        seen: (B, n, P) how well each is seen, 0 (from behind, or outside the picture) to 1.
        keys: (B, K, 3) landmarks of the head.
        keys_seen: (B, n, K) how well each of them is seen.
        bent: (B, n, P, 3) how the normals there differ by the shading, in the head's axes.
        coefficients: (B, M) of the heads' principal modes.
    """

    picture: Tensor
    points: Tensor
    seen: Tensor
    keys: Tensor
    keys_seen: Tensor
    bent: Tensor
    coefficients: Tensor

    def to(self, device: torch.device | str) -> Expected:
        """The same on another device."""
        return Expected(*(getattr(self, f.name).to(device) for f in fields(self)))


class Expectation:
    """Draws starting heads as their views would show them.

    Args:
        head: the model.
        side: of the feature maps in cells.
        probes: how many vertices are probed; four in five of them in the face.
    """

    def __init__(self, head: Head, side: int, probes: int = PROBES) -> None:
        self.faces, self.side = head.faces, side
        self.probes = probes_of(head, probes)
        self.keys = head.faces[head.landmark_faces].flatten(), head.landmark_barycentric

    def to(self, device: torch.device | str) -> Expectation:
        """Moves it in place."""
        self.faces, self.probes = self.faces.to(device), self.probes.to(device)
        self.keys = self.keys[0].to(device), self.keys[1].to(device)
        return self

    def __call__(
        self, head: tuple[Tensor, Tensor, Tensor], projection: Tensor, rotation: Tensor, images: Tensor
    ) -> Expected:
        """What is expected in crops.

        Args:
            head: coefficients (B, M), vertices and normals (B, V, 3).
            projection: (B, n, 3, 4) to [-1, 1].
            rotation: (B, n, 3, 3) head to camera.
            images: (B, n, 4, S, S) the crops.
        """
        coefficients, start, normals = head
        points, views = start[:, self.probes], images.shape[:2]
        seen = facing(points, normals[:, self.probes], projection)
        picture = self._picture(start, normals, projection, rotation).flatten(0, 1)
        shaded = shading(picture[:, :3], picture[:, 6:7], images.flatten(0, 1))
        smooth = functional.avg_pool2d(shaded, 3, stride=1, padding=1)
        left, slope = sampled(smooth, points, projection).split([1, 3], dim=-1)
        bent = slope * left.clamp(-_LARGEST, _LARGEST) / (slope.square().sum(dim=-1, keepdim=True) + _FAINT)
        bent = torch.einsum("bnij,bnpi->bnpj", rotation, bent)
        picture = torch.cat([picture, shaded], dim=1).unflatten(0, views)
        keys, turned = (self._at_keys(x) for x in (start, normals))
        keys_seen = facing(keys, functional.normalize(turned, dim=-1), projection)
        return Expected(picture, points, seen, keys, keys_seen, bent, coefficients)

    def _at_keys(self, values: Tensor) -> Tensor:
        """(B, V, 3) -> (B, K, 3) at the landmarks."""
        corners, weights = self.keys
        return (values[:, corners].unflatten(1, (-1, 3)) * weights[:, :, None]).sum(dim=2)

    def normals(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) unit normals of heads."""
        return vertex_normals(vertices, self.faces)

    def _picture(self, start: Tensor, normals: Tensor, projection: Tensor, rotation: Tensor) -> Tensor:
        batch, views = projection.shape[:2]
        fine = _FINE * self.side
        image = torch.einsum("bnij,bvj->bnvi", projection[..., :3], start) + projection[:, :, None, :, 3]
        depth = image[..., 2:].clamp_min(1e-3)
        points = torch.cat([(image[..., :2] / depth + 1) * (fine - 1) / 2, depth], dim=-1).flatten(0, 1)
        turned = torch.einsum("bnij,bvj->bnvi", rotation, normals)
        place = (start / POSITION_SCALE)[:, None].expand_as(turned)
        values = torch.cat([turned, place, torch.ones_like(depth)], dim=-1).flatten(0, 1)
        found = rasterise(points, self.faces, fine)
        return found.picture_of(found.interpolate(values, self.faces)).unflatten(0, (batch, views))


def sampled(maps: Tensor, points: Tensor, projection: Tensor) -> Tensor:
    """Maps (B n, C, h, w) at the projections of points (B, P, 3) -> (B, n, P, C); zero outside an image."""
    homogeneous = functional.pad(points, (0, 1), value=1.0)
    image = torch.einsum("bnij,bpj->bnpi", projection, homogeneous)
    grid = image[..., :2] / image[..., 2:].clamp_min(1e-3)
    flat = functional.grid_sample(maps, grid.flatten(0, 1)[:, :, None], align_corners=True)
    return flat[..., 0].unflatten(0, projection.shape[:2]).transpose(2, 3)


def shading(normals: Tensor, covered: Tensor, images: Tensor) -> Tensor:
    """How the brightness of images differs from the expected surface's, and how it depends on the normals.

    The brightness, relative to its mean, is fitted with spherical harmonics of the second order of the expected
    normals (Basri and Jacobs, PAMI 2003), robustly, since brows, eyes and hair are no shaded skin.

    Args:
        normals: (N, 3, s, s) unit, in the camera's axes.
        covered: (N, 1, s, s) one where they are known, else zero.
        images: (N, 4, S, S) normalised colours and mask.

    Returns:
        (N, 4, s, s): brightness minus fit, and the fit's derivative by the normal; zero off the surface.
    """
    size = normals.shape[-2:]
    deviation = torch.tensor(IMAGE_DEVIATION).to(images)[:, None, None]
    mean = torch.tensor(IMAGE_MEAN).to(images)[:, None, None]
    bright = (images[:, :3] * deviation + mean).mean(dim=1, keepdim=True)
    shown = functional.interpolate(torch.cat([bright, images[:, 3:]], dim=1), size, mode="bilinear", align_corners=True)
    weight = (covered * (shown[:, 1:] > 0.99)).flatten(1)
    seen, (x, y, z) = shown[:, 0].flatten(1), normals.flatten(2).unbind(dim=1)
    one, none = torch.ones_like(x), torch.zeros_like(x)
    basis = torch.stack([one, x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1], dim=-1)
    seen = seen / ((seen * weight).sum(dim=1, keepdim=True) / (weight.sum(dim=1, keepdim=True) + 1e-6)).clamp_min(0.02)
    trust = weight
    for _ in range(4):
        weighted = basis * trust[..., None]
        ridge = _RIDGE * trust.sum(dim=1)[:, None, None] * torch.eye(9).to(basis) + 1e-6 * torch.eye(9).to(basis)
        light = torch.linalg.solve(weighted.mT @ basis + ridge, weighted.mT @ seen[..., None])
        left = seen - (basis @ light)[..., 0]
        trust = weight / (1 + (left / _ALBEDO_WIDTH).square())
    slopes = (
        torch.stack([none, one, none, none, y, z, none, 2 * x, none], dim=-1) @ light,
        torch.stack([none, none, one, none, x, none, z, -2 * y, none], dim=-1) @ light,
        torch.stack([none, none, none, one, none, x, y, none, 6 * z], dim=-1) @ light,
    )
    slope = torch.cat(slopes, dim=-1).mT
    flat = normals.flatten(2)
    slope = slope - (slope * flat).sum(dim=1, keepdim=True) * flat
    found = torch.cat([left[:, None], slope], dim=1) * weight[:, None]
    return found.clamp(-1, 1).unflatten(2, size)


def facing(points: Tensor, normals: Tensor, projection: Tensor) -> Tensor:
    """(B, P, 3) points with unit normals and (B, n, 3, 4) projections to [-1, 1] -> (B, n, P) how well seen, 0..1."""
    centre = camera_centre(projection)
    sight = functional.normalize(centre[:, :, None] - points[:, None], dim=-1)
    slope = (sight * normals[:, None]).sum(dim=-1)
    image = torch.einsum("bnij,bpj->bnpi", projection[..., :3], points) + projection[:, :, None, :, 3]
    inside = ((image[..., :2] / image[..., 2:].clamp_min(1e-3)).abs() <= 1).all(dim=-1)
    return ((slope - 0.1) / 0.4).clamp(0, 1) * inside


def camera_centre(projection: Tensor) -> Tensor:
    """(..., 3, 4) -> (..., 3) where the camera stands."""
    return -torch.linalg.solve(projection[..., :3], projection[..., 3:])[..., 0]


def face_vertices(head: Head) -> Tensor:
    """(V,) bool: the skin within FACE_REACH of the tip of the nose, without eyeballs and the mouth's inside."""
    tip = head.landmarks(head.template[None])[0, _NOSE_TIP]
    return outer_vertices(head) & ((head.template - tip).norm(dim=1) <= FACE_REACH)


def outer_vertices(head: Head) -> Tensor:
    """(V,) bool: vertices of no eyeball and not of the mouth's inside."""
    hidden = torch.isin(head.part_labels, torch.tensor([PARTS.index(name) for name in _INSIDE]))
    outer = torch.zeros(len(head.template), dtype=torch.bool)
    outer[head.faces[~hidden].flatten()] = True
    outer[head.faces[hidden].flatten()] = False
    return outer


def probes_of(head: Head, count: int) -> Tensor:
    """(count,) vertices far from each other, four in five in the face and the others on the rest of the head."""
    face = face_vertices(head)
    rest = outer_vertices(head) & ~face
    inner = 4 * count // 5
    return torch.cat([spread_out(head.template, face, inner), spread_out(head.template, rest, count - inner)])


def spread_out(points: Tensor, allowed: Tensor, count: int) -> Tensor:
    """(count,) indices of allowed points, each the one farthest from those before it."""
    chosen = [int(torch.nonzero(allowed)[0])]
    distance = torch.where(allowed, torch.inf, -1.0)
    for _ in range(count - 1):
        distance = torch.minimum(distance, (points - points[chosen[-1]]).norm(dim=1).where(allowed, -torch.ones(())))
        chosen.append(int(distance.argmax()))
    return torch.tensor(chosen)
