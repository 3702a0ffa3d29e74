"""The frames that FaRL's heads see: a face aligned by five points, its surroundings squeezed in by tanh.

Pixels of the frame and of the picture count from the middle of the top left one. In a frame of `size` pixels a
coordinate is u = 2 x / size - 1; within 1 - w of the middle the frame shows the aligned picture as it is, and beyond
that a frame's u comes from 1 - w + w atanh((|u| - 1 + w) / w), so that for w = 0.8 the whole picture fits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from harness.errors import ContractError
from harness.methods.regression.arcface import similarity_2d
from harness.samples import Array

SIZE = 512
FACTOR = 0.8
"""Of the parsing of LaPa; CelebAMask-HQ's pictures are neither aligned nor warped."""
STANDARD = np.array([[196.0, 226.0], [316.0, 226.0], [256.0, 286.0], [220.0, 360.4], [292.0, 360.4]])
"""Eyes, nose tip and mouth corners, the image's left ones first, in a frame of 512 pixels before its scaling."""
_LARGEST = 0.999  # argument of atanh


@dataclass(frozen=True, eq=False)
class Frame:
    """A warped frame of a picture.

    Attributes:
        matrix: (3, 3) pixels of the picture -> aligned pixels of the frame, before the warp.
        factor: w, 0 for none, up to 1.
        size: side in pixels.
    """

    matrix: Array
    factor: float = FACTOR
    size: int = SIZE

    def __post_init__(self) -> None:
        if not 0 <= self.factor <= 1 or self.size < 1:
            raise ContractError(f"frame: factor {self.factor}, size {self.size}; expected 0 to 1 and a positive size")

    @classmethod
    def of_points(cls, points: Array, factor: float = FACTOR, size: int = SIZE) -> Frame:
        """The frame in which five points (5, 2) of a face, in the order of STANDARD, stand best in their places.

        Raises:
            ContractError: the points are NaN, or all in one place.
        """
        return cls(similarity_2d(points, STANDARD / 256 * (size - 1) / 2), factor, size)

    def to_frame(self, points: Array) -> Array:
        """(N, 2) pixels of the picture -> (N, 2) pixels of the frame."""
        aligned = points @ self.matrix[:2, :2].T + self.matrix[:2, 2]
        return self._bent(aligned, lambda beyond: np.tanh(beyond))

    def to_picture(self, points: Array) -> Array:
        """(N, 2) pixels of the frame -> (N, 2) pixels of the picture."""
        inverse = np.linalg.inv(self.matrix)
        bent = self._bent(points, lambda beyond: np.arctanh(np.clip(beyond, -_LARGEST, _LARGEST)))
        return np.asarray(bent @ inverse[:2, :2].T + inverse[:2, 2])

    def _bent(self, points: Array, curve: Callable[[Array], Array]) -> Array:
        if self.factor == 0:
            return np.asarray(points, dtype=np.float64)
        u = 2 * np.asarray(points, dtype=np.float64) / self.size - 1
        beyond = np.maximum(np.abs(u) - (1 - self.factor), 0)
        bent = np.where(beyond > 0, np.sign(u) * (1 - self.factor + self.factor * curve(beyond / self.factor)), u)
        return np.asarray((bent + 1) * self.size / 2)

    def cut(self, picture: Array) -> Tensor:
        """(H, W, 3) uint8 RGB -> (1, 3, size, size) in 0..1; black outside the picture."""
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
        return sampled(pixels, self.to_picture(grid(self.size, self.size)), (self.size, self.size))

    def label_map(self, logits: Tensor, height: int, width: int) -> Array:
        """(H, W) classes of the picture's pixels, from logits (1, C, size, size) of the frame.

        Every pixel's logits are sampled bilinearly, and as 0 outside of the frame, before the largest is taken.
        """
        found = sampled(logits, self.to_frame(grid(height, width)), (height, width))
        return found[0].argmax(dim=0).cpu().numpy()


def grid(height: int, width: int) -> Array:
    """(height * width, 2) x and y of all pixels, row by row."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)


def sampled(values: Tensor, points: Array, shape: tuple[int, int]) -> Tensor:
    """(1, C, H, W) at pixels (h * w, 2), bilinearly and 0 outside -> (1, C, h, w)."""
    size = np.array(values.shape[:1:-1], dtype=np.float64)
    places = torch.from_numpy((2 * points + 1) / size - 1).to(values).reshape(1, *shape, 2)
    return functional.grid_sample(values, places, mode="bilinear", padding_mode="zeros", align_corners=False)
