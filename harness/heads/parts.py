"""Part labels of head models that come without them: from masks of vertices, and from where the 68 landmarks lie."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

from harness.heads.head import PARTS
from harness.samples import Array

BROW_REACH = 0.05
"""How far a brow reaches from its landmarks, in distances of the outer eye corners."""

_OF_MASK = {
    "neck": "neck",
    "left_ear": "right_ear",
    "right_ear": "left_ear",
    "nose": "nose",
    "left_eyeball": "right_eye",
    "right_eyeball": "left_eye",
}
"""FLAME's masks name the subject's sides, PARTS the image's. Where masks overlap, the last one holds."""


def labels_of_masks(template: Array, faces: Array, landmarks: Array, masks: Mapping[str, Array]) -> Array:
    """(F,) part labels of FLAME: skin where no mask says more; all skin without masks.

    Args:
        template: (V, 3).
        faces: (F, 3).
        landmarks: (68, 3) on the template.
        masks: FLAME's names -> vertex numbers.
    """
    labels = np.full(len(faces), PARTS.index("skin"), np.int64)
    if not masks:
        return labels
    centres = template[faces].mean(axis=1)
    brows = brow_sides(centres, landmarks)
    labels[brows < 0], labels[brows > 0] = PARTS.index("left_brow"), PARTS.index("right_brow")
    for mask, part in _OF_MASK.items():
        labels[covered(faces, len(template), masks.get(mask))] = PARTS.index(part)
    lips = np.flatnonzero(covered(faces, len(template), masks.get("lips")))
    upper = is_upper_lip(centres[lips], landmarks)
    labels[lips] = np.where(upper, PARTS.index("upper_lip"), PARTS.index("lower_lip"))
    return labels


def covered(faces: Array, count: int, vertices: Array | None) -> Array:
    """(F,) bool: triangles with all corners among the given vertices of `count`; none for None."""
    inside = np.zeros(count, bool)
    if vertices is not None:
        inside[vertices] = True
    return np.asarray(inside[faces].all(axis=1))


def brow_sides(points: Array, landmarks: Array) -> Array:
    """(N,) -1 on the brow at the image's left, 1 on the one at its right, 0 elsewhere."""
    reach = BROW_REACH * np.linalg.norm(landmarks[36] - landmarks[45])
    result = np.zeros(len(points), np.int64)
    for side, first in ((-1, 17), (1, 22)):
        result[cKDTree(_polyline(landmarks[first : first + 5])).query(points)[0] < reach] = side
    return result


def is_upper_lip(points: Array, landmarks: Array) -> Array:
    """(N,) bool: points on the lips that are nearer to the upper lip's landmarks than to the lower lip's."""
    upper, lower = _polyline(landmarks[49:54]), _polyline(landmarks[55:60])
    upper, lower = np.vstack([upper, landmarks[61:64]]), np.vstack([lower, landmarks[65:68]])
    return np.asarray(cKDTree(upper).query(points)[0] < cKDTree(lower).query(points)[0])


def on_lips(points: Array, landmarks: Array) -> Array:
    """(N,) bool: points that a view from the front shows between the outer contour of the lips."""
    return _inside(landmarks[48:60, :2], points[:, :2])


def on_nose(points: Array, landmarks: Array) -> Array:
    """(N,) bool: points that a view from the front shows on the bridge, the tip and the wings of the nose."""
    width = np.linalg.norm(landmarks[31] - landmarks[35])
    bridge, left, right, base = landmarks[27], landmarks[31], landmarks[35], landmarks[33]
    outline = [
        (bridge[0] - 0.22 * width, bridge[1]),
        (left[0] - 0.22 * width, landmarks[30, 1]),
        (left[0] - 0.18 * width, left[1] - 0.05 * width),
        (base[0], base[1] - 0.12 * width),
        (right[0] + 0.18 * width, right[1] - 0.05 * width),
        (right[0] + 0.22 * width, landmarks[30, 1]),
        (bridge[0] + 0.22 * width, bridge[1]),
    ]
    return _inside(np.array(outline), points[:, :2])


def _polyline(points: Array, steps: int = 8) -> Array:
    """Points along straight lines through (n, 3) points."""
    share = np.linspace(0, 1, steps)[:, None]
    return np.concatenate([a + share * (b - a) for a, b in pairwise(points)])


def _inside(polygon: Array, points: Array) -> Array:
    """(N,) bool: even-odd rule of a closed polygon in the plane."""
    result = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (points[:, 1] < y0) != (points[:, 1] < y1)
            result ^= crosses & (points[:, 0] < (x1 - x0) * (points[:, 1] - y0) / (y1 - y0) + x0)
    return result
