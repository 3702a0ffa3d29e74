"""Joints, blend weights and the 68 landmarks of the procedural head.

Joints are named like FLAME's, by the subject's left (x > 0) and right.
"""

from __future__ import annotations

import numpy as np

from harness.heads.procedural_surface import EYE_CENTRE, chart_of, jaw_border, smooth_step
from harness.heads.procedural_template import Template
from harness.samples import Array

JOINT_NAMES = ("root", "neck", "jaw", "left_eye", "right_eye")
PARENTS = (-1, 0, 1, 1, 1)
JOINTS = np.array([(0, -170, -25), (0, -105, -20), (0, -10, 8), EYE_CENTRE, EYE_CENTRE * (-1, 1, 1)], dtype=float)

# iBUG points on the image's right (x > 0) as points near the surface; where z is None, straight in front of it.
_TARGETS: dict[int, tuple[float, float, float | None]] = {
    8: (0, -105.5, 86), 9: (17, -104, 79), 10: (33, -96, 62), 11: (45, -84, 48), 12: (53, -68, 38), 13: (58, -50, 32),
    14: (63, -31, 26), 15: (67, -12, 20), 16: (69, 7, 14),
    22: (12.5, 28.5, None), 23: (21, 31.6, None), 24: (31, 33.6, None), 25: (42, 33.4, None), 26: (52.5, 28.5, None),
    27: (0, 12, None), 28: (0, 1, None), 29: (0, -11, None), 30: (0, -28.5, None),
    33: (0, -36.2, 99.5), 34: (6.5, -35, None), 35: (13.5, -33, None),
}  # fmt: skip
_MIRRORED = {
    16: 0, 15: 1, 14: 2, 13: 3, 12: 4, 11: 5, 10: 6, 9: 7, 22: 21, 23: 20, 24: 19, 25: 18, 26: 17, 35: 31, 34: 32,
    42: 39, 43: 38, 44: 37, 45: 36, 46: 41, 47: 40, 54: 48, 53: 49, 52: 50, 55: 59, 56: 58, 64: 60, 63: 61, 65: 67,
}  # fmt: skip


def joint_regressor(template: Template) -> Array:
    """(J, V) affine weights that give JOINTS on the template: the smallest ones over a local set of vertices."""
    points = template.points
    result = np.zeros((len(JOINTS), len(points)))
    for number, joint in enumerate(JOINTS):
        distance = np.linalg.norm((points - joint) * ((0, 1, 1) if joint[0] == 0 else (1, 1, 1)), axis=1)
        eye = (template.kind == 3) & (np.sign(points[:, 0]) == np.sign(joint[0]))
        reach = np.sort(distance[template.kind == 0])[160]
        chosen = np.flatnonzero(eye if joint[0] else (template.kind == 0) & (distance < reach))
        if not joint[0]:
            chosen = np.union1d(chosen, template.mirror[chosen])
        system = np.vstack([points[chosen].T - joint[:, None], np.ones(len(chosen))])
        result[number, chosen] = np.linalg.lstsq(system, np.array([0, 0, 0, 1.0]), rcond=None)[0]
    return result


