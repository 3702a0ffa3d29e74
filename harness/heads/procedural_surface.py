"""The skin of the average procedural head, as a closed-form surface.

A capsule-like chart (azimuth, height) covers head and neck. A thin-plate spline through anatomical control points gives
the base surface; nose, lids and folds are added as displacements. The control points follow adult means of facial
anthropometry (Farkas, Anthropometry of the Head and Face, 1994), rounded to a millimetre.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator, RBFInterpolator

from harness.samples import Array

EYE_CENTRE = np.array([31.3, 10.0, 73.2])
EYE_RADIUS = 12.2
CHART_RADIUS = 80.0  # of the capsule that the chart is drawn on, mm
TOP = 20.0  # height at which the capsule's dome begins, mm

# fmt: off
_CONTROL = np.array([
    # midline, crown to throat (where the nose stands, the face without it)
    (0, 121, -15), (0, 113, 33), (0, 87, 71), (0, 62, 91), (0, 44, 97), (0, 28, 99.5), (0, 13, 93), (0, 0, 92),
    (0, -15, 94), (0, -26, 97), (0, -36, 98.5), (0, -44, 100.5), (0, -50, 102), (0, -58, 101.5), (0, -67, 99.5),
    (0, -76, 94.5), (0, -89, 97.5), (0, -98, 94), (0, -105, 84), (0, -109, 66), (0, -114, 47), (0, -130, 42),
    (0, -160, 36), (0, -190, 34),
    # midline, back
    (0, 114, -37), (0, 95, -70), (0, 60, -92), (0, 25, -97), (0, -15, -89), (0, -40, -77), (0, -70, -66),
    (0, -110, -62), (0, -150, -68), (0, -190, -82),
    # dome
    (38, 95, 40), (52, 95, -8), (36, 95, -50), (24, 116.5, -14), (41, 106, -12), (20, 90, 64), (20, 112, 22),
    (20, 104, -50), (66, 72, -8), (50, 72, 54), (48, 72, -62),
    # forehead and temples
    (25, 60, 87), (45, 60, 72), (60, 60, 47), (70, 60, 20), (75.5, 50, -12), (71, 50, -45), (50, 55, -76),
    (25, 57, -89), (22, 44, 95), (42, 44, 84), (57, 44, 63), (68, 43, 35),
    # brow ridge
    (12, 30, 99.5), (22, 30, 98), (35, 31, 92.5), (47, 30, 83), (56, 26, 71), (64, 26, 53), (70, 28, 33), (74.5, 28, 0),
    (75, 30, -22), (67, 28, -57), (44, 27, -83), (22, 26, -94),
    # orbit
    (16, 20, 87), (31, 22, 85.5), (45, 20, 79), (13, 10, 85), (31, 10, 80), (44, 10, 74), (53, 10, 69), (61, 8, 57),
    (67, 6, 41), (70, 5, 22), (71, 5, 0), (71, 5, -20), (65, 5, -55), (42, 5, -81), (20, 3, -92),
    (18, -2, 84), (31, -3, 81), (45, -3, 76.5), (56, -5, 66), (66, -6, 43),
    # cheeks
    (14, -15, 90), (25, -17, 86), (38, -18, 83.5), (50, -18, 75), (60, -18, 58), (66, -18, 37), (67.5, -15, 15),
    (67, -15, -15), (13, -26, 94.5), (28, -27, 87),
    # upper lip level
    (12, -36, 96.5), (20, -36, 92), (30, -36, 86), (42, -36, 77), (52, -36, 63), (59, -36, 44), (62, -36, 22),
    (61, -36, 0), (58, -36, -25), (49, -38, -51), (28, -40, -70),
    # mouth level
    (14, -50, 98.5), (14, -58, 97.5), (25, -58, 89), (35, -58, 80.5), (45, -58, 67), (52, -58, 49), (56, -58, 28),
    (56, -60, 8), (52, -60, -12), (48, -60, -35), (28, -62, -61),
    # chin level
    (14, -67, 95.5), (14, -78, 91.5), (26, -78, 83.5), (37, -78, 70), (45, -77, 53), (50, -76, 33), (52, -73, 10),
    (15, -92, 92), (26, -92, 81), (35, -91, 65), (43, -87, 47),
    # lower border of the jaw
    (12, -104, 82), (24, -101, 73), (34, -98, 58), (42, -93, 40), (47, -86, 21), (48, -78, 0),
    # below the jaw
    (18, -109, 60), (28, -108, 42), (36, -104, 24), (42, -98, 5), (47, -95, -18), (42, -95, -44),
    # neck
    (30, -130, 33), (50, -130, 4), (54, -130, -20), (43, -130, -48), (28, -160, 26), (52, -160, -4), (58, -160, -28),
    (46, -160, -57), (30, -190, 22), (60, -190, -6), (74, -190, -36), (52, -190, -68),
], dtype=float)
# fmt: on


# Along the nose: height y on the base surface, and there the ridge's height over it and its half width, all in mm.
_NOSE_RIDGE = PchipInterpolator(
    [-38, -35.5, -34, -32, -29, -25.5, -22, -18, -10, 0, 8, 14, 22],
    [0, 1.0, 3.0, 8.0, 15.0, 19.8, 21.8, 21.2, 17.5, 10.3, 5, 2, 0],
)
_NOSE_WIDTH = PchipInterpolator(
    [-38, -36, -31, -26, -20, -10, 2, 14, 24], [4.5, 4.5, 5.0, 7.5, 9.6, 9.4, 8.6, 9.2, 11.0]
)

_JAW_BORDER = np.array(
    [(0, -106, 80), (24, -103, 70), (42, -94, 38), (50, -78, 0), (55, -55, -30), (0, -62, -68)], dtype=float
)


def smooth_step(x: Array, low: float, high: float) -> Array:
    """0 below `low`, 1 above `high`, a cubic with flat ends between; `low` may exceed `high`."""
    t = np.clip((x - low) / (high - low), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def smooth_maximum(a: Array, b: Array, width: float) -> Array:
    """The larger of two heights, rounded where they differ by less than `width` (both in mm)."""
    blend = np.clip(0.5 + 0.5 * (a - b) / width, 0.0, 1.0)
    return b + (a - b) * blend + width * blend * (1 - blend)


def bump(distance: Array) -> Array:
    """A bell of unit height that ends at distance 1."""
    return np.clip(1 - distance * distance, 0.0, None) ** 2


def _slope(origin: Array) -> Array:
    """How much the chart's rays fall per millimetre outwards: they meet the underside of the chin head on."""
    return -0.5 * smooth_step(origin, TOP, -55.0) + 0.3 * smooth_step(origin, -95.0, -160.0)


