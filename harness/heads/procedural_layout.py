"""Where the skin's vertices lie on the chart, and how they are joined: symmetric, with rings around eyes and mouth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull, cKDTree

from harness.heads.procedural_surface import (
    CHART_RADIUS,
    EYE_CENTRE,
    base,
    brow_band,
    chart_in_front,
    jaw_border,
    nose_side,
    smooth_step,
)
from harness.samples import Array

EYE_RING = 40
LIP_HALF = 31  # points of a half ring around the mouth, both midline points included
MOUTH_HEIGHT = -58.0
NECK_END = -196.0  # chart height of the lowest ring
LIP_STEPS = (0.0, 0.16, 0.36, 0.58, 0.8, 1.0)  # from the inner contour (0) to the border of the lip (1)
SKIN_STEPS = (2.6, 5.6)  # mm outside the lips
LID_STEPS = (0.0, 1.0, 2.1, 3.4, 5.0, 6.8)  # mm outside the rim of the lids


@dataclass(frozen=True, eq=False)
class Layout:
    """The skin of the half head x >= 0.

    Attributes:
        chart: (N, 2) chart coordinates.
        faces: (F, 3) triangles, counter-clockwise from outside.
        lids: (rings, EYE_RING) vertex indices, rim first, counter-clockwise from the outer corner as seen in front.
        lips: (rings, LIP_HALF) vertex indices, inner contour first, from the upper midline over the corner to the
            lower midline.
        midline: (N,) bool.
    """

    chart: Array
    faces: Array
    lids: Array
    lips: Array
    midline: Array


def eye_opening(angle: Array) -> Array:
    """(N,) angles, 0 at the outer corner -> (N, 2) frontal coordinates of the rim of the subject's left eye."""
    cos, sin = np.cos(angle), np.sin(angle)
    x = 30.4 + 14.3 * cos
    corners = 10.0 + 0.055 * (x - 30.4)
    # The upper lid peaks on the nose's side of the middle, the lower lid dips on the other.
    skew = angle + np.where(sin > 0, 0.16, -0.14) * sin
    rise = np.abs(np.sin(skew)) ** 1.12
    return np.stack([x, corners + np.where(sin > 0, 5.6, -4.7) * rise], axis=1)


def lip_contour(angle: Array, fraction: Array | float) -> Array:
    """The mouth on the chart: (N,) angles from pi/2 (upper midline) to -pi/2 -> (N, 2) frontal coordinates.

    `fraction` is 0 on the inner contour (kept ajar here, so that triangles keep a shape) and 1 on the lips' border.
    """
    cos, sin = np.cos(angle), np.sin(angle)
    inner = np.stack([23.6 * cos, MOUTH_HEIGHT + 1.5 * sin], axis=1)
    x = 25.0 * cos
    share = np.abs(x) / 25.0
    bow = 9.3 - 1.6 * np.exp(-((x / 3.6) ** 2)) - 9.3 * share**2.2
    upper = MOUTH_HEIGHT + np.where(share >= 1, 0, bow)
    lower = MOUTH_HEIGHT - 10.0 * np.clip(1 - share**2.4, 0, None) ** 0.9
    outer = np.stack([x, np.where(sin >= 0, upper, lower)], axis=1)
    outer[np.isclose(cos, 1)] = (25.0, MOUTH_HEIGHT)
    return inner + np.asarray(fraction)[..., None] * (outer - inner)


def _outwards(ring: Array, centre: Array, distance: float, stretch: Array) -> Array:
    """Moves a ring away from its centre by about `distance` mm."""
    direction = (ring - centre) * stretch
    return ring + distance * direction / np.linalg.norm(direction, axis=1, keepdims=True)


def _spacing(points: Array) -> Array:
    """Wanted distance between neighbours in mm at (N, 3) base points."""
    x, y, z = np.abs(points[:, 0]), points[:, 1], points[:, 2]
    front = smooth_step(z, 15.0, 75.0)
    spacing = 11.0 - 5.6 * front
    spacing = np.where(y < -120, 11.0, spacing)
    nose = np.hypot(x / 24, (y + 18) / 26)
    spacing = np.minimum(spacing, np.where(z > 60, 1.9 + 3.6 * np.clip(nose - 0.75, 0, 1) * 2, 99))
    eye = np.hypot((x - EYE_CENTRE[0]) / 26, (y - 14) / 22)
    spacing = np.minimum(spacing, np.where(z > 50, 2.6 + 3.4 * np.clip(eye - 0.8, 0, 1), 99))
    brow = np.hypot((x - 33) / 26, (y - 31) / 8)
    spacing = np.minimum(spacing, np.where(z > 50, 2.7 + 3.4 * np.clip(brow - 0.9, 0, 1), 99))
    mouth = np.hypot(x / 32, (y + 58) / 20)
    return np.minimum(spacing, np.where(z > 50, 2.8 + 3.4 * np.clip(mouth - 0.95, 0, 1), 99))


