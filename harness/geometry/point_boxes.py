"""Points in boxes in boxes, for those who look from far away, where a grid's cells are too many."""

# Kernels are not Python: Warp's own types for them describe calls from outside.
# mypy: disable-error-code="arg-type,call-overload,index,operator"

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.geometry.curve import along_curve
from harness.geometry.nearest_few import LISTED, ZERO, Nearest, inserted, none_within
from harness.geometry.surface_kernels import Integers, Vector, Vectors
from harness.geometry.warp_setup import wp

Array = NDArray[Any]

_FILL = 16  # a leaf holds at most so many points


@wp.struct
class Boxes:
    """A binary tree of boxes around points; node n is parent of the nodes 2n and 2n + 1, and node 1 holds all.

    Attributes:
        points: (N,) leaf by leaf.
        places: (N,) where each of them stands in the order in which they were given.
        starts: (leaves + 1,) node `leaves + k` holds the points from `starts[k]` to `starts[k + 1]`.
        low, high: (2 * leaves,) corners of each node's box; node 0 is none.
        leaves: how many.
    """

    points: Vectors
    places: Integers
    starts: Integers
    low: Vectors
    high: Vectors
    leaves: int


@wp.func
def _square_to_box(boxes: Boxes, node: int, p: Vector) -> wp.float64:
    outside = wp.max(wp.max(boxes.low[node] - p, p - boxes.high[node]), wp.vec3d())
    return wp.dot(outside, outside)


@wp.func
def _after(node: int) -> int:
    """The node that is next when what is below this one is done or left out; 1 at the end."""
    following = node + 1
    while following % 2 == 0:
        following = following // 2
    return following


@wp.func
def nearest_in_boxes(p: Vector, limit: wp.float64, boxes: Boxes) -> Nearest:
    """The LISTED points nearest to p, of those whose squared distance is below `limit`; missing ones have that square.

    A missing point's place is 0.
    """
    near = none_within(limit)
    node = int(1)  # noqa: UP018, RUF046 - what a loop changes is no constant to Warp
    going = bool(True)  # noqa: UP018
    while going:
        inside = _square_to_box(boxes, node, p) < near.squares[LISTED - 1]
        if inside and node < boxes.leaves:
            node = 2 * node
        else:
            if inside:
                for k in range(boxes.starts[node - boxes.leaves], boxes.starts[node - boxes.leaves + 1]):
                    offset = boxes.points[k] - p
                    square = wp.dot(offset, offset)
                    if square < near.squares[LISTED - 1]:
                        near = inserted(near, boxes.places[k], square)
            node = _after(node)
            going = node > 1
    return near


@wp.func
def nearest_from(p: Vector, start: int, boxes: Boxes) -> int:
    """The index in `boxes.points` of the one nearest to p; the nearer `start` is, the sooner it is found."""
    found = start + 0
    offset = boxes.points[found] - p
    least = wp.dot(offset, offset)
    node = int(1)  # noqa: UP018, RUF046 - what a loop changes is no constant to Warp
    going = bool(True)  # noqa: UP018
    while going:
        inside = _square_to_box(boxes, node, p) < least
        if inside and node < boxes.leaves:
            node = 2 * node
        else:
            if inside:
                for k in range(boxes.starts[node - boxes.leaves], boxes.starts[node - boxes.leaves + 1]):
                    offset = boxes.points[k] - p
                    square = wp.dot(offset, offset)
                    if square < least:
                        least = square
                        found = k
            node = _after(node)
            going = node > 1
    return found


@wp.func
def leaf_near(p: Vector, boxes: Boxes) -> int:
    """A leaf that is reached by going to the nearer of two boxes."""
    node = int(1)  # noqa: UP018, RUF046 - what a loop changes is no constant to Warp
    while node < boxes.leaves:
        node = 2 * node
        if _square_to_box(boxes, node + 1, p) < _square_to_box(boxes, node, p):
            node += 1
    return node - boxes.leaves


@wp.func
def some_square(p: Vector, boxes: Boxes) -> wp.float64:
    """At least LISTED points, where there are as many, are no farther from p than the square root of this."""
    leaf = leaf_near(p, boxes)
    largest = ZERO
    for k in range(boxes.starts[leaf], boxes.starts[leaf + 1]):
        offset = boxes.points[k] - p
        largest = wp.max(largest, wp.dot(offset, offset))
    if boxes.starts[leaf + 1] - boxes.starts[leaf] < LISTED:
        largest = wp.float64(wp.inf)
    return largest


def boxes_around(points: Array) -> Any:
    """`Boxes` on the CPU around points (N, 3), N > 0."""
    order = along_curve(points)  # a tree that halves space would be better, but takes five times as long to build
    starts = np.array([0, len(points)])
    while len(points) > _FILL * (len(starts) - 1):
        middles = (starts[:-1] + starts[1:]) // 2
        starts = np.append(np.stack([starts[:-1], middles], axis=1).ravel(), len(points))
    leaves, inside = len(starts) - 1, points[order]
    low, high = np.zeros((2 * leaves, 3)), np.zeros((2 * leaves, 3))
    for k in range(3):
        low[leaves:, k] = np.minimum.reduceat(inside[:, k], starts[:-1])
        high[leaves:, k] = np.maximum.reduceat(inside[:, k], starts[:-1])
    width = leaves
    while width > 1:
        children = slice(width, 2 * width, 2), slice(width + 1, 2 * width, 2)
        low[width // 2 : width] = np.minimum(*(low[child] for child in children))
        high[width // 2 : width] = np.maximum(*(high[child] for child in children))
        width //= 2
    kind: Any = Boxes
    boxes = kind()
    for name, array in (("points", inside), ("low", low), ("high", high)):
        setattr(boxes, name, wp.array(array, dtype=wp.vec3d, device="cpu"))
    for name, array in (("places", order), ("starts", starts)):
        setattr(boxes, name, wp.array(array.astype(np.int32), dtype=wp.int32, device="cpu"))
    boxes.leaves = leaves
    return boxes
