"""What KaoLRM trains on: whole pictures on white, each subject from several sides, in the network's frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from harness.heads.head import Head
from harness.methods.kaolrm.cameras import DISTANCE
from harness.methods.regression.decoding import METRES
from harness.samples import Camera
from harness.training_data import TrainingSet, cut, projected, vary_colour
from harness.training_pictures import CROP_RADIUS, PictureSettings, crop_centre, render_training_set

_FLIP = torch.diag(torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64))


@dataclass(frozen=True)
class Framing:
    """How the pictures that the network reads vary.

    Attributes:
        zoom: smallest and largest enlargement of the rendered picture.
        shift: largest shift, in sides of the picture.
        colour: as in `harness.training_data.Augmentation`.
    """

    zoom: tuple[float, float] = (0.8, 1.2)
    shift: float = 0.06
    colour: float = 1.0


@dataclass(frozen=True)
class Plan:
    """How much a lesson holds.

    Attributes:
        subjects: B.
        views: n pictures of each, at most as many as were rendered.
        drawn: D of the subjects whose pictures are drawn again.
        read: side S of the pictures that the network reads.
        side: R of those that are drawn.
    """

    subjects: int = 16
    views: int = 3
    drawn: int = 2
    read: int = 112
    side: int = 64


@dataclass(frozen=True, eq=False)
class Lesson:
    """B subjects: one picture each that the network reads, n that it is measured by, the same one first.

    Attributes:
        images: (B, 3, S, S) what the network reads, 0..1, on white.
        pictures: (D, n, 3, R, R) what is drawn again, 0..1, on white; of the first D subjects.
        masks: (D, n, 1, R, R) 1 on the subject.
        landmarks: (B, n, 68, 2) pixels of `pictures`.
        projections: (B, n, 3, 4) points of the network's frame -> homogeneous pixels of `pictures`.
        cameras: B rows of n, the same as `projections`.
        meshes: (B, V, 3) the subject's head in the network's frame.
    """

    images: Tensor
    pictures: Tensor
    masks: Tensor
    landmarks: Tensor
    projections: Tensor
    cameras: list[list[Camera]]
    meshes: Tensor

    @property
    def side(self) -> int:
        """R."""
        return self.cameras[0][0].width

    def to(self, device: torch.device) -> Lesson:
        """The same with its tensors on another device."""
        moved: dict[str, Any] = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **moved)


@dataclass(frozen=True, eq=False)
class Frames:
    """From heads to the network's frame: point = scale * (rotation @ head's millimetres) + shift; (B, ...), double."""

    scale: Tensor
    rotation: Tensor
    shift: Tensor

    def place(self, points: Tensor) -> Tensor:
        """(B, N, 3) millimetres of the head -> (B, N, 3)."""
        return self.scale[:, None, None] * (points @ self.rotation.mT) + self.shift[:, None]


class Material:
    """The rendered subjects.

    Args:
        settings: what is rendered.
        folder: where to.
        head: the model that is drawn.
        focal: of the lens that the network's frame stands before, in widths of the picture.
    """

    def __init__(self, settings: PictureSettings, folder: Path, head: Head, focal: float) -> None:
        self.pictures = TrainingSet(render_training_set(settings, folder, head), head.template)
        self.focal = focal
        self.centre = torch.from_numpy(crop_centre(head))
        self.root = (head.joint_regressor[0] @ head.template).double()

    def lesson(self, plan: Plan, framing: Framing, generator: torch.Generator) -> Lesson:
        """Random subjects; their first picture is the one that is read."""
        subjects, views, sizes = plan.subjects, plan.views, (plan.read, plan.side)
        who, chosen = self.pictures.random_views(subjects, views, generator)
        rows = (who.numpy()[:, None], chosen.numpy())
        first, again = (who.numpy(), chosen.numpy()[:, 0]), (rows[0][: plan.drawn], rows[1][: plan.drawn])
        arrays = self.pictures.arrays
        rendered = arrays["images"].shape[2]
        to_read = _framed(subjects, rendered, sizes[0], framing, generator)
        images = on_white(cut(on_black(arrays["images"][first]), to_read, sizes[0]))
        images = vary(images, framing.colour, generator)
        drawn = smaller(on_black(arrays["images"][again].reshape(-1, rendered, rendered, 4)), sizes[1])
        to_drawn = _smaller(rendered, sizes[1])
        projection = torch.from_numpy(arrays["projection"][rows])
        rotation = torch.from_numpy(arrays["rotation"][rows])
        sphere = torch.from_numpy(arrays["spheres"][rows])[:, 0]
        frames = self._frames(rotation[:, 0], sphere, to_read.double(), sizes[0])
        cameras = _cameras(projection, rotation, frames, to_drawn, sizes[1])
        points = torch.from_numpy(arrays["landmarks"][who.numpy()].astype(np.float64))
        matrices = torch.from_numpy(np.stack([[camera.projection for camera in row] for row in cameras]))
        mesh = self.pictures.template.double() + torch.from_numpy(arrays["offsets"][who.numpy()].astype(np.float64))
        return Lesson(
            images=images,
            pictures=on_white(drawn).unflatten(0, (plan.drawn, views)),
            masks=drawn[:, 3:].unflatten(0, (plan.drawn, views)),
            landmarks=projected(frames.place(points), matrices).float(),
            projections=matrices.float(),
            cameras=cameras,
            meshes=frames.place(mesh).float(),
        )

    def _frames(self, rotation: Tensor, sphere: Tensor, to_read: Tensor, size: int) -> Frames:
        """The frames in which the network's camera sees the heads where the pictures that it reads show them.

        A head turns about its first joint and is then moved, but not in depth, since a long lens cannot tell that.

        Args:
            rotation: (B, 3, 3) head to camera.
            sphere: (B, 3) centre and radius in rendered pixels of the sphere of CROP_RADIUS about the head's middle.
            to_read: (B, 3, 3) rendered to read pixels.
            size: side of the picture that is read.
        """
        turn = _FLIP @ rotation
        centre = torch.einsum("bij,bj->bi", to_read[:, :2, :2], sphere[:, :2]) + to_read[:, :2, 2]
        radius = sphere[:, 2] * to_read[:, 0, 0]
        behind = (turn @ (self.centre - self.root) + self.root) / METRES  # metres from the frame's middle, unscaled
        lens = self.focal * size
        scale = DISTANCE * radius / (lens * CROP_RADIUS / METRES + radius * behind[:, 2])
        depth = DISTANCE - scale * behind[:, 2]
        place = (centre - (size - 1) / 2) * (depth / lens)[:, None] * torch.tensor([1.0, -1.0], dtype=torch.float64)
        about = (self.root - turn @ self.root) / METRES
        shift = scale[:, None] * about
        shift[:, :2] += place - scale[:, None] * behind[:, :2]
        return Frames(scale / METRES, turn, shift)


def _framed(count: int, side: int, size: int, framing: Framing, generator: torch.Generator) -> Tensor:
    """(N, 3, 3) rendered pixels -> read pixels, each its own."""
    low, high = framing.zoom
    zoom = low + (high - low) * torch.rand(count, generator=generator)
    shift = framing.shift * (2 * torch.rand(count, 2, generator=generator) - 1) * size
    scale = zoom * (size - 1) / (side - 1)
    matrix = torch.eye(3).repeat(count, 1, 1)
    matrix[:, 0, 0] = matrix[:, 1, 1] = scale
    matrix[:, :2, 2] = (size - 1) / 2 - scale[:, None] * (side - 1) / 2 + shift
    return matrix


def _smaller(side: int, size: int) -> Tensor:
    """(3, 3) pixels of a picture -> pixels of the same picture averaged down to `size`."""
    scale = size / side
    return torch.tensor([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2], [0, 0, 1]], dtype=torch.float64)


def _cameras(projection: Tensor, rotation: Tensor, frames: Frames, to_drawn: Tensor, size: int) -> list[list[Camera]]:
    """The cameras of the pictures in the network's frame, of (B, n, 3, 4) projections and (B, n, 3, 3) rotations."""
    lens = projection[..., :3] @ rotation.mT
    shift = torch.linalg.solve(lens, projection[..., 3:])[..., 0]
    turn = rotation @ frames.rotation.mT[:, None]
    moved = frames.scale[:, None, None] * shift - torch.einsum("bnij,bj->bni", turn, frames.shift)
    lens = to_drawn @ (lens / lens[..., 2:, 2:])
    lens[..., 0, 1] = lens[..., 1, 0] = lens[..., 2, 0] = lens[..., 2, 1] = 0.0  # what rounding left there
    return [
        [Camera(lens[b, n].numpy(), turn[b, n].numpy(), moved[b, n].numpy(), size, size) for n in range(turn.shape[1])]
        for b in range(len(turn))
    ]


def smaller(pictures: Tensor, size: int) -> Tensor:
    """(N, C, S, S) -> (N, C, size, size), means over areas; also of no pictures at all."""
    if not len(pictures):
        return pictures.new_zeros(0, pictures.shape[1], size, size)
    return functional.interpolate(pictures, (size, size), mode="area")


def on_black(rendered: NDArray[np.uint8]) -> Tensor:
    """(N, S, S, 4) colour and mask -> (N, 4, S, S) in 0..1, black without the mask, so that means can be had."""
    pictures = torch.from_numpy(rendered).permute(0, 3, 1, 2).float() / 255
    return torch.cat([pictures[:, :3] * pictures[:, 3:], pictures[:, 3:]], dim=1)


def on_white(pictures: Tensor) -> Tensor:
    """(N, 4, S, S) colour on black and mask -> (N, 3, S, S) on white."""
    return pictures[:, :3] + 1 - pictures[:, 3:]


def vary(images: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Colours of (N, 3, S, S) pictures, white staying white; unchanged where the amount is 0."""
    if not amount:
        return images
    white = (images > 0.999).all(dim=1, keepdim=True)
    return torch.where(white, images, vary_colour(images, amount, generator))
