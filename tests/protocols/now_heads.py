"""A small NoW truth and predictions for it, for tests that need no reference data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from harness.protocols.now import NOW_LANDMARKS, NowTruth
from harness.samples import Prediction
from tests.geometry_shapes import bumpy
from tests.protocols import heads

INDICES = list(NOW_LANDMARKS.values())


def truth() -> NowTruth:
    """2562 vertices, of which a good part lies in the ball about the face."""
    scan = bumpy(4)
    return NowTruth(scan, heads.landmarks68(scan)[INDICES].astype(np.float32))


def prediction(noise: float = 1.0, subdivisions: int = 3, seed: int = 0) -> Prediction:
    return with_neutral(heads.prediction(noise, subdivisions, seed))


def with_neutral(base: Prediction) -> Prediction:
    """The same, said to be neutral."""
    return replace(base, neutral_vertices=base.vertices, neutral_landmarks=base.landmarks)


def changed(base: Prediction, scale: float = 1.0, vector=(0.0, 0, 0), shift=(0.0, 0, 0)) -> Prediction:
    matrix = scale * Rotation.from_rotvec(vector).as_matrix()
    vertices, landmarks = (np.asarray(v) @ matrix.T + shift for v in (base.vertices, base.landmarks))
    return with_neutral(Prediction(vertices, base.faces, landmarks, source_unit=base.source_unit))


def mirrored(base: Prediction) -> Prediction:
    """Left and right exchanged in mesh and landmarks alike."""
    flip = np.array([-1.0, 1, 1])
    return with_neutral(Prediction(base.vertices * flip, base.faces[:, ::-1], base.landmarks * flip))


def with_landmarks(base: Prediction, points) -> Prediction:
    """The prediction with other points for NoW's seven."""
    landmarks = np.array(base.landmarks)
    landmarks[INDICES] = points
    return with_neutral(Prediction(base.vertices, base.faces, landmarks))
