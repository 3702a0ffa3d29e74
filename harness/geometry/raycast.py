"""Ray casting against a triangle mesh, through NVIDIA Warp's bounding volume hierarchy, on the CPU or a CUDA device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from harness.errors import ContractError
from harness.geometry.warp_setup import wp

Array = np.ndarray
Values = Array | torch.Tensor

if TYPE_CHECKING:  # Warp reads array types from annotations that are calls; type checkers do not take those.
    Vectors = Any
    Floats = Any
    Integers = Any
    Bytes = Any
else:
    Vectors, Floats = wp.array(dtype=wp.vec3), wp.array(dtype=float)
    Integers, Bytes = wp.array(dtype=wp.int32), wp.array(dtype=wp.uint8)


@wp.kernel(enable_backward=False)
def _cast(
    mesh: wp.uint64,
    origins: Vectors,
    directions: Vectors,
    limit: float,
    face: Integers,
    barycentric: Vectors,
    distance: Floats,
) -> None:
    ray = wp.tid()
    hit = wp.mesh_query_ray(mesh, origins[ray], directions[ray], limit)
    if hit.result:  # type: ignore[attr-defined]
        face[ray] = hit.face  # type: ignore[attr-defined]
        barycentric[ray] = wp.vec3(hit.u, hit.v, 1.0 - hit.u - hit.v)  # type: ignore[attr-defined]
        distance[ray] = hit.t  # type: ignore[attr-defined]
    else:
        face[ray] = -1
        barycentric[ray] = wp.vec3(0.0, 0.0, 0.0)
        distance[ray] = wp.inf


@wp.kernel(enable_backward=False)
def _blocked(
    mesh: wp.uint64,
    origins: Vectors,
    directions: Vectors,
    limit: float,
    blocked: Bytes,
) -> None:
    ray = wp.tid()
    if wp.mesh_query_ray_anyhit(mesh, origins[ray], directions[ray], limit):
        blocked[ray] = wp.uint8(1)
    else:
        blocked[ray] = wp.uint8(0)


class Hits(NamedTuple):
    """What each of N rays met first.

    Attributes:
        face: (N,) int32 triangle, -1 for a miss.
        barycentric: (N, 3) float32 weights of the triangle's corners; zeros for a miss.
        distance: (N,) float32 along the unit direction, in the unit of the mesh; infinite for a miss.
    """

    face: Any
    barycentric: Any
    distance: Any


class RayCaster:
    """Finds the first triangle on each ray; both sides of a triangle count.

    Arrays may be numpy or torch; results are of the same kind as `origins` and, for torch, on the caster's device.
    Contiguous float32 input on the caster's device is used without a copy. Computation is in float32.

    Args:
        vertices: (V, 3).
        faces: (F, 3) integers.
        device: "cpu", "cuda", "cuda:1" or a torch.device.

    Raises:
        ContractError: a shape or a face index is wrong.
    """

    def __init__(self, vertices: Values, faces: Values, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        corners = torch.as_tensor(faces)
        points = self._vectors("vertices", vertices)
        if corners.ndim != 2 or corners.shape[1] != 3 or not len(corners):
            raise ContractError(f"faces: shape {tuple(corners.shape)}, expected (F, 3) with F > 0")
        if int(corners.min()) < 0 or int(corners.max()) >= len(points):
            raise ContractError(
                f"faces: indices {int(corners.min())}..{int(corners.max())}, expected 0..{len(points) - 1}"
            )
        self._where = wp.device_from_torch(str(self.device))
        flat = corners.to(device=self.device, dtype=torch.int32).reshape(-1).contiguous()
        # Warp keeps a reference, so the caller's array must not be the one it keeps.
        corners_on_device: Any = wp.from_torch(flat.clone(), dtype=wp.int32)
        points_on_device: Any = wp.from_torch(points.clone(), dtype=wp.vec3)
        self._mesh = wp.Mesh(points_on_device, corners_on_device)

    def cast(self, origins: Values, directions: Values, limit: float = 1e9) -> Hits:
        """Follows N rays up to a distance.

        Args:
            origins: (N, 3), or (3,) for one start of all rays.
            directions: (N, 3) of any length but zero, or (3,) for parallel rays.
            limit: how far to look, in the unit of the mesh.
        """
        start, towards = self._rays(origins, directions)
        count = len(towards)
        face = torch.empty(count, dtype=torch.int32, device=self.device)
        weights = torch.empty((count, 3), dtype=torch.float32, device=self.device)
        distance = torch.empty(count, dtype=torch.float32, device=self.device)
        outputs = [wp.from_torch(face), wp.from_torch(weights, dtype=wp.vec3), wp.from_torch(distance)]
        self._launch(_cast, start, towards, limit, outputs)
        hits = Hits(face, weights, distance)
        return hits if isinstance(origins, torch.Tensor) else Hits(*(value.cpu().numpy() for value in hits))

    def blocked(self, origins: Values, directions: Values, limit: float = 1e9) -> Any:
        """(N,) bool: whether anything stands on each ray within `limit`; cheaper than `cast`. Arguments as there."""
        start, towards = self._rays(origins, directions)
        flags = torch.empty(len(towards), dtype=torch.uint8, device=self.device)
        self._launch(_blocked, start, towards, limit, [wp.from_torch(flags)])
        return flags.bool() if isinstance(origins, torch.Tensor) else flags.cpu().numpy().astype(bool)

    def _launch(self, kernel: Any, start: torch.Tensor, towards: torch.Tensor, limit: float, outputs: list) -> None:
        vectors = [wp.from_torch(start, dtype=wp.vec3), wp.from_torch(towards, dtype=wp.vec3)]
        inputs = [self._mesh.id, *vectors, float(limit), *outputs]
        wp.launch(kernel, dim=len(towards), inputs=inputs, device=self._where)

    def _rays(self, origins: Values, directions: Values) -> tuple[torch.Tensor, torch.Tensor]:
        start, towards = self._vectors("origins", origins), self._vectors("directions", directions)
        count = max(len(start), len(towards))
        for name, vectors in (("origins", start), ("directions", towards)):
            if len(vectors) not in (1, count):
                raise ContractError(f"{name}: {len(vectors)} rows, expected {count} as in the other argument, or one")
        towards = torch.nn.functional.normalize(towards, dim=1)
        return start.expand(count, 3).contiguous(), towards.expand(count, 3).contiguous()

    def _vectors(self, name: str, values: Values) -> torch.Tensor:
        if isinstance(values, Array) and not values.flags.writeable:
            values = values.copy()  # torch warns of arrays that it could not write to
        tensor = torch.atleast_2d(torch.as_tensor(values))
        if tensor.ndim != 2 or tensor.shape[1] != 3:
            raise ContractError(f"{name}: shape {tuple(tensor.shape)}, expected (N, 3)")
        return tensor.detach().to(device=self.device, dtype=torch.float32).contiguous()
