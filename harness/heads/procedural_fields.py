"""Smooth displacement fields over the procedural head, from which both of its bases are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from harness.heads.procedural_surface import EYE_CENTRE, smooth_step
from harness.heads.procedural_template import Template
from harness.samples import Array

Field = Callable[[Array], Array]
"""(N, 3) points of the average head -> (N, 3) displacements, both in mm."""


@dataclass(frozen=True)
class Lobe:
    """A Gaussian bell that pushes in one direction, on one side of the head and (mirrored) on the other.

    Attributes:
        centre: of the bell on the side x >= 0, mm.
        radius: standard deviations along x, y, z, mm.
        push: displacement at the centre, mm.
        other: factor on the mirrored side; 0 leaves it out, -1 makes the pair an asymmetry. A bell on the midline
            has no other side.
    """

    centre: tuple[float, float, float]
    radius: tuple[float, float, float]
    push: tuple[float, float, float]
    other: float = 1.0

    def __call__(self, points: Array) -> Array:
        """(N, 3) points -> (N, 3) displacements."""
        flip = np.array([-1.0, 1.0, 1.0])
        result = bell(points, self.centre, self.radius)[:, None] * np.array(self.push)
        if self.centre[0] != 0 and self.other != 0:
            result += self.other * bell(points * flip, self.centre, self.radius)[:, None] * (np.array(self.push) * flip)
        return result


def bell(points: Array, centre: tuple[float, float, float], radius: tuple[float, float, float]) -> Array:
    """(N,) a Gaussian of unit height."""
    return np.exp(-0.5 * (((points - np.array(centre)) / np.array(radius)) ** 2).sum(1))


def eye_hold(template: Template) -> Array:
    """(V,) how firmly a vertex goes with its eye: 1 on eyeballs and rims, fading out on the skin around."""
    return smooth_step(template.rim_distance, 11.5, 1.0)


def lid_middle(across: Array) -> Array:
    """(N,) 1 in the middle of an eye, 0 at its corners; `across` is in mm outwards from the eyeball's centre."""
    return np.clip(1 - ((across + 0.9) / 15.5) ** 2, 0, 1)


def evaluate(template: Template, field: Field) -> Array:
    """(V, 3) a field on the whole head.

    Eyeballs move as rigid bodies with their centre, and the lids go with them: the rim wholly, the skin less and less
    with its distance from the rim, so no identity or expression opens a gap between lid and eyeball.
    """
    result = field(template.points)
    for side in (1.0, -1.0):
        centre = EYE_CENTRE * (side, 1, 1)
        moved = field(centre[None])[0]
        here = np.sign(template.points[:, 0]) == side
        hold = (eye_hold(template) * here)[:, None]
        result = (1 - hold) * result + hold * moved
    return result
