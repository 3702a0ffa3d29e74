"""Similarity transforms, and the one that best maps a point set onto another in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.errors import AlignmentError, ContractError

Array = NDArray[Any]
Scale = Literal["least_squares", "rms", "none"]

# Points whose second extent is below this share of the first lie on a line, as far as float64 can tell.
_RANK_TOLERANCE = 1e-7


@dataclass(frozen=True, eq=False)
class Similarity:
    """x -> scale * rotation @ x + translation.

    Attributes:
        scale: positive.
        rotation: (3, 3) float64 orthogonal; its determinant is -1 where the transform mirrors.
        translation: (3,) float64, in the unit of the points.
    """

    scale: float
    rotation: Array
    translation: Array

    def __post_init__(self) -> None:
        rotation = np.array(self.rotation, dtype=np.float64)
        translation = np.array(self.translation, dtype=np.float64)
        if rotation.shape != (3, 3) or translation.shape != (3,):
            raise ContractError(f"similarity: shapes {rotation.shape}, {translation.shape}, expected (3, 3), (3,)")
        if not self.scale > 0:
            raise ContractError(f"similarity.scale: {self.scale}, expected a positive number")
        if not np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-6:
            raise ContractError("similarity.rotation: not orthogonal")
        object.__setattr__(self, "scale", float(self.scale))
        object.__setattr__(self, "rotation", rotation)
        object.__setattr__(self, "translation", translation)

    @classmethod
    def identity(cls) -> Similarity:
        """The transform that leaves everything where it is."""
        return cls(1.0, np.eye(3), np.zeros(3))

    @property
    def determinant(self) -> float:
        """1 for a rotation, -1 for a reflection."""
        return float(np.sign(np.linalg.det(self.rotation)))

    @property
    def matrix(self) -> Array:
        """(4, 4) float64 for homogeneous column vectors."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.scale * self.rotation
        matrix[:3, 3] = self.translation
        return matrix

    def apply(self, points: Array) -> Array:
        """(N, 3) -> (N, 3) float64."""
        return np.asarray(points, dtype=np.float64) @ (self.scale * self.rotation).T + self.translation

    def inverse(self) -> Similarity:
        """The transform that undoes this one."""
        rotation = self.rotation.T
        return Similarity(1 / self.scale, rotation, -(rotation @ self.translation) / self.scale)

    def compose(self, first: Similarity) -> Similarity:
        """The transform that applies `first`, then this one."""
        translation = self.scale * self.rotation @ first.translation + self.translation
        return Similarity(self.scale * first.scale, self.rotation @ first.rotation, translation)


def fit_similarity(
    source: Array, target: Array, scale: Scale = "least_squares", reflection: bool = False
) -> Similarity:
    """The transform that maps `source` onto `target` with the least sum of squared distances.

    Rotation and translation are Umeyama's (1991). With `scale="least_squares"` so is the scale;
    `scale="rms"` takes the ratio of the two RMS radii about the centroids instead, never the smaller of the
    two and no least-squares solution, as H3DS's official program does; `scale="none"` keeps sizes.

    Args:
        source: (N, 3), N >= 3, in pairs with
        target: (N, 3).
        scale: how the scale is found.
        reflection: whether a mirroring transform may be returned where it fits better.

    Raises:
        AlignmentError: shapes differ, N < 3, NaN or infinite values, or points that all lie in one place or on
            one line, which leaves the rotation undetermined.
    """
    source, target = _checked(source, target)
    count = len(source)
    even = np.full(count, 1 / count)  # as products with this, sums over many points take a fraction of the time
    source_centre, target_centre = even @ source, even @ target
    x, y = source - source_centre, target - target_centre
    spreads = Spreads(count, source_centre, target_centre, x.T @ x, y.T @ y, y.T @ x)
    of_source, of_target = (
        count * 1e-28 * (float(centre @ centre) + float(np.trace(spread)))
        for centre, spread in ((source_centre, spreads.source_spread), (target_centre, spreads.target_spread))
    )
    return fit_to_spreads(spreads, scale, reflection, (of_source, of_target))


class Spreads(NamedTuple):
    """What a fit needs to know of N pairs of points.

    Attributes:
        pairs: N.
        source_centre, target_centre: (3,) the means.
        source_spread, target_spread: (3, 3) sums of x^T x over the points x about their centre.
        covariance: (3, 3) sum of y^T x over the pairs of a target y and a source x, about their centres.
    """

    pairs: int
    source_centre: Array
    target_centre: Array
    source_spread: Array
    target_spread: Array
    covariance: Array


def fit_to_spreads(
    spreads: Spreads, scale: Scale, reflection: bool, rounding: tuple[float, float] = (0.0, 0.0)
) -> Similarity:
    """`fit_similarity` for those who have the sums already.

    Args:
        spreads: of source and target.
        scale: as there.
        reflection: as there.
        rounding: how wrong a squared extent of the source and of the target may be.

    Raises:
        AlignmentError: points that all lie in one place or on one line, which leaves the rotation undetermined.
    """
    u, singular, vt = np.linalg.svd(spreads.covariance)
    squares = {}
    for name, spread, error in zip(("source", "target"), spreads[3:5], rounding, strict=True):
        extents = np.linalg.eigvalsh(spread)[::-1]
        squares[name] = float(extents.sum())
        if not extents[1] > max(_RANK_TOLERANCE**2 * extents[0], error):
            lies = "lie in one place or on one line; no rotation fits"
            raise AlignmentError(f"the {spreads.pairs} {name} points {lies}")
    if not singular[1] > _RANK_TOLERANCE**2 * singular[0]:
        raise AlignmentError("the two point sets do not correspond: their covariance leaves the rotation open")
    signs = np.ones(3)
    if not reflection and np.linalg.det(u) * np.linalg.det(vt) < 0:
        signs[2] = -1
    rotation = (u * signs) @ vt
    factor = 1.0
    if scale == "least_squares":
        factor = float(singular @ signs) / squares["source"]
    elif scale == "rms":
        factor = float(np.sqrt(squares["target"] / squares["source"]))
    if not factor > 0:
        raise AlignmentError(f"the two point sets do not correspond: the best scale is {factor:.3g}")
    shift = spreads.target_centre - factor * rotation @ spreads.source_centre
    return Similarity(factor, rotation, shift)


def _checked(source: Array, target: Array) -> tuple[Array, Array]:
    source, target = np.asarray(source, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if source.shape != target.shape or source.ndim != 2 or source.shape[1] != 3:
        raise AlignmentError(f"points to align have shapes {source.shape} and {target.shape}, expected (N, 3) twice")
    if len(source) < 3:
        raise AlignmentError(f"{len(source)} points do not determine a rotation; at least 3 are needed")
    if not (np.isfinite(source.sum()) and np.isfinite(target.sum())):
        bad = ~(np.isfinite(source).all(axis=1) & np.isfinite(target).all(axis=1))
        raise AlignmentError(f"{int(bad.sum())} of {len(source)} points to align are NaN or infinite")
    return source, target
