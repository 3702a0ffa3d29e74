"""Points sorted into the cells of a grid, and the nearest few of them, in float64."""

# Kernels are not Python: Warp's own types for them describe calls from outside.
# mypy: disable-error-code="arg-type,call-overload,index,operator"

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError
from harness.geometry.curve import bounds
from harness.geometry.nearest_few import LISTED, ZERO, Nearest, Places, inserted, none_within
from harness.geometry.point_boxes import boxes_around
from harness.geometry.surface_kernels import Integers, Vector, Vectors
from harness.geometry.warp_setup import wp

Array = NDArray[Any]

_CELL = 2.8  # times the mean spacing: few cells to visit, of which each holds few points
_CROWDED = 300  # points that share a cell, on average over all points


@wp.struct
class Cells:
    """Points in the order of their cells; coordinates about `PointGrid.centre`.

    Attributes:
        points: (N,) in order.
        starts: (X * Y * Z + 1,) cell (x, y, z) holds the points from `starts[(x * Y + y) * Z + z]` to the next start.
        corner: of the first cell.
        size: of a cell.
        slack: more than what rounding does to a length here.
        counts: X, Y, Z.
    """

    points: Vectors
    starts: Integers
    corner: Vector
    size: wp.float64
    slack: wp.float64
    counts: wp.vec3i


@wp.func
def square_to(cells: Cells, place: int, p: Vector) -> wp.float64:
    """The squared distance from p to a point."""
    offset = cells.points[place] - p
    return wp.dot(offset, offset)


@wp.func
def largest_square(cells: Cells, places: Places, p: Vector) -> wp.float64:
    """The squared distance from p to the farthest of some points."""
    largest = ZERO
    for j in range(LISTED):
        largest = wp.max(largest, square_to(cells, places[j], p))
    return largest


@wp.func
def _cell(coordinate: wp.float64, size: wp.float64, count: int) -> int:
    return int(wp.clamp(wp.floor(coordinate / size), ZERO, wp.float64(count - 1)))


@wp.func
def _outside(q: wp.float64, cell: int, cells: Cells) -> wp.float64:
    """At least how far a coordinate (about the corner) lies outside a cell's slab."""
    low = wp.float64(cell) * cells.size
    return wp.max(wp.max(low - q, q - low - cells.size) - cells.slack, ZERO)


@wp.func
def nearest_within(p: Vector, limit: wp.float64, cells: Cells) -> Nearest:
    """The LISTED points nearest to p, of those whose squared distance is below `limit`; missing ones have that square.

    Goes through the rows of cells that a ball about p touches; the ball shrinks to the last of the nearest so far.
    """
    near = none_within(limit)
    q = p - cells.corner
    reach = wp.sqrt(limit) + cells.slack
    x_home = _cell(q[0], cells.size, cells.counts[0])
    y_home = _cell(q[1], cells.size, cells.counts[1])
    x_first = _cell(q[0] - reach, cells.size, cells.counts[0])
    x_last = _cell(q[0] + reach, cells.size, cells.counts[0])
    y_first = _cell(q[1] - reach, cells.size, cells.counts[1])
    y_last = _cell(q[1] + reach, cells.size, cells.counts[1])
    z_first = _cell(q[2] - reach, cells.size, cells.counts[2])
    z_last = _cell(q[2] + reach, cells.size, cells.counts[2])
    # The row through p first: the sooner near points are found, the fewer others are taken for a while.
    for a in range(x_last - x_first + 1):
        x = x_home + a
        if x > x_last:
            x = x_last - a
        dx = _outside(q[0], x, cells)
        for b in range(y_last - y_first + 1):
            y = y_home + b
            if y > y_last:
                y = y_last - b
            dy = _outside(q[1], y, cells)
            left = near.squares[LISTED - 1] - dx * dx - dy * dy
            if left > ZERO:
                row = (x * cells.counts[1] + y) * cells.counts[2]
                first = cells.starts[row + z_first]
                last = cells.starts[row + z_last + 1]
                for k in range(first, last):
                    d = square_to(cells, k, p)
                    if d < near.squares[LISTED - 1]:
                        near = inserted(near, k, d)
    return near


class PointGrid:
    """Points in the cells of a grid about twice as large as the points are apart, for points on a surface.

    Args:
        points: (N, 3), finite, N > 0.

    Raises:
        ContractError: NaN or infinite values.

    Attributes:
        centre: (3,) the mean of the points.
        numbers: (N,) which of the given points stands where in the grid's order.
        points: (N, 3) in that order, about the centre.
        cells: the same for kernels, on the CPU.
        farthest: to what distance looking through cells is worth it; below 0 where the points crowd in a few of them.
    """

    def __init__(self, points: Array) -> None:
        low, extent = bounds(points)
        if not np.isfinite(extent).all():
            raise ContractError("points: some are NaN or infinite, or too far apart")
        self.centre = np.full(len(points), 1 / len(points)) @ points  # near most of them, whatever strays
        size, counts = _cell_size(extent, len(points))
        x, y, z = (
            np.floor((column - start) / size).astype(np.int64) for column, start in zip(points.T, low, strict=True)
        )
        cell = (x * counts[1] + y) * counts[2] + z
        if counts.prod() <= 2**16:
            cell = cell.astype(np.uint16)  # which is sorted ten times as fast
        self.numbers = np.argsort(cell, kind="stable")
        self.points = points[self.numbers] - self.centre
        held = np.bincount(cell, minlength=counts.prod())
        self._starts = np.concatenate([[0], np.cumsum(held)]).astype(np.int32)
        crowded = held @ held > _CROWDED * len(points)
        self.farthest = 2 * size if not crowded and 1e-30 < size < 1e30 else -1.0
        kind: Any = Cells
        self.cells = kind()
        self.cells.points = wp.array(self.points, dtype=wp.vec3d, device="cpu", copy=False)
        self.cells.starts = wp.array(self._starts, dtype=wp.int32, device="cpu", copy=False)
        self.cells.corner, self.cells.size = wp.vec3d(*(low - self.centre)), size
        self.cells.slack = 1e-9 * float(extent.max() + np.abs(self.centre).max())
        self.cells.counts = wp.vec3i(*counts.tolist())

    @cached_property
    def boxes(self) -> Any:
        """`Boxes` around `points`, for what is farther away, or where they crowd."""
        return boxes_around(self.points)


def _cell_size(extent: Array, count: int) -> tuple[float, Array]:
    """Of cells, and how many there are along each axis: not many more than points."""
    a, b, c = extent
    spacing = float(np.sqrt((a * b + b * c + c * a) / count))  # of a surface about as large as half the box's
    size = float(max(_CELL * spacing, float(extent.max()) / 500, np.finfo(np.float64).tiny))
    while True:
        counts = np.floor(extent / size).astype(np.int64) + 1
        if counts.prod() <= 8 * count + 1000:
            return size, counts
        size *= 1.2
