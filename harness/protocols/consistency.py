"""Cross-view consistency: how much a method's answers to several views of the same scan differ from each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import AlignmentError, ContractError
from harness.geometry.alignment import fit_similarity
from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh
from harness.geometry.refinement import fit_rigid_to_surface
from harness.protocols.agreement import COEFFICIENTS, SURFACE_COLUMNS, Coefficients, Pool, Views
from harness.protocols.base import Protocol
from harness.protocols.checks import check_plausible, fails_without_number
from harness.protocols.now_truth import NowTruth, predicted_landmarks
from harness.protocols.scores import SampleScore, Score
from harness.samples import Prediction

Array = NDArray[Any]

CAUTION = (
    "Variance rewards shrinkage: an answer that is always the same scores 0, so read it beside the distance to the "
    "scan and the ratio to the variance between people; variances of coefficients compare only within one head model"
)


@dataclass(frozen=True, kw_only=True)
class Consistency(Protocol):
    """Variance of a method's answers over the views of one scan (a group of samples).

    Surfaces, for any method: each prediction is aligned to the scan without a change of size (`scale="none"`; with
    `"least_squares"` the landmarks choose it) and without reflection, by seven landmarks and then the converged rigid
    fit of `points` vertices of the scan's face (NoW's ball), the same for all views, to the predicted surface, with a
    Huber cost as in `H3dsSurface`. Each of these vertices takes the closest point of each aligned surface, which over
    the views has a variance, summed over x, y, z and divided by the number of views; `spread` is the root of its mean
    over the vertices. `distance` is the mean distance of the same vertices to the aligned surface.

    Coefficients, for methods whose predictions carry parameters of these names (KaoLRM's Table 1): Var = 1/N sum over
    the N views of a scan of the squared distance from their mean, over the first ten or all coefficients.
    `within/between` divides the mean over scans by the variance over people of their mean coefficients.

    All are means over scans with two views or more. A method without a parameter has no value in its columns. A view
    that failed counts with the mean face: its surface, and coefficients of zero; with `fallback="none"` the value is
    then undefined. Without failures, as official programs do it, means over the views that worked.

    Attributes:
        points: how many scan vertices carry the spread; all where the face has fewer.
        seed: which ones.
        max_iterations, tolerance, huber: of the fit, as in `H3dsSurface`.
    """

    name: str = "consistency"
    official: bool = False
    alignment: str = "landmarks7+surface"
    scale: str = "none"
    reflection: bool = False
    distance: str = "surface"
    regions: tuple[str, ...] = ("face",)
    aggregation: str = "sample>scan>set"
    points: int = 2000
    seed: int = 0
    max_iterations: int = 300
    tolerance: float = 1e-3
    huber: float = 0.5

    computes = (
        *("alignment", "reflection", "distance", "direction", "statistic", "expression", "track", "aggregation"),
    )
    knows_regions = ("face",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale not in ("none", "least_squares"):
            raise ContractError(f"protocol {self.name}.scale: {self.scale!r}, expected none or least_squares")
        if self.points < 1:
            raise ContractError(f"protocol {self.name}.points: {self.points}, expected at least 1")

    @property
    def columns(self) -> tuple[str, ...]:
        """What one sample has; `summarise` adds what several have together."""
        return ("distance",)

    def unit_of(self, column: str) -> str:
        """Millimetres for surfaces, squared coefficients for variances, 1 for ratios."""
        if column in ("distance", "spread"):
            return "mm"
        return "1" if column.endswith("between") else "squared coefficients"

    def describe(self) -> str:
        """What the numbers mean, and what they do not."""
        return (
            f"{super().describe()} The spread is the root mean square, over {self.points} points of the scan's face "
            "and the views of a scan, of how far the closest point of the aligned surface is from its mean over the "
            f"views (mm). Var is the squared distance of the coefficients from their mean over the views. {CAUTION}."
        )

    @fails_without_number
    def score(self, prediction: Prediction, truth: NowTruth) -> Score:
        """Aligns one prediction; keeps its surface points and coefficients for `summarise`. See the class."""
        problem = check_plausible(prediction) if self.scale == "none" else None
        if problem is not None:
            return Score.failed("bad_mesh", problem)
        landmarks = predicted_landmarks(prediction)
        if isinstance(landmarks, str):
            return Score.failed("no_landmarks", landmarks)
        return self._score(prediction, landmarks, truth)

    def _score(self, prediction: Prediction, landmarks: Array, truth: NowTruth) -> Score:
        assert prediction.vertices is not None and prediction.faces is not None
        size = fit_similarity(landmarks, truth.landmarks).scale if self.scale == "least_squares" else 1.0
        surface = ClosestPoints(Mesh(size * prediction.vertices, prediction.faces), self.device)
        start = fit_similarity(truth.landmarks, size * landmarks, scale="none")
        ids = truth.crop()
        ids = ids[chosen_points(len(ids), self.points, self.seed)]
        face = truth.scan.vertices[ids]
        fit = fit_rigid_to_surface(face, surface, start, self.max_iterations, self.tolerance, self.huber)
        if not fit.converged:
            moved = f"still moved by {fit.last_step:.2g} mm after {fit.iterations} iterations"
            raise AlignmentError(f"the fit of the scan to the predicted surface {moved}")
        closest = surface.query(fit.transform.apply(face))
        back = fit.transform.inverse()
        coefficients = {k: prediction.parameters[k] for k in COEFFICIENTS if k in prediction.parameters}
        lacking = [name for name in COEFFICIENTS if name not in coefficients]
        return Score(
            values={"distance": float(closest.distances.mean())},
            diagnostics={"iterations": float(fit.iterations), "huber_cost": fit.cost, "scale": size},
            per_point={"face": (ids.astype(np.int32), closest.distances.astype(np.float32))},
            aligned_vertices=back.apply(size * prediction.vertices).astype(np.float32),
            vectors={"points": back.apply(closest.points).astype(np.float32), **coefficients},
            warnings=tuple(f"no parameters named {name!r}: its variance cannot be computed" for name in lacking),
        )

    def summarise(self, rows: Sequence[SampleScore]) -> list[dict[str, Any]]:
        """The table's rows: keys as in the base class, whatever the condition. Reads one sample's arrays at a time."""
        groups: dict[str, list[SampleScore]] = {}
        for row in rows:
            groups.setdefault(row.group, []).append(row)
        coefficients, filled, worked = Coefficients(), Pool(), Pool()
        for members in groups.values():
            self._add_scan(members, coefficients, filled, worked)
        table = []
        for column in (*SURFACE_COLUMNS, *coefficients.columns()):
            known = coefficients.known(column)
            table.append(
                {
                    "protocol": self.id,
                    "column": column,
                    "value": filled.mean(column) if known and filled.complete else None,
                    "value_dropping_failures": worked.mean(column) if known else None,
                    "evaluated": coefficients.evaluated(column, rows),
                    "expected": len(rows),
                    "std_subjects": filled.std_subjects(column) if known and filled.complete else None,
                }
            )
        return table

    def _add_scan(self, rows: Sequence[SampleScore], coefficients: Coefficients, filled: Pool, worked: Pool) -> None:
        """Adds the views of one scan to both pools: with the mean face for those that failed, and without them."""
        all_views, answered = Views(), Views()
        for row in rows:
            if row.score is not None:
                view = {"points": row.arrays("vectors/points"), **coefficients.of(row)}
                answered.add(row.score["distance"], view)
                all_views.add(row.score["distance"], view)
            elif self.fallback != "none" and row.fallback is not None:
                view = {"points": row.arrays("fallback/vectors/points"), **dict.fromkeys(COEFFICIENTS, np.zeros(1))}
                all_views.add(row.fallback["distance"], view)
        filled.add(rows[0].subject, all_views, complete=all_views.count == len(rows))
        worked.add(rows[0].subject, answered, complete=True)


@lru_cache(maxsize=4)
def chosen_points(count: int, points: int, seed: int) -> Array:
    """(min(points, count),) sorted positions, the same for the same arguments."""
    return np.sort(np.random.default_rng(seed).permutation(count)[:points])
