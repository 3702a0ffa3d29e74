"""Points that move onto their nearest targets, step after step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.geometry.alignment import Similarity, Spreads, fit_to_spreads
from harness.geometry.curve import along_curve
from harness.geometry.neighbours import MovingNeighbours
from harness.geometry.point_grid import PointGrid

Array = NDArray[Any]


class NearestPairs:
    """Points with the nearest target of each, and the sums over all pairs by which a similarity is fitted.

    Few points change their nearest target from one step to the next: sums are brought up to date by these.

    Args:
        points: (N, 3), finite, N > 0.
        targets: where they go.
    """

    def __init__(self, points: Array, targets: PointGrid) -> None:
        points, self._targets = np.asarray(points, dtype=np.float64), targets
        self._order = along_curve(points)
        self._count = len(points)
        self._points = points[self._order]
        even = np.full(self._count, 1 / self._count)
        self._centre = even @ self._points
        self._points -= self._centre
        self._spread = self._points.T @ self._points
        self._neighbours = MovingNeighbours(self._points, targets)
        self._nearest = np.full(self._count, -1, dtype=np.int32)
        self._sum, self._square, self._product = np.zeros(3), np.zeros((3, 3)), np.zeros((3, 3))

    def move(self, transform: Similarity, last: bool = False) -> None:
        """Moves the points from where they were given, and pairs each with the target that is nearest now.

        Args:
            transform: of the points.
            last: whether they will not be moved again.
        """
        shift = transform.apply(self._centre[None])[0]
        nearest = self._neighbours.query(Similarity(transform.scale, transform.rotation, shift), last)
        which = np.flatnonzero(nearest != self._nearest)
        points, new = self._points[which], self._targets.points[nearest[which]]
        change = new
        if self._nearest[0] >= 0:
            old = self._targets.points[self._nearest[which]]
            change = new - old
            self._square -= old.T @ old
        self._sum += np.ones(len(which)) @ change
        self._square += new.T @ new
        self._product += change.T @ points
        self._nearest[which] = nearest[which]

    def fit(self) -> Similarity:
        """The transform from where the points were given to their targets, with RMS scale and reflections.

        Raises:
            AlignmentError: as of `fit_similarity`.
        """
        rounding = 1e-28 * (self._count * float(self._centre @ self._centre) + float(np.trace(self._spread)))
        return fit_to_spreads(self._spreads(), "rms", True, (rounding, 1e-14 * float(np.trace(self._square))))

    def cost(self, transform: Similarity) -> float:
        """The mean squared difference of coordinates of the points, after a transform, from their targets."""
        pairs = self._spreads()
        off = transform.apply(self._centre[None])[0] - pairs.target_centre
        turned = float(np.sum(transform.rotation * pairs.covariance))
        squares = float(np.trace(pairs.target_spread) + transform.scale**2 * np.trace(pairs.source_spread))
        return max((squares - 2 * transform.scale * turned) / self._count + float(off @ off), 0.0) / 3

    def _spreads(self) -> Spreads:
        middle = self._sum / self._count
        square = self._square - self._count * np.outer(middle, middle)
        target = middle + self._targets.centre
        return Spreads(self._count, self._centre, target, self._spread, square, self._product)

    def distances(self) -> Array:
        """(N,) float64 from each point, where it was moved, to its target."""
        distances = np.empty(self._count)
        distances[self._order] = self._neighbours.distances()
        return distances
