"""Where the parts of a face lie on a head model's template, so that textures follow the model and not fixed numbers."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial import cKDTree

from harness.heads.head import PARTS, Head

Array = np.ndarray

STEP = 0.5
"""Grid step of the feature maps, millimetres."""


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """Fields over the template's frontal plane (x, y), bilinear between grid points.

    Attributes:
        corner: (2,) x and y of the first grid point, millimetres.
        fields: (H, W, C) float32, rows along y.
    """

    corner: Array
    fields: Array

    def at(self, x: Array, y: Array) -> Array:
        """(N,) template x and y -> (N, C); outside the map the nearest value on its border."""
        height, width, channels = self.fields.shape
        column = np.clip((x - self.corner[0]) / np.float32(STEP), 0, width - 1.001)
        row = np.clip((y - self.corner[1]) / np.float32(STEP), 0, height - 1.001)
        i, j = column.astype(np.int32), row.astype(np.int32)
        a, b = (column - i)[:, None], (row - j)[:, None]
        flat, first = self.fields.reshape(-1, channels), j * width + i
        upper = flat[first] * (1 - a) + flat[first + 1] * a
        lower = flat[first + width] * (1 - a) + flat[first + width + 1] * a
        return upper * (1 - b) + lower * b


LIPS, SEAM, EYES, BROW, BROW_ALONG, NOSTRILS, FOLDS = range(7)
"""Channels of `Anatomy.features`: millimetres inside the outer lip contour (negative outside), distance to the line
between the lips, millimetres inside an eye's opening, distance to the nearer brow's centre line, place along that brow
(0 at the nose, 1 at the temple), distance to the nearer nostril, distance to the nearer nasolabial fold."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """Features of one head model's template; all coordinates are the template's, millimetres.

    Attributes:
        template: (V, 3) float32.
        faces: (F, 3) int32.
        part_labels: (F,) uint8 indices into PARTS.
        landmarks: (68, 3) float32.
        eye_centres: (2, 3) of the eyeballs, image-left first.
        eye_radii: (2,).
        features: fields over the frontal plane, channels LIPS .. FOLDS.
        middle_depth: z of the vertical axis through the head; features apply only in front of it.
        unit: distance of the outer eye corners / 90: scales lengths that belong to a mean adult face.
    """

    template: Array
    faces: Array
    part_labels: Array
    landmarks: Array
    eye_centres: Array
    eye_radii: Array
    features: FeatureMap
    middle_depth: float
    unit: float


@functools.lru_cache(maxsize=4)
def anatomy_of(head: Head) -> Anatomy:
    """The features of a head's template; computed once per head (about 0.3 s)."""
    template = head.template.detach().cpu().numpy().astype(np.float32)
    faces = head.faces.cpu().numpy().astype(np.int32)
    labels = head.part_labels.cpu().numpy().astype(np.uint8)
    landmarks = head.landmarks(head.template[None])[0].detach().cpu().numpy().astype(np.float32)
    eyes = [_eyeball(template, faces, labels, name) for name in ("left_eye", "right_eye")]
    above = template[template[:, 1] > landmarks[27, 1]]
    return Anatomy(
        template=template,
        faces=faces,
        part_labels=labels,
        landmarks=landmarks,
        eye_centres=np.array([centre for centre, _ in eyes], np.float32),
        eye_radii=np.array([radius for _, radius in eyes], np.float32),
        features=_feature_map(landmarks[:, :2]),
        middle_depth=float((above[:, 2].min() + above[:, 2].max()) / 2),
        unit=float(np.linalg.norm(landmarks[36] - landmarks[45]) / 90),
    )


def _eyeball(template: Array, faces: Array, labels: Array, name: str) -> tuple[Array, float]:
    """Centre and radius of the least-squares sphere through the vertices of an eye."""
    points = template[np.unique(faces[labels == PARTS.index(name)])].astype(np.float64)
    system = np.hstack([2 * points, np.ones((len(points), 1))])
    solution = np.linalg.lstsq(system, (points**2).sum(1), rcond=None)[0]
    centre = solution[:3]
    return centre, float(np.sqrt(solution[3] + centre @ centre))


def _curve(points: Array, closed: bool, count: int = 200) -> Array:
    """(count, 2) points on a smooth curve through (n, 2) points."""
    if closed:
        points = np.vstack([points, points[:1]])
    along = np.concatenate([[0], np.cumsum(np.sqrt(np.linalg.norm(np.diff(points, axis=0), axis=1)))])
    spline = CubicSpline(along, points, bc_type="periodic" if closed else "natural")
    return spline(np.linspace(0, along[-1], count))


def _contour(points: Array, corners: tuple[int, int]) -> Array:
    """A closed contour, smooth but for a kink at two corners (of an eye or mouth)."""
    first, second = corners
    upper = _curve(points[first : second + 1], closed=False)
    lower = _curve(np.vstack([points[second:], points[: first + 1]]), closed=False)
    return np.vstack([upper[:-1], lower[:-1]])


def _inside(polygon: Array, points: Array) -> Array:
    """(N,) bool: even-odd rule of a closed polygon."""
    result = np.zeros(len(points), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            crosses = (points[:, 1] < y0) != (points[:, 1] < y1)
            result ^= crosses & (points[:, 0] < (x1 - x0) * (points[:, 1] - y0) / (y1 - y0) + x0)
    return result


def _depth_inside(contour: Array, points: Array) -> Array:
    distance = cKDTree(contour).query(points)[0]
    return np.where(_inside(contour[::4], points), distance, -distance)


def _fold(landmarks: Array, wing: int, corner: int) -> Array:
    """(200, 2) points from beside a wing of the nose to beside a corner of the mouth."""
    outward = np.sign(landmarks[corner, 0] - landmarks[33, 0])
    start, end = landmarks[wing] + [3 * outward, 3], landmarks[corner] + [7 * outward, 2]
    return _curve(np.array([start, (start + end) / 2 + [4 * outward, 0], end]), closed=False)


def _feature_map(landmarks: Array) -> FeatureMap:
    low, high = landmarks.min(0) - 15, landmarks.max(0) + 35
    x, y = (np.arange(a, b, STEP) for a, b in zip(low, high, strict=True))
    points = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    lips = _depth_inside(_contour(landmarks[48:60], (0, 6)), points)
    inner_upper, inner_lower = landmarks[60:65], landmarks[[60, 67, 66, 65, 64]]
    seam = cKDTree(_curve((inner_upper + inner_lower) / 2, closed=False)).query(points)[0]
    eyes = [_depth_inside(_contour(landmarks[start : start + 6], (0, 3)), points) for start in (36, 42)]
    brows = [
        cKDTree(_curve(landmarks[ids], closed=False)).query(points) for ids in ([21, 20, 19, 18, 17], range(22, 27))
    ]
    nearer = brows[0][0] < brows[1][0]
    brow, along = (np.where(nearer, brows[0][k], brows[1][k]) for k in range(2))
    nostrils = (landmarks[[31, 35]] + 2 * landmarks[[32, 34]]) / 3
    nostril = cKDTree(nostrils).query(points)[0]
    fold = cKDTree(np.vstack([_fold(landmarks, 31, 48), _fold(landmarks, 35, 54)])).query(points)[0]
    fields = np.stack([lips, seam, np.maximum(*eyes), brow, along / 199, nostril, fold], -1)
    return FeatureMap(low.astype(np.float32), fields.reshape(len(y), len(x), -1).astype(np.float32))
