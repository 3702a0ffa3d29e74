"""The identity components of the procedural head: what varies between adults, one standard deviation each."""

from __future__ import annotations

import numpy as np

from harness.heads.procedural_fields import Field, Lobe, bell, evaluate, eye_hold, lid_middle
from harness.heads.procedural_surface import EYE_CENTRE, smooth_step
from harness.heads.procedural_template import Template
from harness.samples import Array

# Components made of lobes: (centre on the side x >= 0, standard deviations, displacement) in mm; -1 = asymmetry.
_LOBES: dict[str, list[Lobe]] = {
    "forehead_slope": [Lobe((0, 70, 80), (70, 24, 45), (0, 0, -4.5))],
    "forehead_bulge": [Lobe((24, 55, 85), (24, 18, 40), (0, 0, 2.4))],
    "brow_ridge": [Lobe((20, 29, 98), (20, 8.5, 25), (0, -0.5, 2.1)), Lobe((48, 27, 80), (12, 8, 25), (0.6, 0, 1.2))],
    "brow_height": [Lobe((30, 33, 92), (26, 11, 25), (0, 1.9, 0))],
    "brow_tilt": [Lobe((48, 31, 80), (12, 11, 25), (0, 1.2, 0)), Lobe((14, 30, 98), (10, 9, 25), (0, -1.4, 0))],
    "temple_fullness": [Lobe((64, 35, 40), (18, 22, 28), (2.6, 0, 0.6))],
    "nose_length": [Lobe((0, -30, 110), (20, 13, 25), (0, -3.4, 0.6))],
    "nose_width": [Lobe((15, -28, 98), (8, 10, 16), (1.9, 0, 0))],
    "nose_protrusion": [Lobe((0, -24, 115), (13, 15, 25), (0, 0, 2.8))],
    "nose_tip_up": [Lobe((0, -24, 118), (10, 9, 16), (0, 2.4, 0.4))],
    "nose_tip_bulb": [Lobe((6, -22, 114), (6, 8, 14), (1.4, 0, 0.4))],
    "nose_bridge_height": [Lobe((0, 6, 100), (10, 13, 25), (0, 0, 2.1))],
    "nose_bridge_width": [Lobe((9, 0, 94), (8, 18, 20), (1.0, 0, 0.2))],
    "nose_hump": [Lobe((0, -5, 106), (8, 7, 22), (0, 0, 1.8))],
    "nose_root_height": [Lobe((0, 15, 96), (12, 9, 22), (0, 1.0, 1.6))],
    "nostril_flare": [Lobe((17, -29, 97), (5, 6, 12), (1.4, 0.5, 0.3))],
    "nose_wing_height": [Lobe((15, -30, 98), (7, 7, 14), (0, 1.3, 0))],
    "columella_drop": [Lobe((0, -33, 104), (6, 6, 14), (0, -1.5, 0.2))],
    "eye_depth": [Lobe((31, 10, 80), (17, 13, 28), (0, 0, -2.2))],
    "eye_spacing": [Lobe((31, 10, 80), (19, 17, 35), (1.15, 0, 0))],
    "eye_height": [Lobe((31, 10, 80), (24, 16, 35), (0, 1.8, 0))],
    "lower_lid_bags": [Lobe((30, -2, 84), (13, 5, 15), (0, -0.3, 1.4))],
    "upper_lid_fold": [Lobe((34, 20, 86), (14, 5.5, 18), (0, -0.8, 1.3))],
    "cheekbone_width": [Lobe((63, -8, 52), (16, 18, 28), (3.0, 0, 0.4))],
    "cheekbone_projection": [Lobe((44, -14, 80), (16, 14, 25), (0.8, 0, 2.4))],
    "cheekbone_height": [Lobe((48, -16, 74), (20, 16, 28), (0, 2.4, 0.4))],
    "cheek_fullness": [Lobe((44, -42, 72), (17, 19, 28), (2.7, 0, 1.7))],
    "infraorbital_hollow": [Lobe((30, -10, 84), (13, 8, 20), (0, 0, -1.7))],
    "midface_projection": [Lobe((0, -30, 95), (32, 24, 30), (0, 0, 2.4))],
    "nasolabial_fold": [Lobe((27, -40, 88), (5, 13, 16), (0, 0, -1.2)), Lobe((35, -36, 84), (7, 13, 16), (0, 0, 1.0))],
    "philtrum_length": [Lobe((0, -62, 96), (40, 17, 35), (0, -2.2, 0))],
    "mouth_protrusion": [Lobe((0, -58, 100), (24, 14, 25), (0, 0, 2.4))],
    "mouth_height": [Lobe((0, -58, 96), (32, 13, 30), (0, 1.9, 0))],
    "mouth_corner_height": [Lobe((25, -58, 88), (8, 8, 18), (0, 1.4, 0))],
    "mentolabial_depth": [Lobe((0, -76, 95), (20, 6, 18), (0, 0, -1.7))],
    "chin_projection": [Lobe((0, -93, 92), (26, 15, 28), (0, 0, 3.4))],
    "chin_height": [Lobe((0, -106, 80), (34, 17, 32), (0, -3.2, 0))],
    "chin_width": [Lobe((23, -94, 80), (14, 15, 25), (2.6, 0, 0.3))],
    "chin_cleft": [Lobe((0, -91, 98), (4, 7, 12), (0, 0, -1.0))],
    "double_chin": [Lobe((0, -112, 60), (26, 12, 24), (0, -3.4, 0.8))],
    "jaw_width": [Lobe((52, -66, 22), (20, 24, 32), (3.6, 0, 0))],
    "jaw_angle_drop": [Lobe((48, -74, 16), (18, 18, 28), (0, -3.2, 0))],
    "jowl_fullness": [Lobe((38, -84, 60), (13, 13, 20), (1.7, -1.4, 1.0))],
    "ear_angle": [Lobe((84, 2, -24), (10, 34, 15), (3.2, 0, 1.0))],
    "ear_height": [Lobe((78, 0, -14), (12, 40, 24), (0, 2.2, 0))],
    "crown_height": [Lobe((0, 118, -10), (60, 38, 65), (0, 4.2, 0))],
    "occiput_bulge": [Lobe((0, 25, -95), (50, 36, 34), (0, 0, -4.2))],
    "cranium_side_bulge": [Lobe((76, 55, -10), (28, 32, 48), (3.2, 0, 0))],
    "neck_width": [Lobe((54, -140, -20), (30, 38, 55), (4.2, 0, 0))],
    "neck_forward": [Lobe((0, -150, 30), (55, 34, 38), (0, 0, 3.8))],
    "age_sag": [
        Lobe((38, -76, 66), (14, 14, 22), (0.6, -2.0, 0.6)),
        Lobe((30, -4, 83), (14, 6, 14), (0, -0.8, 0.6)),
        Lobe((38, 24, 88), (16, 8, 20), (0, -1.0, 0)),
        Lobe((44, -34, 76), (14, 13, 20), (-0.8, -1.2, -0.8)),
        Lobe((27, -42, 88), (5, 13, 16), (0, 0, -0.8)),
        Lobe((0, -114, 52), (16, 14, 22), (0, -1.6, 0.4)),
    ],
    "asymmetry_jaw": [Lobe((46, -76, 40), (22, 24, 40), (1.3, 0.2, 0), -1)],
    "asymmetry_cheek": [Lobe((45, -28, 75), (20, 22, 30), (0.6, 0, 1.0), -1)],
    "asymmetry_eye_height": [Lobe((31, 10, 80), (20, 18, 32), (0, 0.5, 0), -1)],
    "asymmetry_brow_height": [Lobe((32, 32, 90), (22, 11, 25), (0, 0.75, 0), -1)],
    "asymmetry_mouth_corner": [Lobe((25, -58, 88), (12, 10, 20), (0, 0.8, 0), -1)],
    "asymmetry_ear_angle": [Lobe((84, 2, -24), (10, 34, 15), (1.6, 0, 0.4), -1)],
    "asymmetry_nose": [Lobe((0, -20, 112), (14, 15, 22), (1.0, 0, 0))],
    "asymmetry_chin": [Lobe((0, -98, 88), (28, 16, 30), (1.4, 0, 0))],
    "asymmetry_nostril": [Lobe((15, -29, 98), (7, 7, 14), (0.3, 0.6, 0), -1)],
}