def _midline() -> Array:
    """Chart points of the midline, spaced as wanted: under the mouth, over it, and down the back."""
    pieces = []
    for azimuth in (0.0, np.pi):
        height = np.linspace(NECK_END, CHART_RADIUS * np.pi / 2, 3000)
        chart = np.stack([np.full_like(height, azimuth), height], axis=1)
        points = base(chart)
        step = np.r_[0, np.linalg.norm(np.diff(points, axis=0), axis=1) / (0.9 * _spacing(points)[1:])]
        count = np.cumsum(step)
        places = np.interp(np.linspace(0, count[-1], round(count[-1]) + 1), count, height)
        pieces.append(np.stack([np.full_like(places, azimuth), places], axis=1)[: -1 if azimuth else None])
    return np.vstack(pieces)


def _scatter(fixed: Array, allowed: Array, candidates: Array) -> Array:
    """Indices of candidates that keep the wanted distance from `fixed` points and from each other."""
    spacing = _spacing(candidates)
    near = cKDTree(fixed).query(candidates)[0]
    free = allowed & (near > 0.75 * spacing)
    tree = cKDTree(candidates)
    order = np.random.default_rng(68).permutation(np.flatnonzero(free))
    order = order[np.argsort(np.round(spacing[order], 1), kind="stable")]
    taken = []
    for index in order:
        if free[index]:
            taken.append(index)
            free[tree.query_ball_point(candidates[index], 0.82 * spacing[index])] = False
    return np.array(taken)


def _sphere(chart: Array) -> Array:
    """Chart -> unit sphere, keeping angles: the dome as it is, the cylinder through Mercator's projection."""
    latitude = np.where(
        chart[:, 1] >= 0,
        chart[:, 1] / CHART_RADIUS,
        -2 * np.arctan(np.tanh(np.maximum(-chart[:, 1], 0) / (2 * CHART_RADIUS))),
    )
    flat = np.cos(latitude)
    return np.stack([flat * np.sin(chart[:, 0]), np.sin(latitude), flat * np.cos(chart[:, 0])], axis=1)


def strips(rings: Array, closed: bool) -> Array:
    """(R, N) vertex indices of rings, innermost first, running counter-clockwise (closed) or clockwise (open)."""
    inner, outer = rings[:-1], rings[1:]
    ahead = [np.roll(r, -1, axis=1) if closed else r[:, 1:] for r in (inner, outer)]
    here = [r if closed else r[:, :-1] for r in (inner, outer)]
    first = np.stack([here[0], here[1], ahead[1]], axis=-1).reshape(-1, 3)
    second = np.stack([here[0], ahead[1], ahead[0]], axis=-1).reshape(-1, 3)
    faces = np.vstack([first, second])
    return faces if closed else faces[:, ::-1]


def _triangles(chart: Array, lids: Array, lips: Array) -> Array:
    """Joins the half chart (mirrored to a whole one): Delaunay triangles, and strips between the rings."""
    side = (chart[:, 0] > 0) & (chart[:, 0] < np.pi)
    south = np.array([[0.0, -1.0, 0.0]])
    points = np.round(np.vstack([_sphere(chart), _sphere(chart[side] * (-1, 1)), south]), 9)
    # The rings next to the outermost ones would break the latter's edges; the strips bring them back.
    member = np.ones(len(points), dtype=bool)
    member[lids[-3:-1].ravel()] = member[lips[-2]] = False
    number = np.flatnonzero(member)
    faces = number[ConvexHull(points[member]).simplices]
    normals = np.cross(points[faces[:, 1]] - points[faces[:, 0]], points[faces[:, 2]] - points[faces[:, 0]])
    inward = np.einsum("ij,ij->i", normals, points[faces].mean(1)) < 0
    faces = np.where(inward[:, None], faces[:, ::-1], faces)
    group = np.zeros(len(points), dtype=int)
    group[lids.ravel()], group[lips.ravel()] = 1, 2
    within = (group[faces] == 1).all(1) | (group[faces] == 2).all(1)
    faces = faces[(faces < len(chart)).all(1) & ~within]
    faces = np.take_along_axis(faces, (faces.argmin(1)[:, None] + np.arange(3)) % 3, axis=1)
    return np.vstack([faces[np.lexsort(faces.T)], strips(lids, True), strips(lips, False)])


