"""From a sample to a mesh: crops, landmarks, placement of the head, vertex descent, fit. LVD and GLVD share it."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from harness.methods.lvd.descents import LEAST_SPREAD, normalised_projection
from harness.methods.lvd.landmarks import LandmarkNetwork, Landmarks
from harness.methods.lvd.modes import HeadFitter, head_signature, modes_of, same_head
from harness.methods.lvd.network import landmark_clues
from numpy.typing import NDArray
from torch import Tensor, nn

from harness.adapter import MethodAdapter
from harness.errors import DataError, HarnessError
from harness.geometry.crop import Square, square_of_box, square_of_mask, square_of_sphere
from harness.geometry.placement import Pose, Sightings, facing_pose, find_pose, residuals
from harness.heads.head import Head
from harness.heads.procedural import procedural_head
from harness.samples import Camera, Prediction, Sample, View
from harness.training import read_weights
from harness.training_data import normalise
from harness.training_pictures import CROP_RADIUS, crop_centre

log = logging.getLogger(__name__)

LARGEST_ERROR = 8.0  # pixels of a crop: with a larger median error the placement is not believed


@dataclass(frozen=True, eq=False)
class Picture:
    """A view as read: pixels, the mask if there is one, and a camera, assumed if there is none."""

    view: View
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_] | None
    camera: Camera


@dataclass(frozen=True, eq=False)
class Placed:
    """Crops of a sample around the placed head.

    Attributes:
        images: (1, n, 4, S, S) network input.
        projection: (1, n, 3, 4) head frame -> homogeneous coordinates in [-1, 1].
        rotation: (1, n, 3, 3) head frame -> camera.
        heat_maps: (1, n, 68, h, w) of the landmark network.
        clues: (1, n, 204), see `harness.methods.lvd.network.landmark_clues`.
        pose: head frame -> world.
    """

    images: Tensor
    projection: Tensor
    rotation: Tensor
    heat_maps: Tensor
    clues: Tensor
    pose: Pose


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
        device: of the network.
    """

    def __init__(self, net: LandmarkNetwork, head: Head, size: int, device: torch.device) -> None:
        self.net, self.size, self.device = net, size, device
        self.model = head.landmarks(head.template[None]).double()
        self.centre = crop_centre(head)

    def __call__(self, pictures: Sequence[Picture]) -> Placed:
        """Looks for the head in every picture, places it, looks again in crops around it, places it again."""
        squares = [self._best_square(p) for p in pictures]
        pose = self._pose(pictures, squares)
        squares = self._squares(pictures, pose, squares)
        pose = self._pose(pictures, squares)
        squares = self._squares(pictures, pose, squares)
        seen, to_head = self._look(pictures, squares), pose.matrix()
        projection = normalised_projection(_projection(pictures, squares, self.size) @ to_head, self.size).float()[None]
        images = torch.stack([crop_input(p, s, self.size) for p, s in zip(pictures, squares, strict=True)])
        rotation = torch.stack([torch.from_numpy(p.camera.rotation.copy()) for p in pictures]) @ pose.rotation
        return Placed(
            images[None].to(self.device),
            projection.to(self.device),
            rotation.float()[None].to(self.device),
            seen.heat_maps[None],
            landmark_clues(
                seen.points[None], seen.spread[None], projection.to(self.device), self.model[0].to(seen.points)
            ),
            pose,
        )

    def _look(self, pictures: Sequence[Picture], squares: Sequence[Square]) -> Landmarks:
        """The landmarks in the crops, in [-1, 1]."""
        size = self.net.sizes.image
        crops = torch.stack([crop_input(p, s, size) for p, s in zip(pictures, squares, strict=True)])
        with torch.inference_mode():
            found: Landmarks = self.net(crops.to(self.device))
        return found

    def _best_square(self, picture: Picture) -> Square:
        """The one in which the landmarks are most certain for the size of the face."""
        squares = first_squares(picture)
        seen = self._look([picture] * len(squares), squares)
        extent = seen.points.std(dim=1).mean(dim=1)
        return squares[int((seen.spread.mean(dim=1) / extent).argmin())]

    def _pose(self, pictures: Sequence[Picture], squares: Sequence[Square]) -> Pose:
        """The head's pose by landmarks; facing the first camera at the scene's centre where these contradict it."""
        found, half = self._look(pictures, squares), (self.net.sizes.image - 1) / 2
        points = (found.points.double().cpu() + 1) * half
        spread = (found.spread.double().cpu() * half).clamp_min(LEAST_SPREAD)
        projection = _projection(pictures, squares, self.net.sizes.image)
        seen = Sightings(projection[None], points[None], spread[None])
        pose, _ = find_pose(self.model, seen)
        error = residuals(self.model, seen, pose).norm(dim=-1) * spread
        if float(error.median()) <= LARGEST_ERROR:
            return pose
        log.warning("placement: the landmarks do not fit a head (median error %.1f px)", float(error.median()))
        fallback, scene = facing_pose(self.model, seen, 0), pictures[0].view.scene
        return fallback if scene is None else Pose(fallback.rotation, torch.from_numpy(scene[None, :3, 3].copy()))

    def _squares(self, pictures: Sequence[Picture], pose: Pose, previous: Sequence[Square]) -> list[Square]:
        centre = (pose.rotation[0].numpy() @ self.centre) + pose.translation[0].numpy()
        found = [square_of_sphere(p.camera, centre, CROP_RADIUS) for p in pictures]
        return [f or p for f, p in zip(found, previous, strict=True)]


