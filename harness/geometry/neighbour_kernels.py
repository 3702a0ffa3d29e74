"""The kernels behind `MovingNeighbours`: which target is nearest, and how long that must stay so."""

# Kernels are not Python: Warp's own types for them describe calls from outside.
# mypy: disable-error-code="arg-type,call-overload,index,operator"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.geometry.nearest_few import GROWN, LISTED, SHRUNK, TINY, Nearest, Places
from harness.geometry.point_boxes import Boxes, leaf_near, nearest_from, nearest_in_boxes, some_square
from harness.geometry.point_grid import Cells, largest_square, nearest_within, square_to
from harness.geometry.surface_kernels import Doubles, Flags, Integers, Matrix, Vector, Vectors
from harness.geometry.warp_setup import wp

CHUNK = wp.constant(64)  # points in a row whose first hands its answer to the next
SINGLE = wp.constant(wp.float64(1.2e-7))  # more than what rounding to float32 does to a length, and
SINGLE_SHRUNK = wp.constant(wp.float64(1 - 1e-6))  # to a number
_DOUBLED = wp.constant(wp.float64(4.0))  # squares, when a ball's radius doubles
_HALF = wp.constant(wp.float64(0.5))


@wp.struct
class Note:
    """What is known of a point since it was last searched for.

    Attributes:
        listed: the targets nearest to there.
        at: where the search was.
        reach: every other target is at least this far from there.
    """

    listed: Places
    at: wp.vec3
    reach: wp.float32


if TYPE_CHECKING:
    Notes = Any
    Balls = Any
else:
    Notes, Balls = wp.array(dtype=Note), wp.array(dtype=wp.vec4)


@wp.func
def _rounding(p: Vector) -> wp.float64:
    """More than what rounding p to float32 moves it by."""
    return SINGLE * (wp.abs(p[0]) + wp.abs(p[1]) + wp.abs(p[2]))


@wp.func
def _below(length: wp.float64, p: Vector) -> wp.float32:
    """Not above a length from p, also when p was rounded."""
    return wp.float32((length - _rounding(p)) * SINGLE_SHRUNK)


@wp.kernel(enable_backward=False)
def doubt(points: Vectors, linear: Matrix, shift: Vector, sure: Balls, unsure: Flags) -> None:
    """Whether a point has left the ball in which its nearest target cannot change."""
    i = wp.tid()
    ball = sure[i]
    p = linear * points[i] + shift
    moved = wp.length(p - wp.vec3d(wp.float64(ball[0]), wp.float64(ball[1]), wp.float64(ball[2])))
    unsure[i] = not (moved < wp.float64(ball[3]))


@wp.func
def _decide(i: int, p: Vector, listed: Places, reach: wp.float64, cells: Cells, sure: Balls, nearest: Integers) -> bool:
    """Notes which of the listed targets is nearest to point i; False if one that is `reach` away may be nearer."""
    found = listed[0]
    first = square_to(cells, found, p)
    second = wp.float64(wp.inf)
    for k in range(1, LISTED):
        d = square_to(cells, listed[k], p)
        second = wp.min(second, wp.max(first, d))
        found = wp.where(d < first, listed[k], found)
        first = wp.min(first, d)
    first = wp.sqrt(first)
    known = first < reach
    if known:
        # A move by half of what the second is farther away can at most make both equally near.
        safe = _below(_HALF * (wp.min(wp.sqrt(second), reach) * SHRUNK - first), p)
        sure[i] = wp.vec4(wp.float32(p[0]), wp.float32(p[1]), wp.float32(p[2]), safe)
        nearest[i] = found
    return known


@wp.kernel(enable_backward=False)
def look(
    which: Integers,
    points: Vectors,
    linear: Matrix,
    shift: Vector,
    cells: Cells,
    notes: Notes,
    sure: Balls,
    nearest: Integers,
    known: Flags,
) -> None:
    """The nearest of the targets noted for a point, and whether no other is nearer."""
    k = wp.tid()
    i = which[k]
    note = notes[i]
    p = linear * points[i] + shift
    moved = wp.length(p - wp.vec3d(note.at))
    known[k] = _decide(i, p, note.listed, wp.float64(note.reach) - moved, cells, sure, nearest)


