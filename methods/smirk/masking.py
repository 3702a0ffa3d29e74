"""What SMIRK's generator sees of a photograph: all but the face, and a few of the face's pixels."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import ConvexHull, QhullError
from torch import Tensor
from torch.nn import functional

from harness.geometry.rasterise import Fragments
from harness.heads.head import PARTS, Head

OFFICIAL_SIZE = 224  # of the crops that the sizes below were chosen for
DILATION = 21
HOLE = 11
_HALF_SHARE = ("nose", "upper_lip", "lower_lip")
_NO_SHARE = ("left_eye", "right_eye")


def _scaled(pixels: int, size: int) -> int:
    """An odd number of pixels that is to a crop of `size` what `pixels` is to the official one."""
    return 2 * round((pixels * size / OFFICIAL_SIZE - 1) / 2) + 1


def outside_face(landmarks: Tensor, size: int) -> Tensor:
    """(B, L, 2) points in [-1, 1] -> (B, 1, S, S): 0 in their convex hull, grown by DILATION / 2, and 1 around it."""
    axis = np.linspace(-1, 1, size)
    pixels = np.stack([*np.meshgrid(axis, axis), np.ones((size, size))], axis=-1)
    inside = np.zeros((len(landmarks), 1, size, size), np.float32)
    for row, points in enumerate(landmarks.detach().cpu().double().numpy()):
        try:
            equations = ConvexHull(points).equations
        except QhullError:  # points on one line have no inside
            continue
        inside[row, 0] = (pixels @ equations.T <= 0).all(axis=-1)
    width = _scaled(DILATION, size)
    grown = functional.max_pool2d(torch.from_numpy(inside), width, stride=1, padding=width // 2)
    return (1 - grown).to(landmarks)


def sampling_weights(head: Head, faces: Tensor) -> Tensor:
    """(F,) how much pixels of the triangles `faces` (corner vertices) count: nose and lips half, eyeballs nothing."""
    weights = torch.ones(len(head.template), device=faces.device)
    for names, value in ((_HALF_SHARE, 0.5), (_NO_SHARE, 0.0)):
        members = torch.isin(head.part_labels, torch.tensor([PARTS.index(n) for n in names]).to(head.part_labels))
        weights[head.faces[members].unique()] = value
    return weights[faces].amin(dim=1)


def sample_pixels(fragments: Fragments, weights: Tensor, ratio: float, generator: torch.Generator) -> Tensor:
    """(P,) bool: a random `ratio` of a picture's pixels, drawn among those that show the face.

    Args:
        fragments: of the drawn face.
        weights: (F,) of its triangles.
        ratio: of all pixels of a picture.
        generator: on the CPU.
    """
    share = weights[fragments.face]
    total = torch.zeros(fragments.pictures, device=share.device).index_add(0, fragments.picture, share)
    chance = ratio * fragments.size**2 * share / total.clamp_min(1e-6)[fragments.picture]
    return torch.rand(len(share), generator=generator).to(share) < chance


def masked_picture(
    images: Tensor, outside: Tensor, fragments: Fragments, places: Tensor, colours: Tensor, generator: torch.Generator
) -> Tensor:
    """(B, 3, S, S) the photograph without the face and without what is drawn, and some pixels put back.

    Args:
        images: (B, 3, S, S).
        outside: from `outside_face`.
        fragments: of the face that is drawn over it.
        places: (K, 3) picture, row, column of pixels of the face.
        colours: (K, 3) their colours.
        generator: on the CPU, of the noise and the holes: colours vary by 5 percent, one pixel in a hundred takes its
            neighbourhood with it.
    """
    size = images.shape[-1]
    drawn = torch.zeros_like(outside)
    drawn[fragments.picture, 0, fragments.row, fragments.column] = 1
    kept = images * outside * (1 - drawn)
    points = torch.zeros_like(images)
    noise = 1 + 0.05 * torch.randn(colours.shape, generator=generator).to(colours)
    picture, row, column = places.unbind(dim=1)
    points[picture, :, row, column] = colours * noise
    holes = (torch.rand(outside.shape, generator=generator) < 0.01).to(images)
    width = _scaled(HOLE, size)
    points = points * (1 - functional.max_pool2d(holes, width, stride=1, padding=width // 2))
    return torch.where((points > 0).any(dim=1, keepdim=True), points, kept).detach()
