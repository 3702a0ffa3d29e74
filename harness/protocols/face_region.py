"""The face on a prediction that stands in a scan's frame."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh
from harness.geometry.raycast import RayCaster
from harness.protocols.now_truth import NowTruth, crop_ball

Array = NDArray[Any]

_TILTS = ((0.0, 1), (35.0, 6), (70.0, 10))  # degrees from straight ahead, directions around
_CLEAR_MM = 0.05


@lru_cache(maxsize=1)
def scan_surface(truth: NowTruth, device: str) -> ClosestPoints:
    """The scan's search tree, kept for the other views of the scan."""
    return ClosestPoints(truth.scan, device)


def predicted_face(mesh: Mesh, landmarks: Array, device: str) -> tuple[Array, Array]:
    """The part of an aligned prediction that a scanner would see of the face.

    Triangles with three corners in NoW's ball whose middle is free in one of 17 directions in front of the face: the
    mouth bag and the backs of eyeballs, which some topologies have, are not the face.

    Args:
        mesh: the prediction in the scan's frame.
        landmarks: (7, 3) of the scan.
        device: where to cast rays.

    Returns:
        Ids (N,) of the triangles' vertices, and for each a third of the area of those triangles: weighted by these, a
        mean over the vertices is a mean over the surface (exactly for what is linear on triangles).
    """
    centre, radius = crop_ball(landmarks)
    inside = ((mesh.vertices - centre) ** 2).sum(axis=1) <= radius**2
    faces = mesh.faces[inside[mesh.faces].all(axis=1)]
    middle = mesh.vertices[faces].mean(axis=1) - centre
    seen = np.zeros(len(faces), bool)
    if len(faces):
        caster = RayCaster(mesh.vertices - centre, mesh.faces.copy(), device)
        for towards in _directions(landmarks):
            ask = np.flatnonzero(~seen)
            if not len(ask):
                break
            seen[ask] = ~caster.blocked(middle[ask] + _CLEAR_MM * towards, towards, limit=4 * radius)
    faces = faces[seen]
    a, b, c = (mesh.vertices[faces[:, k]] for k in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2
    weights = np.bincount(faces.ravel(), np.repeat(areas / 3, 3), minlength=len(mesh.vertices))
    ids = np.flatnonzero(weights)
    return ids, weights[ids]


def _directions(landmarks: Array) -> list[Array]:
    """(3,) unit vectors around the one that the face looks in."""
    side, up = landmarks[3] - landmarks[0], landmarks[1:3].mean(axis=0) - landmarks[5:7].mean(axis=0)
    ahead = np.cross(side, up)
    axes = np.linalg.qr(np.stack([ahead, side, up], axis=1))[0]  # columns: ahead up to sign, and across it
    axes[:, 0] *= np.sign(axes[:, 0] @ ahead)
    directions = []
    for tilt, count in _TILTS:
        for turn in np.arange(count) * 2 * np.pi / count:
            across = np.sin(np.deg2rad(tilt)) * np.array([np.cos(turn), np.sin(turn)])
            directions.append(axes @ np.array([np.cos(np.deg2rad(tilt)), *across]))
    return directions
