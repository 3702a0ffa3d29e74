"""Batches for training regressors: crops as the methods cut them, with the exact truth of rendered subjects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness.heads.head import Head
from harness.methods.regression.arcface import SIZE, TEMPLATE
from harness.training_data import TrainingSet, cut, projected, vary_colour
from harness.training_pictures import PictureSettings, codes_of_training_set, render_training_set


@dataclass(frozen=True)
class CropVariation:
    """How crops around the box of the 68 landmarks vary.

    Attributes:
        scale: smallest and largest side, in mean sides of the box (0.1 of the methods' specification: 1.25 * 1.1 for a
            box of landmarks, 1.6 for the larger boxes of a data set).
        shift: largest shift, in sides of the crop.
        upward: largest further shift upwards: boxes of detectors hold some of the forehead.
        roll: largest turn, degrees.
        colour: as in `harness.training_data.Augmentation`.
        boxes: share of aligned crops whose five points are only guessed from a box.
        covered: share of crops with something before the face.
    """

    scale: tuple[float, float] = (1.25, 1.9)
    shift: float = 0.05
    upward: float = 0.08
    roll: float = 12.0
    colour: float = 1.0
    boxes: float = 0.0
    covered: float = 0.0


@dataclass(frozen=True, eq=False)
class Lesson:
    """B subjects with n crops each; N = B * n, the crops of a subject follow one another.

    Attributes:
        images: (N, 3, S, S) RGB in 0..1, with background.
        masks: (N, 1, S, S) true on the subject, hair included.
        landmarks: (N, 68, 2) in [-1, 1] of the crop, y down; (-1, -1) is the centre of the first pixel.
        shape: (N, S), expression: (N, E), jaw: (N, 3) the codes behind the pictures.
        subjects: B.
    """

    images: Tensor
    masks: Tensor
    landmarks: Tensor
    shape: Tensor
    expression: Tensor
    jaw: Tensor
    subjects: int

    def to(self, device: torch.device | str) -> Lesson:
        """The same on another device."""
        return replace(self, **{f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "subjects"})


FOREHEAD = 0.25
POINTS_IN_BOX = ((0.304, 0.353), (0.7, 0.353), (0.503, 0.57), (0.321, 0.737), (0.679, 0.737))
"""The five points in the box of the landmarks, made higher by FOREHEAD: medians over the rendered pictures."""


def five_points(landmarks: Tensor) -> Tensor:
    """(N, 68, 2) -> (N, 5, 2) the middle of either eye, the tip of the nose, the corners of the mouth."""
    eyes = [landmarks[:, first : first + 6].mean(dim=1) for first in (36, 42)]
    return torch.stack([*eyes, landmarks[:, 30], landmarks[:, 48], landmarks[:, 54]], dim=1)


Squares = Callable[[Tensor, int, CropVariation, torch.Generator], Tensor]
"""(N, 68, 2) landmarks in pixels, side of the crops -> (N, 3, 3) image to crop pixels."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Whole pictures as rendered.

    Attributes:
        images: (B, 3, s, s) RGB in 0..1.
        landmarks: (B, 68, 2) in pixels.
        subjects, views: (B,) int64, which ones.
    """

    images: Tensor
    landmarks: Tensor
    subjects: Tensor
    views: Tensor


class Material:
    """The rendered subjects with their codes; renders those that are missing.

    Args:
        settings: what is rendered.
        folder: where to.
        head: the model that is drawn.
    """

    def __init__(self, settings: PictureSettings, folder: Path, head: Head) -> None:
        self.pictures = TrainingSet(render_training_set(settings, folder, head), head.template)
        shape, expression, pose = codes_of_training_set(settings, head)
        jaw = pose[:, head.joint_names.index("jaw")]
        self.codes = [torch.from_numpy(x.astype(np.float32)) for x in (shape, expression, jaw)]

    @property
    def name(self) -> str:
        """Another one for other pictures."""
        return self.pictures.name

    def random_pictures(self, count: int, generator: torch.Generator, among: int | None = None) -> Pictures:
        """Of random ones of the first `among` subjects, one each; see `TrainingSet.random_views`."""
        chosen, views = self.pictures.random_views(count, 1, generator, among)
        images, pixels = self._seen(chosen, views)
        return Pictures(images[:, 0, :3], pixels[:, 0], chosen, views[:, 0])

    def _seen(self, subjects: Tensor, views: Tensor) -> tuple[Tensor, Tensor]:
        """Of views (B, n) of subjects (B,): (B, n, 4, s, s) colour and mask, (B, n, 68, 2) landmarks in pixels."""
        rows, columns, arrays = subjects.numpy()[:, None], views.numpy(), self.pictures.arrays
        images = torch.from_numpy(arrays["images"][rows, columns]).permute(0, 1, 4, 2, 3).float() / 255
        projection = torch.from_numpy(arrays["projection"][rows, columns]).float()
        points = torch.from_numpy(arrays["landmarks"][subjects.numpy()].astype(np.float32))
        return images, projected(points, projection)

    def lesson(
        self,
        subjects: int,
        views: int,
        size: int,
        variation: CropVariation,
        generator: torch.Generator,
        squares: Squares,
    ) -> Lesson:
        """Random subjects with `views` random pictures each; see `TrainingSet.random_views`."""
        chosen, picked = self.pictures.random_views(subjects, views, generator)
        return self.crops(chosen, picked, size, variation, generator, squares)

    def crops(
        self,
        subjects: Tensor,
        views: Tensor,
        size: int,
        variation: CropVariation,
        generator: torch.Generator,
        squares: Squares,
    ) -> Lesson:
        """The pictures (B, n) of subjects (B,), cropped to `size` by `squares`."""
        pictures, pixels = (x.flatten(0, 1) for x in self._seen(subjects, views))
        to_crop = squares(pixels, size, variation, generator)
        cropped = cover(cut(pictures, to_crop, size), variation.covered, generator)
        moved = torch.einsum("nij,nkj->nki", to_crop[:, :2, :2], pixels) + to_crop[:, None, :2, 2]
        shape, expression, jaw = (codes[subjects].repeat_interleave(views.shape[1], dim=0) for codes in self.codes)
        colours = vary_colour(cropped[:, :3], variation.colour, generator)
        return Lesson(
            images=colours.contiguous(memory_format=torch.channels_last),
            masks=cropped[:, 3:] > 0.5,
            landmarks=moved * (2 / (size - 1)) - 1,
            shape=shape,
            expression=expression,
            jaw=jaw,
            subjects=len(subjects),
        )


COVER = (0.06, 0.3)
"""Smallest and largest half axis of what is before a face, in sides of the crop."""


def cover(crops: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Puts a plain ellipse somewhere before some of (N, 4, S, S) colours and mask; the mask ends where it begins.

    Hands, hats and glasses of real pictures are not rendered: what matters is that the face must be told by the rest.
    """
    if not share:
        return crops
    count, size = len(crops), crops.shape[-1]

    def uniform(columns: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        return (low + (high - low) * torch.rand(count, columns, generator=generator))[..., None, None]

    axis = torch.linspace(0, 1, size)
    centre, half, angle, colour = uniform(2), uniform(2, *COVER), uniform(1, 0, torch.pi), uniform(3)
    x, y = axis - centre[:, :1], axis[:, None] - centre[:, 1:]
    along = (x * angle.cos() + y * angle.sin()) / half[:, :1]
    across = (y * angle.cos() - x * angle.sin()) / half[:, 1:]
    there = (along**2 + across**2 < 1) & (uniform(1) < share)
    shaded = torch.cat([colour * (1 + 0.3 * across).clamp(0, 2), torch.zeros(count, 1, size, size)], dim=1)
    return torch.where(there, shaded.clamp(0, 1), crops)


def random_squares(landmarks: Tensor, size: int, variation: CropVariation, generator: torch.Generator) -> Tensor:
    """(N, 68, 2) landmarks in pixels -> (N, 3, 3) image to crop pixels, of squares around their boxes.

    The corners of a square go to the centres of the crop's corner pixels, as the methods' own crops do.
    """

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(len(landmarks), generator=generator)

    low, high = landmarks.amin(dim=1), landmarks.amax(dim=1)
    side = (high - low).mean(dim=1) * uniform(*variation.scale)
    shift = torch.stack([uniform(-1, 1), uniform(-1, 1)], dim=1) * variation.shift
    shift[:, 1] -= uniform(0, variation.upward)
    centre = (low + high) / 2 + shift * side[:, None]
    angle = torch.deg2rad(variation.roll * uniform(-1, 1))
    scale = (size - 1) / side
    cosine, sine = scale * angle.cos(), scale * angle.sin()
    turn = torch.stack([torch.stack([cosine, -sine], dim=1), torch.stack([sine, cosine], dim=1)], dim=1)
    matrix = torch.eye(3).repeat(len(landmarks), 1, 1)
    matrix[:, :2, :2] = turn
    matrix[:, :2, 2] = (size - 1) / 2 - (turn @ centre[..., None])[..., 0]
    return matrix


def aligned_squares(landmarks: Tensor, size: int, variation: CropVariation, generator: torch.Generator) -> Tensor:
    """As `random_squares`, but the similarity that brings five points near ArcFace's template (MICA).

    Where `variation.boxes` says so the points are those of an average face in a box with some forehead, which is all
    that is known of a face of which only the box is given. Mirror images do not occur.
    """
    return onto_template(random_five_points(landmarks, variation, generator), size)


def random_five_points(landmarks: Tensor, variation: CropVariation, generator: torch.Generator) -> Tensor:
    """(N, 68, 2) landmarks -> (N, 5, 2) the points by which faces are aligned, with errors; see `aligned_squares`."""
    low, high = landmarks.amin(dim=1), landmarks.amax(dim=1)
    extent = high - low
    five = five_points(landmarks)
    five = five + 0.3 * variation.shift * extent[:, None] * torch.randn(five.shape, generator=generator)
    low = low - torch.tensor([0.0, FOREHEAD]) * extent
    low, high = (x + 0.6 * variation.shift * extent * torch.randn(x.shape, generator=generator) for x in (low, high))
    guess = low[:, None] + torch.tensor(POINTS_IN_BOX) * (high - low)[:, None]
    guessed = torch.rand(len(landmarks), 1, 1, generator=generator) < variation.boxes
    return torch.where(guessed, guess, five)


def onto_template(five: Tensor, size: int) -> Tensor:
    """(N, 5, 2) pixels -> (N, 3, 3), the least-squares similarities onto ArcFace's template in a crop of `size`."""
    target = torch.from_numpy(TEMPLATE).float() * (size / SIZE)
    source_mean, target_mean = five.mean(dim=1), target.mean(dim=0)
    # Plane similarities are complex numbers: the least-squares factor is <source, target> / <source, source>.
    source = torch.view_as_complex((five - source_mean[:, None]).contiguous())
    goal = torch.view_as_complex((target - target_mean).contiguous())
    factor = (source.conj() * goal).sum(dim=1) / source.abs().square().sum(dim=1)
    matrix = torch.eye(3).repeat(len(five), 1, 1)
    matrix[:, 0, 0] = matrix[:, 1, 1] = factor.real
    matrix[:, 0, 1], matrix[:, 1, 0] = -factor.imag, factor.imag
    matrix[:, :2, 2] = target_mean - torch.einsum("nij,nj->ni", matrix[:, :2, :2], source_mean)
    return matrix
