"""Batches for training on rendered faces: pictures alone, pictures with classes, pictures with points.

All frames are cut from the pictures that every mini method trains on (`harness.training_pictures`), whose label maps
`harness.training_labels` adds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from harness.heads.head import Head
from harness.methods.farl.warp import FACTOR, SIZE, Frame, grid
from harness.methods.regression.faces import points_in_box
from harness.methods.regression.material import (
    FOREHEAD,
    CropVariation,
    Lesson,
    Material,
    cover,
    five_points,
    random_squares,
)
from harness.protocols.labels import LabelSet
from harness.training_data import cut, vary_colour
from harness.training_labels import render_label_maps
from harness.training_pictures import PictureSettings


@dataclass(frozen=True)
class FrameVariation:
    """How frames of the parsing vary.

    Attributes:
        turn: deviation of the turn, radians; FaRL's 0.314 is for photographs of every kind.
        scale: deviation of the scale.
        shift: largest shift, in sides of the frame.
        boxes: share of frames that are aligned by where an average face is in the box, instead of by the five points.
        cropped: share of pictures of which only a part around the face is there.
        covered: share of frames with something before the face, which counts as background.
        colour: as in `harness.training_data.Augmentation`.
    """

    turn: float = 0.1
    scale: float = 0.1
    shift: float = 0.01
    boxes: float = 0.5
    cropped: float = 0.7
    covered: float = 0.2
    colour: float = 1.0


class Faces:
    """The rendered subjects with label maps; makes those that are missing.

    Args:
        settings: what is rendered.
        folder: where to.
        head: the model that is drawn.
    """

    def __init__(self, settings: PictureSettings, folder: Path, head: Head) -> None:
        self.material = Material(settings, folder, head)
        self.pictures = self.material.pictures
        self.labels = render_label_maps(settings, self.pictures, folder, head)

    def plain(self, count: int, size: int, generator: torch.Generator) -> Tensor:
        """(count, 3, size, size) RGB in 0..1, FFHQ's crop of random faces in varied colours: for pre-training."""
        picked = self.material.random_pictures(count, generator)
        squares = ffhq_squares(picked.landmarks, size, generator)
        return vary_colour(cut(picked.images, squares, size), 1.0, generator)

    def pointed(
        self, count: int, size: int, subjects: int | None, variation: CropVariation, generator: torch.Generator
    ) -> Lesson:
        """Crops around the box of the landmarks, with these, of the first `subjects`."""
        chosen = self.material.random_pictures(count, generator, subjects)
        return self.material.crops(chosen.subjects, chosen.views[:, None], size, variation, generator, random_squares)

    def parsed(
        self,
        count: int,
        size: int,
        subjects: int | None,
        labels: LabelSet,
        variation: FrameVariation,
        generator: torch.Generator,
    ) -> tuple[Tensor, Tensor]:
        """(count, 3, size, size) RGB in 0..1 in tanh-warped frames, and (count, size, size) int64 classes."""
        seen = self.material.random_pictures(count, generator, subjects)
        images, landmarks = seen.images, seen.landmarks
        classes = torch.from_numpy(labels.table()[self.labels[seen.subjects.numpy(), seen.views.numpy()]])
        window = _windows(landmarks, images.shape[-1], variation.cropped, generator)
        both = torch.cat([images, classes[:, None].float()], dim=1) * window
        places = torch.from_numpy(np.stack([self._places(m, size) for m in _frames(landmarks, variation, generator)]))
        normalised = ((2 * places.float() + 1) / images.shape[-1] - 1).unflatten(1, (size, size))
        shown = functional.grid_sample(both[:, :3], normalised, mode="bilinear", align_corners=False)
        named = functional.grid_sample(both[:, 3:], normalised, mode="nearest", align_corners=False)
        covered = cover(torch.cat([shown, named + 1], dim=1), variation.covered, generator)  # covers set the label to 0
        colours = vary_colour(covered[:, :3], variation.colour, generator)
        return colours, (covered[:, 3].round() - 1).clamp_min(0).long()

    @staticmethod
    def _places(matrix: NDArray[np.float64], size: int) -> NDArray[np.float64]:
        """(size * size, 2) where in the picture the pixels of a frame are, which shows the whole 512 in `size`."""
        return Frame(matrix, FACTOR).to_picture((grid(size, size) + 0.5) * (SIZE / size) - 0.5)


