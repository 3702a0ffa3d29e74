"""NoW (Sanyal et al. 2019) as its official program computes it, non-metrical and metrical, surprises included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError
from harness.geometry.mesh import Mesh
from harness.geometry.moving_points import MovingPoints
from harness.geometry.surface_tree import FLAT_IN_DOUBLE, SurfaceTree
from harness.geometry.together import Fit
from harness.protocols.checks import check_plausible
from harness.protocols.now_base import NowProtocol
from harness.protocols.now_files import write_official_files
from harness.protocols.now_fit import fit_landmarks, pose_of, refine
from harness.protocols.now_truth import NOW_LANDMARKS, NowTruth, truth_warnings
from harness.protocols.pooled import summarise_points
from harness.protocols.scores import SampleScore, Score
from harness.samples import MILLIMETRES_PER, Prediction

__all__ = ["NOW_LANDMARKS", "Now", "NowMetrical", "NowTruth"]

Array = NDArray[Any]

COMPUTES = (
    *("alignment", "scale", "reflection", "distance", "direction", "regions", "statistic", "expression", "track"),
    *("unit", "aggregation"),
)
"""Fields of the NoW protocols that have one implementation each."""


@dataclass(frozen=True, kw_only=True)
class Now(NowProtocol):
    """The official non-metrical NoW score (soubhiksanyal/now_evaluation at 7bd1498 with chumpy 0.70).

    1. The scan is cropped to a ball about the face; all vertices in it count, whether a triangle is left or not.
    2. Seven landmarks fix a similarity (least squares) from the prediction to the scan. A reflection is used where
       it fits better, so that a mirrored face is silently repaired: a warning, and `determinant` -1, say so. The fit
       is in single precision where both sets of landmarks are.
    3. A dog-leg refines scale, rotation and translation, about the scan's own origin, until a step lowers the sum of
       squared distances by less than 1e-4 of it: long before it has converged.
    4. Distances go from each cropped vertex to the nearest point of the predicted surface, all of which takes part.

    A sample's values are of its own distances; the table's pool the points of all images (median, mean, population
    standard deviation), so that dense crops and subjects with many photographs weigh more. The official value leaves
    out failed samples, ours puts the mean face's distances in their place.

    Faces without area are left out: the official program never ends on them, or gives NaN.

    Attributes:
        tolerance: relative decrease of the sum of squares below which a step is the last.
        radius: of the first trust region, over scale, radians and millimetres together.
        max_iterations: steps at most.
    """

    name: str = "now"
    official: bool = True
    alignment: str = "landmarks7+dogleg"
    scale: str = "least_squares"
    reflection: bool = True
    distance: str = "surface"
    regions: tuple[str, ...] = ("face",)
    statistic: str = "median_mean_std"
    expression: str = "neutral"
    aggregation: str = "points"
    tolerance: float = 1e-4
    radius: float = 0.1
    max_iterations: int = 200

    computes = COMPUTES
    knows_regions = ("face",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.official and (self.tolerance, self.radius, self.max_iterations) != (1e-4, 0.1, 200):
            raise ContractError(
                f"protocol {self.name}: the official dog-leg has tolerance 1e-4, radius 0.1 and at most 200 steps; "
                "set official=False"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Statistics of the distances."""
        return ("median", "mean", "std")

    def _score(self, prediction: Prediction, landmarks: Array, truth: NowTruth, warnings: list[str]) -> Fit[Score]:
        assert prediction.vertices is not None and prediction.faces is not None
        metrical = self.scale == "none"
        ids = truth.crop()
        fit = fit_landmarks(truth.landmarks, landmarks / MILLIMETRES_PER[prediction.source_unit])
        vertices = fit.place(prediction.vertices, prediction.source_unit, metrical)
        tree = SurfaceTree(Mesh(vertices, prediction.faces), self.device, FLAT_IN_DOUBLE)
        points = MovingPoints(truth.scan.vertices[ids], tree)
        start = np.zeros(6) if metrical else np.array([1.0, 0, 0, 0, 0, 0, 0])
        descent = yield from refine(points, start, self.radius, self.tolerance, self.max_iterations)
        pose = pose_of(descent.parameters)
        distances = np.abs(pose.scale) * points.distances()
        values = {"median": np.median(distances), "mean": distances.mean(), "std": distances.std()}
        diagnostics = {
            **fit.diagnostics(MILLIMETRES_PER[prediction.source_unit]),
            "refined_scale": pose.scale,
            "steps": float(descent.steps),
            "evaluations": float(descent.evaluations),
            "sum_of_squares": descent.energy,
            "points": float(len(ids)),
            "vertices": float(len(vertices)),
            "faces_without_area": float(tree.dropped_faces),
        }
        warnings = [*warnings, *truth_warnings(truth, ids), *self._size_warnings(prediction), *fit.warnings()]
        return Score(
            {name: float(value) for name, value in values.items()},
            diagnostics,
            {"face": (ids.astype(np.int32), distances.astype(np.float32))},
            pose.apply(vertices).astype(np.float32),
            warnings=tuple(warnings),
        )

    def _size_warnings(self, prediction: Prediction) -> list[str]:
        problem = check_plausible(prediction)
        if problem is None:
            return []
        return [problem if self.scale == "none" else f"{problem}; this protocol forgives it, since its scale is free"]

    def summarise(self, rows: Sequence[SampleScore]) -> list[dict[str, Any]]:
        """Pools the points of all images, for each challenge and for all; see `harness.protocols.pooled`."""
        return summarise_points(self, rows)

    def write_official_files(
        self, folder: Path, identifier: str, rows: Sequence[SampleScore], names: Mapping[str, str]
    ) -> Sequence[Path]:
        """For all images, and for each category as if it alone had been asked for: the rest then counts as missing."""
        identifier += "_metrical" if self.scale == "none" else ""
        category = {row.sample_id: names[row.sample_id].split("/")[-2] for row in rows}
        scored = {category[row.sample_id] for row in rows if row.score is not None}
        files: list[Path] = []
        for wanted in ["", *sorted(scored)]:
            images = (
                (f"{names[row.sample_id]}.jpg", _distances(row) if wanted in ("", category[row.sample_id]) else None)
                for row in rows
            )
            files += write_official_files(folder, identifier, images, wanted)
        return files


def _distances(row: SampleScore) -> Array | None:
    return row.arrays("face/distances") if row.score is not None else None


@dataclass(frozen=True, kw_only=True)
class NowMetrical(Now):
    """The official metrical NoW score: as `Now`, but the prediction keeps its size.

    The landmark fit still has a free scale, of which the rotation and the translation are used: a prediction far
    from its own origin therefore starts from the wrong place, by the difference of the two scales times that distance.
    """

    name: str = "now_metrical"
    scale: str = "none"
