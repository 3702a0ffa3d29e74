"""A small head-like truth and predictions for it, for tests that need no reference data."""

from __future__ import annotations

import numpy as np

from harness.geometry.mesh import Mesh
from harness.protocols.h3ds import H3DS_LANDMARKS, H3dsTruth
from harness.samples import Prediction
from tests.geometry_shapes import bumpy

# Roughly where a head 160 mm wide has its points, as directions from its centre (x left, y up, z forward).
DIRECTIONS = {39: (-0.2, 0.3, 0.9), 42: (0.2, 0.3, 0.9), 30: (0, 0, 1.0), 33: (0, -0.2, 1.0)}
DIRECTIONS |= {48: (-0.3, -0.5, 0.8), 54: (0.3, -0.5, 0.8), 36: (-0.5, 0.3, 0.8), 45: (0.5, 0.3, 0.8)}


def landmarks68(mesh: Mesh) -> np.ndarray:
    """(68, 3) with the eight known points on vertices of the mesh, NaN elsewhere."""
    directions = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    points = np.full((68, 3), np.nan)
    for index, direction in DIRECTIONS.items():
        points[index] = mesh.vertices[(directions @ np.array(direction)).argmax()]
    return points


def truth(subdivisions: int = 4) -> H3dsTruth:
    """A scan of 2562 vertices, or four times as many for each subdivision more, whose face looks along z."""
    scan = bumpy(subdivisions)
    points = landmarks68(scan)
    landmarks = {n: int(np.linalg.norm(scan.vertices - points[i], axis=1).argmin()) for n, i in H3DS_LANDMARKS.items()}
    face, sphere = (np.flatnonzero(np.linalg.norm(scan.vertices - points[30], axis=1) < r) for r in (110, 80))
    return H3dsTruth(scan, landmarks, {"face": face, "face_sphere": sphere})


def prediction(noise: float = 1.0, subdivisions: int = 3, seed: int = 0) -> Prediction:
    """Another mesh of the same head, with smooth errors of a few millimetres."""
    mesh = bumpy(subdivisions)
    phase = np.random.default_rng(seed).uniform(0, 6, (3, 3))
    errors = noise * np.sin(mesh.vertices @ np.full((3, 3), 0.02) + mesh.vertices / 40 + phase[0])
    wrong = Mesh(mesh.vertices + errors, mesh.faces)
    return Prediction(wrong.vertices, wrong.faces, landmarks68(mesh) + 0.5 * noise)


def changed(base: Prediction, scale: float = 1.0, rotation: np.ndarray | None = None, shift: float = 0.0) -> Prediction:
    """The prediction in another frame or size."""
    matrix = scale * (np.eye(3) if rotation is None else rotation)
    assert base.vertices is not None and base.landmarks is not None
    return Prediction(base.vertices @ matrix.T + shift, base.faces, base.landmarks @ matrix.T + shift)