def _windows(landmarks: Tensor, size: int, share: float, generator: torch.Generator) -> Tensor:
    """(B, 1, size, size) 1 in the part of each picture that is there, which holds the face (B, 68, 2), else 0."""

    def uniform() -> Tensor:
        return torch.rand(len(landmarks), 1, 1, 1, generator=generator)

    low, high = landmarks.amin(dim=1).clamp(0, size), landmarks.amax(dim=1).clamp(0, size)
    axis = torch.arange(size, dtype=torch.float32)
    whole = uniform() >= share
    inside = torch.ones(len(landmarks), 1, size, size, dtype=torch.bool)
    for number, along in enumerate((axis[None, None, None], axis[None, None, :, None])):
        first, last = (edge[:, number, None, None, None] for edge in (low, high))
        inside = inside & (along >= uniform() * first) & (along <= size - uniform() * (size - last))
    return (inside | whole).float()


def _frames(landmarks: Tensor, variation: FrameVariation, generator: torch.Generator) -> list[NDArray[np.float64]]:
    """(3, 3) picture to aligned pixels of each face (68, 2)."""
    count = len(landmarks)
    five = five_points(landmarks).double()
    low, high = landmarks.amin(dim=1).double(), landmarks.amax(dim=1).double()
    low[:, 1] -= FOREHEAD * (high - low)[:, 1]
    guessed = torch.rand(count, generator=generator) < variation.boxes
    turn, scale = (torch.randn(count, generator=generator) * sigma for sigma in (variation.turn, variation.scale))
    shift = (2 * torch.rand(count, 2, generator=generator) - 1) * variation.shift * SIZE
    found = []
    for i in range(count):
        box = torch.cat([low[i], high[i]]).numpy()
        points = points_in_box(box, "shared") if guessed[i] else five[i].numpy()
        moved = _about_middle(float(turn[i]), float(scale[i].exp()), shift[i].double().numpy())
        found.append(moved @ Frame.of_points(points).matrix)
    return found


def _about_middle(turn: float, scale: float, shift: NDArray[np.float64]) -> NDArray[np.float64]:
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    matrix = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0, 0, 1]])
    middle = np.full(2, (SIZE - 1) / 2)
    matrix[:2, 2] = middle - matrix[:2, :2] @ middle + shift
    return matrix


def ffhq_squares(landmarks: Tensor, size: int, generator: torch.Generator | None = None) -> Tensor:
    """(N, 68, 2) landmarks in pixels -> (N, 3, 3) image to crop pixels; see `ffhq_squares_of`."""
    return ffhq_squares_of(five_points(landmarks), size, generator)


def ffhq_squares_of(five: Tensor, size: int, generator: torch.Generator | None = None) -> Tensor:
    """(N, 5, 2) points in pixels -> (N, 3, 3) image to crop pixels of FFHQ's aligned square.

    With a generator the square is up to a tenth larger or smaller and moved by up to a fortieth of its side.
    """
    eyes, mouth = five[:, :2].mean(dim=1), five[:, 3:].mean(dim=1)
    between, down = five[:, 1] - five[:, 0], mouth - eyes
    x = between - turned(down)
    length = torch.maximum(2.0 * between.norm(dim=1), 1.8 * down.norm(dim=1))
    x = x / x.norm(dim=1, keepdim=True) * length[:, None]
    centre = eyes + 0.1 * down
    if generator is not None:
        x = x * (1 + 0.2 * torch.rand(len(x), 1, generator=generator) - 0.1)
        centre = centre + 0.05 * length[:, None] * (2 * torch.rand(len(x), 2, generator=generator) - 1)
    half = x.norm(dim=1)
    unit = x / half[:, None]
    matrix = torch.eye(3).to(five).repeat(len(x), 1, 1)
    matrix[:, 0, :2], matrix[:, 1, :2] = unit, turned(unit)
    matrix[:, :2, :2] *= (size / (2 * half))[:, None, None]
    matrix[:, :2, 2] = (size - 1) / 2 - (matrix[:, :2, :2] @ centre[..., None])[..., 0]
    return matrix


def turned(vectors: Tensor) -> Tensor:
    """(N, 2) by a quarter turn: (x, y) -> (-y, x)."""
    return torch.stack([-vectors[:, 1], vectors[:, 0]], dim=1)
