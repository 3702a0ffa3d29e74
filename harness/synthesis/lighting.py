"""Light: a soft environment as spherical harmonics, and a few lamps far away."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Lamp:
    """A distant lamp.

    Attributes:
        direction: (3,) unit vector from the subject to the lamp, world axes.
        colour: (3,) linear irradiance on a surface that faces it.
        shadow: 0 for a lamp too large to cast a shadow, 1 for a small one.
    """

    direction: Array
    colour: Array
    shadow: float


@dataclass(frozen=True, eq=False)
class Light:
    """What illuminates a scene; the first lamp is the main one and the only one with a shadow.

    Attributes:
        ambient: (9, 3) real spherical harmonics, order 2, of the irradiance divided by pi.
        lamps: at least one.
    """

    ambient: Array
    lamps: tuple[Lamp, ...]


def harmonics(normals: Array) -> Array:
    """(N, 3) unit vectors -> (N, 9) polynomials 1, x, y, z, xy, yz, 3z^2-1, xz, x^2-y^2 (unnormalised)."""
    x, y, z = normals.T
    return np.stack([np.ones_like(x), x, y, z, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y], -1)


def irradiance(light: Light, normals: Array) -> Array:
    """(N, 3) ambient light on surfaces with (N, 3) normals, never negative."""
    return np.maximum(harmonics(normals) @ light.ambient.astype(np.float32), 0)


def _direction(azimuth: float, elevation: float) -> Array:
    return np.array(
        [np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)], np.float32
    )


def _tint(rng: np.random.Generator, spread: float) -> Array:
    """A colour between warm and cool with mean 1."""
    warmth = np.clip(rng.normal(0, spread), -0.03, 0.12)
    colour = np.array([1 + warmth, 1 + 0.15 * warmth, 1 - warmth])
    return colour / colour.mean()


def random_light(rng: np.random.Generator) -> Light:
    """A plausible mixture of sky or room light, a main lamp and one or two fills.

    The total is normalised: a white surface that faces the front reflects about 1.
    """
    share = rng.uniform(0.25, 0.65)
    ambient = np.zeros((9, 3))
    ambient[0] = share * _tint(rng, 0.05)
    ambient[1:4] = rng.normal(0, [[0.18], [0.10], [0.14]]) * share * _tint(rng, 0.1)
    ambient[2] += 0.22 * share
    ambient[3] += 0.12 * share
    ambient[4:] = rng.normal(0, 0.04, (5, 3)) * share
    side = rng.normal(0, 0.75)
    main = Lamp(
        direction=_direction(np.clip(side, -1.4, 1.4), rng.uniform(0.1, 1.0)),
        colour=(1.25 * (1 - share) * _tint(rng, 0.06)).astype(np.float32),
        shadow=float(rng.uniform(0.3, 0.95)),
    )
    fill = Lamp(
        direction=_direction(-np.sign(side) * rng.uniform(0.3, 1.3), rng.uniform(-0.2, 0.6)),
        colour=(rng.uniform(0.05, 0.35) * _tint(rng, 0.1)).astype(np.float32),
        shadow=0.0,
    )
    rim = Lamp(
        direction=_direction(rng.choice([-1, 1]) * rng.uniform(1.9, 2.6), rng.uniform(0.0, 0.8)),
        colour=(rng.choice([0, rng.uniform(0.2, 0.9)]) * _tint(rng, 0.12)).astype(np.float32),
        shadow=0.0,
    )
    return _normalised(Light(ambient, (main, fill, rim)))


def _normalised(light: Light) -> Light:
    front = np.array([[0.0, 0.0, 1.0], [0.5, 0.2, 0.84], [-0.5, 0.2, 0.84]], np.float32)
    total = irradiance(light, front).mean()
    for lamp in light.lamps:
        total = total + np.maximum(front @ lamp.direction, 0).mean() * lamp.colour.mean()
    lamps = tuple(Lamp(lamp.direction, (lamp.colour / total).astype(np.float32), lamp.shadow) for lamp in light.lamps)
    return Light((light.ambient / total).astype(np.float32), lamps)
