"""A list of the few nearest points while they are searched for, in kernels."""

# Kernels are not Python: Warp's own types for them describe calls from outside.
# mypy: disable-error-code="arg-type,call-overload,index,operator"

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.geometry.warp_setup import wp

LISTED = 6  # more last longer while points move, and cost more to find
GROWN, SHRUNK = wp.constant(wp.float64(1 + 1e-9)), wp.constant(wp.float64(1 - 1e-9))  # by far more than by rounding
TINY, ZERO = wp.constant(wp.float64(1e-300)), wp.constant(wp.float64(0.0))

if TYPE_CHECKING:
    Places = Any
    Squares = Any
else:
    Places = wp.types.vector(length=LISTED, dtype=wp.int32)
    Squares = wp.types.vector(length=LISTED, dtype=wp.float64)


@wp.struct
class Nearest:
    """Some points, by their distance from some place, and the squares of these distances."""

    places: Places
    squares: Squares


@wp.func
def none_within(limit: wp.float64) -> Nearest:
    """Nothing found yet: all squared distances are the limit."""
    near = Nearest()
    for j in range(LISTED):
        near.squares[j] = limit
    return near


@wp.func
def inserted(near: Nearest, place: int, square: wp.float64) -> Nearest:
    """With a point that is nearer than the last of them, which falls out."""
    places = near.places
    squares = near.squares
    for m in range(LISTED - 1):
        j = LISTED - 1 - m
        behind = square < squares[j - 1]
        here = square < squares[j]
        places[j] = wp.where(behind, places[j - 1], wp.where(here, place, places[j]))
        squares[j] = wp.where(behind, squares[j - 1], wp.where(here, square, squares[j]))
    places[0] = wp.where(square < squares[0], place, places[0])
    squares[0] = wp.min(square, squares[0])
    with_it = Nearest()
    with_it.places = places
    with_it.squares = squares
    return with_it
