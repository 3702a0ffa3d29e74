"""KaoLRM's cameras: the numbers that the network reads, the picture that its mesh lies on, and what it exports.

The mesh's frame: x to the right of a frontal picture, y up, z to the camera; the camera stands on the z axis at
distance 2 and looks at the origin. The camera's numbers are those of another frame, in which z is up, and of a camera
with y up that looks along its negative z, as in OpenLRM. Focal lengths are in widths of the picture.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from harness.errors import ContractError
from harness.samples import Array, Camera

DISTANCE = 2.0
NUMBERS, PAPER_NUMBERS = 16, 20
PLANE_FOCAL = 0.75  # of the pictures that fill the planes, and what the network is told about every picture
MONO_TRAINING_FOCAL, MONO_FOCAL = 4.0, 20.0
"""Of the pictures that the mono weights draw: in the training's settings, and in those of inference."""

_TO_MESH = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
_FLIP = np.diag([1.0, -1.0, -1.0])  # between a camera with y down that looks forward, and one with y up


def frontal_camera(focal: float, size: int) -> Camera:
    """The camera that the mesh lies before: lengths are the network's, not millimetres.

    Args:
        focal: in widths of the picture: 0.75 (multi-view weights), 4 or 20 (mono weights).
        size: side of the picture in pixels.
    """
    middle = (size - 1) / 2
    intrinsics = np.array([[focal * size, 0, middle], [0, focal * size, middle], [0, 0, 1]])
    return Camera(intrinsics, _FLIP, np.array([0, 0, DISTANCE]), size, size)


def camera_numbers(camera: Camera) -> Tensor:
    """(16,) float32: what the network reads of a camera.

    3 x 4 camera-to-world matrix row by row, focal lengths and principal point over the picture's sides.

    Args:
        camera: in the mesh's frame, lengths in the network's unit.
    """
    pose = _TO_MESH.T @ np.hstack([camera.rotation.T @ _FLIP, camera.centre[:, None]])
    k, w, h = camera.intrinsics, camera.width, camera.height
    lens = [k[0, 0] / w, k[1, 1] / h, (k[0, 2] + 0.5) / w, (k[1, 2] + 0.5) / h]
    return torch.tensor([*pose.reshape(-1), *lens], dtype=torch.float32)


def source_numbers(count: int = 1) -> Tensor:
    """(count, 16): what the network is told about every picture that it reads, whatever took it."""
    return camera_numbers(frontal_camera(PLANE_FOCAL, 224)).expand(count, -1)


def checked_numbers(numbers: Sequence[float] | Array | Tensor) -> Tensor:
    """(B, 16) float32 of (16,) or (B, 16) camera numbers that a user gives.

    Raises:
        ContractError: there are not 16 per camera, or one is not finite.
    """
    values = torch.as_tensor(numbers, dtype=torch.float32)
    count = values.shape[-1] if values.ndim in (1, 2) else 0
    if count == PAPER_NUMBERS:
        raise ContractError(
            "camera: 20 numbers, expected 16. The paper speaks of 20, a 4 x 4 matrix and 4 of the lens, but the code "
            "and the weights read its first three rows only; leave out the last row (numbers 13 to 16 of the 20)"
        )
    if count != NUMBERS:
        raise ContractError(
            f"camera: shape {tuple(values.shape)}, expected (16,) or (B, 16): a 3 x 4 camera-to-world matrix row by "
            "row, then fx, fy, cx, cy over the picture's side"
        )
    if not bool(values.isfinite().all()):
        raise ContractError("camera: NaN or infinite numbers, expected finite ones")
    return values.reshape(-1, NUMBERS)


def exported(vertices: Tensor, focal: float) -> Tensor:
    """(..., 3) vertices as the official program writes them: enlarged by how much longer the lens is than 0.75.

    Raises:
        ContractError: the focal length is not positive.
    """
    if not (focal > 0 and math.isfinite(focal)):
        raise ContractError(f"focal: {focal}, expected a positive number of widths of the picture")
    return vertices * (focal / PLANE_FOCAL)
