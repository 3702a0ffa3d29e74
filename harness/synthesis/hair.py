"""Hair as a surface: a shell over the skull that ends at a hairline or hangs down from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from harness.geometry.raycast import RayCaster
from harness.synthesis.noise import smooth_step
from harness.synthesis.surface import Surface, ball, grid_surface

Array = np.ndarray

COLUMNS, ROWS = 160, 44
STYLES = ("bald", "buzz", "short", "full", "curly", "bob", "long", "bun")
SHARE = (0.08, 0.12, 0.28, 0.12, 0.1, 0.1, 0.14, 0.06)
HANGING = ("bob", "long")


@dataclass(frozen=True, eq=False)
class Frame:
    """Where hair goes on one head (frontal rest pose); heights are y in millimetres.

    Attributes:
        centre: (3,) middle of the skull.
        radius: (POLAR, COLUMNS) distance of the skin from the centre, polar angle 0..LOWEST by azimuth, as if the
            head had no ears.
        outer: (POLAR, COLUMNS) the same with ears.
        brow, nose, chin: heights of the brows, the base of the nose and the chin.
        hairline: height of the hairline above the middle of the forehead.
        ear_top, ear_base: heights.
        ear: azimuth of the ear, radians.
    """

    centre: Array
    radius: Array
    outer: Array
    brow: float
    nose: float
    chin: float
    hairline: float
    ear_top: float
    ear_base: float
    ear: float


POLAR, LOWEST = 72, 2.75


def azimuths() -> Array:
    """(COLUMNS,) radians from the front (+z) to the subject's left (+x)."""
    return np.linspace(-np.pi, np.pi, COLUMNS, endpoint=False)


def _directions(polar: Array, azimuth: Array) -> Array:
    return np.stack([np.sin(polar) * np.sin(azimuth), np.cos(polar), np.sin(polar) * np.cos(azimuth)], -1)


def fit_frame(caster: RayCaster, ears: Array, vertices: Array, landmarks: Array) -> Frame:
    """Measures a head in rest pose by rays from outside to the middle of its skull; `ears` tells which faces are."""
    above = vertices[vertices[:, 1] > landmarks[27, 1]]
    middle = (above[:, 2].min() + above[:, 2].max()) / 2
    centre = np.array([landmarks[27, 0], landmarks[27, 1] + 15, middle])
    polar, azimuth = np.meshgrid(np.linspace(0, LOWEST, POLAR), azimuths(), indexing="ij")
    directions = _directions(polar, azimuth).reshape(-1, 3)
    far = 400.0
    hits = caster.cast(centre + far * directions, -directions, limit=far)
    reach = np.where(hits.face >= 0, far - hits.distance, np.nan).reshape(polar.shape)
    outer = np.where(np.isnan(reach), np.nanmedian(reach), reach)
    covered = ((hits.face < 0) | ears[hits.face]).reshape(polar.shape)
    nearest = distance_transform_edt(covered, return_distances=False, return_indices=True)
    radius = outer[tuple(nearest)]
    brow = float(landmarks[17:27, 1].mean())
    nose, chin = float(landmarks[33, 1]), float(landmarks[8, 1])
    side = np.abs(landmarks[[0, 16]] - centre).mean(0)
    return Frame(
        centre=centre,
        radius=radius,
        outer=outer,
        brow=brow,
        nose=nose,
        chin=chin,
        hairline=brow + 0.74 * (brow - nose),
        ear_top=brow + 2,
        ear_base=nose,
        ear=float(np.arctan2(side[0], -side[2] if landmarks[[0, 16], 2].mean() < middle else side[2])) + 0.15,
    )


@dataclass(frozen=True, eq=False)
class Hair:
    """One head of hair.

    Attributes:
        style: one of STYLES.
        surfaces: shell and bun; none for a bald head.
        scalp: (COLUMNS,) height of the line above which hair grows, by azimuth.
    """

    style: str
    surfaces: tuple[Surface, ...]
    scalp: Array

    def hairline(self, frame: Frame, vertices: Array) -> Array:
        """(V,) float32 millimetres above the line where hair starts to grow."""
        offset = vertices - frame.centre
        turn = np.arctan2(offset[:, 0], offset[:, 2])
        line = np.interp(turn, azimuths(), self.scalp, period=2 * np.pi)
        return (vertices[:, 1] - line).astype(np.float32)


