"""Chamfer distance on FaceVerse scans, as this harness defines what KaoLRM's paper leaves open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from harness.errors import AlignmentError, ContractError
from harness.geometry.alignment import Similarity, fit_similarity
from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh
from harness.geometry.moving_points import MovingPoints
from harness.geometry.surface_tree import SurfaceTree
from harness.geometry.together import alone
from harness.protocols.base import Protocol
from harness.protocols.checks import check_plausible, fails_without_number
from harness.protocols.face_region import predicted_face, scan_surface
from harness.protocols.now_fit import pose_of, refine
from harness.protocols.now_truth import NOW_LANDMARKS, NowTruth, predicted_landmarks
from harness.protocols.scores import SampleScore, Score, by_condition
from harness.samples import Prediction

Array = NDArray[Any]

DIRECTIONS = ("scan_to_prediction", "prediction_to_scan", "mean", "sum")
REFINEMENTS = {
    "none": "The landmarks alone place the prediction",
    "surface": "After the landmarks, NoW's refinement fits scale, rotation and translation to the surface",
}
_FARTHEST_LANDMARK_MM = 20.0


@dataclass(frozen=True, eq=False)
class FaceVerseTruth(NowTruth):
    """The ground truth of one FaceVerse scan.

    Attributes:
        scan, landmarks: as in NoW, of one person with one expression.
        divisor: millimetres, half of the longest side of the scan's box: the unit of normalised lengths.

    Raises:
        ContractError: a divisor that is not positive, or a landmark far from the scan.
    """

    divisor: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (np.isfinite(self.divisor) and self.divisor > 0):
            raise ContractError(f"truth.divisor: {self.divisor}, expected a positive number of millimetres")
        away = np.asarray(cKDTree(self.scan.vertices).query(self.landmarks)[0])
        if away.max() > _FARTHEST_LANDMARK_MM:
            name = list(NOW_LANDMARKS)[int(away.argmax())]
            raise ContractError(f"truth.landmarks: {name} is {away.max():.3g} mm away from the scan")


@dataclass(frozen=True, kw_only=True)
class FaceVerseChamfer(Protocol):
    """Mean distance between the faces of the scan and of the prediction after an alignment by seven landmarks.

    KaoLRM's paper says "Chamfer distance over the cropped facial region after Umeyama alignment on the estimated
    keypoints" and its code has no evaluation, so this is our definition:

    1. Umeyama's similarity takes the prediction's seven NoW landmarks to the scan's. With `refinement="surface"`
       NoW's refinement follows.
    2. The face is what lies in NoW's ball about the scan's landmarks. The same ball cuts the scan (its vertices) and
       the aligned prediction (triangles in it that can be seen from in front, since a mouth bag has no counterpart on
       a scan). Cutting the prediction by its own landmarks would let a method choose its region; taking the predicted
       vertices whose nearest scan point is in the scan's face would give the back of a head to a scan without one.
    3. `direction`: the mean distance of the scan's face to the whole predicted surface, that of the predicted face to
       the whole scan, the mean of the two, or their sum. Scan vertices count equally, as in NoW; the predicted face
       counts by area, so its tessellation hardly matters.
    4. Views of a scan are averaged, then mean, median and standard deviation (n - 1) are taken over scans. Normalised
       values are hundredths of half the longest side of the scan's box, the unit of KaoLRM's tables, and have median
       and deviation over images too (where scans have equally many views the mean is the same).

    Attributes:
        refinement: a key of REFINEMENTS.
    """

    name: str = "faceverse"
    official: bool = False
    alignment: str = "landmarks7"
    scale: str = "least_squares"
    reflection: bool = False
    distance: str = "other_surface"
    regions: tuple[str, ...] = ("face",)
    aggregation: str = "sample>scan>set"
    refinement: str = "none"

    computes = ("alignment", "scale", "reflection", "distance", "statistic", "expression", "track", "aggregation")
    knows_regions = ("face",)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.refinement not in REFINEMENTS:
            raise ContractError(f"protocol {self.name}.refinement: {self.refinement!r}, expected {list(REFINEMENTS)}")
        if self.direction not in DIRECTIONS:
            raise ContractError(f"protocol {self.name}.direction: {self.direction!r}, expected {DIRECTIONS}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The same distance in two units; `summarise` adds their statistics."""
        return ("distance", "normalised")

    def unit_of(self, column: str) -> str:
        """Millimetres, or hundredths of the normalised unit."""
        return "1e-2" if column.startswith("normalised") else "mm"

    def describe(self) -> str:
        """One sentence that says what the number means, and what this protocol adds."""
        return (
            f"{super().describe()} {REFINEMENTS[self.refinement]}. Normalised values are hundredths of "
            "half the longest side of the scan's box. This is not KaoLRM's program, which is not public."
        )

    @fails_without_number
    def score(self, prediction: Prediction, truth: FaceVerseTruth) -> Score:
        """Scores a prediction; see the class."""
        landmarks = predicted_landmarks(prediction)
        if isinstance(landmarks, str):
            return Score.failed("no_landmarks", landmarks)
        return self._score(prediction, landmarks, truth)

    def _score(self, prediction: Prediction, landmarks: Array, truth: FaceVerseTruth) -> Score:
        assert prediction.vertices is not None and prediction.faces is not None
        fit = fit_similarity(landmarks, truth.landmarks)
        residual = float(np.sqrt(((fit.apply(landmarks) - truth.landmarks) ** 2).sum(axis=1).mean()))
        diagnostics = {"landmark_rms": residual, "vertices": float(len(prediction.vertices))}
        ids = truth.crop()
        if self.refinement == "surface":
            fit = refined(Mesh(fit.apply(prediction.vertices), prediction.faces), truth, self.device).compose(fit)
        mesh = Mesh(fit.apply(prediction.vertices), prediction.faces)
        surface = ClosestPoints(mesh, self.device)
        distances = surface.query(truth.scan.vertices[ids]).distances
        means = {"scan_to_prediction": float(distances.mean())}
        region, weights = predicted_face(mesh, truth.landmarks, self.device)
        if len(region):
            back = scan_surface(truth, self.device).query(mesh.vertices[region]).distances
            means["prediction_to_scan"] = float(back @ weights / weights.sum())
            means["sum"] = means["scan_to_prediction"] + means["prediction_to_scan"]
            means["mean"] = means["sum"] / 2
        elif self.direction != "scan_to_prediction":
            raise AlignmentError("no triangle of the aligned prediction lies in the scan's face")
        value = means[self.direction]
        problem = check_plausible(prediction)
        return Score(
            values={"distance": value, "normalised": 100 * value / truth.divisor},
            diagnostics={
                **diagnostics,
                **means,
                "scale": fit.scale,
                "faces_without_area": float(surface.dropped_faces),
            },
            per_point={"face": (ids.astype(np.int32), distances.astype(np.float32))},
            aligned_vertices=mesh.vertices.astype(np.float32),
            warnings=(f"{problem}; this protocol forgives it, since its scale is free",) if problem else (),
        )

    def summarise(self, rows: Sequence[SampleScore]) -> list[dict[str, Any]]:
        """Statistics over scans and over images; where there are several conditions, the mean of each, and all.

        A scan's value is the mean over its views. Keys are the base class's.
        """
        conditions = by_condition(rows)
        if len(conditions) == 1:
            return [{**conditions[0][0], **self._row(spec, rows)} for spec in TABLE]
        apart = [{**condition, **self._row(TABLE[0], members)} for condition, members in conditions]
        whole = {key: "all" for condition, _ in conditions for key in condition}
        return apart + [{**whole, **self._row(spec, rows)} for spec in TABLE]

    def _row(self, spec: Statistic, rows: Sequence[SampleScore]) -> dict[str, Any]:
        worked = [(row, row.score[spec.source]) for row in rows if row.score is not None]
        filled = [(row, value) for row in rows if (value := self._filled(row, spec.source)) is not None]
        complete = len(filled) == len(rows)
        return {
            "protocol": self.id,
            "column": spec.column,
            "value": spec.of(spec.units(filled)) if complete else None,
            "value_dropping_failures": spec.of(spec.units(worked)),
            "evaluated": len(worked),
            "expected": len(rows),
            "std_subjects": _std(_subject_means(filled)) if complete and spec.of is _mean else None,
        }

    def _filled(self, row: SampleScore, column: str) -> float | None:
        values: Mapping[str, float] | None = row.score
        if values is None and self.fallback != "none":
            values = row.fallback
        return None if values is None else values.get(column)


