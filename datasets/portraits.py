"""Who is in the pictures of mirrors of parsing and alignment sets, and from where they are taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.samples import Array, Camera
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.clothes import OCCLUDERS
from harness.synthesis.subject import Subject, random_subject, stream

_PLACE = 90


@dataclass(frozen=True)
class Portraits:
    """How a mirror's people are seen.

    Attributes:
        width, height: ranges in pixels.
        yaw: deviation, degrees; the head turns up to 60.
        lean: deviation of pitch and roll, degrees.
        fill: range of millimetres that the picture's shorter side shows at the face.
        covered: share of faces with something before them.
    """

    width: tuple[int, int] = (220, 340)
    height: tuple[int, int] = (220, 340)
    yaw: float = 22.0
    lean: float = 9.0
    fill: tuple[float, float] = (230.0, 380.0)
    covered: float = 0.15

    def person(self, seed: int) -> tuple[Subject, Camera]:
        """Who is in the picture of a seed, and the camera."""
        rng = stream(seed, _PLACE)
        occluder = OCCLUDERS[int(rng.integers(len(OCCLUDERS)))] if rng.random() < self.covered else None
        subject = random_subject(seed, occluder=occluder)
        size = (int(rng.integers(*self.width)), int(rng.integers(*self.height)))
        yaw = float(np.clip(rng.normal(0, self.yaw), -60, 60))
        pitch, roll = np.clip(rng.normal(0, self.lean, 2), -25, 25)
        distance = float(rng.uniform(500, 1500))
        fill = float(rng.uniform(*self.fill))
        target = subject.middle - np.array([0, 0, 40]) + rng.normal(0, 0.05, 3) * fill
        focal = min(size) * distance / fill
        return subject, orbit_camera(yaw, float(pitch), distance, focal, size, target, float(roll))


def between(line: Array, count: int) -> Array:
    """(count, 2) places along a line through (n, 2) points, evenly by the points' numbers."""
    at = np.linspace(0, len(line) - 1, count)
    return np.stack([np.interp(at, np.arange(len(line)), values) for values in line.T], axis=1)


def brow(five: Array) -> Array:
    """(5, 2) along a brow -> (9, 2): there, and back along the lower edge, of which iBUG has no points."""
    return np.concatenate([five, between(five, 4)[::-1]])


def eye(six: Array) -> Array:
    """(6, 2) around an eye -> (8, 2), with one more in the middle of either lid."""
    upper, lower = six[[1, 2]].mean(axis=0), six[[4, 5]].mean(axis=0)
    return np.stack([six[0], six[1], upper, six[2], six[3], six[4], lower, six[5]])
