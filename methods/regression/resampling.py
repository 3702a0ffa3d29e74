"""Resampling of images at pixel coordinates, as scikit-image's `warp` does it (mode "constant", zero outside).

Order 1 is bilinear, order 3 the cubic convolution of Keys (1981) with a = -1/2, the Catmull-Rom spline: neither the
B-spline of SciPy nor the a = -3/4 of PyTorch and OpenCV. A neighbour outside the image counts as zero by itself, so
that the image's edge fades out. Nothing is filtered where the image is made smaller, as the regressors' own programs
do not filter either.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates
from scipy.sparse import csr_array

Order = Literal[1, 3]
Image8 = NDArray[np.uint8]
Reals = NDArray[np.float64]


def resample_grid(image: Image8, x: Reals, y: Reals, order: Order) -> Reals:
    """The image on a grid whose lines run along its own.

    Args:
        image: (H, W, 3) uint8.
        x: (w,) columns to look at, pixels; need not lie in the image.
        y: (h,) rows to look at.
        order: 1 or 3.

    Returns:
        (h, w, 3) float64, 0 to 255; what order 3 makes beyond the image's own range is cut off, as scikit-image does.
    """
    columns, across = _taps(x, image.shape[1], order)
    rows, down = _taps(y, image.shape[0], order)
    if not len(columns) or not len(rows):
        return np.zeros((len(y), len(x), 3))
    part = image[rows].take(columns, axis=1).astype(np.float64)
    lines = (down @ part.reshape(len(rows), -1)).reshape(len(y), len(columns), 3)
    turned = np.ascontiguousarray(lines.swapaxes(0, 1)).reshape(len(columns), -1)
    result = np.asarray((across @ turned).reshape(len(x), len(y), 3).swapaxes(0, 1))
    return result if order == 1 else _within(result, image)


def _taps(position: Reals, size: int, order: Order) -> tuple[NDArray[np.int64], csr_array]:
    """(n,) the rows (or columns) of the image that are needed, and (len(position), n) their weights."""
    first = np.floor(position)
    t = position - first
    if order == 1:
        weights = np.stack([1 - t, t])
    else:
        before, at = ((1 - 0.5 * t) * t - 0.5) * t, (1.5 * t - 2.5) * t * t + 1
        after, beyond = ((2 - 1.5 * t) * t + 0.5) * t, (0.5 * t - 0.5) * t * t
        weights = np.stack([before, at, after, beyond])
    taps = first.astype(np.int64) + np.arange(len(weights))[:, None] - (order == 3)
    inside = (taps >= 0) & (taps < size)
    needed, place = np.unique(taps[inside], return_inverse=True)
    target = np.broadcast_to(np.arange(len(position)), taps.shape)[inside]
    return needed, csr_array((weights[inside], (target, place)), shape=(len(position), len(needed)))


def _within(values: Reals, image: Image8) -> Reals:
    """Cuts off what is beyond the image's range, which takes in zero where the result does."""
    low, high = float(image.min()), float(image.max())
    if values.min() <= 0 <= values.max():
        low = 0.0
    return np.clip(values, low, high)


def resample_affine(image: Image8, to_image: Reals, size: int) -> Reals:
    """The image in a turned square, bilinear.

    Args:
        image: (H, W, 3) uint8.
        to_image: (2, 3) or (3, 3) takes homogeneous pixels of the square to pixels of the image.
        size: side of the square in pixels.

    Returns:
        (size, size, 3) float64, 0 to 255.
    """
    y, x = np.mgrid[:size, :size].reshape(2, -1)
    columns, rows = to_image[:2, :2] @ np.stack([x, y]) + to_image[:2, 2:]
    places = np.stack([rows, columns])
    channels = [map_coordinates(image[..., c], places, np.float64, order=1, mode="grid-constant") for c in range(3)]
    return np.stack(channels, axis=-1).reshape(size, size, 3)
