"""Face alignment: the normalised mean error of 2D landmarks, its failure rate and the area under its curve.

The formulas are those of FaRL's program (Zheng et al., CVPR 2022), which PaCo-FR's tables follow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import simpson

from harness.errors import ContractError
from harness.protocols.base import Protocol
from harness.protocols.scores import SampleScore, Score
from harness.protocols.subsets import by_subset
from harness.samples import Prediction

Array = NDArray[Any]

STEP = 1e-4
"""Of the official curve's errors, in shares of the normaliser."""


@dataclass(frozen=True)
class Layout:
    """Which points an annotation has.

    Attributes:
        count: of points.
        outer_eyes: the two whose distance is "inter-ocular"; None where there are none.
        pupils: those whose means' distance is "inter-pupil".
    """

    count: int
    outer_eyes: tuple[int, int] | None
    pupils: tuple[tuple[int, ...], tuple[int, ...]]


LAYOUTS: Mapping[str, Layout] = MappingProxyType(
    {
        "ibug68": Layout(68, (36, 45), (tuple(range(36, 42)), tuple(range(42, 48)))),
        "wflw98": Layout(98, (60, 72), ((96,), (97,))),
        "aflw19": Layout(19, (6, 11), ((7,), (10,))),
    }
)

NORMALISERS = {
    "inter_ocular": "the distance of the outer eye corners",
    "inter_pupil": "the distance of the middles of the eyes",
    "diagonal": "the diagonal of the face box",
    "box": "the root of the area of the face box",
}


@dataclass(frozen=True, eq=False)
class LandmarkTruth:
    """The annotation of one face.

    Attributes:
        points: (N, 2) float64 pixels of the picture; may lie outside of it.
        layout: key of LAYOUTS.
        box: (4,) left, top, right, bottom of the face in pixels, as the data set gives it; around the points if None.
    """

    points: Array
    layout: str = "ibug68"
    box: Array | None = None

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise ContractError(f"truth.layout: {self.layout!r}, expected one of {', '.join(LAYOUTS)}")
        points = np.asarray(self.points, dtype=np.float64)
        if points.shape != (LAYOUTS[self.layout].count, 2) or not np.isfinite(points).all():
            raise ContractError(
                f"truth.points: shape {points.shape}, expected ({LAYOUTS[self.layout].count}, 2) finite numbers"
            )
        box = np.concatenate([points.min(0), points.max(0)]) if self.box is None else np.asarray(self.box, np.float64)
        if box.shape != (4,) or not np.isfinite(box).all():
            raise ContractError(f"truth.box: {box.tolist()}, expected left, top, right, bottom")
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "box", box)

    def normaliser(self, kind: str) -> float:
        """What errors are divided by, in pixels; 0 where the annotation is degenerate. See NORMALISERS.

        Raises:
            ContractError: the layout has no such points.
        """
        layout = LAYOUTS[self.layout]
        assert self.box is not None
        if kind in ("diagonal", "box"):
            wide, tall = np.maximum(self.box[2:] - self.box[:2], 0.0)
            return float(np.hypot(wide, tall) if kind == "diagonal" else np.sqrt(wide * tall))
        if kind == "inter_ocular" and layout.outer_eyes is None:
            raise ContractError(f"layout {self.layout} has no outer eye corners")
        ends = [[i] for i in layout.outer_eyes or ()] if kind == "inter_ocular" else [list(i) for i in layout.pupils]
        first, second = (self.points[one].mean(axis=0) for one in ends)
        return float(np.linalg.norm(first - second))