def _smooth(chart: Array, faces: Array, free: Array) -> Array:
    """Moves free chart points to the mean of their neighbours, on the base surface."""
    edges = np.unique(np.sort(np.vstack([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1), axis=0)
    total, count = np.zeros((len(chart), 2)), np.zeros(len(chart))
    scale = np.cos(np.maximum(chart[:, 1], 0) / CHART_RADIUS)
    for a, b in (edges.T, edges.T[::-1]):
        np.add.at(total, a, chart[b])
        np.add.at(count, a, 1)
    mean = total / np.maximum(count, 1)[:, None]
    safe = free & (scale > 0.35)
    return np.where(safe[:, None], 0.5 * chart + 0.5 * mean, chart)


def _grid(left: float, right: float, columns: int, low: float, high: float, rows: int) -> Array:
    azimuth, height = np.meshgrid(np.linspace(left, right, columns), np.linspace(low, high, rows))
    return np.stack([azimuth.ravel(), height.ravel()], axis=1)


def _outlines() -> tuple[Array, Array]:
    """Chart points along the outlines of brow and nose, and of the jaw: part labels end where triangles do."""
    across = np.linspace(11.0, 54.0, 20)
    low, high = brow_band(across)
    side = np.linspace(-36.5, 18.0, 26)
    pieces = [
        np.column_stack([across, low]),
        np.column_stack([across[:-1], high[:-1]]),
        np.array([[11.0, (low[0] + high[0]) / 2]]),
        np.column_stack([nose_side(side), side]),
        np.column_stack([np.array([2.1, 4.2, 6.3]), np.full(3, -36.5)]),
        np.column_stack([np.array([2.7, 5.4]), np.full(2, 18.0)]),
    ]
    azimuth = np.linspace(0, np.pi, 36)[1:-1]
    return chart_in_front(np.vstack(pieces)), np.stack([azimuth, jaw_border(azimuth)], axis=1)


def half_skin() -> Layout:
    """Lays out and triangulates the half skin; deterministic."""
    angle = np.arange(EYE_RING) * 2 * np.pi / EYE_RING
    angle = angle + 0.13 * np.sin(2 * angle)  # denser above and below than at the corners
    rim = eye_opening(angle)
    centre = np.array([EYE_CENTRE[0] - 0.9, EYE_CENTRE[1]])
    lids = [_outwards(rim, centre, step, np.array([1.0, 1.6])) for step in LID_STEPS]
    half = np.linspace(np.pi / 2, -np.pi / 2, LIP_HALF)
    lips = [lip_contour(half, step) for step in LIP_STEPS]
    mouth = np.array([0.0, MOUTH_HEIGHT])
    border = lip_contour(half, 1.0)
    lips += [_outwards(border, mouth, step, np.array([0.6, 1.0])) for step in SKIN_STEPS]
    for ring in lips:
        ring[[0, -1], 0] = 0.0
    rings = chart_in_front(np.vstack(lids + lips))
    eye_count, lip_count = EYE_RING * len(lids), LIP_HALF * len(lips)

    middle = _midline()
    front = base(middle)
    inside = (front[:, 2] > 0) & (front[:, 1] < lips[-1][0, 1] + 1.5) & (front[:, 1] > lips[-1][-1, 1] - 1.5)
    middle = middle[~inside]
    end = np.linspace(0, np.pi, 26)[1:-1]
    end = np.stack([end, np.full_like(end, NECK_END)], axis=1)
    fixed = np.vstack([rings, middle, end, *_outlines()])

    grid = np.vstack([_grid(0.004, 0.8, 190, -150.0, 75.0, 230), _grid(0.01, 3.13, 110, NECK_END + 3, 122.0, 110)])
    coarse = base(grid)
    frontal = coarse[:, 2] > 40
    allowed = ~(frontal & _inside(coarse[:, :2], lids[-1])) & ~(frontal & _inside(coarse[:, :2], np.vstack([lips[-1]])))
    allowed &= coarse[:, 0] > 0.45 * _spacing(coarse)
    outlines = base(chart_in_front(np.vstack([lids[-1], lips[-1]])))
    clear = cKDTree(outlines).query(coarse)[0]
    loose = grid[_scatter(base(fixed), allowed & (clear > 2.7), coarse)]

    chart = np.vstack([fixed, loose])
    lid_rings = np.arange(eye_count).reshape(-1, EYE_RING)
    lip_rings = eye_count + np.arange(lip_count).reshape(-1, LIP_HALF)
    # Points beside an outline stay, so that its edges stay Delaunay edges.
    free = (np.arange(len(chart)) >= len(fixed)) & (cKDTree(outlines).query(base(chart))[0] > 4.5)
    for _ in range(3):
        chart = _smooth(chart, _triangles(chart, lid_rings, lip_rings), free)
    faces = _triangles(chart, lid_rings, lip_rings)
    return Layout(
        chart=chart,
        faces=faces,
        lids=lid_rings,
        lips=lip_rings,
        midline=(chart[:, 0] == 0) | (chart[:, 0] == np.pi),
    )


def _inside(points: Array, polygon: Array) -> Array:
    """(N,) whether points lie in a polygon, by the crossing rule."""
    x, y = points.T
    result = np.zeros(len(points), dtype=bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y0 != y1:
            result ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    return result
