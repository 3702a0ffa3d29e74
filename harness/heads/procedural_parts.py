"""What the skin does not cover: the rims behind the lids, lips, mouth, eyeballs and ears of the half head x >= 0."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline

from harness.heads.procedural_layout import LIP_STEPS, MOUTH_HEIGHT, Layout, strips
from harness.heads.procedural_surface import EYE_CENTRE, EYE_RADIUS, bump, smooth_step
from harness.samples import Array

EYE_POLAR = np.radians([9, 18, 28, 35, 43, 52, 63, 76, 92, 112, 136, 160])
EYE_SEGMENTS = 28
EAR_RINGS = (0.14, 0.28, 0.42, 0.54, 0.64, 0.73, 0.81, 0.88, 0.94, 0.98, 1.0)
EAR_BACK_RINGS = (0.97, 0.9, 0.75, 0.5, 0.25)
EAR_SEGMENTS = 32
EAR_ORIGIN = np.array([68.7, -3.0, 1.0])
# Outline of the ear in its own plane (backwards, up) in mm, counter-clockwise from the back.
# fmt: off
_EAR_OUTLINE = np.array([
    (30, 8), (29, 19), (23, 28), (13, 31.5), (4, 28), (-1, 18), (-3, 6), (-3, -6), (-2, -18), (0, -26), (5, -31.5),
    (11, -30), (16, -24), (21, -14), (27, -4),
], dtype=float)
# fmt: on
_EAR_CENTRE = np.array([11.0, -1.0])


def shape_lips(points: Array, layout: Layout) -> Array:
    """Closes the mouth and gives the lips their volume: returns `points` (N, 3) with the rings of the lips moved."""
    points = points.copy()
    border = points[layout.lips[len(LIP_STEPS) - 1]]
    count = border.shape[0]
    upper = np.sign(np.linspace(1, -1, count).round(6))
    share = np.abs(border[:, 0]) / border[:, 0].max()
    taper = np.clip(1 - share**2.6, 0, None)
    for step, ring in zip(LIP_STEPS, layout.lips, strict=False):
        inner = points[layout.lips[0]]
        seam = MOUTH_HEIGHT - 0.7 * np.exp(-((inner[:, 0] / 5) ** 2)) + 0.5 * np.exp(-(((inner[:, 0] - 11) / 6) ** 2))
        seam = seam - 0.9 * share**4 - 0.05 * upper * taper
        target = points[ring]
        opened = points[layout.lips[0], 1]
        target[:, 1] += (1 - step) * (seam - opened)
        high = np.interp(step, [0, 0.16, 0.36, 0.58, 0.8, 1.0], [-1.9, 0.9, 2.2, 2.3, 1.6, 0.5])
        low = np.interp(step, [0, 0.16, 0.36, 0.58, 0.8, 1.0], [-2.2, 1.6, 3.6, 3.9, 2.5, 0.3])
        tubercle = 0.8 * np.exp(-((target[:, 0] / 4) ** 2)) * bump(np.array((step - 0.3) / 0.5))
        target[:, 2] += taper**0.8 * np.where(upper > 0, high + tubercle, low) - 1.5 * (1 - step) * (1 - taper)
        points[ring] = target
    return points


def lid_rims(points: Array, layout: Layout, start: int) -> tuple[Array, Array]:
    """The thickness of the lids: two loops behind the rim. Returns new points and faces; indices go on at `start`."""
    rim = points[layout.lids[0]] - EYE_CENTRE
    plane = np.hypot(rim[:, 0], rim[:, 1])
    corner = smooth_step(plane, 9.5, 13.5)[:, None]
    margin = rim * ((EYE_RADIUS + 0.25) / np.linalg.norm(rim, axis=1, keepdims=True))
    margin = (1 - corner) * margin + corner * (rim * (0.93, 0.93, 0.9))
    behind = rim[:, :2] / plane[:, None] * np.clip(plane + 2.5, None, 10.6)[:, None]
    radius = EYE_RADIUS - 0.7
    tuck = np.column_stack([behind, np.sqrt(np.maximum(radius**2 - (behind**2).sum(1), 1.0))])
    count = len(rim)
    rings = np.stack([start + count + np.arange(count), start + np.arange(count), layout.lids[0]])
    return np.vstack([margin, tuck]) + EYE_CENTRE, strips(rings, True)


def mouth_bag(points: Array, layout: Layout, start: int) -> tuple[Array, Array, Array]:
    """The inside of the mouth. Returns new points, faces and which points belong to the lower jaw (0..1)."""
    lip = points[layout.lips[0]]
    count = len(lip)
    side = np.sin(np.linspace(np.pi / 2, -np.pi / 2, count))
    loops = []
    for back, rise, narrow in (
        (2.5, 0.5, 1.0),
        (6.0, 4.5, 1.0),
        (13.0, 9.0, 0.97),
        (26.0, 11.0, 0.8),
        (40.0, 7.0, 0.5),
    ):
        spread = np.sign(side) * np.abs(side) ** 0.5 * rise
        loops.append(np.column_stack([lip[:, 0] * narrow, lip[:, 1] + spread, lip[:, 2] - back]))
    end = np.array([[0.0, MOUTH_HEIGHT, loops[-1][0, 2] - 6.0]])
    rings = np.vstack([start + count * np.arange(len(loops))[::-1, None] + np.arange(count), layout.lips[:1]])
    fan = rings[0]
    last = np.full(count - 1, start + count * len(loops))
    faces = np.vstack([strips(rings, False), np.stack([last, fan[1:], fan[:-1]], axis=1)])
    lower = np.concatenate([np.tile(0.5 - 0.5 * np.sign(side.round(6)), len(loops)), [0.5]])
    return np.vstack([*loops, end]), faces, lower


def teeth(points: Array, layout: Layout) -> tuple[Array, Array, Array]:
    """Both rows of teeth as bent strips behind the lips: points, faces, and which points belong to the lower jaw."""
    lip = points[layout.lips[0, : layout.lips.shape[1] // 2]]
    x = np.linspace(0.0, 20.0, 11)
    depth = np.interp(x, lip[:, 0], lip[:, 2])
    rows = [
        [(-50.0, -5.2), (-55.0, -4.6), (-59.3, -4.4), (-59.6, -5.4), (-59.2, -7.2), (-51.0, -8.5)],
        [(-58.6, -9.5), (-59.2, -8.0), (-59.0, -7.0), (-62.5, -6.4), (-68.0, -6.6)],
    ]
    pieces, faces, start = [], [], 0
    for profile in rows:
        pieces += [np.column_stack([x * 0.96, np.full_like(x, y), depth + back]) for y, back in profile]
        index = start + np.arange(len(profile) * len(x)).reshape(-1, len(x))
        faces.append(strips(index, False)[:, ::-1])
        start += index.size
    lower = np.repeat([0.0, 1.0], [len(profile) * len(x) for profile in rows])
    return np.vstack(pieces), np.vstack(faces), lower


def _closed_rings(count: int, segments: int) -> Array:
    """Faces of a closed surface: a pole (index 0), rings of `segments` points (from 1), and a last pole."""
    rings = 1 + np.arange(count * segments).reshape(count, segments)
    ahead = np.roll(np.arange(segments), -1)
    first = np.stack([np.zeros(segments, dtype=int), rings[0], rings[0][ahead]], axis=1)
    last = np.stack([np.full(segments, 1 + count * segments), rings[-1][ahead], rings[-1]], axis=1)
    return np.vstack([first, strips(rings, True), last])


def eyeball() -> tuple[Array, Array]:
    """The subject's left eyeball: (V, 3) points, pole at the pupil, and (F, 3) faces."""
    angle = np.arange(EYE_SEGMENTS) * 2 * np.pi / EYE_SEGMENTS
    sin, cos = np.sin(EYE_POLAR)[:, None], np.cos(EYE_POLAR)[:, None]
    rings = np.stack([sin * np.cos(angle), sin * np.sin(angle), cos * np.ones_like(angle)], axis=-1).reshape(-1, 3)
    unit = np.vstack([[0, 0, 1.0], rings, [0, 0, -1.0]])
    return EYE_CENTRE + EYE_RADIUS * unit, _closed_rings(len(EYE_POLAR), EYE_SEGMENTS)


