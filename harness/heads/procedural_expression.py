"""The expression components of the procedural head: 0 is rest, 1 is the full movement.

Here, as in the names of joints, left and right are the subject's (left is x > 0); part labels are named by the image.
"""

from __future__ import annotations

import numpy as np

from harness.heads.procedural_fields import Field, Lobe, bell, evaluate, eye_hold, lid_middle
from harness.heads.procedural_rig import JOINTS, jaw_weight
from harness.heads.procedural_surface import EYE_CENTRE, smooth_step
from harness.heads.procedural_template import Template
from harness.samples import Array

EXCLUSIVE = (
    ("pucker", "funnel", "mouth_stretch_right", "smile_right"),
    ("pucker", "funnel", "mouth_stretch_left", "smile_left"),
    ("smile_right", "frown_right"),
    ("smile_left", "frown_left"),
    ("blink_right", "eye_wide_right", "squint_right"),
    ("blink_left", "eye_wide_left", "squint_left"),
    ("brow_down_right", "brow_outer_up_right"),
    ("brow_down_left", "brow_outer_up_left"),
    ("brow_down_left", "brow_inner_up"),
    ("jaw_left", "jaw_right"),
    ("mouth_left", "mouth_right"),
    ("lip_press", "jaw_open", "lip_roll_in", "funnel"),
    ("cheek_puff_left", "jaw_open", "cheek_suck"),
    ("cheek_puff_right", "jaw_open", "cheek_suck"),
)
"""Groups of components of which at most one acts in a sampled expression."""

# On the subject's left (x > 0); each becomes a component for either side.
_SIDED: dict[str, list[Lobe]] = {
    "smile": [
        Lobe((25, -58, 88), (11, 9, 20), (4.6, 4.6, -2.6)),
        Lobe((40, -30, 80), (14, 13, 20), (1.0, 3.0, 2.4)),
        Lobe((30, -42, 85), (6, 13, 16), (0.6, 0.4, -1.6)),
        Lobe((12, -58, 97), (9, 9, 20), (1.6, 0.6, -0.6)),
    ],
    "frown": [Lobe((25, -60, 88), (10, 9, 20), (0.6, -4.6, -0.8)), Lobe((24, -76, 86), (10, 8, 16), (0.4, -1.2, 0.8))],
    "mouth_stretch": [Lobe((25, -60, 88), (13, 12, 22), (5.0, -1.2, -2.4))],
    "dimple": [Lobe((28, -57, 86), (7, 8, 14), (1.4, 0.4, -2.6))],
    "cheek_raise": [Lobe((40, -14, 82), (15, 10, 20), (0, 3.2, 1.6))],
    "nose_wrinkle": [
        Lobe((13, -14, 97), (8, 12, 18), (0.2, 2.6, 0.9)),
        Lobe((15, -28, 98), (7, 8, 14), (0.6, 2.4, 0)),
        Lobe((12, 27, 98), (11, 8, 18), (-0.8, -1.6, 0.4)),
    ],
    "brow_outer_up": [Lobe((46, 32, 83), (15, 12, 25), (0, 5.4, -0.4))],
    "brow_down": [Lobe((20, 30, 97), (15, 10, 22), (-1.5, -4.2, 0.6)), Lobe((44, 30, 85), (12, 9, 20), (0, -1.8, 0.2))],
    "cheek_puff": [Lobe((40, -50, 78), (15, 15, 24), (5.2, 0, 4.4))],
}
_PLAIN: dict[str, list[Lobe]] = {
    "brow_inner_up": [Lobe((14, 31, 97), (13, 12, 25), (0, 5.2, 0.2))],
    "nostril_flare": [Lobe((16, -29, 98), (5, 6, 12), (1.9, 0.5, 0))],
    "chin_raise": [
        Lobe((0, -84, 96), (18, 11, 20), (0, 3.6, 1.0)), Lobe((0, -64, 100), (17, 8, 18), (0, 1.8, 1.6)),
    ],
    "cheek_suck": [Lobe((40, -52, 78), (13, 15, 22), (-4.0, 0, -2.0))],
    "mouth_left": [Lobe((0, -60, 98), (26, 15, 30), (5.0, 0, 0))],
    "mouth_right": [Lobe((0, -60, 98), (26, 15, 30), (-5.0, 0, 0))],
    "neck_tense": [Lobe((24, -118, 40), (14, 18, 22), (1.6, 1.0, 1.8))],
}  # fmt: skip


def _lobes(parts: list[Lobe], left: float, right: float) -> Field:
    """A field of lobes, weighted per side; the two sides share what lies on the midline."""

    def field(points: Array) -> Array:
        flip = np.array([-1.0, 1.0, 1.0])
        total = np.zeros_like(points)
        for part in parts:
            push = np.array(part.push)
            if part.centre[0] == 0:
                total += bell(points, part.centre, part.radius)[:, None] * push
                continue
            total += left * bell(points, part.centre, part.radius)[:, None] * push
            total += right * bell(points * flip, part.centre, part.radius)[:, None] * (push * flip)
        return total

    return field


def _jaw_components(template: Template) -> dict[str, Array]:
    """Movements of the lower jaw: a hinge about the joint, and slides."""
    weight = jaw_weight(template)[:, None]
    angle = 0.30
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    arm = template.points - JOINTS[2]
    slide = np.ones_like(template.points) * weight
    return {
        "jaw_open": weight * (arm @ turn.T - arm),
        "jaw_left": slide * (5.0, 0, 0),
        "jaw_right": slide * (-5.0, 0, 0),
        "jaw_forward": slide * (0, -0.6, 4.5),
    }


