"""Pictures of a decoded head: the face region, its colours, and the light on it. For training only."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.geometry.rasterise import Fragments, rasterise, vertex_normals
from harness.heads.head import PARTS, Head

FACE_RADIUS = 25.0
"""Millimetres: a triangle belongs to the face if its corners on the mean head are that near to a landmark."""
TEXTURES = 8
"""Albedo coefficients of the mini models."""
_LAMPS = torch.nn.functional.normalize(
    torch.tensor([[-1.0, 1, 1], [1, 1, 1], [-1, -1, 1], [1, -1, 1], [0, 0, 1]]), dim=1
)
_HARMONICS = torch.tensor(
    [
        1 / math.sqrt(4 * math.pi),
        *[2 * math.pi / 3 * math.sqrt(3 / (4 * math.pi))] * 3,
        *[math.pi / 4 * 3 * math.sqrt(5 / (12 * math.pi))] * 3,
        math.pi / 4 * 1.5 * math.sqrt(5 / (12 * math.pi)),
        math.pi / 4 * 0.5 * math.sqrt(5 / (4 * math.pi)),
    ]
)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A batch of drawn heads: what is in front where, and the normals (P, 3) there, in the head's frame."""

    fragments: Fragments
    normals: Tensor


class FaceArtist:
    """Draws the face region of a head.

    Args:
        head: the model; its part labels colour it.
        radius: of the region, see FACE_RADIUS.
    """

    def __init__(self, head: Head, radius: float = FACE_RADIUS) -> None:
        near = torch.zeros(len(head.template), dtype=torch.bool, device=head.template.device)
        near[face_vertices(head, radius)] = True
        kept = near[head.faces].all(dim=1)
        self.used, flat = head.faces[kept].unique(return_inverse=True)
        self.faces = flat.view(-1, 3)
        self.mean, self.basis = _albedo(head, self.used)

    def draw(self, vertices: Tensor, projected: Tensor, size: int) -> Drawn:
        """(B, V, 3) vertices and their places in [-1, 1] -> what pictures of `size` show of the face."""
        half = (size - 1) / 2
        places = projected[:, self.used]
        pixels = torch.cat([half * (places[..., :2] + 1), places[..., 2:]], dim=-1)
        fragments = rasterise(pixels, self.faces, size)
        normals = vertex_normals(vertices[:, self.used], self.faces)
        return Drawn(fragments, torch.nn.functional.normalize(fragments.interpolate(normals, self.faces), dim=1))

    def colours(self, drawn: Drawn, texture: Tensor, light: Tensor) -> Tensor:
        """(P, 3) what DECA's image formation gives: albedo times second-order spherical harmonics of the normal.

        Args:
            drawn: of B heads.
            texture: (B, TEXTURES).
            light: (B, 9, 3).
        """
        albedo = self.mean + torch.einsum("bt,tvc->bvc", texture, self.basis)
        return drawn.fragments.interpolate(albedo, self.faces) * shading(drawn, light)

    @staticmethod
    def clay(drawn: Drawn) -> Tensor:
        """(B, 3, S, S) SMIRK's drawing for its generator: grey 180, five lamps of intensity 1.7, black around it."""
        lamps = _LAMPS.to(drawn.normals)
        bright = (1.7 * (drawn.normals @ lamps.T).clamp(0, 1)).mean(dim=1, keepdim=True) * (180 / 255)
        return drawn.fragments.picture_of(bright.expand(-1, 3))


def face_vertices(head: Head, radius: float = FACE_RADIUS) -> Tensor:
    """(N,) the vertices near a landmark of the mean head."""
    distance = torch.cdist(head.template, head.landmarks(head.template[None])[0]).amin(dim=1)
    return torch.nonzero(distance < radius)[:, 0]


def shading(drawn: Drawn, light: Tensor) -> Tensor:
    """(P, 3) second-order spherical harmonics with DECA's factors and order of the basis."""
    x, y, z = drawn.normals.unbind(dim=1)
    basis = [torch.ones_like(x), x, y, z, x * y, x * z, y * z, x * x - y * y, 3 * z * z - 1]
    values = torch.stack(basis, dim=1) * _HARMONICS.to(x)
    return torch.einsum("pk,pkc->pc", values, light[drawn.fragments.picture])


def _albedo(head: Head, used: Tensor) -> tuple[Tensor, Tensor]:
    """(V', 3) mean colours and (TEXTURES, V', 3) what may change: skin and lips in colour, brows and eyes in depth.

    There is no open albedo model of FLAME; part labels are all that every head has.
    """
    labels = torch.zeros_like(head.template[:, 0], dtype=torch.int64)
    for i in range(3):
        labels[head.faces[:, i]] = head.part_labels
    labels = labels[used]
    parts = {
        name: torch.isin(labels, torch.tensor([PARTS.index(p) for p in members]).to(labels))
        for name, members in (
            ("lips", ("upper_lip", "lower_lip")),
            ("brows", ("left_brow", "right_brow")),
            ("eyes", ("left_eye", "right_eye")),
        )
    }
    skin = ~(parts["lips"] | parts["brows"] | parts["eyes"])
    mean = head.template.new_zeros(len(used), 3)
    for where, colour in (
        (skin, (0.55, 0.42, 0.35)),
        (parts["lips"], (0.50, 0.30, 0.28)),
        (parts["brows"], (0.30, 0.24, 0.20)),
        (parts["eyes"], (0.45, 0.42, 0.40)),
    ):
        mean[where] = mean.new_tensor(colour)
    basis = mean.new_zeros(TEXTURES, len(used), 3)
    for i in range(3):
        basis[i, skin | parts["brows"], i] = 0.15
        basis[3 + i, parts["lips"], i] = 0.15
    basis[6, parts["brows"]] = 0.15
    basis[7, parts["eyes"]] = 0.15
    return mean, basis
