"""Shoulders with clothes, and things that may hide part of a face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.synthesis.noise import smooth_step
from harness.synthesis.surface import Surface, ball, grid_surface

Array = np.ndarray

COLUMNS, ROWS = 112, 48
OCCLUDERS = ("glasses", "hand", "scarf")


@dataclass(frozen=True, eq=False)
class Clothes:
    """Colours (linear RGB) and cut of what a person wears.

    Attributes:
        fabric, stripe: colours; equal for plain fabric.
        stripes: stripes per millimetre of height.
        neckline: millimetres below the base of the neck at which the skin ends in front.
    """

    fabric: Array
    stripe: Array
    stripes: float
    neckline: float


def random_clothes(rng: np.random.Generator) -> Clothes:
    """Any colour, plain or striped, with a high or a low neckline."""
    fabric = rng.beta(1.0, 1.6, 3) * rng.uniform(0.2, 0.8) + 0.01
    fabric = 0.5 * fabric + 0.5 * fabric.mean() if rng.random() < 0.6 else fabric
    stripe = rng.uniform(0.02, 0.7, 3) if rng.random() < 0.2 else fabric
    return Clothes(
        fabric.astype(np.float32),
        stripe.astype(np.float32),
        float(rng.uniform(0.02, 0.06)),
        float(rng.uniform(-12, 45)),
    )


def random_torso(rng: np.random.Generator, vertices: Array) -> Surface:
    """Neck base, shoulders and chest below a head in rest pose.

    Its coordinates are azimuth, height below the base of the neck (millimetres, negative above) and 0.
    """
    floor = float(vertices[:, 1].min())
    middle, high = _neck_section(vertices, floor + 44)
    _, low = _neck_section(vertices, floor + 22)
    shoulder, slope, chest = rng.uniform(170, 215), rng.uniform(38, 70), rng.uniform(90, 115)
    base = floor + 32
    drop = -16 + np.linspace(0, 1, ROWS) ** 1.3 * 330
    # The surface starts inside the neck and comes out of it a little above the neck's lower end.
    near = smooth_step(-16, 6, drop)
    neck = (0.8 * high)[:, None] + (1.05 * low - 0.8 * high)[:, None] * near
    reach = smooth_step(0, 1, np.clip((drop - 2) / (slope + 40), 0, 1)) ** 0.9
    width = neck[0] + (shoulder - neck[0]) * reach
    depth = neck[1] + (chest - neck[1]) * smooth_step(0, 150, drop)
    azimuth = np.linspace(-np.pi, np.pi, COLUMNS, endpoint=False)
    sine, cosine = np.sin(azimuth), np.cos(azimuth)
    power = 0.82
    x = width[:, None] * np.sign(sine) * np.abs(sine) ** power
    z = depth[:, None] * np.sign(cosine) * np.abs(cosine) ** power
    # Shoulders fall away to the sides: the further out, the lower.
    sag = slope * 0.9 * (np.abs(x) / shoulder) ** 1.6 * reach[:, None]
    y = base - drop[:, None] * 0.9 - sag * 0.4
    points = np.stack([middle[0] + x, y + 0 * x, middle[2] - 8 * reach[:, None] + z], -1)
    coordinates = np.stack(
        [np.broadcast_to(azimuth, x.shape), np.broadcast_to(base - points[:, :, 1], x.shape), 0 * x], -1
    )
    return grid_surface("torso", points, coordinates)


def _neck_section(vertices: Array, height: float) -> tuple[Array, Array]:
    """Middle (3,) of a level cut through the neck and its half extents (2,) along x and z."""
    ring = vertices[np.abs(vertices[:, 1] - height) < 8][:, [0, 2]]
    low, high = ring.min(0), ring.max(0)
    centre = (low + high) / 2
    return np.array([centre[0], height, centre[1]]), (high - low) / 2


def random_occluder(rng: np.random.Generator, kind: str, landmarks: Array) -> tuple[Surface, ...]:
    """Something in front of a face, placed by its landmarks; `kind` is one of OCCLUDERS."""
    if kind == "glasses":
        return _glasses(rng, landmarks)
    if kind == "hand":
        side = rng.choice([-1, 1])
        centre = landmarks[8] + [side * rng.uniform(5, 40), rng.uniform(-5, 25), rng.uniform(8, 18)]
        fingers = [
            ball(
                "hand",
                centre + np.array([k * 13.0 - 20, 28 + 4 * np.sin(k * 1.5), -4.0]),
                np.array([7.5, 27, 8]),
                12,
                16,
            )
            for k in range(4)
        ]
        return ball("hand", centre - np.array([0, 22, 0]), np.array([34, 36, 12]), 16, 24), *fingers
    return (_scarf(rng, landmarks),)


def _scarf(rng: np.random.Generator, landmarks: Array) -> Surface:
    """A cloth from one side of the jaw to the other, up to the base of the nose."""
    side = landmarks[[2, 14]]
    turn = np.linspace(-np.pi / 2, np.pi / 2, 41)
    front = landmarks[[30, 51, 57], 2].max() + 5
    height = np.linspace(landmarks[33, 1] + rng.uniform(-4, 8), landmarks[8, 1] - 45, 16)[:, None]
    back = side[:, 2].mean()
    narrower = np.linspace(1, 0.75, len(height))[:, None]
    wide = (np.abs(side[:, 0]).mean() + 8) * np.sin(turn) * narrower
    deep = back + (front - back) * np.maximum(np.cos(turn), 0) ** 0.7
    points = np.stack(np.broadcast_arrays(side[:, 0].mean() + wide, height, deep), -1)
    return grid_surface("scarf", points, np.zeros_like(points), closed=False)


def _glasses(rng: np.random.Generator, landmarks: Array) -> tuple[Surface, ...]:
    """Two rims, a bridge and temples, as thin tubes."""
    rims = []
    size = np.linalg.norm(landmarks[45] - landmarks[36]) / 4 * rng.uniform(0.95, 1.15)
    tube = rng.uniform(1.0, 2.4)
    angle = np.linspace(0, 2 * np.pi, 49)
    front = landmarks[[27, 36, 45], 2].max() + 4
    centres = []
    for ids in (slice(36, 42), slice(42, 48)):
        centre = landmarks[ids].mean(0) - [0, 4, 0]
        centres.append(centre)
        ring = np.stack([size * np.cos(angle), 0.8 * size * np.sin(angle), 0 * angle], -1)
        rims.append(_tube(ring + np.array([centre[0], centre[1], front]), tube))
    inner = [centres[0] + [size, 4, 0], centres[1] - [size, -4, 0]]
    rims.append(_tube(np.array([[p[0], p[1], front] for p in (inner[0], (inner[0] + inner[1]) / 2, inner[1])]), tube))
    for sign, centre, jaw in ((-1, centres[0], landmarks[0]), (1, centres[1], landmarks[16])):
        hinge = np.array([centre[0] + sign * size, centre[1] + 4, front])
        rims.append(_tube(np.linspace(hinge, [jaw[0] + sign * 3, centre[1] + 6, jaw[2]], 5), tube))
    return tuple(rims)


def _tube(path: Array, radius: float, sides: int = 8) -> Surface:
    """A tube of constant radius along (n, 3) points."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    across = np.cross(tangent, [0.03, 0.05, 1.0] if abs(tangent[0, 2]) < 0.8 else [0.0, 1.0, 0.05])
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    other = np.cross(tangent, across)
    turn = np.linspace(0, 2 * np.pi, sides, endpoint=False)[:, None]
    rings = path[:, None] + radius * (np.cos(turn) * across[:, None] + np.sin(turn) * other[:, None])
    return grid_surface("glasses", rings, np.zeros_like(rings))
