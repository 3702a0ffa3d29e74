"""H3DS without the two surprises of its official score: distances go to the surface, and size matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import AlignmentError
from harness.geometry.alignment import Similarity, fit_similarity
from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh
from harness.geometry.refinement import fit_rigid_to_surface
from harness.protocols.base import Protocol
from harness.protocols.checks import check_plausible, fails_without_number
from harness.protocols.h3ds import COMPUTES, H3DS_LANDMARKS, NEEDED_LANDMARKS, H3dsTruth, predicted_landmarks
from harness.protocols.scores import Score
from harness.samples import Prediction

Array = NDArray[Any]

# Each of H3DS_LANDMARKS' mirror image, in their order.
_OTHER_SIDE = ("left_eye", "right_eye", "nose_tip", "nose_base", "left_lips", "right_lips")


@dataclass(frozen=True, kw_only=True)
class H3dsSurface(Protocol):
    """Mean distance from the scan's vertices to the predicted surface after a rigid alignment.

    1. Six landmarks fix a rotation and a translation (no scale, no reflection). A prediction that stands in the
       world frame and lacks landmarks starts where it is.
    2. The scan's `face_sphere` vertices, all of them, are moved rigidly until the Huber cost of their distances to
       the predicted surface no longer falls: squares below `huber`, then proportional to the distance, as the score
       is. Least squares would let hair before the face, which no face method models, drag the fit by millimetres.
    3. "face" is the mean distance from `face_sphere` to the closest point of the predicted triangles, "head" the
       same from the whole scan, under the same alignment: one prediction, one pose.

    Scale, density and order of the predicted vertices therefore behave as one would expect: a mesh of the wrong
    size scores worse, a subdivided one the same, a mirrored one is not repaired.

    Attributes:
        max_iterations: of the refinement.
        tolerance: the refinement has converged when a step moves no scan vertex farther than this, mm.
        huber: where the cost of a distance turns from square to proportional, mm.
    """

    name: str = "h3ds_surface"
    official: bool = False
    alignment: str = "landmarks+surface"
    scale: str = "none"
    reflection: bool = False
    distance: str = "surface"
    regions: tuple[str, ...] = ("face", "head")
    max_iterations: int = 300
    tolerance: float = 1e-4
    huber: float = 0.5

    computes = COMPUTES
    knows_regions = ("face", "head")

    @fails_without_number
    def score(self, prediction: Prediction, truth: H3dsTruth) -> Score:
        """Scores a prediction in millimetres; see the class."""
        problem = check_plausible(prediction)
        if problem is not None:
            return Score.failed("bad_mesh", problem)
        landmarks = predicted_landmarks(prediction)
        if landmarks is None and not prediction.in_world_frame:
            return Score.failed("no_landmarks", NEEDED_LANDMARKS)
        return self._score(prediction, landmarks, truth)

    def _score(self, prediction: Prediction, landmarks: Array | None, truth: H3dsTruth) -> Score:
        assert prediction.vertices is not None and prediction.faces is not None
        start, diagnostics, warnings = _landmark_fit(truth, landmarks)
        surface = ClosestPoints(Mesh(prediction.vertices, prediction.faces), self.device)
        points = truth.scan.vertices[truth.vertex_ids("face")]
        fit = fit_rigid_to_surface(points, surface, start, self.max_iterations, self.tolerance, self.huber)
        if not fit.converged:
            moved = f"still moved by {fit.last_step:.2g} mm after {fit.iterations} iterations"
            raise AlignmentError(f"the fit of the scan to the predicted surface {moved}")
        values, per_point = {}, {}
        for region in self.regions:
            ids = truth.vertex_ids(region)
            distances = surface.query(fit.transform.apply(truth.scan.vertices[ids])).distances
            values[region] = float(distances.mean())
            per_point[region] = (ids.astype(np.int32), distances.astype(np.float32))
        diagnostics |= {
            "iterations": float(fit.iterations),
            "huber_cost": fit.cost,
            "vertices": float(len(prediction.vertices)),
            "faces_without_area": float(surface.dropped_faces),
        }
        aligned = fit.transform.inverse().apply(prediction.vertices).astype(np.float32)
        return Score(values, diagnostics, per_point, aligned, warnings=tuple(warnings))


def _landmark_fit(truth: H3dsTruth, landmarks: Array | None) -> tuple[Similarity, dict[str, float], list[str]]:
    """The rigid transform from the scan's landmarks to the prediction's, how well it fits, and what is odd about it."""
    if landmarks is None:
        return Similarity.identity(), {}, []
    points = truth.landmark_points
    start = fit_similarity(points, landmarks, scale="none")
    residual = _rms(start, points, landmarks)
    swapped = landmarks[[list(H3DS_LANDMARKS).index(name) for name in _OTHER_SIDE]]
    if _rms(fit_similarity(points, swapped, scale="none"), points, swapped) > 0.5 * residual:
        return start, {"landmark_rms": residual}, []
    warning = "the landmarks fit far better with left and right exchanged; are they named from the wrong side?"
    return start, {"landmark_rms": residual}, [warning]


def _rms(transform: Similarity, source: Array, target: Array) -> float:
    return float(np.sqrt(((transform.apply(source) - target) ** 2).sum(axis=1).mean()))
