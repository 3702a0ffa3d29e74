"""What the landmarks of the answers say: in which order they are, and how each answer lies on the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from harness.doctor.evidence import Evidence
from harness.doctor.exam import Truth
from harness.errors import AlignmentError
from harness.geometry.alignment import Similarity, fit_similarity
from harness.samples import Array, Prediction

IN_ORDER, SWAPPED, PERMUTED, UNKNOWN = "in order", "swapped", "permuted", "unknown"
FACE_MM = 13.0
"""RMS distance of 68 landmarks after a similarity fit, up to which they are a face in the right order. The mean face is
4 to 8 mm from the exam's people, open mouths included; a wrong order gives 25 mm and more, left for right 30 mm."""
ASSIGNED_MM = 10.0
"""The same where the order is searched for: a search over 68! orders finds something near for any cloud of points, but
never nearer than about 12 mm for one that is no face."""
FEWEST = 12  # landmarks that say anything


def _swap() -> Array:
    """(68,) iBUG number of the point on the other side."""
    index = np.arange(68)
    for first, last in ((0, 16), (17, 26), (31, 35), (48, 54), (60, 64)):
        index[first : last + 1] = index[first : last + 1][::-1]
    index[[36, 37, 38, 39, 40, 41]] = [45, 44, 43, 42, 47, 46]
    index[[42, 43, 44, 45, 46, 47]] = [39, 38, 37, 36, 41, 40]
    index[[55, 56, 57, 58, 59]] = [59, 58, 57, 56, 55]
    index[[65, 66, 67]] = [67, 66, 65]
    return index


OTHER_SIDE = _swap()


@dataclass(frozen=True, eq=False)
class Order:
    """In which order the landmarks are.

    Attributes:
        kind: one of the words above.
        index: (68,) the answer's row for each iBUG point.
        rms_mm: median over the questions of the RMS distance to the truth after a similarity, by hypothesis:
            "as given", "reflected" (as given, with a reflection), "swapped", "reordered" (if it was looked for).
    """

    kind: str
    index: Array
    rms_mm: dict[str, float]


@dataclass(frozen=True, eq=False)
class Reading:
    """The evidence with what follows from it; computed when first asked for."""

    evidence: Evidence

    @cached_property
    def pairs(self) -> list[tuple[Prediction, Truth]]:
        """Answers with a mesh, and their truth."""
        together = zip(self.evidence.answers, self.evidence.questions, strict=False)
        return [(answer, q.truth) for answer, q in together if answer.vertices is not None]

    @cached_property
    def pointed(self) -> list[tuple[Prediction, Truth]]:
        """Those of them with enough landmarks."""
        return [(a, t) for a, t in self.pairs if a.landmarks is not None and known(a.landmarks).sum() >= FEWEST]

    @cached_property
    def order(self) -> Order:
        """In which order the landmarks are."""
        return _order([(a.landmarks, t.landmarks) for a, t in self.pointed if a.landmarks is not None])

    def fit(self, answer: Prediction, truth: Truth, neutral: bool = False) -> Similarity | None:
        """Answer -> truth by the landmarks in the order found; None where they do not tell."""
        points = answer.neutral_landmarks if neutral else answer.landmarks
        if points is None or self.order.kind == UNKNOWN:
            return None
        return _fitted(points[self.order.index], truth.landmarks)

    @property
    def no_landmarks(self) -> str:
        """Why landmarks cannot be used; empty if they can."""
        if not self.pairs:
            return "no answer holds a mesh"
        if not self.pointed:
            return f"no answer holds {FEWEST} or more landmarks"
        return "the landmarks are no face in any order" if self.order.kind == UNKNOWN else ""


def known(points: Array) -> Array:
    """(N,) bool, rows without NaN."""
    return np.asarray(np.isfinite(points).all(axis=1))


def _fitted(source: Array, target: Array, reflection: bool = False) -> Similarity | None:
    there = known(source) & known(target)
    try:
        return fit_similarity(source[there], target[there], reflection=reflection)
    except AlignmentError:
        return None


def rms_after_fit(source: Array, target: Array, reflection: bool = False) -> float:
    """RMS distance of points after the similarity that fits best, in the target's unit; infinite where none does."""
    fit = _fitted(source, target, reflection)
    if fit is None:
        return np.inf
    there = known(source) & known(target)
    return float(np.sqrt(np.square(fit.apply(source[there]) - target[there]).sum(1).mean()))


def _order(pairs: Sequence[tuple[Array, Array]]) -> Order:
    as_given = np.arange(68)
    if not pairs:
        return Order(UNKNOWN, as_given, {})
    rms = {
        "as given": float(np.median([rms_after_fit(p, t) for p, t in pairs])),
        "reflected": float(np.median([rms_after_fit(p, t, reflection=True) for p, t in pairs])),
        "swapped": float(np.median([rms_after_fit(p[OTHER_SIDE], t) for p, t in pairs])),
    }
    if rms["as given"] <= FACE_MM:
        return Order(IN_ORDER, as_given, rms)
    if rms["swapped"] <= FACE_MM:
        return Order(SWAPPED, OTHER_SIDE, rms)
    index, rms["reordered"] = _reordered(*pairs[0])
    if index is not None and rms["reordered"] <= ASSIGNED_MM:
        others = [rms_after_fit(p[index], t) for p, t in pairs[1:]]
        if not others or np.median(others) <= FACE_MM:
            return Order(PERMUTED, index, rms)
    return Order(UNKNOWN, as_given, rms)


def _reordered(points: Array, target: Array) -> tuple[Array | None, float]:
    """The order in which a set of 68 points fits best, from 24 starting rotations, and its RMS distance."""
    if not known(points).all():
        return None, np.inf
    source, start = _principal(points), _principal(target)
    best, least = None, np.inf
    for turn in Rotation.create_group("O").as_matrix():
        moved, index = source @ turn.T, np.arange(68)
        for _ in range(15):
            found = linear_sum_assignment(cdist(start, moved, "sqeuclidean"))[1]
            if np.array_equal(found, index):
                break
            index = found
            fit = _fitted(source[index], start)
            if fit is None:
                return None, np.inf
            moved = fit.apply(source)
        rms = rms_after_fit(points[index], target)
        if rms < least:
            best, least = index, rms
    return best, least


def _principal(points: Array) -> Array:
    """Points about their mean, in their principal axes (a rotation), with unit RMS radius."""
    centred = points - points.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    axes[2] *= np.linalg.det(axes)
    turned = centred @ axes.T
    radius = np.sqrt(np.square(turned).sum(1).mean())
    return np.asarray(turned / radius) if radius > 0 else turned
