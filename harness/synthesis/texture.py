"""Colour of a head's surface at any point, from template coordinates: skin, brows, lips, eyes, stubble.

Everything is evaluated per picture element at interpolated template coordinates, so detail does not depend on how
fine the mesh is, and the place of each feature comes from the template's landmarks and part labels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from harness.heads.head import PARTS
from harness.synthesis.anatomy import BROW, BROW_ALONG, EYES, FOLDS, LIPS, NOSTRILS, SEAM, Anatomy
from harness.synthesis.appearance import Appearance
from harness.synthesis.noise import mix, noise_tile, sample_tile, smooth_step

Array = np.ndarray

_EYES = (PARTS.index("left_eye"), PARTS.index("right_eye"))
_MOUTH = PARTS.index("inner_mouth")


class Surfacing(NamedTuple):
    """Optical properties of N surface points.

    Attributes:
        albedo: (N, 3) linear.
        shine: (N,) strength of the highlight.
        sharpness: (N,) exponent of the highlight.
        part: (N,) uint8 part, where brows and lips replace the skin they grow on.
    """

    albedo: Array
    shine: Array
    sharpness: Array
    part: Array


def head_surfacing(
    anatomy: Anatomy, look: Appearance, points: Array, part: Array, footprint: float, hairline: Array
) -> Surfacing:
    """Colour of points on the head.

    Args:
        anatomy: of the head model.
        look: of the person.
        points: (N, 3) template coordinates.
        part: (N,) part labels of the faces that were hit.
        footprint: millimetres per picture element; detail finer than this is left out.
        hairline: (N,) millimetres from the edge of the hair, positive under it.
    """
    albedo = np.empty_like(points)
    shine = np.empty(len(points), np.float32)
    sharpness = np.full(len(points), 12.0, np.float32)
    shown = part.copy()
    for side, index in enumerate(_EYES):
        eye = np.flatnonzero(part == index)
        albedo[eye] = _eye_colour(look, points[eye] - anatomy.eye_centres[side], anatomy.eye_radii[side])
        shine[eye], sharpness[eye] = 1.4, 180.0
    mouth = np.flatnonzero(part == _MOUTH)
    albedo[mouth], shine[mouth] = _mouth_colour(anatomy, points[mouth]), 0.1
    skin = np.flatnonzero((part != _MOUTH) & (part != _EYES[0]) & (part != _EYES[1]))
    colour, gloss, label = _skin(anatomy, look, points[skin], part[skin], footprint, hairline[skin])
    albedo[skin], shine[skin], shown[skin] = colour, gloss, label
    return Surfacing(albedo, shine, sharpness, shown)


def _eye_colour(look: Appearance, offset: Array, radius: float) -> Array:
    """Sclera, iris and pupil from (N, 3) offsets to the eyeball's centre."""
    right, up = look.gaze
    x = (offset[:, 0] - np.sin(right) * radius) * np.float32(12 / radius)
    y = (offset[:, 1] - np.sin(up) * radius) * np.float32(12 / radius)
    distance = np.hypot(x, y)
    red = smooth_step(7, 13, distance)
    white = np.array([0.70, 0.66, 0.62], np.float32) - red[:, None] * np.array([0.08, 0.22, 0.22], np.float32)
    angle = np.arctan2(y, x) * np.float32(1 / (2 * np.pi))
    streaks = sample_tile(noise_tile(5, 1.0), angle * 2 + look.seed[0], distance * np.float32(0.01))
    ring = smooth_step(look.iris_radius * 0.72, look.iris_radius, distance)
    iris = look.iris * (1.25 + 0.3 * streaks - 0.85 * ring)[:, None]
    iris = np.maximum(iris, 0.01)
    blend = smooth_step(look.iris_radius - 0.5, look.iris_radius + 0.4, distance)
    colour = mix(iris, white, blend)
    pupil = smooth_step(look.pupil_radius + 0.25, look.pupil_radius - 0.25, distance)
    return mix(colour, np.float32(0.008), pupil)


def _mouth_colour(anatomy: Anatomy, points: Array) -> Array:
    """The lining, darker with depth behind the lips, and the upper teeth on its front."""
    lips = anatomy.landmarks[[62, 66], 2].mean()
    behind = lips - points[:, 2]
    lining = mix(
        np.array([0.30, 0.09, 0.08], np.float32), np.array([0.03, 0.006, 0.006], np.float32), smooth_step(2, 26, behind)
    )
    x, y = points[:, 0], points[:, 1]
    seam = anatomy.landmarks[60:68, 1].mean()
    half = abs(anatomy.landmarks[60, 0])
    gaps = 1 - 0.35 * np.exp(-((np.sin(x * np.float32(np.pi / 7.5)) / 0.12) ** 2))
    row = smooth_step(1.5, 3, behind) * smooth_step(13, 11, behind) * smooth_step(0.95, 0.8, np.abs(x) / half)
    upper = np.where(y > seam, row, 0.0)
    return mix(lining, np.array([0.62, 0.57, 0.48], np.float32) * gaps[:, None], upper)


