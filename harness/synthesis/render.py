"""Pictures of a subject with the exact truth behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

from harness.geometry.raycast import Hits
from harness.heads.head import PARTS
from harness.samples import Camera
from harness.synthesis.finish import photograph, random_background
from harness.synthesis.lighting import Light, random_light
from harness.synthesis.shading import Points, points_at, shade, surfacing
from harness.synthesis.subject import MATERIALS, Scene, Subject, stream

Array = np.ndarray

_LIGHT, _BACKGROUND, _FINISH, _RAYS = range(10, 14)
_REACH_MM = 70.0
_OPEN_RAYS, _LAMP_RAYS = 5_000, 30_000
_QUARTERS = np.array([[-0.25, -0.25], [0.25, -0.25], [-0.25, 0.25], [0.25, 0.25]], np.float32)


@dataclass(frozen=True, eq=False)
class Rendering:
    """One picture and its truth.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        depth: (H, W) float32 millimetres along the camera's axis at pixel centres; infinite on the background.
        mask: (H, W) bool, true on the subject with hair, clothes and anything in front.
        label_map: (H, W) uint8 indices into `harness.heads.head.PARTS`; background where an occluder is.
        landmarks: (68, 2) float64 pixels, also of points that are hidden or outside the picture.
        visible: (68,) bool, in the picture and not behind anything.
        camera: that took it.
    """

    image: Array
    depth: Array
    mask: Array
    label_map: Array
    landmarks: Array
    visible: Array
    camera: Camera


class _Window(NamedTuple):
    """The part of a picture that can show the scene: rows top..bottom, columns left..right (exclusive)."""

    left: int
    top: int
    right: int
    bottom: int


def render(
    subject: Subject, camera: Camera, light: Light | None = None, seed: int = 0, antialias: bool = True
) -> Rendering:
    """Takes a picture.

    Args:
        subject: whom.
        camera: from where.
        light: by which light; drawn from `seed` if None.
        seed: of light, background, noise; with equal arguments the picture is equal.
        antialias: four samples instead of one where neighbouring pixels differ.
    """
    illumination = random_light(stream(seed, _LIGHT)) if light is None else light
    background = random_background(stream(seed, _BACKGROUND), camera.width, camera.height)
    depth = np.full((camera.height, camera.width), np.inf, np.float32)
    labels = np.zeros((camera.height, camera.width), np.uint8)
    window = _window(subject.scene, camera)
    if window is not None:
        _paint(subject, camera, illumination, stream(seed, _RAYS), antialias, window, background, depth, labels)
    landmarks = camera.project(subject.landmarks.astype(np.float64))
    return Rendering(
        image=photograph(stream(seed, _FINISH), background),
        depth=depth,
        mask=np.isfinite(depth),
        label_map=labels,
        landmarks=landmarks,
        visible=visible_landmarks(subject, camera, landmarks),
        camera=camera,
    )


def visible_landmarks(subject: Subject, camera: Camera, landmarks: Array, tolerance_mm: float = 2.5) -> Array:
    """(68,) bool: inside the picture, and nothing more than the tolerance in front of it."""
    towards = subject.landmarks.astype(np.float64) - camera.centre
    hits = subject.scene.caster.cast(camera.centre, towards)
    free = hits.distance > np.linalg.norm(towards, axis=1) - tolerance_mm
    ahead = towards @ camera.rotation[2] > 0
    inside = (landmarks > -0.5).all(1) & (landmarks < [camera.width - 0.5, camera.height - 0.5]).all(1)
    return free & inside & ahead


def _window(scene: Scene, camera: Camera) -> _Window | None:
    seen = scene.vertices @ camera.rotation.T.astype(np.float32) + camera.translation.astype(np.float32)
    if (seen[:, 2] < 1).any():  # something beside or behind the camera: its projection bounds nothing
        return _Window(0, 0, camera.width, camera.height)
    pixels = seen @ camera.intrinsics.T.astype(np.float32)
    pixels = pixels[:, :2] / pixels[:, 2:]
    left, top = np.maximum(np.floor(pixels.min(0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(pixels.max(0)) + 1, [camera.width, camera.height]).astype(int)
    return _Window(left, top, right, bottom) if left < right and top < bottom else None


def _rays(camera: Camera, pixels: Array) -> Array:
    """(N, 3) float32 unit world directions through (N, 2) pixels."""
    inverse = (camera.rotation.T @ np.linalg.inv(camera.intrinsics)).astype(np.float32)
    x, y = pixels.T.astype(np.float32)
    directions = np.empty((len(pixels), 3), np.float32)
    for axis in range(3):
        directions[:, axis] = inverse[axis, 0] * x + inverse[axis, 1] * y + inverse[axis, 2]
    directions /= np.sqrt(np.einsum("nc,nc->n", directions, directions))[:, None]
    return directions


def _paint(
    subject: Subject,
    camera: Camera,
    light: Light,
    rng: np.random.Generator,
    antialias: bool,
    window: _Window,
    picture: Array,
    depth: Array,
    labels: Array,
) -> None:
    """Draws the scene into a linear picture, a depth map and a label map."""
    columns, rows = np.meshgrid(np.arange(window.left, window.right), np.arange(window.top, window.bottom))
    pixels = np.stack([columns.ravel(), rows.ravel()], -1)
    centre = camera.centre.astype(np.float32)
    directions = _rays(camera, pixels)
    hits = subject.scene.caster.cast(centre, directions)
    met = np.flatnonzero(hits.face >= 0)
    if not len(met):
        return
    points = points_at(subject.scene, Hits(*(value[met] for value in hits)), centre, directions[met])
    footprint = float(np.median(hits.distance[met]) / camera.intrinsics[0, 0])
    surface = surfacing(subject, points, footprint)
    openness, lit = _visibility(subject.scene, points, light, rng, columns.shape, met, footprint)
    colour = shade(points, surface, light, openness.ravel()[met], lit.ravel()[met])
    x, y = pixels[met].T
    backdrop = picture[window.top : window.bottom, window.left : window.right].copy()
    picture[y, x] = colour
    depth[y, x] = hits.distance[met] * (directions[met] @ camera.rotation[2].astype(np.float32))
    labels[y, x] = np.where(points.material <= MATERIALS.index("torso"), surface.part, PARTS.index("background"))
    if antialias:
        part = picture[window.top : window.bottom, window.left : window.right]
        edges = np.flatnonzero(_edges(part, depth[window.top : window.bottom, window.left : window.right]).ravel())
        fine = _supersample(
            subject,
            camera,
            light,
            pixels[edges],
            backdrop.reshape(-1, 3)[edges],
            openness.ravel()[edges],
            lit.ravel()[edges],
            footprint,
        )
        picture[pixels[edges, 1], pixels[edges, 0]] = fine


def _edges(picture: Array, depth: Array) -> Array:
    """(H, W) bool: where neighbours differ in brightness or depth enough for a jagged line to show."""
    bright = np.sqrt(np.clip(picture[..., 1], 0, 1))
    near = np.where(np.isfinite(depth), depth, 1e5)
    jump = maximum_filter(near, 3) - minimum_filter(near, 3) > 6
    return jump | (maximum_filter(bright, 3) - minimum_filter(bright, 3) > 0.11)


def _supersample(
    subject: Subject,
    camera: Camera,
    light: Light,
    pixels: Array,
    backdrop: Array,
    openness: Array,
    lit: Array,
    footprint: float,
) -> Array:
    """(N, 3) mean of four samples in each pixel; occlusion is taken from the pixel."""
    spots = (pixels[:, None].astype(np.float32) + _QUARTERS).reshape(-1, 2)
    colour = np.repeat(backdrop, 4, axis=0)
    directions = _rays(camera, spots)
    centre = camera.centre.astype(np.float32)
    hits = subject.scene.caster.cast(centre, directions)
    met = np.flatnonzero(hits.face >= 0)
    if len(met):
        points = points_at(subject.scene, Hits(*(value[met] for value in hits)), centre, directions[met])
        surface = surfacing(subject, points, footprint / 2)
        colour[met] = shade(points, surface, light, openness[met // 4], lit[met // 4])
    return colour.reshape(-1, 4, 3).mean(1)


def _visibility(
    scene: Scene,
    points: Points,
    light: Light,
    rng: np.random.Generator,
    shape: tuple[int, int],
    met: Array,
    footprint: float,
) -> tuple[Array, Array]:
    """(H, W) shares of the surroundings and of the main lamp that reach each pixel, smoothed over the surface."""
    openness, lit = np.ones(len(met), np.float32), np.ones(len(met), np.float32)
    asked = np.zeros((2, len(met)), np.float32)
    start = points.position + points.normal * np.float32(0.6)

    # Both are smooth, so at high resolution a part of the pixels is asked and the rest is filled in.
    some = np.arange(0, len(met), -(-len(met) // _OPEN_RAYS))
    free = ~scene.caster.blocked(start[some], _cosine_directions(rng, points.normal[some]), limit=_REACH_MM)
    openness[some], asked[0, some] = free, 1

    lamp = light.lamps[0].direction
    facing = points.normal @ lamp
    towards = np.flatnonzero(facing > -0.3)
    towards = towards[:: max(1, len(towards) // _LAMP_RAYS)]
    jitter = rng.normal(0, 0.06, (len(towards), 3)).astype(np.float32)
    lit[facing <= -0.3], asked[1, facing <= -0.3] = 0, 1
    lit[towards], asked[1, towards] = ~scene.caster.blocked(start[towards], lamp + jitter, limit=400.0), 1

    wide, narrow = max(5.0 / footprint, 1.6), max(2.0 / footprint, 0.8)
    return _fill(openness, asked[0], met, shape, wide), _fill(lit, asked[1], met, shape, narrow)


def _fill(values: Array, asked: Array, met: Array, shape: tuple[int, int], sigma: float) -> Array:
    """(H, W) smooth grid through values at the pixels that were asked; 1 far from all of them."""
    known, weight = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    known.ravel()[met], weight.ravel()[met] = values * asked, asked
    total = gaussian_filter(weight, sigma, truncate=2.0)
    return (gaussian_filter(known, sigma, truncate=2.0) + 1e-4) / (total + 1e-4)


def _cosine_directions(rng: np.random.Generator, normals: Array) -> Array:
    """One direction per normal, denser towards it (Lambert's law): a point on the unit sphere added to the normal."""
    sphere = rng.standard_normal(normals.shape, dtype=np.float32)
    sphere /= np.maximum(np.linalg.norm(sphere, axis=1, keepdims=True), 1e-6)
    return normals + sphere * np.float32(0.999)