@dataclass(frozen=True, kw_only=True)
class LandmarkError(Protocol):
    """Normalised mean error: the mean distance of a face's points to their annotation over a length of the face.

    A sample has `nme`; a table has three columns, all in percent: `nme`, the mean over the faces; `fr`, the share of
    faces with an error above the threshold; `auc`, the area under the share of faces with at most an error, up to the
    threshold. Each is given for all samples and for every subset.

    With `curve="grid"` (official) the curve is sampled at numpy.arange(0, threshold + 1e-4, 1e-4) of errors rounded to
    single precision, integrated by Simpson's rule and divided by the threshold, and `fr` counts from the grid's last
    place. In floating point that grid overshoots for 7 %: 702 places up to 7.01 %, so that `auc` comes out up to 0.14
    points too large and `fr` takes 7.01 % for a success; for 8 % and 10 % it ends where it should. With
    `curve="exact"`, auc = mean(max(0, 1 - nme / threshold)) and fr is the share above the threshold.

    A failed sample counts with the mean face, seen from the front, in the box of the true points; in layouts of other
    points than iBUG's 68 (`fallback="middle"`) with every point in the middle of the face box.

    Attributes:
        layout: of the points, a key of LAYOUTS.
        normaliser: a key of NORMALISERS.
        threshold: in percent.
        curve: "grid" or "exact".
    """

    name: str = "nme"
    official: bool = True
    alignment: str = "in_picture"
    scale: str = "none"
    reflection: bool = False
    distance: str = "same_point"
    direction: str = "landmark"
    regions: tuple[str, ...] = ("face",)
    track: str = "shared"
    unit: str = "%"
    aggregation: str = "sample>set"
    layout: str = "ibug68"
    normaliser: str = "inter_ocular"
    threshold: float = 8.0
    curve: str = "grid"

    computes = (
        *("alignment", "scale", "reflection", "distance", "direction", "statistic", "expression", "unit"),
        "aggregation",
    )
    knows_regions = ("face",)

    def __post_init__(self) -> None:
        super().__post_init__()
        standing = "mean_face" if self.layout == "ibug68" else "middle"
        for key, words in {
            "layout": tuple(LAYOUTS),
            "normaliser": tuple(NORMALISERS),
            "curve": ("grid", "exact"),
            "fallback": (standing, "none"),
        }.items():
            if getattr(self, key) not in words:
                raise ContractError(
                    f"protocol {self.name}.{key}: {getattr(self, key)!r}, expected one of {', '.join(words)}"
                )
        if not 0 < self.threshold < 100:
            raise ContractError(f"protocol {self.name}.threshold: {self.threshold}, expected percent between 0 and 100")
        if self.official and self.curve != "grid":
            raise ContractError(f"protocol {self.name}: the official curve is a grid; set official=False")

    @property
    def columns(self) -> tuple[str, ...]:
        """What one sample has; `summarise` adds `fr` and `auc`."""
        return ("nme",)

    def describe(self) -> str:
        """One sentence that says what the numbers mean."""
        kind = "the official program's" if self.official else "this harness's own"
        area = "Simpson's rule on a grid of 0.01 %" if self.curve == "grid" else "in closed form"
        return (
            f"{self.name} (version {self.version}, {kind} protocol): mean distance of the {LAYOUTS[self.layout].count} "
            f"points to their annotation over {NORMALISERS[self.normaliser]}, in {self.unit}; mean over all samples; "
            f"fr is the share of samples above {self.threshold:g} %, auc the area under the curve of errors up to it "
            f"({area}; larger is better); {self._words('track')}; {self._words('fallback')}."
        )

    def larger_is_better(self, column: str) -> bool:
        """See Protocol; of the area under the curve."""
        return column == "auc"

    def stand_in(self, truth: LandmarkTruth) -> Prediction:
        """The mean face from the front in the box of the true points, or all points in the middle of the face box."""
        assert truth.box is not None
        if self.fallback == "middle":
            return Prediction(landmarks_2d=np.tile((truth.box[:2] + truth.box[2:]) / 2, (len(truth.points), 1)))
        solid = super().stand_in(truth).landmarks
        assert solid is not None
        face = solid[:, :2] * [1.0, -1.0]
        low, high = truth.points.min(axis=0), truth.points.max(axis=0)
        scale = float((high - low).mean() / np.ptp(face, axis=0).mean())
        return Prediction(landmarks_2d=(face - (face.min(axis=0) + face.max(axis=0)) / 2) * scale + (low + high) / 2)

    def score(self, prediction: Prediction, truth: LandmarkTruth) -> Score:
        """One face's error in percent; see the class."""
        if prediction.failure is not None:
            return Score.failed(prediction.failure, prediction.detail)
        points = points_of(prediction)
        if points is None:
            return Score.failed("no_landmarks", "the prediction has no points in the picture, nor says where it lies")
        if truth.layout != self.layout or points.shape != truth.points.shape:
            return Score.failed(
                "no_landmarks", f"the prediction has {len(points)} points, the annotation those of {truth.layout}"
            )
        if not np.isfinite(points).all():
            lost = int((~np.isfinite(points)).any(axis=1).sum())
            return Score.failed("non_finite", f"{lost} of the {len(points)} points are NaN or infinite")
        length = truth.normaliser(self.normaliser)
        if not length > 0:
            return Score.failed("bad_input", f"{NORMALISERS[self.normaliser]} is 0 in the annotation")
        with np.errstate(over="ignore"):
            distances = np.hypot(*(points - truth.points).T)
            error = 100.0 * float(distances.mean()) / length
        if not np.isfinite(error):
            return Score.failed("non_finite", f"the points are {distances.max():.3g} pixels off")
        kept = (np.arange(len(points), dtype=np.int32), distances.astype(np.float32))
        return Score({"nme": error}, {"normaliser_px": length}, per_point={"points": kept})

    def summarise(self, rows: Sequence[SampleScore]) -> list[dict[str, Any]]:
        """See Protocol.summarise: over samples, for all of them and for each subset."""
        return [{**condition, **line} for condition, group in by_subset(rows) for line in self._lines(group)]

    def _lines(self, rows: Sequence[SampleScore]) -> list[dict[str, Any]]:
        filled = [row.score or (row.fallback if self.fallback != "none" else None) for row in rows]
        known = [score["nme"] for score in filled if score is not None]
        complete = self.statistics(np.array(known)) if known and len(known) == len(rows) else {}
        answered = [row.score["nme"] for row in rows if row.score is not None]
        worked = self.statistics(np.array(answered)) if answered else {}
        return [
            {
                "protocol": self.id,
                "column": column,
                "value": complete.get(column),
                "value_dropping_failures": worked.get(column),
                "evaluated": len(answered),
                "expected": len(rows),
                "std_subjects": None,
            }
            for column in ("nme", "fr", "auc")
        ]

    def statistics(self, errors: Array) -> dict[str, float]:
        """Mean, failure rate and area under the curve, in percent, of (N,) errors in percent, N > 0."""
        area, rate = (grid_curve if self.curve == "grid" else exact_curve)(errors / 100, self.threshold / 100)
        return {"nme": float(errors.mean()), "fr": 100 * rate, "auc": 100 * area}


def points_of(prediction: Prediction) -> Array | None:
    """(N, 2) pixels: the prediction's own points, or its 68 landmarks through its projection; None without either."""
    if prediction.landmarks_2d is not None:
        return prediction.landmarks_2d
    if prediction.landmarks is None or prediction.projection is None:
        return None
    image = prediction.landmarks @ prediction.projection[:, :3].T + prediction.projection[:, 3]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(image[:, :2] / image[:, 2:])


def grid_curve(errors: Array, threshold: float) -> tuple[float, float]:
    """Area under the curve of errors and failure rate as FaRL's program has them; see LandmarkError.

    Args:
        errors: (N,) shares of the normaliser.
        threshold: likewise.
    """
    ordered = np.sort(errors.astype(np.float32)).astype(np.float64)
    grid = np.arange(0, threshold + STEP, STEP)
    share = np.searchsorted(ordered, grid, side="right") / len(ordered)
    return float(simpson(share, x=grid)) / threshold, float(1 - share[-1])


def exact_curve(errors: Array, threshold: float) -> tuple[float, float]:
    """The same two without a grid: the mean of max(0, 1 - error / threshold), and the share above the threshold."""
    return float(np.maximum(0.0, 1 - errors / threshold).mean()), float((errors > threshold).mean())