def _skin(
    anatomy: Anatomy, look: Appearance, points: Array, part: Array, footprint: float, hairline: Array
) -> tuple[Array, Array, Array]:
    """Colour, shine and part of skin points."""
    x, y, z = points.T
    front = smooth_step(anatomy.middle_depth - 5, anatomy.middle_depth + 25, z)
    field = anatomy.features.at(x, y)
    around = np.arctan2(x, z - anatomy.middle_depth) * np.float32(80)
    u, v = around / 150 + look.seed[0], y / 150 + look.seed[1]
    slow = sample_tile(noise_tile(1, 1.7), u, v)
    fine = sample_tile(noise_tile(2, 0.4, 24), u * 3.1, v * 3.1) * min(1.0, 0.6 / footprint)

    colour = _tone(anatomy, look, x, y, front, slow, fine)
    colour = _freckle(look, colour, u, v, front * _face_zone(anatomy, x, y))
    colour = _lids(anatomy, look, colour, field, y, front)
    colour *= (1 - 0.5 * front * smooth_step(4.0, 0.8, field[:, NOSTRILS] / anatomy.unit))[:, None]
    colour *= (1 - 0.2 * look.lines * front * np.exp(-((field[:, FOLDS] / (2.6 * anatomy.unit)) ** 2)))[:, None]
    beard = _beard_zone(anatomy, x, y, z, field) * look.stubble
    colour = _stubble(look, colour, beard, u, v, footprint)
    colour = mix(colour, look.hair * 0.8 + 0.05 * look.skin, _scalp(look, hairline, slow, fine))

    brow = front * _brow(look, field, anatomy.unit, u, v)
    colour = mix(colour, look.brow, brow)
    lip = front * smooth_step(-1.2, 0.9, field[:, LIPS])
    grain = 1 + 0.10 * fine - 0.30 * smooth_step(2.2, 0.0, field[:, SEAM])
    colour = mix(colour, look.lip * grain[:, None], lip * 0.92)
    gloss = look.gloss * (0.35 + 0.3 * front * _face_zone(anatomy, x, y)) * (1 - 0.6 * brow) + 0.25 * lip
    return colour, gloss * (1 + 0.25 * fine), _shown_part(anatomy, part, field, front, brow, x, y)


def _tone(anatomy: Anatomy, look: Appearance, x: Array, y: Array, front: Array, slow: Array, fine: Array) -> Array:
    """Base colour with mottle, pores, blood and the darker sockets."""
    points, unit = anatomy.landmarks, np.float32(anatomy.unit)
    colour = look.skin * (1 + 0.045 * look.mottle * slow + 0.03 * look.pores * fine)[:, None]
    cheek_y = (points[30, 1] + points[33, 1]) / 2 + 2
    cheek_x = abs(points[36, 0])
    cheeks = np.exp(-(((np.abs(x) - cheek_x) / (20 * unit)) ** 2) - ((y - cheek_y) / (15 * unit)) ** 2)
    tip = np.exp(-((x / (11 * unit)) ** 2) - ((y - points[30, 1]) / (11 * unit)) ** 2)
    chin = np.exp(-((x / (16 * unit)) ** 2) - ((y - points[8, 1] - 10) / (9 * unit)) ** 2)
    blood = front * look.blush * (0.75 * cheeks + 0.6 * tip + 0.35 * chin) * (1 + 0.35 * slow)
    colour *= 1 - blood[:, None] * np.array([0.02, 0.16, 0.17], np.float32)
    eye_x, eye_y = np.abs(points[36:48, 0]).mean(), points[36:48, 1].mean()
    socket = np.exp(-(((np.abs(x) - eye_x) / (17 * unit)) ** 2) - ((y - eye_y + 3) / (10 * unit)) ** 2)
    colour *= 1 - (front * socket * (0.1 + 0.25 * look.eye_shadow))[:, None] * np.array([0.6, 0.9, 0.8], np.float32)
    return colour


def _face_zone(anatomy: Anatomy, x: Array, y: Array) -> Array:
    """Nose, inner cheeks and forehead: where faces shine and freckle."""
    points, unit = anatomy.landmarks, anatomy.unit
    return np.exp(-((x / (38 * unit)) ** 2) - ((y - points[29, 1]) / (42 * unit)) ** 2)


