"""What NoW's protocols measure against: a scan, seven points on it, and the part of it that counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from harness.errors import AlignmentError, ContractError
from harness.geometry.mesh import Mesh
from harness.samples import Prediction

Array = NDArray[Any]

# NoW's seven points in their official order ("right" is the subject's) in iBUG-68.
NOW_LANDMARKS = {
    "right_eye_outer": 36,
    "right_eye_inner": 39,
    "left_eye_inner": 42,
    "left_eye_outer": 45,
    "nose_base": 33,
    "right_lips": 48,
    "left_lips": 54,
}
_FLATTEST = 1e-3  # second extent of seven points as a share of the first, below which they are a line
_FAR = 10.0  # millimetres between a landmark and the scan's vertices that cannot be right


@dataclass(frozen=True, eq=False)
class NowTruth:
    """The ground truth of one NoW subject.

    Attributes:
        scan: the raw neutral scan, millimetres, in the frame in which it is distributed.
        landmarks: (7, 3) points on it in the order of NOW_LANDMARKS; float32 or float64 (kept: the official program
            fits in single precision what it read in single precision).

    Raises:
        ContractError: landmarks of another shape or dtype, NaN or infinite.
    """

    scan: Mesh
    landmarks: Array

    def __post_init__(self) -> None:
        points = np.array(self.landmarks)
        if points.dtype not in (np.float32, np.float64):
            raise ContractError(f"truth.landmarks: dtype {points.dtype}, expected float32 or float64")
        if points.shape != (7, 3):
            raise ContractError(f"truth.landmarks: shape {points.shape}, expected (7, 3): {', '.join(NOW_LANDMARKS)}")
        if not np.isfinite(points).all():
            bad = [name for name, point in zip(NOW_LANDMARKS, points, strict=True) if not np.isfinite(point).all()]
            raise ContractError(f"truth.landmarks: {', '.join(bad)} is NaN or infinite")
        points.setflags(write=False)
        object.__setattr__(self, "landmarks", points)

    def crop(self) -> Array:
        """(N,) int64 ids of the scan's vertices in the ball about the face, ascending.

        Raises:
            AlignmentError: there is none.
        """
        centre, radius = crop_ball(self.landmarks)
        inside = np.flatnonzero(np.linalg.norm(self.scan.vertices - centre, axis=1) <= radius)
        if not len(inside):
            raise AlignmentError(f"no scan vertex lies within {radius:.3g} mm of the face's centre {_lost(self)}")
        return inside


def crop_ball(landmarks: Array) -> tuple[Array, float]:
    """Centre (3,) and radius of the ball that is scored, in the precision in which the official program has them."""
    bridge = (landmarks[1] + landmarks[2]) / 2
    centre = landmarks[4] + 0.3 * (bridge - landmarks[4])
    extent = np.linalg.norm(landmarks[0] - landmarks[3]) + np.linalg.norm(bridge - landmarks[4])
    return centre, 1.4 * float(extent) / 2


def truth_warnings(truth: NowTruth, ids: Array) -> list[str]:
    """What is wrong with the scan's landmarks, measured against its cropped vertices."""
    if np.median(_gaps(truth.landmarks, truth.scan.vertices[ids])) < _FAR:
        return []
    return [f"the scan's landmarks do not lie on the scan {_lost(truth)}; do not use this number"]


def _lost(truth: NowTruth) -> str:
    off = float(np.median(_gaps(truth.landmarks, truth.scan.vertices)))
    swapped = float(np.median(_gaps(truth.landmarks[:, [0, 2, 1]], truth.scan.vertices)))
    hint = ": the y and z axes of one of the two are swapped" if swapped < min(_FAR, off / 4) else ""
    return f"(they are {off:.3g} mm from it{hint})"


def _gaps(points: Array, vertices: Array) -> Array:
    return np.asarray(cdist(points.astype(np.float64), vertices).min(axis=1))


def predicted_landmarks(prediction: Prediction) -> Array | str:
    """(7, 3) of the prediction's points in the order of NOW_LANDMARKS, or which of them are not known."""
    if prediction.landmarks is None:
        return "the prediction has no landmarks; NoW aligns by seven of the 68"
    points = prediction.landmarks[list(NOW_LANDMARKS.values())]
    unknown = [
        f"{k} ({v})" for (k, v), p in zip(NOW_LANDMARKS.items(), points, strict=True) if not np.isfinite(p).all()
    ]
    return f"the prediction lacks the landmarks {', '.join(unknown)}" if unknown else points


def check_spread(name: str, points: Array) -> None:
    """Raises AlignmentError if seven landmarks lie on a line or in one place."""
    spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False).astype(np.float64)
    if not spread[1] > _FLATTEST * spread[0]:
        raise AlignmentError(f"the seven {name} landmarks lie in one place or on one line; no rotation fits")