def _lid_turn(template: Template, side: float) -> Array:
    """(V, 3) displacements that close the upper lid of one eye.

    Each vertex turns about the horizontal axis through the eyeball's centre, by the angle that brings the rim above it
    down to the lower rim; the full movement is exact, so the closed lid lies on the eyeball.
    """
    centre = EYE_CENTRE * (side, 1, 1)
    local = template.points - centre
    rim = template.points[template.lids[0]] - EYE_CENTRE
    half = len(rim) // 2
    upper, lower = rim[: half + 1][::-1], np.vstack([rim[half:], rim[:1]])
    angles = [np.arctan2(part[:, 1], part[:, 2]) for part in (upper, lower)]
    across = local[:, 0] * side
    gap = np.interp(across, upper[:, 0], angles[0]) - np.interp(across, lower[:, 0], angles[1])
    lid = (template.points[:, 0] * side > 0) & (template.kind <= 1) & (local[:, 1] > _rim_line(across, rim))
    weight = lid * np.clip(1 - template.rim_distance / 9.0, 0, 1) ** 1.2
    turn = -np.maximum(gap - 0.03, 0) * weight
    y, z = local[:, 1], local[:, 2]
    moved = np.stack([local[:, 0], y * np.cos(turn) + z * np.sin(turn), z * np.cos(turn) - y * np.sin(turn)], axis=1)
    return moved - local


def _rim_line(across: Array, rim: Array) -> Array:
    """Height of the line from corner to corner of the lids."""
    half = len(rim) // 2
    return np.interp(across, [rim[half, 0], rim[0, 0]], [rim[half, 1] + 0.2, rim[0, 1] + 0.2])


def _lid_components(template: Template) -> dict[str, Array]:
    result: dict[str, Array] = {}
    for name, side in (("left", 1.0), ("right", -1.0)):
        close = _lid_turn(template, side)
        lid = eye_hold(template) * (template.points[:, 0] * side > 0) * (template.kind <= 1)
        local = template.points - EYE_CENTRE * (side, 1, 1)
        lift = np.stack([np.zeros(len(local)), local[:, 2], -local[:, 1]], axis=1)
        low = smooth_step(local[:, 1], 1.5, -3.0) * lid_middle(local[:, 0] * side)
        result[f"blink_{name}"] = close
        result[f"eye_wide_{name}"] = -0.22 * close - 0.04 * lift * (lid * low)[:, None]
        result[f"squint_{name}"] = 0.25 * close + 0.13 * lift * (lid * low)[:, None]
    return result


def _lip_components(template: Template) -> dict[str, Array]:
    """Movements in which upper and lower lip part, meet or turn."""
    points = template.points
    jaw = np.where(points[:, 2] > 40, jaw_weight(template), 0.0)
    low, high = jaw[:, None], 1 - jaw[:, None]
    step = np.where(template.lip_step <= 1, template.lip_step, 1.0)
    mouth = (bell(points, (0, -58, 96), (17, 11, 24)) * (template.kind < 4))[:, None]
    wide = (bell(points, (0, -58, 94), (26, 15, 30)) * (template.kind < 4))[:, None]
    sign = high - low
    y_hat, z_hat = np.array([0, 1.0, 0]), np.array([0, 0, 1.0])
    inwards = np.stack([-points[:, 0], np.zeros(len(points)), np.zeros(len(points))], axis=1)
    inner = (1 - step)[:, None]
    result = {
        "pucker": wide * (0.36 * inwards + 5.0 * z_hat) + mouth * (1.2 * y_hat * sign),
        "funnel": wide * (0.26 * inwards + 4.4 * z_hat) + mouth * (4.2 * y_hat * sign),
        "lip_press": -mouth * sign * y_hat * 1.6 * step[:, None] - mouth * z_hat * 1.0,
        "lip_roll_in": -mouth * (2.6 * z_hat + 1.5 * sign * y_hat) * step[:, None],
        "upper_lip_raise": mouth * high * (4.4 * y_hat + 0.4 * z_hat),
        "lower_lip_drop": mouth * low * (-4.6 * y_hat + 0.2 * z_hat),
        "lips_part": mouth * (1.7 * y_hat * sign) * (0.5 + 0.5 * inner),
    }
    for name, side in (("left", 1.0), ("right", -1.0)):
        half = (bell(points, (side * 13, -55, 94), (8, 9, 22)) * (template.kind < 4))[:, None]
        result[f"upper_lip_raise_{name}"] = half * high * (3.4 * y_hat)
        result[f"lower_lip_drop_{name}"] = half * low * (-3.4 * y_hat)
    return result


def expression_basis(template: Template) -> tuple[tuple[str, ...], Array]:
    """The E names and the (E, V, 3) displacements at full strength."""
    fields: dict[str, Field] = {name: _lobes(parts, 1, 1) for name, parts in _PLAIN.items()}
    for name, parts in _SIDED.items():
        fields |= {f"{name}_left": _lobes(parts, 1, 0), f"{name}_right": _lobes(parts, 0, 1)}
    soft = (template.kind != 5)[:, None]
    result = {name: evaluate(template, field) * soft for name, field in fields.items()}
    result |= _jaw_components(template) | _lid_components(template) | _lip_components(template)
    return tuple(result), np.stack(list(result.values()))