def jaw_weight(template: Template) -> Array:
    """(V,) how far a vertex follows the lower jaw."""
    x, y, z = template.points.T
    corner = template.points[template.lips[0, template.lips.shape[1] // 2]]
    line = np.interp(z, [10.0, corner[2]], [-12.0, corner[1]])
    away = np.linalg.norm((np.abs(template.points * (1, 0, 0)) + template.points * (0, 1, 1)) - corner, axis=1)
    width = 6.0 + 3.0 * smooth_step(np.abs(x), 6.0, 18.0) + 0.42 * away * smooth_step(np.abs(x), 14.0, 40.0)
    weight = smooth_step(line - y, -width, width) * smooth_step(z, -25.0, 50.0)
    weight = weight * smooth_step(_below_jaw(template), 62.0, -6.0)
    # The lips part in an ellipse.
    parted = np.sqrt(np.clip(1 - (x / corner[0]) ** 2, 0, 1))
    split = 0.5 + (template.lower - 0.5) * parted
    weight = np.where((template.lip_step <= 1) | (template.kind == 2), split, weight)
    weight = np.where((template.kind == 3) | (template.kind == 4), 0.0, weight)
    return np.where(template.kind == 5, template.lower, weight)


def _below_jaw(template: Template) -> Array:
    """(V,) millimetres below the border between face and neck, negative above."""
    chart = chart_of(template.points)
    return jaw_border(chart[:, 0]) - chart[:, 1]


def skinning(template: Template) -> Array:
    """(V, J) blend weights."""
    below = np.where(template.kind == 0, _below_jaw(template), -50.0)
    head = smooth_step(below, 70.0, -5.0)
    jaw = jaw_weight(template)
    right, left = template.points[:, 0] < 0, template.points[:, 0] > 0
    ball = template.kind == 3
    weights = np.stack([1 - head, head * (1 - jaw), head * jaw, 0 * head, 0 * head], axis=1)
    weights[ball] = 0
    weights[ball & left, 3] = weights[ball & right, 4] = 1
    return weights


def _closest(point: Array, corners: Array) -> tuple[int, Array]:
    """The triangle of (F, 3, 3) nearest to a point, and the nearest place on it in barycentric coordinates."""
    a, b, c = corners.transpose(1, 0, 2)
    best, where, place = np.inf, 0, np.zeros(3)
    for start, first, second, order in ((a, b, c, (0, 1, 2)), (b, c, a, (1, 2, 0)), (c, a, b, (2, 0, 1))):
        u, v, w = first - start, second - start, point - start
        uu, vv, uv = (u * u).sum(1), (v * v).sum(1), (u * v).sum(1)
        wu, wv = (w * u).sum(1), (w * v).sum(1)
        scale = np.maximum(uu * vv - uv * uv, 1e-12)
        s, t = (vv * wu - uv * wv) / scale, (uu * wv - uv * wu) / scale
        inside = (s >= 0) & (t >= 0) & (s + t <= 1)
        s, t = np.where(inside, s, np.clip(wu / np.maximum(uu, 1e-12), 0, 1)), np.where(inside, t, 0)
        distance = np.linalg.norm(start + s[:, None] * u + t[:, None] * v - point, axis=1)
        index = int(distance.argmin())
        if distance[index] < best:
            best, where, place = float(distance[index]), index, np.zeros(3)
            place[list(order)] = 1 - s[index] - t[index], s[index], t[index]
    return where, place


def landmarks(template: Template) -> tuple[Array, Array]:
    """The iBUG points: (68,) triangles and (68, 3) barycentric coordinates, mirror symmetric."""
    half = len(template.faces) // 2
    faces = template.faces[:half]
    skin = np.flatnonzero((template.kind[faces] == 0).all(1))
    corners = template.points[faces[skin]]
    flat = corners * (1, 1, 0)
    chosen, places = np.zeros(68, dtype=int), np.zeros((68, 3))
    front = corners[:, :, 2].mean(1) > 50
    for index, (x, y, z) in _TARGETS.items():
        if z is None:
            number, places[index] = _closest(np.array([x, y, 0.0]), flat[front])
            chosen[index] = skin[front][number]
        else:
            number, places[index] = _closest(np.array([x, y, z]), corners)
            chosen[index] = skin[number]
        if x == 0:  # exactly on the midline
            places[index] *= template.points[faces[chosen[index]], 0] == 0
            places[index] /= places[index].sum()
    for index, vertex in _landmark_vertices(template).items():
        face = int(np.flatnonzero((faces == vertex).any(1))[0])
        chosen[index], places[index] = face, faces[face] == vertex
    for index, other in _MIRRORED.items():
        chosen[other], places[other] = chosen[index] + half, places[index][::-1]
    return chosen, places


def _landmark_vertices(template: Template) -> dict[int, int]:
    """The iBUG points that are vertices: lids and lips of the side x >= 0."""
    rim, border, inner = template.lids[0], template.lips[5], template.lips[0]
    count, middle = len(rim), len(border) // 2
    result = {45: rim[0], 42: rim[count // 2], 54: border[middle], 64: inner[middle]}
    result |= {51: border[0], 57: border[-1], 62: inner[0], 66: inner[-1]}
    upper, lower = rim[1 : count // 2], rim[count // 2 + 1 :]

    def nearest(vertices: Array, x: float) -> int:
        return int(vertices[np.abs(template.points[vertices, 0] - x).argmin()])

    result |= {44: nearest(upper, 35.5), 43: nearest(upper, 25.5), 46: nearest(lower, 35.5), 47: nearest(lower, 25.5)}
    result |= {53: nearest(border[:middle], 15), 52: nearest(border[:middle], 5.5)}
    result |= {55: nearest(border[middle:], 16.5), 56: nearest(border[middle:], 8.5)}
    result |= {63: nearest(inner[:middle], 9.5), 65: nearest(inner[middle:], 9.5)}
    return {key: int(value) for key, value in result.items()}