def chart_of(points: Array) -> Array:
    """(N, 3) points -> (N, 2) chart coordinates: azimuth in radians (0 = front, positive to +x), height in mm."""
    radius = np.hypot(points[:, 0], points[:, 2])
    dome = CHART_RADIUS * np.arctan2(points[:, 1] - TOP, radius)
    low, high = np.full(len(points), -400.0), np.full(len(points), TOP)
    for _ in range(40):  # bisection: a ray's height at a radius grows with its origin
        middle = (low + high) / 2
        above = middle + _slope(middle) * radius > points[:, 1]
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    height = np.where(points[:, 1] >= TOP, dome, (low + high) / 2 - TOP)
    return np.stack([np.arctan2(points[:, 0], points[:, 2]), height], axis=1)


def capsule(chart: Array) -> Array:
    """(N, 2) chart coordinates -> (N, 3) points of the capsule, where distances are about those on the head."""
    azimuth, height = chart.T
    elevation = np.maximum(height, 0) / CHART_RADIUS
    radius = CHART_RADIUS * np.cos(elevation)
    up = CHART_RADIUS * np.sin(elevation) + np.minimum(height, 0)
    return np.stack([radius * np.sin(azimuth), up, radius * np.cos(azimuth)], axis=1)


@cache
def _radius_spline() -> RBFInterpolator:
    points = np.vstack([_CONTROL, (_CONTROL * (-1, 1, 1))[_CONTROL[:, 0] > 0]])
    chart = chart_of(points)
    planar = np.hypot(points[:, 0], points[:, 2])
    radius = np.where(chart[:, 1] >= 0, np.hypot(planar, points[:, 1] - TOP), planar)
    face = (np.abs(points[:, 0]) < 50) & (points[:, 2] > 60)
    return RBFInterpolator(capsule(chart), radius, kernel="thin_plate_spline", smoothing=np.where(face, 5.0, 80.0))


def base(chart: Array) -> Array:
    """(N, 2) chart coordinates -> (N, 3) points of the head without nose, lids, lips and ears."""
    azimuth, height = chart.T
    radius = _radius_spline()(capsule(chart))
    elevation = np.maximum(height, 0) / CHART_RADIUS
    origin = TOP + np.minimum(height, 0)
    planar = radius * np.cos(elevation)
    up = origin + radius * np.sin(elevation) + np.where(height < 0, _slope(origin) * radius, 0.0)
    return np.stack([planar * np.sin(azimuth), up, planar * np.cos(azimuth)], axis=1)