class DescentAdapter(MethodAdapter):
    """What the adapters of LVD and GLVD have in common.

    Args:
        size: "mini" or "paper".
        weights: a file that training exported; None: the one beside the adapter (mini only).
        steps: of the descent.
        fit: "head": replace the descended mesh by the nearest head of the linear model; "none": leave it.
        head: the topology; only the procedural head has shipped weights.
        random_weights: let a network without weights run, to measure its speed.

    Raises:
        HarnessError: an option has a value that does not exist.
    """

    unit = "mm"
    family = "vertex descent"
    name: str
    folder: Path

    def __init__(
        self,
        size: str = "mini",
        weights: str | None = None,
        steps: int = 10,
        fit: str = "head",
        head: str = "procedural",
        random_weights: bool = False,
    ) -> None:
        for option, value, allowed in (
            ("size", size, ("mini", "paper")),
            ("fit", fit, ("head", "none")),
            ("head", head, ("procedural",)),
        ):
            if value not in allowed:
                raise HarnessError(f"{self.name}: option {option}={value!r}, expected one of {', '.join(allowed)}")
        if size == "paper" and weights is None and not random_weights:
            raise HarnessError(
                f"{self.name}: there are no published face weights for size=paper; give method.options.weights=FILE, "
                "or method.options.random_weights=true to measure speed only"
            )
        self.size, self.steps, self.fit, self.random_weights = size, steps, fit, random_weights
        self.weights = Path(weights) if weights else self.folder / "mini.safetensors"

    @abstractmethod
    def build(self, vertices: int) -> nn.Module:
        """The network of the chosen size, without weights; has `sizes.image`."""

    @abstractmethod
    def descend(self, placed: Placed) -> Tensor:
        """(1, V, 3) vertices in the head's frame after the descent."""

    def load(self, device: torch.device) -> None:
        """Builds the networks and reads their weights. Raises HarnessError if these are missing or do not fit."""
        self.head = procedural_head()
        self.net = self.build(len(self.head.template))
        self.landmarks = LandmarkNetwork()
        if not self.random_weights:
            self._read_weights()
        self.net.eval().requires_grad_(False).to(device)
        self.landmarks.eval().requires_grad_(False).to(device)
        self.finder = HeadFinder(self.landmarks, self.head, int(self.net.sizes.image), device)  # type: ignore[union-attr, arg-type]
        self.fitter = HeadFitter(modes_of(self.head))
        self.template = self.head.template[None].to(device)

    def _read_weights(self) -> None:
        if not self.weights.exists():
            raise HarnessError(f"{self.weights}: weights are missing; `python -m harness train method={self.name}`")
        tensors, metadata = read_weights(self.weights)
        current = head_signature(self.head)
        if not same_head(metadata.get("head", "unknown"), current):
            raise HarnessError(
                f"{self.weights}: trained for head {metadata.get('head')}, the present one is {current}; "
                f"train again: `python -m harness train method={self.name}`"
            )
        try:
            nn.ModuleDict({"net": self.net, "landmarks": self.landmarks}).load_state_dict(tensors)
        except RuntimeError as error:
            raise HarnessError(f"{self.weights}: does not fit the {self.size} network ({error})") from None

    def predict(self, samples: Sequence[Sample]) -> list[Prediction]:
        """One head in world millimetres per sample; for a sample without cameras, in its first camera's frame."""
        return [self._predict(sample) for sample in samples]

    def _predict(self, sample: Sample) -> Prediction:
        # Without cameras nothing relates the views, so only the first can be used.
        views = [v for v in sample.views if v.camera is not None] or [sample.views[0]]
        try:
            pictures = [read_picture(view) for view in views]
        except DataError as error:
            return Prediction.failed("bad_input", str(error))
        placed = self.finder(pictures)
        with torch.inference_mode():
            vertices = self.descend(placed)[0].double().cpu()
        if not torch.isfinite(vertices).all():
            return Prediction.failed("non_finite", "the descent diverged")
        parameters = {}
        if self.fit == "head":
            fitted = self.fitter(vertices)
            vertices = fitted.vertices
            parameters = {k: v.numpy() for k, v in self.fitter.modes.parameters(fitted.coefficients).items()}
        world = vertices @ placed.pose.rotation[0].T + placed.pose.translation[0]
        return Prediction(
            vertices=world.numpy(),
            faces=self.head.faces.numpy(),
            landmarks=self.head.landmarks(world[None].float())[0].numpy(),
            parameters=parameters,
            in_world_frame=views[0].camera is not None,
        )
