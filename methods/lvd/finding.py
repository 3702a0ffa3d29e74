"""Finds the head in a sample's pictures: where to crop, where the landmarks are, how the head stands in the world."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.geometry.crop import Square, square_of_box, square_of_mask, square_of_sphere
from harness.geometry.placement import Pose, Sightings, facing_pose, find_pose, residuals
from harness.heads.head import Head
from harness.methods.lvd.descents import BALL_CENTRE, BALL_DEVIATION, LEAST_SPREAD, normalised_projection
from harness.methods.lvd.expectation import Expectation, Expected
from harness.methods.lvd.fitting import Place, StartingHead
from harness.methods.lvd.landmarks import LandmarkNetwork
from harness.methods.lvd.lessons import heat_maps_of
from harness.samples import Camera, View
from harness.training_data import normalise
from harness.training_pictures import CROP_RADIUS, crop_centre

log = logging.getLogger(__name__)

NEAR_RADIUS = 0.79 * CROP_RADIUS  # millimetres, of the crops that f_v sees: the face and little more
LARGEST_ERROR = 10.0  # pixels of a crop: with a larger median error the placement is not believed
Jitter = tuple[float, float, float]
JITTERS: tuple[Jitter, ...] = (
    (0, 0, 1),
    (0.03, 0.02, 0.94),
    (-0.03, 0.01, 1.06),
    (0.01, -0.03, 0.97),
    (-0.01, 0.02, 1.1),
)
"""Shift to the right and down in sides and scale of the crops that the last, careful look is a mean over."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A view as read: pixels, the mask if there is one, and a camera, assumed if there is none."""

    view: View
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None
    camera: Camera


class Look(NamedTuple):
    """Where the sought points are in n crops, in [-1, 1] across each (n, K, 2), and their expected errors (n, K)."""

    points: Tensor
    spread: Tensor


@dataclass(frozen=True, eq=False)
class Placed:
    """Crops of a sample around the placed head.

    Attributes:
        pose: head frame -> world.
        images: (1, n, 4, S, S) network input.
        projection: (1, n, 3, 4) head frame -> homogeneous coordinates in [-1, 1].
        rotation: (1, n, 3, 3) head frame -> camera.
        heat_maps: (1, n, 68, h, w) of the found landmarks, in the same crops.
        expected: what the start lets expect in the crops; used by networks with a perception.
        start: (1, V, 3) the head that the landmarks suggest, in its own frame.
        keypoints: (1, 68, 3) its landmarks.
    """

    pose: Pose
    images: Tensor
    projection: Tensor
    rotation: Tensor
    heat_maps: Tensor
    expected: Expected
    start: Tensor
    keypoints: Tensor


def read_picture(view: View) -> Picture:
    """Reads a view; one without a camera gets a pinhole at the origin, focal length 1.2 times the longer side."""
    image, mask = view.read_image(), view.read_mask()
    height, width = image.shape[:2]
    focal = 1.2 * max(height, width)
    intrinsics = np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    camera = view.camera or Camera(intrinsics, np.eye(3), np.zeros(3), width, height)
    return Picture(view, image, mask if mask is not None and mask.any() else None, camera)


def first_squares(picture: Picture) -> list[Square]:
    """Where the head may be, before anything is known: around the mask, the scene's ball, the face box, the image."""
    squares: list[Square | None] = []
    if picture.mask is not None:
        squares += [square_of_mask(picture.mask, 1.1), _top_of_mask(picture.mask)]
    if picture.view.scene is not None and picture.view.camera is not None:
        scene = picture.view.scene
        radius = float(np.linalg.norm(scene[:3, :3], axis=0).mean())
        squares.append(square_of_sphere(picture.camera, scene[:3, 3], radius))
    if picture.view.box is not None:
        squares.append(square_of_box(picture.view.box, 1.7))
    found = [s for s in squares if s is not None]
    height, width = picture.image.shape[:2]
    centre = ((width - 1) / 2, (height - 1) / 2)
    return found or [Square(*centre, float(max(height, width))), Square(*centre, float(min(height, width)))]


def _top_of_mask(mask: NDArray[np.bool_]) -> Square | None:
    """The upper end of a mask, where the head is if shoulders are below."""
    whole = square_of_mask(mask)
    if whole is None:
        return None
    side = 0.65 * whole.side
    top = int(np.flatnonzero(mask.any(axis=1))[0])
    columns = np.nonzero(mask[top : top + int(0.8 * side) + 1])[1]
    return Square(float(np.median(columns)), top + 0.45 * side, side)


def crop_input(picture: Picture, square: Square, size: int) -> Tensor:
    """(4, size, size) network input: normalised colours, zero outside the mask, and the mask (all true without one)."""
    colour = torch.from_numpy(square.cut(picture.image, size).copy()).permute(2, 0, 1).float() / 255
    mask = torch.ones(1, size, size)
    if picture.mask is not None:
        covered = square.cut(picture.mask.astype(np.uint8) * 255, size)
        mask = torch.from_numpy((covered > 127).astype(np.float32))[None]
    return normalise(colour[None], mask[None])[0]


def _place(pictures: Sequence[Picture]) -> Place | None:
    """Where the head is by the scene's ball; its radius is not used, a data set may choose that by the head's size."""
    centres = [p.view.scene[:3, 3] for p in pictures if p.view.scene is not None and p.view.camera is not None]
    if not centres:
        return None
    world = torch.from_numpy(np.mean(centres, axis=0, keepdims=True))
    return Place(torch.tensor(BALL_CENTRE).double(), world, torch.tensor([BALL_DEVIATION]).double())