def chart_in_front(front: Array) -> Array:
    """(N, 2) x and y of points on the front of the base surface -> (N, 2) chart coordinates."""
    depth = 95.0 - 0.012 * front[:, 0] ** 2
    for _ in range(9):
        chart = chart_of(np.column_stack([front, depth]))
        depth = depth + 0.9 * (base(chart)[:, 2] - depth)
    chart = chart_of(np.column_stack([front, depth]))
    chart[front[:, 0] == 0, 0] = 0.0
    return chart


def brow_band(x: Array) -> tuple[Array, Array]:
    """Lower and upper edge of the brow, as heights y at distances x from the midline."""
    middle = CubicSpline([11, 21, 31, 40, 47, 54], [27.6, 30.6, 32.6, 33.0, 31.2, 27.6])(x)
    half = np.interp(x, [11, 13, 19, 30, 40, 48, 54], [2.2, 3.0, 3.6, 3.2, 2.6, 1.8, 0.0])
    return middle - half, middle + half


def nose_side(y: Array) -> Array:
    """Distance from the midline to the nose's side on the base surface, at heights y."""
    return np.interp(y, [-36.5, -34, -30, -25, -19, -12, 0, 14, 18], [8.5, 14.5, 18.4, 19.4, 17.6, 13.5, 10.5, 8.5, 8])


def jaw_border(azimuth: Array) -> Array:
    """Chart height at which the face ends and the neck begins: along the jaw, below the ear, over the nape."""
    chart = chart_of(_JAW_BORDER)
    return np.interp(np.abs(azimuth), chart[:, 0], chart[:, 1])


def _nose(x: Array, y: Array) -> tuple[Array, Array]:
    """Height of the nose over the base surface, and depth of the nostrils, at frontal coordinates."""
    side = np.abs(x)
    along, width = (spline(np.clip(y, *ends)) for spline, ends in ((_NOSE_RIDGE, (-38, 22)), (_NOSE_WIDTH, (-38, 24))))
    ridge = along * np.exp(-((side / width) ** 2) * 1.25)
    wing = 13.5 * bump(np.hypot((side - 11.6) / 7.6, (y + 25.5) / 9.5)) ** 0.6
    tip = 23.5 * np.exp(-((x / 9.0) ** 2 + ((y + 22.5) / 7.8) ** 2))
    height = smooth_maximum(smooth_maximum(ridge, wing, 5.0), tip, 6.0)
    nostril = 7.0 * bump(np.hypot((side - 7.0 - 0.3 * (y + 30)) / 3.6, (y + 30.5) / 4.4))
    return height, nostril


def lid_height(front: Array) -> Array:
    """(N, 2) frontal coordinates at the subject's left eye -> height z of the skin where it lies on the eyeball."""
    dx, dy = (front - EYE_CENTRE[:2]).T
    squared = (EYE_RADIUS + 1.8) ** 2 - dx**2 - 0.95 * dy**2
    return EYE_CENTRE[2] + np.sqrt(np.maximum(squared, 0.0)) - 12.0 * (squared <= 0)


def skin(chart: Array) -> Array:
    """(N, 2) chart coordinates -> (N, 3) points of the skin with nose and lids, without lips and ears."""
    points = base(chart)
    front = points[:, 2] > 50
    x, y = points[front, 0], points[front, 1]
    height, nostril = _nose(x, y)
    face = points[front]
    face += height[:, None] * np.array([0, -0.29, 0.957]) + nostril[:, None] * np.array([0, 0.4, -0.85])
    lid = lid_height(np.column_stack([np.abs(x), y]))
    near = bump(np.hypot((np.abs(x) - EYE_CENTRE[0]) / 20, (y - EYE_CENTRE[1]) / 16)) > 0
    face[:, 2] = np.where(near, smooth_maximum(face[:, 2], lid, 1.6), face[:, 2])
    philtrum = np.exp(-((x / 3.2) ** 2) - ((y + 43) / 6) ** 2) - 0.6 * np.exp(
        -(((np.abs(x) - 5.5) / 2.5) ** 2) - ((y + 44) / 6) ** 2
    )
    face[:, 2] -= 1.3 * philtrum
    points[front] = face
    return points