def _columns(*columns: Array | float) -> Array:
    return np.stack(np.broadcast_arrays(*columns), axis=-1).astype(float)


def _overall_size(p: Array) -> Array:
    return 0.026 * p


def _face_width(p: Array) -> Array:
    window = np.exp(-0.5 * (((p[:, 1] + 15) / 62) ** 2)) * (0.35 + 0.65 * smooth_step(p[:, 2], -70, 50))
    return _columns(0.042 * p[:, 0] * window, 0, 0)


def _face_length(p: Array) -> Array:
    return _columns(0, -5.2 * smooth_step(p[:, 1], 25, -120), 0)


def _lower_face_length(p: Array) -> Array:
    return _columns(0, -3.4 * smooth_step(p[:, 1], -48, -105), 0)


def _face_taper(p: Array) -> Array:
    return _columns(0.05 * p[:, 0] * np.sin(np.clip((p[:, 1] - 5) / 110, -1.5, 1.5)), 0, 0)


def _head_depth(p: Array) -> Array:
    return _columns(0, 0, 0.035 * p[:, 2] * smooth_step(p[:, 1], -150, -40) * smooth_step(p[:, 2], 60, 0))


def _head_width(p: Array) -> Array:
    return _columns(0.036 * p[:, 0] * smooth_step(p[:, 1], -30, 45), 0, 0)