def refined(mesh: Mesh, truth: NowTruth, device: str) -> Similarity:
    """Where NoW's official refinement moves a prediction that stands at the scan by its landmarks."""
    points = MovingPoints(truth.scan.vertices[truth.crop()], SurfaceTree(mesh, device))
    pose = pose_of(alone(refine(points, np.array([1.0, 0, 0, 0, 0, 0, 0]))).parameters)
    return Similarity(pose.scale, pose.rotation, pose.translation)


Scored = Sequence[tuple[SampleScore, float]]


def _grouped(pairs: Iterable[tuple[str, float]]) -> list[float]:
    """Mean of each name's values, in the order in which names first appear."""
    groups: dict[str, list[float]] = {}
    for name, value in pairs:
        groups.setdefault(name, []).append(value)
    return [float(np.mean(members)) for members in groups.values()]


def _scan_means(values: Scored) -> list[float]:
    return _grouped((row.group, value) for row, value in values)


def _subject_means(values: Scored) -> list[float]:
    """Mean over each person's scans of their mean over views."""
    people = {row.group: row.subject for row, _ in values}
    return _grouped(zip(people.values(), _scan_means(values), strict=True))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _median(values: Sequence[float]) -> float | None:
    return float(np.median(values)) if values else None


def _std(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


class Statistic(NamedTuple):
    """One row of the table: its name, the column that it is of, whether it is over images, and what it takes."""

    column: str
    source: str
    images: bool
    of: Callable[[Sequence[float]], float | None]

    def units(self, values: Scored) -> list[float]:
        """What the statistic is taken over: the samples' values, or their means per scan."""
        return [value for _, value in values] if self.images else _scan_means(values)


_OVER_SCANS = (("", False, _mean), (" median", False, _median), (" std", False, _std))
_OVER_IMAGES = ((" median, images", True, _median), (" std, images", True, _std))
TABLE = tuple(
    Statistic(f"{source}{name}", source, images, of)
    for source, statistics in (("distance", _OVER_SCANS), ("normalised", _OVER_SCANS + _OVER_IMAGES))
    for name, images, of in statistics
)