@wp.func
def _noted(p: Vector, near: Nearest) -> Note:
    note = Note()
    note.listed = near.places
    note.at = wp.vec3(p)
    note.reach = _below(wp.sqrt(near.squares[LISTED - 1]) * SHRUNK, p)
    return note


@wp.func
def _search_at(i: int, p: Vector, start: Places, farthest: wp.float64, cells: Cells, notes: Notes) -> bool:
    """Notes for point i, at p, what is nearest; `start` are any targets, or none if -1. False if all are far away."""
    limit = cells.size * cells.size
    if start[0] >= 0:
        limit = wp.min(largest_square(cells, start, p) * GROWN + TINY, farthest * farthest)
    found = bool(False)  # noqa: UP018 - what a loop changes is no constant to Warp
    while not found and limit <= farthest * farthest:
        near = nearest_within(p, limit, cells)
        if near.squares[LISTED - 1] < limit:
            found = True
            notes[i] = _noted(p, near)
        limit *= _DOUBLED
    return found


@wp.kernel(enable_backward=False)
def search(
    which: Integers,
    points: Vectors,
    linear: Matrix,
    shift: Vector,
    farthest: wp.float64,
    cells: Cells,
    notes: Notes,
    sure: Balls,
    nearest: Integers,
    known: Flags,
) -> None:
    """Searches for a few points in a row: what is near to one often is near to the next."""
    begin = wp.tid() * CHUNK
    last = Note()
    last.listed[0] = -1
    for k in range(begin, wp.min(begin + CHUNK, which.shape[0])):
        i = which[k]
        p = linear * points[i] + shift
        done = bool(False)  # noqa: UP018 - what a loop changes is no constant to Warp
        if last.listed[0] >= 0:  # what is known of all targets holds for every point
            reach = wp.float64(last.reach) - wp.length(p - wp.vec3d(last.at))
            done = _decide(i, p, last.listed, reach, cells, sure, nearest)
            if done:
                notes[i] = last
        if not done:
            start = notes[i].listed
            if start[0] < 0:
                start = last.listed
            if _search_at(i, p, start, farthest, cells, notes):
                last = notes[i]
                # Here, at the middle of the search, all others are at least as far away as the last of the list.
                done = _decide(i, p, last.listed, wp.float64(wp.inf), cells, sure, nearest)
        known[k] = done


@wp.kernel(enable_backward=False)
def search_far(
    which: Integers,
    points: Vectors,
    linear: Matrix,
    shift: Vector,
    boxes: Boxes,
    cells: Cells,
    notes: Notes,
    sure: Balls,
    nearest: Integers,
) -> None:
    """As `search`, at any distance."""
    begin = wp.tid() * CHUNK
    last = Note()
    last.listed[0] = -1
    for k in range(begin, wp.min(begin + CHUNK, which.shape[0])):
        i = which[k]
        p = linear * points[i] + shift
        limit = some_square(p, boxes)
        if last.listed[0] >= 0:
            limit = wp.min(limit, largest_square(cells, last.listed, p))
        if notes[i].listed[0] >= 0:
            limit = wp.min(limit, largest_square(cells, notes[i].listed, p))
        last = _noted(p, nearest_in_boxes(p, limit * GROWN + TINY, boxes))
        notes[i] = last
        _decide(i, p, last.listed, wp.float64(wp.inf), cells, sure, nearest)


@wp.kernel(enable_backward=False)
def find_far(which: Integers, points: Vectors, linear: Matrix, shift: Vector, boxes: Boxes, nearest: Integers) -> None:
    """As `search_far`, of what is needed once."""
    begin = wp.tid() * CHUNK
    last = int(-1)  # noqa: UP018, RUF046 - what a loop changes is no constant to Warp
    for k in range(begin, wp.min(begin + CHUNK, which.shape[0])):
        i = which[k]
        p = linear * points[i] + shift
        if last < 0:
            last = boxes.starts[leaf_near(p, boxes)]
        last = nearest_from(p, last, boxes)
        nearest[i] = boxes.places[last]


@wp.kernel(enable_backward=False)
def measure(
    points: Vectors, linear: Matrix, shift: Vector, cells: Cells, nearest: Integers, distances: Doubles
) -> None:
    """How far points are from their nearest targets."""
    i = wp.tid()
    distances[i] = wp.sqrt(square_to(cells, nearest[i], linear * points[i] + shift))