def _forehead_height(p: Array) -> Array:
    return _columns(0, 4.2 * smooth_step(p[:, 1], 28, 90), 0)


def _profile_convexity(p: Array) -> Array:
    """Forehead and chin behind, nose and mouth before."""
    bend = np.cos(np.clip((p[:, 1] + 28) / 95, -1.25, 1.25) * np.pi / 1.25)
    return _columns(0, 0, 1.9 * bend * smooth_step(p[:, 2], 10, 75))


def _face_flatness(p: Array) -> Array:
    """The sides of the face come forward while its middle stays."""
    side = 1 - np.exp(-0.5 * ((p[:, 0] / 34) ** 2))
    return _columns(0, 0, 3.4 * side * smooth_step(p[:, 2], 5, 50) * np.exp(-0.5 * (((p[:, 1] + 15) / 60) ** 2)))


def _face_skew(p: Array) -> Array:
    return _columns(1.1 * smooth_step(p[:, 1], 25, -100) * smooth_step(p[:, 2], 0, 80), 0, 0)


def _ear_size(p: Array) -> Array:
    centre = np.array([72.0, -3.0, -8.0])
    side = np.where(p[:, :1] >= 0, 1.0, -1.0) * np.array([1.0, 0, 0]) + np.array([0, 1.0, 1.0])
    local = p * side - centre
    return 0.07 * local * bell(p * side, (80.0, -2.0, -16.0), (9.0, 34.0, 20.0))[:, None] * side


def _mouth_width(p: Array) -> Array:
    bells = np.exp(-0.5 * (((p[:, 1] + 58) / 13) ** 2 + (p[:, 0] / 30) ** 2)) * smooth_step(p[:, 2], 30, 70)
    return _columns(0.085 * p[:, 0] * bells, 0, 0)


_GLOBAL: dict[str, Field] = {
    "overall_size": _overall_size,
    "face_width": _face_width,
    "face_length": _face_length,
    "lower_face_length": _lower_face_length,
    "face_taper": _face_taper,
    "head_depth": _head_depth,
    "head_width": _head_width,
    "forehead_height": _forehead_height,
    "profile_convexity": _profile_convexity,
    "face_flatness": _face_flatness,
    "mouth_width": _mouth_width,
    "ear_size": _ear_size,
    "asymmetry_face_skew": _face_skew,
}