def _freckle(look: Appearance, colour: Array, u: Array, v: Array, zone: Array) -> Array:
    if not look.freckles:
        return colour
    blobs = sample_tile(noise_tile(3, 0.9, 16), u * 2.3, v * 2.3)
    spots = smooth_step(2.1 - 0.9 * look.freckles, 2.9 - 0.9 * look.freckles, blobs) * zone
    return colour * (1 - 0.5 * spots[:, None] * np.array([0.5, 0.8, 1.0], np.float32))


def _lids(anatomy: Anatomy, look: Appearance, colour: Array, field: Array, y: Array, front: Array) -> Array:
    """Lashes along the opening (stronger above), a pink rim, the crease of the upper lid."""
    outside = -field[:, EYES] / np.float32(anatomy.unit)
    upper = smooth_step(-1.5, 1.5, y - anatomy.landmarks[36:48, 1].mean())
    line = smooth_step(2.4, 0.5, np.abs(outside)) * look.lashes * (0.25 + 0.75 * upper)
    crease = np.exp(-(((outside - 4.2) / 1.0) ** 2)) * upper * 0.35
    dark = np.clip(front * (0.92 * line + crease), 0, 0.95)
    return colour * (1 - dark[:, None] * np.array([0.92, 1.0, 1.0], np.float32))


def _brow(look: Appearance, field: Array, unit: float, u: Array, v: Array) -> Array:
    """Opacity of the brows: tapered to the temple, soft at the nose, with hairs."""
    along = field[:, BROW_ALONG]
    hairs = sample_tile(noise_tile(4, 0.5, 20), u * 3.0 + along, v * 1.3)
    half = look.brow_width * unit * (1.0 - 0.72 * along**1.6)
    distance = field[:, BROW] + 0.35 * hairs
    return look.brow_density * smooth_step(half * 1.25, half * 0.45, distance) * np.clip(0.9 + 0.16 * hairs, 0, 1)


def _beard_zone(anatomy: Anatomy, x: Array, y: Array, z: Array, field: Array) -> Array:
    """Where a beard grows: upper lip, chin, jaw, up to the sideburns."""
    points, unit = anatomy.landmarks, np.float32(anatomy.unit)
    half_mouth = abs(points[48, 0])
    side = smooth_step(half_mouth - 4, half_mouth + 34 * unit, np.abs(x))
    upper_edge = points[33, 1] - 2 - 14 * unit * side * (1 - side) * 4 + side * (points[1, 1] - points[33, 1] + 6)
    cheek = smooth_step(upper_edge + 2, upper_edge - 16 * unit, y)
    lower = smooth_step(points[8, 1] - 32 * unit, points[8, 1] - 6 * unit, y)
    behind = smooth_step(anatomy.middle_depth + 8, anatomy.middle_depth + 26, z)
    hollow = 1 - 0.6 * np.exp(-((x / (9 * unit)) ** 2) - ((y - points[57, 1] + 5) / (3 * unit)) ** 2)
    return cheek * lower * behind * hollow * smooth_step(1.0, -2.5, field[:, LIPS])


def _stubble(look: Appearance, colour: Array, zone: Array, u: Array, v: Array, footprint: float) -> Array:
    if not look.stubble:
        return colour
    dots = sample_tile(noise_tile(6, 0.2, 40), u * 2.7, v * 2.7) * min(1.0, 0.5 / footprint)
    cover = np.clip(zone * (0.55 + 0.25 * dots), 0, 0.9) * (0.45 + 0.5 * look.stubble)
    return mix(colour, look.hair * 0.7 + look.skin * 0.12, cover)


def _scalp(look: Appearance, hairline: Array, slow: Array, fine: Array) -> Array:
    """Opacity of hair colour on the skin under and just before the edge of the hair."""
    return look.scalp * smooth_step(-4.0, 5.0, hairline + 1.2 * slow + 1.0 * fine)


def _shown_part(anatomy: Anatomy, part: Array, field: Array, front: Array, brow: Array, x: Array, y: Array) -> Array:
    """Part labels in which painted brows and lips replace the label of the face below them."""
    names = ("left_brow", "right_brow", "upper_lip", "lower_lip")
    left_brow, right_brow, upper_lip, lower_lip = (PARTS.index(name) for name in names)
    shown = part.copy()
    shown[np.isin(part, [left_brow, right_brow, upper_lip, lower_lip])] = PARTS.index("skin")
    lips = (field[:, LIPS] > 0) & (front > 0.5)
    seam = anatomy.landmarks[60:68, 1].mean()
    below = np.where(np.isin(part, [upper_lip, lower_lip]), part == lower_lip, y < seam)
    shown[lips] = np.where(below[lips], lower_lip, upper_lip)
    hairs = brow > 0.4
    shown[hairs] = np.where(x[hairs] < 0, left_brow, right_brow)
    return shown
