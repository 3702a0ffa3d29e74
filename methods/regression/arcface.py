"""The crop of face recognition that MICA sees: five points of the face at fixed places of a square of 112 pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from harness.errors import ContractError
from harness.methods.regression.crops import RULES, Crop, crop
from harness.methods.regression.resampling import Image8, resample_affine
from harness.samples import Array

SIZE = 112
TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""(5, 2) pixels of a square of SIZE: the eye on the image's left, the other eye, the tip of the nose, the corner of the
mouth on the image's left, the other corner (InsightFace, ArcFace)."""

_EYES, _NOSE, _MOUTH = (slice(36, 42), slice(42, 48)), 30, (48, 54)


def five_points(landmarks: Array) -> Array:
    """(68, 2) iBUG landmarks -> (5, 2) in the order of `TEMPLATE`; NaN where a landmark that it takes is NaN."""
    return np.stack([*(landmarks[eye].mean(axis=0) for eye in _EYES), landmarks[_NOSE], *landmarks[list(_MOUTH)]])


def similarity_2d(source: Array, target: Array) -> Array:
    """(3, 3) the turn, scale and shift of the plane that takes `source` to `target`, (N, 2), with least squares.

    With plane points as complex numbers it is target = a source + b. Umeyama's (1991) answer is the same. A mirrored
    face is not mirrored back, which a turn in space of the same points, by `harness.geometry.alignment`, would do.

    Raises:
        ContractError: points are NaN, or all in one place.
    """
    z, w = (np.asarray(p, dtype=np.float64) @ [1, 1j] for p in (source, target))
    centred = z - z.mean()
    spread = float((np.abs(centred) ** 2).sum())
    a = (centred.conj() @ (w - w.mean())) / spread if spread > 0 else np.nan
    if not (np.isfinite(a) and abs(a) > 0):
        raise ContractError("five points of a face: NaN, or all in one place; expected five different places")
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag], [0, 0, 1]])


def face_crop(image: Image8, points: Array, size: int = SIZE) -> Crop:
    """Crops by five points: bilinear, black outside, colours rounded to whole numbers, then -1 to 1.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: (5, 2) pixels, in the order of `TEMPLATE`.
        size: side of the crop in pixels; the template scales with it.

    Raises:
        ContractError: see `similarity_2d`.
    """
    matrix = similarity_2d(points, TEMPLATE * (size / SIZE))
    values = np.rint(resample_affine(image, np.linalg.inv(matrix), size))
    return Crop(((values - 127.5) / 127.5).astype(np.float32), matrix)


def face_crop_through_box(
    image: Image8, box: Array, points_in: Callable[[Image8], Array], size: int = SIZE, between: int = 224
) -> Crop:
    """Crops as MICA's program for NoW: a crop around NoW's box, five points in that, and a crop of the crop.

    Args:
        image: (H, W, 3) uint8 RGB.
        box: (4,) a box with forehead.
        points_in: finds (5, 2) points in a picture of `between` x `between` pixels; raises FaceError where it cannot.
        size: side of the crop in pixels.
        between: side of the first crop.

    Returns:
        The last crop; its matrix is that from the image.

    Raises:
        FaceError: the box is no good, or `points_in` raised it.
    """
    first = crop(image, box, RULES["mica"], "shared", between)
    picture = np.rint(first.pixels * 255).astype(np.uint8)
    last = face_crop(picture, points_in(picture), size)
    return Crop(last.pixels, last.matrix @ first.matrix)
