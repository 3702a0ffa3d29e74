"""Batches for training from rendered subjects that are kept on disk: crops, light and colour vary anew each time."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from harness.errors import HarnessError
from harness.files import read_json

IMAGE_MEAN = (0.485, 0.456, 0.406)
IMAGE_DEVIATION = (0.229, 0.224, 0.225)
ARRAYS = ("images", "projection", "rotation", "offsets", "landmarks", "spheres")


@dataclass(frozen=True)
class Augmentation:
    """How far crops, colours and masks vary.

    Attributes:
        scale: smallest and largest side of a crop, relative to the regular one.
        shift: largest shift of a crop, relative to its side.
        roll: largest turn of a crop in degrees.
        colour: 0 leaves the colours as rendered, 1 is the full variation.
        unmasked: share of views that keep their background, with a mask that is true everywhere.
    """

    scale: tuple[float, float] = (0.9, 1.15)
    shift: float = 0.06
    roll: float = 10.0
    colour: float = 1.0
    unmasked: float = 0.2


@dataclass(frozen=True, eq=False)
class Batch:
    """Subjects with n views each, in the head's own frame (millimetres).

    Attributes:
        images: (B, n, 4, S, S) normalised colours, zero outside the mask, and the mask.
        projection: (B, n, 3, 4) head -> homogeneous pixels of the crop.
        rotation: (B, n, 3, 3) head -> camera.
        vertices: (B, V, 3).
        landmarks: (B, 68, 3).
    """

    images: Tensor
    projection: Tensor
    rotation: Tensor
    vertices: Tensor
    landmarks: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        return Batch(*(getattr(self, f.name).to(device) for f in fields(self)))


class TrainingSet:
    """The folder that `harness.synthesis` rendered for training, memory-mapped.

    Arrays: `images` (N, n, s, s, 4) uint8 colour and mask; `projection` (N, n, 3, 4) head -> pixels; `rotation`
    (N, n, 3, 3); `offsets` (N, V, 3) float16 from the template; `landmarks` (N, 68, 3); `spheres` (N, n, 3) centre
    and radius of the regular crop in pixels. The head's frame is the one in which the template's landmarks lie
    closest to the subject's.
    """

    def __init__(self, folder: Path, template: Tensor) -> None:
        if not (folder / "manifest.json").exists():
            raise HarnessError(f"{folder}: no finished training set (manifest.json is missing); render it again")
        self.manifest = read_json(folder / "manifest.json")
        self.name = folder.name
        self.arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        self.template = template
        self.subjects, self.views = self.arrays["images"].shape[:2]

    def __len__(self) -> int:
        return int(self.subjects)

    def batch(
        self, subjects: Tensor, views: Tensor, size: int, augmentation: Augmentation, generator: torch.Generator
    ) -> Batch:
        """The views (B, n) of the subjects (B,), cropped to `size` and varied."""
        picked = {k: self._pick(k, subjects, views) for k in ("images", "projection", "rotation", "spheres")}
        shape = (len(subjects), views.shape[1])
        flat = {k: v.flatten(0, 1) for k, v in picked.items()}
        to_crop, roll = random_crops(flat["spheres"], size, augmentation, generator)
        images = vary(cut(flat["images"].permute(0, 3, 1, 2).float() / 255, to_crop, size), augmentation, generator)
        row = subjects.numpy()
        return Batch(
            images.unflatten(0, shape),
            (to_crop @ flat["projection"].float()).unflatten(0, shape),
            (roll @ flat["rotation"].float()).unflatten(0, shape),
            self.template + torch.from_numpy(self.arrays["offsets"][row].astype(np.float32)),
            torch.from_numpy(self.arrays["landmarks"][row].astype(np.float32)),
        )

    def _pick(self, name: str, subjects: Tensor, views: Tensor) -> Tensor:
        return torch.from_numpy(self.arrays[name][subjects.numpy()[:, None], views.numpy()])

    def random_batch(
        self, count: int, views: int, size: int, augmentation: Augmentation, generator: torch.Generator
    ) -> Batch:
        """`count` random subjects with `views` random views each; see `random_views`."""
        return self.batch(*self.random_views(count, views, generator), size, augmentation, generator)

    def random_views(
        self, count: int, views: int, generator: torch.Generator, among: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Random ones (count,) of the first `among` subjects and different views (count, views) of each.

        The first view, which is near-frontal, is three times as likely as each other.
        """
        subjects = torch.randint(among or len(self), (count,), generator=generator)
        weights = torch.ones(count, self.views)
        weights[:, 0] = 3
        return subjects, torch.multinomial(weights, views, generator=generator)


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