def _around_eyes(template: Template) -> tuple[Array, Array, Array]:
    """(V, 3) position relative to the eye of the same side, (V,) side, (V,) weight: 1 on eye and rim, fading out."""
    side = np.where(template.points[:, 0] >= 0, 1.0, -1.0)
    local = template.points - EYE_CENTRE * np.stack([side, np.ones_like(side), np.ones_like(side)], axis=1)
    return local, side, eye_hold(template)


def _eye_components(template: Template) -> dict[str, Array]:
    """Components that turn or scale lids about the eyeball's centre, so that they stay on it."""
    local, side, weight = _around_eyes(template)
    lid = np.where(template.kind == 3, 0.0, weight)
    upper = smooth_step(local[:, 1], -2.0, 3.5)
    middle = lid_middle(local[:, 0] * side)
    roll = np.stack([-side * local[:, 1], side * local[:, 0], np.zeros_like(side)], axis=1)
    lift = np.stack([np.zeros_like(side), local[:, 2], -local[:, 1]], axis=1)
    inner = bell(local * np.stack([side, np.ones_like(side), np.ones_like(side)], axis=1), (-15, 0, 6), (6, 6, 8))
    return {
        "eye_size": 0.04 * local * weight[:, None],
        "eye_tilt": 0.055 * roll * lid[:, None],
        "eye_opening": 0.07 * lift * (lid * middle * (1.25 * upper - 0.25))[:, None],
        "lower_lid_height": 0.055 * lift * (lid * middle * (1 - upper))[:, None],
        "asymmetry_eye_opening": 0.022 * lift * (lid * middle * upper * side)[:, None],
        "inner_corner_drop": np.stack([-0.4 * side, -1.0 + 0 * side, 0 * side], axis=1) * (inner * lid)[:, None],
    }


def _lip_components(template: Template) -> dict[str, Array]:
    """Components of the vermilion: they move the border and the volume, and leave the seam closed."""
    points, step = template.points, template.lip_step
    low = template.lower > 0.5
    on_lip = step <= 1
    share = np.clip(np.abs(points[:, 0]) / 25.0, 0, 1)
    taper = (1 - share**2) * smooth_step(points[:, 2], 60, 85) * (template.kind == 0)
    rise = np.where(on_lip, smooth_step(step, 0.0, 1.0), 1.0)
    volume = np.where(on_lip, np.sin(np.pi * np.clip(step, 0, 1) * 0.8), 0.0)
    near_upper = (
        np.where(on_lip, ~low, (points[:, 1] > -58))
        * taper
        * np.where(on_lip, 1, np.exp(-0.5 * ((points[:, 1] + 49).clip(0) / 4.0) ** 2))
    )
    near_lower = (
        np.where(on_lip, low, (points[:, 1] < -58))
        * taper
        * np.where(on_lip, 1, np.exp(-0.5 * ((-68 - points[:, 1]).clip(0) / 4.0) ** 2))
    )
    bow = np.exp(-0.5 * (points[:, 0] / 3.0) ** 2) - 0.6 * np.exp(-0.5 * ((np.abs(points[:, 0]) - 7) / 3.0) ** 2)
    zero = np.zeros(len(points))
    return {
        "upper_lip_fullness": np.stack([zero, 1.3 * rise, 0.9 * volume], axis=1) * near_upper[:, None],
        "lower_lip_fullness": np.stack([zero, -1.5 * rise, 1.1 * volume], axis=1) * near_lower[:, None],
        "cupids_bow": np.stack([zero, -0.6 * rise * bow, zero], axis=1) * near_upper[:, None],
    }


def shape_basis(template: Template) -> tuple[tuple[str, ...], Array]:
    """The S names and the (S, V, 3) displacements of one standard deviation each."""

    def lobes(parts: list[Lobe]) -> Field:
        return lambda points: sum((part(points) for part in parts), np.zeros_like(points))

    fields = _GLOBAL | {name: lobes(parts) for name, parts in _LOBES.items()}
    result = {name: evaluate(template, field) for name, field in fields.items()}
    result |= _eye_components(template) | _lip_components(template)
    return tuple(result), np.stack(list(result.values()))
