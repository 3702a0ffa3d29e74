"""Landmark annotations as data sets store them: `.pts` files, and what every annotation must look like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.errors import DataError
from harness.samples import Array

REMEDY = "restore the file from the data set, or use the open synthetic stand-in with data=mirror"
LARGEST_FILE = 1_000_000  # bytes; a file of 106 points has some thousand
FOREHEAD = 0.25
"""Of the height of a face's points: what the box of a face detector reaches above them."""


@dataclass(frozen=True)
class FaceOrder:
    """Points by which an annotation shows that it is neither mirrored nor has its axes swapped.

    Attributes:
        outline: points around the face: from the image's left, over the chin, to the right and back above.
        left_eye, right_eye: a point of either eye, as seen in the image.
        mouth: a point of the mouth.
    """

    outline: tuple[int, ...]
    left_eye: int
    right_eye: int
    mouth: int


IBUG68 = FaceOrder((*range(17), *range(26, 16, -1)), 36, 45, 57)
WFLW98 = FaceOrder((*range(33), *range(46, 41, -1), *range(37, 32, -1)), 60, 72, 85)
AFLW19 = FaceOrder((7, 15, 17, 10), 7, 10, 16)
LAPA106 = FaceOrder((104, 84, 90, 105), 104, 105, 84)


def read_pts(path: Path, count: int) -> Array:
    """(count, 2) pixels from the middle of the top left one, of a `.pts` file, which counts pixels from 1.

    Raises:
        DataError: the file is missing or has another form, another number of points, or numbers that are not finite.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise DataError(f"{path}: has {path.stat().st_size:,} bytes, which no list of points has; {REMEDY}")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); {REMEDY}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is no text, expected `version`, `n_points` and points in braces; {REMEDY}") from None
    head, opened, rest = text.partition("{")
    body, closed, _ = rest.partition("}")
    if not opened or not closed or "n_points" not in head:
        raise DataError(f"{path}: expected `version: 1`, `n_points: {count}` and points in braces; {REMEDY}")
    said = head.partition("n_points")[2].strip(" :\t").split("\n")[0].strip()
    lines = [line.split() for line in body.splitlines() if line.strip()]
    if len(lines) != count or said != str(count):
        raise DataError(f"{path}: says n_points {said[:20]} and has {len(lines)} points, expected {count}; {REMEDY}")
    return finite_points(path, lines) - 1.0


def finite_points(path: Path | str, rows: list[list[str]]) -> Array:
    """(N, 2) of pairs of words. Raises DataError if one is no pair, or no finite number."""
    for number, row in enumerate(rows, start=1):
        if len(row) != 2:
            raise DataError(f"{path}, point {number}: found {' '.join(row)[:60]!r}, expected x and y; {REMEDY}")
    try:
        points = np.array(rows, dtype=np.float64).reshape(-1, 2)
    except ValueError as error:
        raise DataError(f"{path}: a point is no number ({str(error)[:80]}); {REMEDY}") from None
    if not np.isfinite(points).all():
        lost = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0]) + 1
        raise DataError(f"{path}, point {lost}: is not finite: {rows[lost - 1]}; {REMEDY}")
    return points


def check_order(path: Path | str, points: Array, order: FaceOrder) -> None:
    """Checks that points (N, 2) are those of a face as it is seen: a mirrored one runs round the other way.

    Raises:
        DataError: they are a mirror image, as with x and y swapped, or in another order.
    """
    x, y = points[list(order.outline)].T
    around = float(x @ np.roll(y, -1) - y @ np.roll(x, -1))
    if around <= 0:  # 0 where all points are in one place: for the protocol to say
        return
    turned = points[:, ::-1]
    eyes = turned[order.left_eye], turned[order.right_eye]
    upright = eyes[0][0] < eyes[1][0] and max(eyes[0][1], eyes[1][1]) < turned[order.mouth][1]
    guess = "x and y look swapped" if upright else "it is mirrored, or its points are in another order"
    raise DataError(f"{path}: the points run round the face the wrong way: {guess}; {REMEDY}")


def check_inside(path: Path | str, points: Array, size: tuple[int, int]) -> None:
    """Checks that most of a face's points (N, 2) are in its picture of (width, height) pixels; some may be outside.

    Raises:
        DataError: they are not, as with another picture's points or with the axes swapped.
    """

    def share(candidates: Array) -> float:
        return float(((candidates > -0.5) & (candidates < np.array(size) - 0.5)).all(axis=1).mean())

    if share(points) >= 0.5:
        return
    hint = "; x and y may be swapped" if share(points[:, ::-1]) >= 0.5 else ""
    raise DataError(
        f"{path}: {share(points):.0%} of its points are in the picture of {size[0]}x{size[1]} pixels: they belong to "
        f"another picture{hint}; {REMEDY}"
    )


def face_box(points: Array) -> Array:
    """(4,) left, top, right, bottom in pixels: around the points, with some forehead as face detectors have it."""
    low, high = points.min(axis=0), points.max(axis=0)
    return np.array([low[0], low[1] - FOREHEAD * (high[1] - low[1]), *high])


def plain_name(name: str) -> str:
    """A name that may be a sample's id: what is no letter, digit or one of "._-" becomes "_"."""
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name)
