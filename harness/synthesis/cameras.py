"""Cameras around a head."""

from __future__ import annotations

import numpy as np

from harness.errors import ContractError
from harness.samples import Camera

Array = np.ndarray


def look_at(
    position: Array, target: Array, focal_px: float, size: int | tuple[int, int], roll_deg: float = 0
) -> Camera:
    """A camera at a place that sees a target in the middle of the picture, world y upwards.

    Args:
        position: (3,) of the camera, world millimetres.
        target: (3,) millimetres.
        focal_px: focal length in pixels.
        size: width and height in pixels, or one number for both.
        roll_deg: turns the camera clockwise about its axis, so the picture turns the other way.

    Raises:
        ContractError: the camera is at its target or looks straight up or down.
    """
    width, height = (size, size) if isinstance(size, int) else size
    forward = np.asarray(target, np.float64) - position
    right = np.cross(forward, [0.0, 1.0, 0.0])
    reach = float(np.linalg.norm(forward))
    if float(np.linalg.norm(right)) <= 1e-6 * reach:
        raise ContractError("camera: looks straight up or down or is at its target, so 'up' is undefined; move it")
    forward /= reach
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    angle = np.deg2rad(roll_deg)
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    rotation = turn @ np.asarray(rotation)
    intrinsics = np.array([[focal_px, 0, (width - 1) / 2], [0, focal_px, (height - 1) / 2], [0, 0, 1]])
    return Camera(intrinsics, rotation, -rotation @ np.asarray(position, np.float64), width, height)


def orbit_camera(
    yaw_deg: float,
    pitch_deg: float,
    distance_mm: float,
    focal_px: float,
    size: int | tuple[int, int],
    target: Array,
    roll_deg: float = 0,
) -> Camera:
    """A camera on a sphere around a target.

    Args:
        yaw_deg: 0 in front of the face (+z); positive to the subject's left (+x).
        pitch_deg: positive above.
        distance_mm: from the target.
        focal_px: focal length in pixels.
        size: width and height in pixels, or one number for both.
        target: (3,) millimetres.
        roll_deg: as in `look_at`.
    """
    yaw, pitch = np.deg2rad(yaw_deg), np.deg2rad(pitch_deg)
    direction = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    return look_at(np.asarray(target) + distance_mm * direction, target, focal_px, size, roll_deg)


def frontal_camera(
    target: Array, size: int | tuple[int, int], distance_mm: float = 800, fill_mm: float = 260
) -> Camera:
    """In front of a target; `fill_mm` millimetres at its distance span the width of the picture."""
    width = size if isinstance(size, int) else size[0]
    return orbit_camera(0, 0, distance_mm, width * distance_mm / fill_mm, size, target)


def random_camera(
    rng: np.random.Generator,
    target: Array,
    size: int,
    yaw_deg: float | tuple[float, float] = (-40, 40),
    fill_mm: tuple[float, float] = (210, 330),
) -> Camera:
    """A snapshot: any distance of a portrait, not quite centred, slightly tilted.

    Args:
        rng: source of chance.
        target: (3,) middle of the face.
        size: pixels, width and height.
        yaw_deg: one angle, or the range to draw from.
        fill_mm: range of the width of the picture at the face.
    """
    yaw = yaw_deg if isinstance(yaw_deg, (int, float)) else float(rng.uniform(*yaw_deg))
    distance = float(rng.uniform(450, 1600))
    fill = float(rng.uniform(*fill_mm))
    aim = np.asarray(target) + rng.normal(0, 0.05, 3) * fill
    pitch, roll = np.clip(rng.normal(0, 8), -22, 22), np.clip(rng.normal(0, 6), -18, 18)
    return orbit_camera(yaw, pitch, distance, size * distance / fill, size, aim, roll)