def random_crops(
    spheres: Tensor, size: int, augmentation: Augmentation, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Spheres (N, 3) of centre and radius in pixels -> image to crop (N, 3, 3) and the turn alone (N, 3, 3)."""
    count = len(spheres)
    spheres = spheres.float()
    low, high = augmentation.scale
    half = spheres[:, 2] * _uniform((count,), low, high, generator)
    centre = spheres[:, :2] + half[:, None] * 2 * augmentation.shift * _uniform((count, 2), -1, 1, generator)
    angle = torch.deg2rad(augmentation.roll * _uniform((count,), -1, 1, generator))
    turn = torch.eye(3).repeat(count, 1, 1)
    turn[:, 0, 0], turn[:, 0, 1] = angle.cos(), -angle.sin()
    turn[:, 1, 0], turn[:, 1, 1] = angle.sin(), angle.cos()
    scale = (size / (2 * half))[:, None, None]
    matrix = turn.clone()
    matrix[:, :2, :2] *= scale
    matrix[:, :2, 2] = (size - 1) / 2 - (matrix[:, :2, :2] @ centre[..., None])[..., 0]
    return matrix, turn


def projected(points: Tensor, projections: Tensor) -> Tensor:
    """(B, N, 3) points and (B, n, 3, 4) projections -> (B, n, N, 2) pixels."""
    image = torch.einsum("bnij,bkj->bnki", projections[..., :3], points) + projections[..., None, :, 3]
    return image[..., :2] / image[..., 2:]


def cut(images: Tensor, to_crop: Tensor, size: int) -> Tensor:
    """(N, C, s, s) images, (N, 3, 3) image to crop pixels -> (N, C, size, size), bilinear, zero outside."""
    axis = torch.arange(size, dtype=torch.float32)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)], dim=-1).flatten(0, 1)
    source = (pixels @ torch.linalg.inv(to_crop).mT)[..., :2].unflatten(1, (size, size))
    grid = source * (2 / (images.shape[-1] - 1)) - 1
    return functional.grid_sample(images, grid, align_corners=True)


def vary(crops: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """(N, 4, S, S) colour and mask in 0..1 -> normalised colours, zero outside a varied mask, and that mask."""
    colour = vary_colour(crops[:, :3], augmentation.colour, generator)
    mask = vary_mask(crops[:, 3:], generator)
    whole = torch.rand(len(crops), 1, 1, 1, generator=generator) < augmentation.unmasked
    return normalise(colour, torch.where(whole, torch.ones_like(mask), mask))


def normalise(colour: Tensor, mask: Tensor) -> Tensor:
    """Colours (N, 3, S, S) in 0..1 and mask (N, 1, S, S) -> network input (N, 4, S, S)."""
    mean = torch.tensor(IMAGE_MEAN, device=colour.device).view(3, 1, 1)
    deviation = torch.tensor(IMAGE_DEVIATION, device=colour.device).view(3, 1, 1)
    return torch.cat([(colour - mean) / deviation * mask, mask], dim=1)


def vary_colour(colour: Tensor, amount: float, generator: torch.Generator) -> Tensor:
    """Exposure, gamma, white balance, grey pictures, blur and noise, each image its own; (N, 3, S, S) in 0..1."""
    count = len(colour)
    one = (count, 1, 1, 1)
    gain = torch.exp(amount * _uniform(one, -0.4, 0.4, generator))
    balance = torch.exp(amount * _uniform((count, 3, 1, 1), -0.15, 0.15, generator))
    gamma = torch.exp(amount * _uniform(one, -0.3, 0.3, generator))
    result = (colour.clamp(0, 1) + 1e-4).pow(gamma) * gain * balance
    grey = result.mean(dim=1, keepdim=True)
    keep = torch.where(torch.rand(one, generator=generator) < 0.1 * amount, 0.0, _uniform(one, 0.6, 1.2, generator))
    result = grey + (result - grey) * (1 + amount * (keep - 1))
    soft = functional.avg_pool2d(result, 3, stride=1, padding=1, count_include_pad=False)
    result = result + (soft - result) * amount * _uniform(one, 0, 1, generator) ** 2
    noise = torch.randn(result.shape, generator=generator) * amount * _uniform(one, 0, 0.04, generator)
    return (result + noise).clamp(0, 1)


def vary_mask(mask: Tensor, generator: torch.Generator) -> Tensor:
    """Grows or shrinks each (N, 1, S, S) mask by up to two pixels; hard edges."""
    hard = (mask > 0.5).float()
    amounts = torch.randint(-2, 3, (len(mask),), generator=generator).tolist()
    return torch.stack([_grow(m, a) for m, a in zip(hard, amounts, strict=True)])


def _grow(mask: Tensor, pixels: int) -> Tensor:
    if pixels == 0:
        return mask
    sign = 1.0 if pixels > 0 else -1.0
    return sign * functional.max_pool2d(sign * mask, 2 * abs(pixels) + 1, stride=1, padding=abs(pixels))
