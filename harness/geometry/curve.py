"""An order of points in which those that stand together are close in space, found fast."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.geometry.morton import morton_keys

Array = NDArray[Any]

# Ten bits with two zeros before each.
_SPREAD = morton_keys(np.arange(1024.0)[:, None] * [1.0, 0.0, 0.0], 1.0).astype(np.int32)


def along_curve(points: Array) -> Array:
    """(N,) indices of points (N, 3), N > 0, along Morton's curve through a grid of 1024^3 cells."""
    low, extent = bounds(points)
    scale = 1023 / max(extent.max(), 1e-30)
    x, y, z = (((column - start) * scale).astype(np.int32) for column, start in zip(points.T, low, strict=True))
    keys = _SPREAD[x] | _SPREAD[y] << 1 | _SPREAD[z] << 2
    # Sorting 16 bits at a time is faster than all at once.
    order = np.argsort((keys & 0xFFFF).astype(np.uint16), kind="stable")
    return np.asarray(order[np.argsort((keys >> 16).astype(np.uint16)[order], kind="stable")])


def bounds(points: Array) -> tuple[Array, Array]:
    """The lowest corner and the sides of the box around points; by columns, which numpy does far faster."""
    low = np.array([column.min() for column in points.T])
    return low, np.array([column.max() for column in points.T]) - low