def _ear_relief(radius: Array, angle: Array) -> Array:
    """Height of the ear's front over its plane at polar places (1 = outline, 0 rad = back, pi/2 = top)."""
    lobe = smooth_step(np.sin(angle), -0.75, -0.95) * (np.cos(angle) > -0.6)
    front = smooth_step(np.cos(angle), -0.55, -0.9)
    helix = 4.2 * np.exp(-(((radius - 0.93) / 0.07) ** 2)) * (1 - 0.85 * lobe) * (1 - front)
    antihelix = 4.0 * np.exp(-(((radius - 0.62) / 0.1) ** 2)) * smooth_step(np.cos(angle), -0.35, 0.3) * (1 - lobe)
    concha = -5.0 * bump(np.hypot(radius * np.cos(angle) + 0.12, radius * np.sin(angle) + 0.1) / 0.62)
    tragus = 4.5 * np.exp(-(((radius - 0.68) / 0.16) ** 2)) * np.exp(-(((angle - np.pi - 0.15) / 0.3) ** 2))
    return helix + antihelix + concha + tragus + 1.0 * lobe * bump((radius - 0.7) / 0.4)


def ear() -> tuple[Array, Array]:
    """The subject's left ear, a closed shell that is sunk into the head: (V, 3) points and (F, 3) faces."""
    outline = _EAR_OUTLINE - _EAR_CENTRE
    turn = np.unwrap(np.arctan2(outline[:, 1], outline[:, 0]))
    length = np.hypot(*outline.T)
    spline = CubicSpline(np.r_[turn, turn[0] + 2 * np.pi], np.r_[length, length[0]], bc_type="periodic")
    angle = np.arange(EAR_SEGMENTS) * 2 * np.pi / EAR_SEGMENTS
    reach = spline(turn[0] + np.mod(angle - turn[0], 2 * np.pi))
    front = np.array(EAR_RINGS)[:, None] * np.ones_like(angle)
    back = np.array(EAR_BACK_RINGS)[:, None] * np.ones_like(angle)
    radius = np.vstack([front, back])
    height = np.vstack([_ear_relief(front, angle), -2.2 - 7.5 * bump(back / 0.75) + 1.5 * bump((back - 1) / 0.12)])
    plane = np.stack([radius * reach * np.cos(angle), radius * reach * np.sin(angle)], axis=-1).reshape(-1, 2)
    middle = float(_ear_relief(np.zeros(1), np.zeros(1))[0])
    flat = np.vstack([[0, 0], plane, [0, 0]]) + _EAR_CENTRE
    relief = np.r_[middle, height.ravel(), middle - 3.0]
    splay, tilt = np.radians(30), np.radians(9)
    backwards = np.array([np.sin(splay), -np.sin(tilt) * np.cos(splay), -np.cos(tilt) * np.cos(splay)])
    up = np.array([0.0, np.cos(tilt), -np.sin(tilt)])
    outwards = np.cross(backwards, up)
    points = EAR_ORIGIN + flat[:, :1] * backwards + flat[:, 1:] * up + relief[:, None] * outwards
    return points, _closed_rings(len(radius), EAR_SEGMENTS)