def random_hair(rng: np.random.Generator, frame: Frame, style: str) -> Hair:
    """Hair of a style on a head."""
    outline = _outline(rng, frame, style)
    if style == "bald":
        return Hair(style, (), outline.scalp)
    shell = _shell(rng, frame, style, _thickness(rng, style), outline)
    surfaces = (shell, _bun(rng, frame)) if style == "bun" else (shell,)
    return Hair(style, surfaces, outline.scalp)


def _bun(rng: np.random.Generator, frame: Frame) -> Surface:
    size = rng.uniform(26, 38)
    tilt = rng.uniform(-0.9, 0.1)
    direction = np.array([0, np.cos(tilt), np.sin(tilt)])
    reach = _reach(frame, np.arccos(direction[1]), np.pi)
    radii = size * rng.uniform(0.85, 1.15, 3)
    return ball("hair", frame.centre + direction * (reach + 0.6 * size), radii)


def _reach(frame: Frame, polar: float, azimuth: float) -> float:
    row = polar / LOWEST * (POLAR - 1)
    column = (azimuth + np.pi) / (2 * np.pi) * COLUMNS
    return float(map_coordinates(frame.radius, [[row], [column]], order=1, mode="grid-wrap")[0])


def _thickness(rng: np.random.Generator, style: str) -> tuple[float, float]:
    """Millimetres of hair on the crown and on the sides."""
    top, side = {
        "buzz": ((2.0, 4.0), (1.0, 2.0)),
        "short": ((9, 24), (3, 8)),
        "full": ((14, 28), (8, 16)),
        "curly": ((22, 48), (12, 36)),
        "bob": ((10, 20), (10, 20)),
        "long": ((8, 18), (8, 16)),
        "bun": ((3, 7), (2, 5)),
    }[style]
    return float(rng.uniform(*top)), float(rng.uniform(*side))


class _Outline(NamedTuple):
    """(COLUMNS,) by azimuth: heights above which hair grows and at which it ends; 0..1 whether it hangs there."""

    scalp: Array
    ends: Array
    hang: Array


def _outline(rng: np.random.Generator, frame: Frame, style: str) -> _Outline:
    turn = np.abs(azimuths())
    ear = frame.ear
    hairline = frame.hairline + rng.normal(0, 5)
    receding = rng.uniform(0, 16) if style in ("buzz", "short") else rng.uniform(0, 6)
    nape = frame.nose - rng.uniform(0, 25)
    burns = frame.ear_top - rng.uniform(-2, 26)
    nodes = np.array([0, 0.32, 0.6, ear - 0.78, ear - 0.55, ear - 0.22, ear + 0.12, ear + 0.5, np.pi])
    heights = np.array(
        [
            hairline,
            hairline + receding,
            hairline - 4,
            frame.brow + 20,
            frame.brow - 4,
            burns,
            frame.ear_top + 9,
            nape + 10,
            nape,
        ]
    )
    if style in ("full", "curly") and rng.random() < 0.5:
        heights[5:7] = frame.ear_base + rng.uniform(0, 20)
    ends = np.interp(turn, np.maximum.accumulate(nodes), heights)
    ends = gaussian_filter(ends, 5.0, mode="wrap") + 0.9 * rng.standard_normal(COLUMNS)
    scalp = ends
    if style in ("bob", "long", "full") and rng.random() < 0.4:  # a fringe
        fringe = frame.brow + rng.uniform(6, 14)
        ends = np.minimum(ends, fringe + 60 * smooth_step(0.55, 1.1, turn))
    hang = np.zeros(COLUMNS)
    if style in HANGING:
        tip = frame.chin + rng.uniform(-25, 25) if style == "bob" else frame.chin - rng.uniform(70, 170)
        start = rng.uniform(ear - 0.75, ear - 0.45)
        hang = smooth_step(start, start + 0.18, turn)
        ends = ends + (tip - ends) * hang
    return _Outline(scalp, ends, hang)


