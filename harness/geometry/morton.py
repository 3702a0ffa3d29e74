"""An order of points in which those that stand together are close in space."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

_LARGEST = 2**21 - 1
_BLOCKS = {
    32: 0x001F00000000FFFF,
    16: 0x001F0000FF0000FF,
    8: 0x100F00F00F00F00F,
    4: 0x10C30C30C30C30C3,
    2: 0x1249249249249249,
}
"""Bits of a 21-bit number after it was cut in blocks of this many bits, moved apart to leave room for two others."""


def morton_keys(points: Array, size: float) -> Array:
    """(N,) int64: where on Morton's curve through a grid each point's cell is.

    What is remembered of one point, by a processor's cache, then often serves the next in order of the keys.

    Args:
        points: (N, 3), N > 0.
        size: of a cell; more than 2^21 of them in a row count as one.
    """
    places = np.minimum(np.floor((points - points.min(axis=0)) / size), _LARGEST).astype(np.int64)
    x, y, z = (_spread(column) for column in places.T)
    return np.asarray(x | y << 1 | z << 2)


def _spread(numbers: Array) -> Array:
    """Puts two zeros before each bit."""
    for shift, mask in _BLOCKS.items():
        numbers = (numbers | numbers << shift) & mask
    return numbers
