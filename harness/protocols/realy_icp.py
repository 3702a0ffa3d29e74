"""REALY's two rigid alignments: of the whole prediction by seven keypoints, then of each region by its own ICP."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.errors import AlignmentError
from harness.geometry.alignment import Similarity
from harness.geometry.closest import ClosestPoints

Array = NDArray[Any]

GLOBAL_KEYPOINTS = (36, 39, 42, 45, 33, 48, 54)
_MOUTH = (*range(48, 61), 64)
RIGID_KEYPOINTS = {
    "nose": (*range(27, 36), 70, 71),
    "mouth": _MOUTH,
    "forehead": (*range(36, 48), *range(17, 27)),
    "cheek": (*_MOUTH, 76, 77, 36, 41, 40, 39, 42, 47, 46, 45, 7, 8, 9),
}
"""Region -> the keypoints that its ICP keeps together."""

MAX_ITERATIONS = 100
TOLERANCE = 1e-6


class RegionFit(NamedTuple):
    """A prediction after the ICP of one region.

    Attributes:
        vertices: (V, 3) float32, scan units.
        transform: from the globally aligned prediction to it, but for the rounding of each step.
        iterations: transforms that were applied.
        error: mean squared distance of the pairs after the last fit, scan units squared.
    """

    vertices: Array
    transform: Similarity
    iterations: int
    error: float


def fit(source: Array, target: Array, l1_scale: bool = False) -> Similarity:
    """The least-squares rotation, or reflection where that fits better, with REALY's scale.

    Args:
        source: (N, 3).
        target: (N, 3); differences to its mean are taken in its own precision, as the official program does.
        l1_scale: scale by the ratio of the two sums of absolute coordinates about the means; else no scale.

    Raises:
        AlignmentError: the points lie in one place or on one line, or are not finite.
    """
    centred_source, centred_target = source - source.mean(axis=0), target - target.mean(axis=0)
    covariance = np.asarray(centred_target, dtype=np.float64).T @ centred_source
    if not np.isfinite(covariance).all():
        raise AlignmentError("the points to align are NaN or infinite, or too large")
    left, singular, right = np.linalg.svd(covariance)
    if not singular[1] > 1e-12 * singular[0]:
        raise AlignmentError(f"the {len(source)} points lie in one place or on one line; no rotation fits")
    rotation = left @ right
    scale = 1.0
    if l1_scale:
        scale = float(np.abs(centred_target).sum() / np.abs(centred_source @ rotation.T).sum())
    return Similarity(scale, rotation, (target - scale * source @ rotation.T).mean(axis=0))


def global_fit(keypoints: Array, target: Array) -> Similarity:
    """From the prediction's 85 keypoints (85, 3) to the scan's, by seven of them, with the L1 scale."""
    chosen = list(GLOBAL_KEYPOINTS)
    return fit(keypoints[chosen], target[chosen], l1_scale=True)


def region_fit(region: str, surface: ClosestPoints, points: Array, keypoints: Array, targets: Array) -> RegionFit:
    """ICP of a prediction to one region of a scan: closest points on its surface, paired with keypoints; no scale.

    The mesh and the keypoints move and are rounded to float32 at each step, as in the official program, which stops
    before it applies the fit that changed the error by less than TOLERANCE (the error before the first counts as 0).
    The tree stays where it was: the points are moved back to it instead.

    Args:
        region: a key of RIGID_KEYPOINTS.
        surface: the globally aligned prediction, scan units.
        points: (N, 3) float32 vertices of the scan's region.
        keypoints: (85, 3) of that prediction.
        targets: (85, 3) float32 of the scan.
    """
    chosen = list(RIGID_KEYPOINTS[region])
    copies = int(len(points) / len(chosen) / (4 if region == "cheek" else 1))
    paired = np.tile(keypoints[chosen], (copies, 1))
    wanted = np.vstack([points, np.tile(targets[chosen], (copies, 1))])
    vertices, transform, iterations, previous = surface.mesh.vertices, Similarity.identity(), 0, 0.0
    while True:
        closest = surface.query(transform.inverse().apply(points))
        corners = vertices[surface.mesh.faces[closest.faces]]
        source = np.vstack([np.einsum("nk,nkd->nd", closest.barycentric, corners), paired])
        step = fit(source, wanted)
        error = float((((step.apply(source)).astype(np.float32) - wanted) ** 2).sum(axis=1).mean())
        if abs(error - previous) < TOLERANCE or iterations >= MAX_ITERATIONS:
            return RegionFit(vertices.astype(np.float32), transform, iterations, error)
        iterations, previous, transform = iterations + 1, error, step.compose(transform)
        vertices, paired = step.apply(vertices).astype(np.float32), step.apply(paired).astype(np.float32)