def _shell(
    rng: np.random.Generator, frame: Frame, style: str, thickness: tuple[float, float], outline: _Outline
) -> Surface:
    """Columns by azimuth, rows from the crown to the end of the hair."""
    skull = gaussian_filter(frame.radius, (1.5, 2.0), mode=("nearest", "wrap"))
    profile = _profiles(frame, skull, outline.hang)
    height = profile[:, :, 1]
    falling = np.minimum.accumulate(height, axis=0)
    steps = np.arange(len(profile))
    last = np.array([np.interp(-outline.ends[k], -falling[:, k], steps) for k in range(COLUMNS)])
    fraction = np.linspace(0, 1, ROWS)
    place = fraction[:, None] * last
    columns = np.broadcast_to(np.arange(COLUMNS), place.shape)
    points = np.stack([map_coordinates(profile[:, :, c], [place, columns], order=1) for c in range(3)], -1)
    lift = _lift(rng, frame, style, thickness, points, fraction, outline)
    outward = points - frame.centre
    outward[:, :, 1] *= smooth_step(-60, 20, outward[:, :, 1])
    outward /= np.linalg.norm(outward, axis=2, keepdims=True)
    around = np.broadcast_to(azimuths(), place.shape)
    length = np.concatenate([np.zeros((1, COLUMNS)), np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=2), 0)])
    coordinates = np.stack([around, length, np.broadcast_to(length[-1], place.shape) - length], -1)
    return grid_surface("hair", points + outward * lift[:, :, None], coordinates)


def _profiles(frame: Frame, skull: Array, hang: Array) -> Array:
    """(P, COLUMNS, 3) points from the crown down: over the skull, then along it or, where `hang`, straight down."""
    polar = np.linspace(0, LOWEST, POLAR)[:, None]
    azimuth = azimuths()[None]
    tight = frame.centre + _directions(*np.broadcast_arrays(polar, azimuth)) * skull[:, :, None]
    if not hang.any():
        return tight
    level = int(np.searchsorted(polar[:, 0], 1.45))
    widest = gaussian_filter((frame.outer * np.sin(polar))[level - 8 : level + 14].max(0), 3, mode="wrap")
    spread = (skull * np.sin(polar))[: level + 1]
    blend = smooth_step(0.9, 1.45, polar[: level + 1]) * hang
    spread = spread + np.maximum(widest - spread, 0) * blend
    drop = np.linspace(0, 330, 90)[1:, None]
    spread = np.concatenate([spread, np.broadcast_to(spread[-1], (len(drop), COLUMNS))])
    height = np.concatenate([tight[: level + 1, :, 1], tight[level, :, 1] - drop])
    loose = np.stack(
        [frame.centre[0] + spread * np.sin(azimuth), height, frame.centre[2] + spread * np.cos(azimuth)], -1
    )
    rest = np.linspace(level, POLAR - 1, len(drop) + 1)[1:]
    below = map_coordinates(tight, np.meshgrid(rest, np.arange(COLUMNS), np.arange(3), indexing="ij"), order=1)
    return loose + (np.concatenate([tight[: level + 1], below]) - loose) * (1 - hang)[None, :, None]


def _lift(
    rng: np.random.Generator,
    frame: Frame,
    style: str,
    thickness: tuple[float, float],
    points: Array,
    fraction: Array,
    outline: _Outline,
) -> Array:
    """(ROWS, COLUMNS) millimetres between skin and the surface of the hair."""
    top, side = thickness
    up = smooth_step(frame.ear_top - 10, frame.hairline + 20, points[:, :, 1])
    lift = side + (top - side) * up
    rough = {"curly": 0.22, "buzz": 0.05, "bun": 0.08}.get(style, 0.14)
    clumps = gaussian_filter(rng.standard_normal((ROWS, COLUMNS)), (7, 1.6), mode=("nearest", "wrap"))
    if style == "curly":
        clumps = gaussian_filter(rng.standard_normal((ROWS, COLUMNS)), 1.6, mode=("nearest", "wrap"))
    lift = lift * (1 + rough * clumps / clumps.std() * smooth_step(0.05, 0.4, fraction)[:, None])
    if style in ("short", "full", "bob", "long") and rng.random() < 0.7:
        parting = rng.uniform(-0.7, 0.7)
        groove = 0.5 * np.exp(-(((azimuths() - parting) / 0.12) ** 2))
        lift = lift * (1 - groove * smooth_step(0.0, 0.3, fraction)[:, None])
    # Free ends stand off the skin; everywhere else the shell dives under the skin at its edge.
    fringe = (np.abs(azimuths()) < 0.9) & (outline.ends < frame.hairline - 14) & (style in ("full", *HANGING))
    loose = gaussian_filter(np.maximum(outline.hang > 0.5, fringe).astype(float), 1.5, mode="wrap")
    dive = np.sqrt(smooth_step(1.0, 0.72, fraction))[:, None]
    tucked = lift * dive - 3.0 * (1 - dive)
    return tucked + (lift * 0.85 - tucked) * loose