def _projection(pictures: Sequence[Picture], squares: Sequence[Square], size: int) -> Tensor:
    """(n, 3, 4) world -> pixels of the crops."""
    matrices = [s.matrix(size) @ p.camera.projection for p, s in zip(pictures, squares, strict=True)]
    return torch.from_numpy(np.stack(matrices))


class HeadFinder:
    """Places a head model in a sample's world by 2D landmarks.

    Args:
        net: finds the landmarks in crops.
        head: whose template landmarks are placed.
        size: side of the final crops in pixels (the landmark network has its own).
        stride: pixels of these per cell of the feature maps.
        device: of the network.
    """

    def __init__(self, net: LandmarkNetwork, head: Head, size: int, stride: int, device: torch.device) -> None:
        self.net, self.size, self.device = net, size, device
        self.start = StartingHead(head).to("cpu", torch.float64)
        self.expectation = Expectation(head, size // stride)
        self.model = self.start.points.mean[None]
        self.centre = crop_centre(head)

    def __call__(self, pictures: Sequence[Picture]) -> Placed:
        """Looks for the head in every picture, places it, and looks twice more in crops around it, lastly with care."""
        squares = [self._best_square(p) for p in pictures]
        pose = self._pose(pictures, squares, self._look(pictures, squares))
        for jitters in (JITTERS[:1], JITTERS):
            squares = self._squares(pictures, pose, squares)
            seen = self._look(pictures, squares, jitters)
            pose = self._pose(pictures, squares, seen)
        sightings = self._sightings(pictures, squares, seen)
        pose, coefficients = self.start(sightings, pose, _place(pictures))
        to_head = pose.matrix()
        placed = Sightings(sightings.projection @ to_head[:, None], sightings.points, sightings.spread)
        near = self._squares(pictures, pose, squares, NEAR_RADIUS)
        close = normalised_projection(_projection(pictures, near, self.size) @ to_head, self.size).float()[None]
        images = torch.stack([crop_input(p, s, self.size) for p, s in zip(pictures, near, strict=True)])
        turn = torch.stack([torch.from_numpy(p.camera.rotation.copy()) for p in pictures]) @ pose.rotation
        rotation = turn.float()[None]
        heat_maps = heat_maps_of(placed, close.double(), self.expectation.side).float()
        start, keypoints = self.start.vertices(coefficients).float(), self.start.landmarks(coefficients).float()
        expected = self.expectation(
            (coefficients.float(), start, self.expectation.normals(start)), close, rotation, images[None]
        )
        images, close, rotation, heat_maps, start, keypoints = (
            x.to(self.device) for x in (images[None], close, rotation, heat_maps, start, keypoints)
        )
        expected = expected.to(self.device)
        return Placed(pose, images, close, rotation, heat_maps, expected, start, keypoints)

    def _look(
        self, pictures: Sequence[Picture], squares: Sequence[Square], jitters: Sequence[Jitter] = ((0.0, 0.0, 1.0),)
    ) -> Look:
        """The points in the crops; the mean over several looks at slightly different crops."""
        size, looks = self.net.sizes.image, []
        for dx, dy, scale in jitters:
            moved = [Square(s.x + dx * s.side, s.y + dy * s.side, scale * s.side) for s in squares]
            crops = torch.stack([crop_input(p, s, size) for p, s in zip(pictures, moved, strict=True)])
            with torch.inference_mode():
                found = self.net(crops.to(self.device))
            points = found.points.cpu() * scale + 2 * size / (size - 1) * torch.tensor([dx, dy])
            looks.append((points, found.spread.cpu() * scale))
        places, spread = zip(*looks, strict=True)
        return Look(torch.stack(places).mean(dim=0), torch.stack(spread).mean(dim=0))

    def _best_square(self, picture: Picture) -> Square:
        """The one in which the landmarks are most certain for the size of the face."""
        squares = first_squares(picture)
        seen = self._look([picture] * len(squares), squares)
        extent = seen.points.std(dim=1).mean(dim=1)
        return squares[int((seen.spread.mean(dim=1) / extent).argmin())]

    def _sightings(self, pictures: Sequence[Picture], squares: Sequence[Square], seen: Look) -> Sightings:
        """The landmarks with the projections of the crops, double precision, pixels of the landmark network's crops."""
        size = self.net.sizes.image
        half = (size - 1) / 2
        spread = (seen.spread.double() * half).clamp_min(LEAST_SPREAD)
        return Sightings(
            _projection(pictures, squares, size)[None], (seen.points.double()[None] + 1) * half, spread[None]
        )

    def _pose(self, pictures: Sequence[Picture], squares: Sequence[Square], seen: Look) -> Pose:
        """The head's pose by landmarks; facing the first camera at the scene's centre where these contradict it."""
        sightings = self._sightings(pictures, squares, seen)
        pose, _ = find_pose(self.model, sightings)
        error = residuals(self.model, sightings, pose).norm(dim=-1) * sightings.spread
        if float(error.median()) <= LARGEST_ERROR:
            return pose
        log.warning("placement: the landmarks do not fit a head (median error %.1f px)", float(error.median()))
        fallback, scene = facing_pose(self.model, sightings, 0), pictures[0].view.scene
        return fallback if scene is None else Pose(fallback.rotation, torch.from_numpy(scene[None, :3, 3].copy()))

    def _squares(
        self, pictures: Sequence[Picture], pose: Pose, previous: Sequence[Square], radius: float = CROP_RADIUS
    ) -> list[Square]:
        centre = (pose.rotation[0].numpy() @ self.centre) + pose.translation[0].numpy()
        found = [square_of_sphere(p.camera, centre, radius) for p in pictures]
        return [f or p for f, p in zip(found, previous, strict=True)]
