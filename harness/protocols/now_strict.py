"""NoW without the surprises of its official score: no mirror, a fit that has converged, subjects that count alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import AlignmentError
from harness.geometry.alignment import Similarity, fit_similarity
from harness.geometry.mesh import Mesh
from harness.geometry.moving_points import MovingPoints, Pose
from harness.geometry.refinement import fit_surface_to_points
from harness.geometry.surface_tree import FLAT_IN_DOUBLE, SurfaceTree
from harness.geometry.together import Fit
from harness.protocols.checks import check_plausible
from harness.protocols.now import COMPUTES
from harness.protocols.now_base import NowProtocol
from harness.protocols.now_truth import NowTruth, check_spread, truth_warnings
from harness.protocols.pooled import in_all
from harness.protocols.scores import SampleScore, Score
from harness.samples import Prediction

Array = NDArray[Any]

_POOR = 10.0  # root mean square millimetres by which landmarks in the right order never miss


@dataclass(frozen=True, kw_only=True)
class NowStrict(NowProtocol):
    """Median and mean distance from the scan's face to the predicted surface after a converged fit with free scale.

    1. The scan is cropped as in `Now`.
    2. Seven landmarks fix a similarity (least squares), never a reflection.
    3. Scale, rotation and translation are refined until the sum of squared distances no longer falls. The result
       depends neither on where the scan lies nor on how rounding went, as the official dog-leg's does.
    4. Distances as in `Now`; their median and mean are a sample's values, averaged over a subject's samples, then
       over subjects, each of whom therefore counts alike.

    Attributes:
        max_iterations: of the refinement.
        tolerance: the refinement has converged when a step moves the face by less than this, mm.
    """

    name: str = "now_strict"
    official: bool = False
    alignment: str = "landmarks7+surface"
    scale: str = "least_squares"
    reflection: bool = False
    distance: str = "surface"
    regions: tuple[str, ...] = ("face",)
    statistic: str = "median_mean"
    expression: str = "neutral"
    max_iterations: int = 300
    tolerance: float = 1e-4

    computes = COMPUTES
    knows_regions = ("face",)

    @property
    def columns(self) -> tuple[str, ...]:
        """Statistics of a sample's distances."""
        return ("median", "mean")

    def summarise(self, rows: Sequence[SampleScore]) -> list[dict[str, Any]]:
        """As the base class, and over the images of all challenges together."""
        return super().summarise([*rows, *(in_all(row) for row in rows if row.condition)])

    def _score(self, prediction: Prediction, landmarks: Array, truth: NowTruth, warnings: list[str]) -> Fit[Score]:
        assert prediction.vertices is not None and prediction.faces is not None
        ids = truth.crop()
        start, residual, more = _landmark_fit(truth.landmarks.astype(np.float64), landmarks)
        tree = SurfaceTree(Mesh(prediction.vertices, prediction.faces), self.device, FLAT_IN_DOUBLE)
        points = MovingPoints(truth.scan.vertices[ids], tree)
        initial = Pose(start.scale, start.rotation, start.translation)
        fit = yield from fit_surface_to_points(points, initial, self.max_iterations, self.tolerance)
        if not fit.converged:
            moved = f"still moved by {fit.last_step:.2g} mm after {fit.iterations} iterations"
            raise AlignmentError(f"the fit of the predicted surface to the scan {moved}")
        distances = fit.pose.scale * points.distances()
        diagnostics = {
            "landmark_scale": start.scale,
            "landmark_rms": residual,
            "refined_scale": fit.pose.scale / start.scale,
            "iterations": float(fit.iterations),
            "sum_of_squares": fit.energy,
            "points": float(len(ids)),
            "vertices": float(len(prediction.vertices)),
            "faces_without_area": float(tree.dropped_faces),
        }
        problem = check_plausible(prediction)
        sizes = [f"{problem}; this protocol forgives it, since its scale is free"] if problem else []
        aligned = fit.pose.apply(prediction.vertices).astype(np.float32)
        return Score(
            {"median": float(np.median(distances)), "mean": float(distances.mean())},
            diagnostics,
            {"face": (ids.astype(np.int32), distances.astype(np.float32))},
            aligned,
            warnings=(*warnings, *truth_warnings(truth, ids), *sizes, *more),
        )


def _landmark_fit(target: Array, source: Array) -> tuple[Similarity, float, list[str]]:
    """The similarity from the prediction's to the scan's landmarks, how well it fits, and what is odd about it.

    Raises:
        AlignmentError: one of the two sets lies on a line or in one place.
    """
    for name, points in (("scan's", target), ("predicted", source)):
        check_spread(name, points)
    start = fit_similarity(source, target)
    residual = _rms(start, source, target)
    mirrored = _rms(fit_similarity(source, target, reflection=True), source, target)
    if mirrored < 0.5 * residual:
        mirror = "the landmarks fit far better in a mirror: a mirror image, or left and right are exchanged"
        return start, residual, [mirror]
    if residual > _POOR:
        poor = f"the landmarks miss the scan's by {residual:.3g} mm (root mean square): are they in NoW's order?"
        return start, residual, [poor]
    return start, residual, []


def _rms(transform: Similarity, source: Array, target: Array) -> float:
    return float(np.sqrt(((transform.apply(source) - target) ** 2).sum(axis=1).mean()))
