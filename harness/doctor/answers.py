"""How far two answers to the same question are apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from harness.samples import Array, Prediction

SAME_MM = 0.01
"""Answers that are nearer than this count as the same. Tables print hundredths of a millimetre; float32 rounding, which
may differ with the size of a batch, moves vertices of a head by some 1e-5 mm, through a network by up to 1e-3 mm."""


@dataclass(frozen=True)
class Difference:
    """Of two answers.

    Attributes:
        mm: the largest distance between corresponding points; infinite if there is no correspondence.
        what: which points these are, or what else differs.
        reordered: the vertices are the same but for their order.
    """

    mm: float
    what: str
    reordered: bool = False

    @property
    def same(self) -> bool:
        """Whether no table can show the difference."""
        return self.mm <= SAME_MM or self.reordered


def difference(one: Prediction, other: Prediction) -> Difference:
    """Compares meshes, landmarks, neutral meshes and 2D landmarks (pixels count as millimetres)."""
    if one.failure is not None or other.failure is not None:
        if one.failure == other.failure:
            return Difference(0.0, f"both fail ({one.failure})")
        return Difference(np.inf, f"one answer is {one.failure or 'a mesh'}, the other {other.failure or 'a mesh'}")
    worst = Difference(0.0, "vertices")
    names: tuple[str, ...] = ("vertices", "landmarks", "neutral_vertices", "neutral_landmarks", "landmarks_2d")
    if _reordered(one.vertices, other.vertices):
        worst = Difference(0.0, "the order of the vertices", reordered=True)
        names = ("landmarks", "neutral_landmarks", "landmarks_2d")
    for name in names:
        mm = _apart(getattr(one, name), getattr(other, name))
        if mm > worst.mm:
            worst = Difference(mm, name, worst.reordered and mm <= SAME_MM)
    return worst


def _apart(one: Array | None, other: Array | None) -> float:
    if one is None or other is None:
        return 0.0 if one is other else np.inf
    if one.shape != other.shape or not np.array_equal(np.isnan(one), np.isnan(other)):
        return np.inf
    distances = np.linalg.norm(one - other, axis=1)
    return float(np.nanmax(distances)) if np.isfinite(distances).any() else 0.0


def _reordered(one: Array | None, other: Array | None) -> bool:
    """Whether two sets of vertices are the same in another order."""
    if one is None or other is None or one.shape != other.shape or _apart(one, other) <= SAME_MM:
        return False
    there, back = cKDTree(one).query(other)[0], cKDTree(other).query(one)[0]
    return bool(np.max([there, back]) <= SAME_MM)
