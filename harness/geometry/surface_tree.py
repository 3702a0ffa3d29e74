"""A mesh prepared for searching, on the CPU or a CUDA device."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError
from harness.geometry.mesh import Mesh
from harness.geometry.surface_kernels import Surface, describe_faces, fill_incident, has_area
from harness.geometry.warp_setup import wp

Array = NDArray[Any]
logger = logging.getLogger(__name__)

FLAT = 1e-6
"""A triangle lower than this share of the mesh's extent has no area, as far as a float32 search can tell."""
FLAT_IN_DOUBLE = 1e-12
"""The same for searches that use float32 for boxes only."""


class SurfaceTree:
    """A mesh's faces on the device: their tree, their neighbours, and what tells quickly how far they are.

    Faces without area are left out, and their number is logged.

    Args:
        mesh: what to prepare; kept as `mesh`.
        device: "cpu", "cuda" or "cuda:1".
        flat: a face lower than this share of the mesh's extent has no area.

    Attributes:
        kept: (K,) int64, the mesh's faces that have an area: face numbers on the device count these.
        centre: (3,) and `extent`: the middle and the longest side of the box around the faces. Coordinates on the
            device are about `centre`.

    Raises:
        ContractError: no face has an area.
    """

    def __init__(self, mesh: Mesh, device: str = "cpu", flat: float = FLAT) -> None:
        self.mesh, self.device = mesh, device
        used = np.zeros(len(mesh.vertices), dtype=bool)
        used[mesh.faces.ravel()] = True
        low, high = mesh.vertices[used].min(axis=0), mesh.vertices[used].max(axis=0)
        self.centre, self.extent = 0.5 * (low + high), float((high - low).max())
        centred = mesh.vertices - self.centre
        self._vertices: Any = wp.array(centred, dtype=wp.vec3d, device=device)
        self.kept, corners = self._with_area(flat)
        self._faces, self._corners = len(self.kept), corners
        self._tree = wp.Mesh(points=wp.array(centred, dtype=wp.vec3, device=device), indices=corners)

    def _with_area(self, flat: float) -> tuple[Array, Any]:
        """Numbers of the faces that have an area, and their corners, (3K,) on the device."""
        faces = self.mesh.faces.astype(np.int32)
        flags: Any = wp.empty(len(faces), dtype=wp.bool, device=self.device)
        corners: Any = wp.array(faces.ravel(), dtype=wp.int32, device=self.device)
        arguments = [self._vertices, corners, flat * self.extent, flags]
        wp.launch(has_area, dim=len(faces), inputs=arguments, device=self.device)
        kept = np.flatnonzero(flags.numpy())
        dropped = len(faces) - len(kept)
        if not len(kept):
            raise ContractError(f"mesh.faces: none of the {len(faces)} faces has an area")
        if dropped:
            logger.info("left out %d of %d faces, which have no area", dropped, len(faces))
            corners = wp.array(faces[kept].ravel(), dtype=wp.int32, device=self.device)
        return kept, corners

    @property
    def dropped_faces(self) -> int:
        """How many faces have no area."""
        return len(self.mesh.faces) - self._faces

    @cached_property
    def spacing(self) -> float:
        """The side of a square as large as the mesh's mean face, in its unit."""
        a, b, c = (self.mesh.vertices[self.mesh.faces[self.kept[:: max(1, self._faces // 2000)], k]] for k in range(3))
        return float(np.sqrt(0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).mean()))

    @cached_property
    def surface(self) -> Surface:
        """The mesh as kernels take it."""
        surface: Any = Surface()
        surface.tree, surface.extent = self._tree.id, self.extent
        surface.centre = wp.vec3d(*self.centre)
        surface.corners = self._corners
        surface.starts, surface.incident = self._incident_faces()
        surface.triangles = wp.empty(self._faces, dtype=wp.mat33d, device=self.device)
        surface.planes = wp.empty(self._faces, dtype=wp.mat44, device=self.device)
        surface.across = wp.empty(3 * self._faces, dtype=wp.int32, device=self.device)
        wp.launch(describe_faces, dim=self._faces, inputs=[self._vertices, surface], device=self.device)
        return surface

    def _incident_faces(self) -> tuple[Any, Any]:
        counts = np.bincount(self._corners.numpy(), minlength=len(self.mesh.vertices))
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        next_place: Any = wp.array(starts, dtype=wp.int32, device=self.device)
        incident: Any = wp.empty(3 * self._faces, dtype=wp.int32, device=self.device)
        arguments = [self._corners, next_place, incident]
        wp.launch(fill_incident, dim=3 * self._faces, inputs=arguments, device=self.device)
        return wp.array(starts, dtype=wp.int32, device=self.device), incident
