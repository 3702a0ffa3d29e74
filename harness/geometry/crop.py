"""Square crops of images, and what a crop does to pixel coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from harness.samples import Array, Camera


@dataclass(frozen=True)
class Square:
    """A square part of an image, which may reach beyond it; pixels, centres at integers.

    Attributes:
        x, y: its centre.
        side: from edge to edge (a square that is the whole of a 100 pixel image has its centre at 49.5, side 100).
    """

    x: float
    y: float
    side: float

    def matrix(self, size: int) -> NDArray[np.float64]:
        """(3, 3) takes homogeneous image pixels to pixels of a crop of `size` x `size`."""
        scale = size / self.side
        shift = (size - 1) / 2
        return np.array([[scale, 0, shift - scale * self.x], [0, scale, shift - scale * self.y], [0, 0, 1]])

    def cut(self, image: Array, size: int) -> Array:
        """(H, W, C) or (H, W) uint8 image -> the crop, (size, size, ...), area-filtered, black outside the image."""
        left, top = self.x + 0.5 - self.side / 2, self.y + 0.5 - self.side / 2
        height, width = image.shape[:2]
        before = (max(0, int(np.ceil(-top))), max(0, int(np.ceil(-left))))
        after = (max(0, int(np.ceil(top + self.side - height))), max(0, int(np.ceil(left + self.side - width))))
        padding = [(before[0], after[0]), (before[1], after[1])] + [(0, 0)] * (image.ndim - 2)
        padded = np.pad(image, padding)
        left, top = left + before[1], top + before[0]
        box = (left, top, left + self.side, top + self.side)
        return np.asarray(Image.fromarray(padded).resize((size, size), Image.Resampling.BILINEAR, box=box))


def square_of_box(box: Array, margin: float = 1.0) -> Square:
    """The square around left, top, right, bottom (4,): centre of the box, side = longer side x `margin`."""
    left, top, right, bottom = (float(v) for v in box)
    return Square((left + right) / 2, (top + bottom) / 2, margin * max(right - left, bottom - top, 1.0))


def square_of_mask(mask: Array, margin: float = 1.0) -> Square | None:
    """The square around the true pixels of (H, W) `mask`; None where there are none."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return None
    return square_of_box(np.array([columns[0] - 0.5, rows[0] - 0.5, columns[-1] + 0.5, rows[-1] + 0.5]), margin)


def square_of_sphere(camera: Camera, centre: Array, radius: float) -> Square | None:
    """The square around the image of a sphere (world millimetres); None where the camera is in or past it.

    To first order: the sphere's distance counts as the depth of its centre.
    """
    point = camera.rotation @ centre + camera.translation
    if point[2] <= radius:
        return None
    x, y = camera.project(np.asarray(centre)[None])[0]
    focal = (camera.intrinsics[0, 0] + camera.intrinsics[1, 1]) / 2
    return Square(float(x), float(y), float(2 * radius * focal / point[2]))
