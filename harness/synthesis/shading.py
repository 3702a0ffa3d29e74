"""Light reflected by points of a scene towards a camera."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from harness.geometry.raycast import Hits
from harness.heads.head import PARTS
from harness.synthesis.clothes import Clothes
from harness.synthesis.lighting import Lamp, Light, irradiance
from harness.synthesis.noise import mix, noise_tile, sample_tile, smooth_step
from harness.synthesis.subject import MATERIALS, Scene, Subject
from harness.synthesis.texture import Surfacing, head_surfacing

Array = np.ndarray

_BLEED = np.array([0.30, 0.12, 0.08], np.float32)
"""How far light wraps around skin by colour: red travels furthest below the surface."""

_HEAD, _HAIR, _TORSO = (MATERIALS.index(name) for name in ("head", "hair", "torso"))


class Points(NamedTuple):
    """N surface points seen by a camera.

    Attributes:
        position: (N, 3) world millimetres.
        normal: (N, 3) unit, turned to the camera.
        view: (N, 3) unit, to the camera.
        coordinates: (N, 3) of the texture.
        along: (N, 3) strand direction.
        height: (N,) millimetres above the hairline.
        material: (N,) uint8.
        part: (N,) uint8 of the face.
    """

    position: Array
    normal: Array
    view: Array
    coordinates: Array
    along: Array
    height: Array
    material: Array
    part: Array


def points_at(scene: Scene, hits: Hits, centre: Array, directions: Array) -> Points:
    """The points that rays from `centre` along unit `directions` met; every ray must have met something."""
    corners = scene.faces[hits.face]
    weights = hits.barycentric
    values = scene.attributes[corners[:, 0]] * weights[:, :1]
    values += scene.attributes[corners[:, 1]] * weights[:, 1:2]
    values += scene.attributes[corners[:, 2]] * weights[:, 2:]
    normal = values[:, :3]
    facing = np.einsum("nc,nc->n", normal, directions)
    length = np.sqrt(np.einsum("nc,nc->n", normal, normal))
    normal = normal / np.where(facing > 0, -np.maximum(length, 1e-6), np.maximum(length, 1e-6))[:, None]
    return Points(
        position=centre + directions * hits.distance[:, None],
        normal=normal,
        view=-directions,
        coordinates=values[:, 3:6],
        along=values[:, 6:9],
        height=values[:, 9],
        material=scene.material[hits.face],
        part=scene.part[hits.face],
    )


def surfacing(subject: Subject, points: Points, footprint: float) -> Surfacing:
    """Colour and shine of points on any surface of a subject; `footprint` is millimetres per picture element."""
    count = len(points.material)
    result = Surfacing(
        albedo=np.full((count, 3), 0.03, np.float32),
        shine=np.full(count, 0.5, np.float32),
        sharpness=np.full(count, 30.0, np.float32),
        part=points.part.copy(),
    )
    head = np.flatnonzero(points.material == _HEAD)
    painted = head_surfacing(
        subject.anatomy, subject.look, points.coordinates[head], points.part[head], footprint, points.height[head]
    )
    for target, values in zip(result, painted, strict=True):
        target[head] = values
    hair = np.flatnonzero(points.material == _HAIR)
    result.albedo[hair] = _hair_colour(subject, points.coordinates[hair], footprint)
    torso = np.flatnonzero(points.material == _TORSO)
    colour, part = _torso_colour(subject, points.coordinates[torso])
    result.albedo[torso], result.part[torso], result.shine[torso] = colour, part, 0.06
    for name, tint in (("hand", subject.look.skin), ("scarf", subject.clothes.stripe)):
        chosen = points.material == MATERIALS.index(name)
        result.albedo[chosen], result.shine[chosen] = tint, 0.1
    return result


def _hair_colour(subject: Subject, coordinates: Array, footprint: float) -> Array:
    """Strands along the hair, lighter and darker."""
    around, length = coordinates[:, 0] * np.float32(1 / (2 * np.pi)), coordinates[:, 1]
    shift = subject.look.seed
    curly = subject.hair.style == "curly"
    stretch = 0.006 if curly else 0.0007
    wave = 0.012 * sample_tile(noise_tile(1, 1.7), around * 1.0 + shift[0], length * np.float32(0.004))
    locks = sample_tile(noise_tile(7, 0.7, 12), (around + wave) * 2 + shift[0], length * np.float32(stretch * 0.6))
    strands = sample_tile(noise_tile(8, 0.25, 40), (around + wave) * 5 + shift[1], length * np.float32(stretch))
    value = 1 + 0.30 * locks + 0.30 * strands * min(1.0, 0.7 / footprint)
    return subject.look.hair * np.clip(value, 0.25, 2.2)[:, None]


def _torso_colour(subject: Subject, coordinates: Array) -> tuple[Array, Array]:
    """Skin of the neck above the neckline, fabric below."""
    clothes: Clothes = subject.clothes
    azimuth, depth = coordinates[:, 0], coordinates[:, 1]
    front = np.exp(-((azimuth / 0.9) ** 2))
    cloth = smooth_step(-0.7, 0.7, depth - np.where(front > 0, clothes.neckline * front - 8 * (1 - front), 0))
    weave = sample_tile(noise_tile(2, 0.4, 24), azimuth * 3, depth * np.float32(0.01))
    slow = sample_tile(noise_tile(1, 1.7), azimuth * np.float32(0.16), depth * np.float32(0.004))
    band = smooth_step(-0.15, 0.15, np.sin(depth * np.float32(2 * np.pi * clothes.stripes)))
    fabric = mix(clothes.fabric, clothes.stripe, band) * (1 + 0.08 * weave + 0.10 * slow)[:, None]
    skin = subject.look.skin * (0.95 + 0.04 * slow)[:, None]
    hem = 1 - 0.35 * np.exp(-((depth - clothes.neckline * front) ** 2) / 8.0) * (cloth < 0.5)
    part = np.where(cloth > 0.5, PARTS.index("cloth"), PARTS.index("neck")).astype(np.uint8)
    return mix(skin * hem[:, None], np.maximum(fabric, 0.005), cloth), part


def shade(points: Points, surface: Surfacing, light: Light, openness: Array, lit: Array) -> Array:
    """Linear light towards the camera.

    Args:
        points: N points.
        surface: what they are made of.
        light: the illumination.
        openness: (N,) share of the surroundings that is not hidden by near surfaces.
        lit: (N,) share of the main lamp that arrives.

    Returns:
        (N, 3) float32.
    """
    hair = np.flatnonzero(points.material == _HAIR)
    skin = (points.material == _HEAD) & (surface.sharpness < 100)
    glossy = (points.material == _HAIR) | (surface.sharpness >= 100)
    # Light between close surfaces takes on their colour, so occlusion is weaker where they are bright.
    tinted = openness[:, None] ** (1.25 - 0.5 * np.minimum(surface.albedo, 0.8))
    incoming = irradiance(light, points.normal) * tinted
    mirrored = np.zeros_like(incoming)
    for index, lamp in enumerate(light.lamps):
        if not lamp.colour.any():
            continue
        facing = points.normal @ lamp.direction
        main = index == 0
        arrives = 1 - lamp.shadow * (1 - lit) if main else 0.35 + 0.65 * openness
        wrap = np.where(skin[:, None], _BLEED, np.float32(0.02)) if main else np.float32(0.1)
        amount = np.maximum((facing[:, None] + wrap) / (1 + wrap), 0)
        amount[hair] = _strand_light(points.along[hair], facing[hair], lamp)
        incoming += amount * arrives[:, None] * lamp.colour
        # The weaker lamps show in eyes and hair only.
        spots = np.flatnonzero(facing > 0 if main else (facing > 0) & glossy)
        mirrored[spots] += _highlight(points, surface, lamp, spots, facing[spots], arrives[spots])
    return surface.albedo * incoming + mirrored * (0.4 + 0.6 * openness)[:, None]


def _strand_light(along: Array, facing: Array, lamp: Lamp) -> Array:
    """(N, 1) light that strands of hair scatter: they are cylinders, so light across them counts on both sides."""
    lengthwise = along @ lamp.direction
    across = np.sqrt(np.maximum(1 - lengthwise * lengthwise, 0)) * smooth_step(-0.4, 0.6, facing)
    return (0.5 * np.maximum(facing, 0) + 0.4 * across)[:, None]


def _highlight(points: Points, surface: Surfacing, lamp: Lamp, spots: Array, facing: Array, arrives: Array) -> Array:
    """(N, 3) mirrored light of chosen points: a lobe around the half vector; for hair, around its strands."""
    view, hair = points.view[spots], np.flatnonzero(points.material[spots] == _HAIR)
    half = view + lamp.direction
    half /= np.maximum(np.sqrt(np.einsum("nc,nc->n", half, half)), 1e-6)[:, None]
    aligned = np.clip(np.einsum("nc,nc->n", points.normal[spots], half), 0, 1)
    rim = 0.04 + 0.3 * (1 - np.clip(np.einsum("nc,nc->n", view, half), 0, 1)) ** 5
    sharpness = surface.sharpness[spots]
    lobe = np.exp(sharpness * (aligned - 1)) * (sharpness + 8) / 25 * rim
    result = (surface.shine[spots] * lobe * facing * arrives)[:, None] * lamp.colour
    along = np.einsum("nc,nc->n", points.along[spots[hair]], half[hair])
    sheen = np.maximum(1 - along * along, 0) ** 30 * smooth_step(-0.2, 0.7, facing[hair]) * arrives[hair]
    result[hair] = 1.5 * sheen[:, None] * (0.015 + 0.5 * surface.albedo[spots[hair]]) * lamp.colour
    return result
