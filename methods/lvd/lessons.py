"""One training step's material for the perception and for the descents of LVD and GLVD."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.geometry.placement import Sightings
from harness.heads.head import Head
from harness.methods.lvd.descents import LEAST_SPREAD, Disturbance, look, normalised_projection, on_the_way, placed
from harness.methods.lvd.expectation import Expectation, Expected, face_vertices, outer_vertices
from harness.methods.lvd.fitting import StartingHead
from harness.methods.lvd.landmarks import POINTS, SOUGHT, LandmarkNetwork
from harness.training_data import Augmentation, Batch, TrainingSet, random_crops

_REGULAR = Augmentation(scale=(1.0, 1.0), shift=0.0, roll=0.0)


@dataclass(frozen=True)
class LessonSettings:
    """What is varied in a step.

    Attributes:
        images: per step; a step sees either so many subjects once or fewer subjects three times.
        points: vertices per step.
        face: share of these in the face.
        triples: share of the steps with three views.
        wide: crops in which the landmarks are found, once per picture.
        near: crops for everything else.
        disturbance: of the placement.
    """

    images: int = 16
    points: int = 512
    face: float = 0.8
    triples: float = 0.33
    wide: Augmentation = Augmentation(scale=(0.92, 1.12), shift=0.05)
    near: Augmentation = Augmentation(scale=(0.72, 0.86), shift=0.04, colour=0.5)
    disturbance: Disturbance = Disturbance(scene=0.7)


@dataclass(frozen=True, eq=False)
class Lesson:
    """One step's material, on the network's device: a placed batch, its landmarks, and points of some vertices.

    Attributes:
        batch: in the frame of the placement.
        projection: (B, n, 3, 4) head -> homogeneous coordinates in [-1, 1].
        heat_maps: (B, n, 68, h, w) of the found landmarks, in the batch's crops.
        expected: what the starting heads let expect.
        ids: (P,) the vertices.
        inner: how many of them, the first ones, are in the face.
        start: (B, P, 3) where their descent begins.
        keypoints: (B, 68, 3) where the descent of the landmarks begins.
        truth: (B, P, 3) where the vertices belong.
        normals: (B, P, 3) of the true head there.
        generator: of what else is random in the step.
    """

    batch: Batch
    projection: Tensor
    heat_maps: Tensor
    expected: Expected
    ids: Tensor
    inner: int
    start: Tensor
    keypoints: Tensor
    truth: Tensor
    normals: Tensor
    generator: torch.Generator

    def points(self) -> Tensor:
        """(B, P, 3) somewhere on the way of the vertices; others at each call."""
        return on_the_way(self.truth, self.start, self.generator)


class VertexChoice:
    """Random vertices of a head, a share of them in the face and the others elsewhere on its outside."""

    def __init__(self, head: Head, share: float) -> None:
        face = face_vertices(head)
        rest = outer_vertices(head) & ~face
        self.face, self.rest, self.share = torch.nonzero(face)[:, 0], torch.nonzero(rest)[:, 0], share

    def __call__(self, count: int, generator: torch.Generator) -> tuple[Tensor, int]:
        """(count,) vertices, and how many of them, the first ones, are in the face."""
        inner = round(self.share * count)
        parts = [
            among[torch.randint(len(among), (n,), generator=generator)]
            for among, n in ((self.face, inner), (self.rest, count - inner))
        ]
        return torch.cat(parts), inner


class Teacher:
    """Draws lessons from rendered pictures.

    Args:
        pictures: the rendered subjects.
        landmarks: the finished landmark network.
        head: the model.
        size: side of the crops in pixels.
        stride: pixels per cell of the feature maps.
        settings: what varies.
    """

    def __init__(
        self,
        pictures: TrainingSet,
        landmarks: LandmarkNetwork,
        head: Head,
        size: int,
        stride: int,
        settings: LessonSettings,
    ) -> None:
        self.pictures, self.net, self.size, self.settings = pictures, landmarks, size, settings
        self.device = landmarks.head.weight.device
        self.start = StartingHead(head).to(self.device)
        self.expectation = Expectation(head, size // stride).to(self.device)
        self.choice = VertexChoice(head, settings.face)
        self.seen = find_all(pictures, landmarks, settings.wide)

    def lesson(self, generator: torch.Generator) -> Lesson:
        """A random one."""
        views = 3 if torch.rand((), generator=generator) < self.settings.triples else 1
        count = max(1, round(self.settings.images / views))
        return self.about(*self.pictures.random_views(count, views, generator), generator)

    def about(self, subjects: Tensor, views: Tensor, generator: torch.Generator) -> Lesson:
        """About these views (B, n) of the subjects (B,)."""
        near = self.pictures.batch(subjects, views, self.size, self.settings.near, generator).to(self.device)
        regular = regular_projection(self.pictures, subjects, views, self.net.sizes.image).to(self.device)
        found = self.seen[subjects[:, None], views].to(self.device)
        seen = Sightings(regular, found[..., :2], found[..., 2].clamp_min(LEAST_SPREAD))
        heat_maps = heat_maps_of(seen, normalised_projection(near.projection, self.size), self.expectation.side)
        batch, coefficients = placed(near, seen, self.start, self.settings.disturbance, generator)
        projection = normalised_projection(batch.projection, self.size)
        start = self.start.vertices(coefficients)
        start_normals, normals = self.expectation.normals(start), self.expectation.normals(batch.vertices)
        expected = self.expectation((coefficients, start, start_normals), projection, batch.rotation, batch.images)
        chosen, inner = self.choice(self.settings.points, generator)
        ids = chosen.to(self.device)
        return Lesson(
            batch,
            projection,
            heat_maps,
            expected,
            ids,
            inner,
            start[:, ids],
            self.start.landmarks(coefficients),
            batch.vertices[:, ids],
            normals[:, ids],
            generator,
        )


def regular_projection(pictures: TrainingSet, subjects: Tensor, views: Tensor, size: int) -> Tensor:
    """(B, n, 3, 4) head -> homogeneous pixels of the regular crops of these views (B, n), of `size` pixels."""
    rows, columns = subjects.numpy()[:, None], views.numpy()
    spheres, projection = (torch.from_numpy(pictures.arrays[k][rows, columns]) for k in ("spheres", "projection"))
    matrix, _ = random_crops(spheres.flatten(0, 1), size, _REGULAR, torch.Generator())
    return matrix.unflatten(0, views.shape) @ projection.float()


def find_all(pictures: TrainingSet, net: LandmarkNetwork, wide: Augmentation, batch: int = 64) -> Tensor:
    """(N, n, SOUGHT, 3) the points in every picture: pixels of its regular crop, and their expected error.

    Each is looked for once, in a varied crop.
    """
    size, views = net.sizes.image, torch.arange(pictures.views)
    found = torch.empty(len(pictures), pictures.views, SOUGHT, 3)
    for first in range(0, len(pictures), batch):
        subjects = torch.arange(first, min(first + batch, len(pictures)))
        shown = views.expand(len(subjects), -1)
        crops = pictures.batch(subjects, shown, size, wide, torch.Generator().manual_seed(first))
        regular = regular_projection(pictures, subjects, shown, size)
        seen = look(net, crops.images.to(net.head.weight.device))
        half = (size - 1) / 2
        points, scale = in_crop((seen.points.cpu() + 1) * half, crops.projection, regular)
        found[subjects] = torch.cat([points, scale[..., None, None] * half * seen.spread.cpu()[..., None]], dim=-1)
    return found


def in_crop(points: Tensor, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Points (B, n, K, 2) of one crop of each picture where they are in another crop, and its scale (B, n).

    Args:
        points: in the coordinates of `source`.
        source: (B, n, 3, 4) projections to one kind of crop.
        target: projections of the same cameras to another.
    """
    move = target[..., :3] @ torch.linalg.inv(source[..., :3])
    moved = points @ move[..., :2, :2].mT + move[..., None, :2, 2]
    scale = torch.linalg.det(move[..., :2, :2]).abs().sqrt() / move[..., 2, 2]
    return moved / move[..., 2:, 2:], scale


def heat_maps_of(seen: Sightings, projection: Tensor, side: int) -> Tensor:
    """(B, n, 68, side, side) normal distributions about the landmarks as wide as their expected errors; sums of 1.

    Args:
        seen: the sought points, of which the landmarks are the first, in any crops.
        projection: (B, n, 3, 4) projections to [-1, 1] of the crops that the maps cover.
        side: of the maps in cells.
    """
    points, scale = in_crop(seen.points[:, :, :POINTS], seen.projection, projection)
    width = (scale[..., None] * seen.spread[:, :, :POINTS]).clamp_min(1 / side)[..., None]
    axis = torch.linspace(-1, 1, side).to(points)
    column, row = (-0.5 * ((axis - points[..., i, None]) / width).square() for i in (0, 1))
    return (row[..., :, None] + column[..., None, :]).flatten(3).softmax(dim=3).unflatten(3, (side, side))
