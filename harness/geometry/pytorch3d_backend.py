"""Nearest faces by PyTorch3D, for those who have it: it has no wheel in the package index."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError

if TYPE_CHECKING:
    from harness.geometry.surface_tree import SurfaceTree

Array = NDArray[Any]

BUILD = 'pip install --no-build-isolation "git+https://github.com/facebookresearch/pytorch3d.git"'
_SMALLEST_AREA = 1e-12  # of triangles that count; PyTorch3D's own default leaves out what it should not


def compiled() -> Any:
    """PyTorch3D's compiled part. Raises ContractError if it is not installed."""
    try:
        return import_module("pytorch3d._C")
    except ImportError as error:
        raise ContractError(
            f"geometry=pytorch3d: PyTorch3D cannot be imported ({error}). It is built for the torch that is installed, "
            f"with {BUILD} (a compiler is needed, and nvcc for CUDA; see its INSTALL.md); or use geometry=warp, which "
            "gives the same points"
        ) from None


def pytorch3d_faces(trees: Sequence[SurfaceTree], points: Sequence[Array]) -> Array:
    """The nearest face of each point in its own mesh, as far as float32 can tell.

    Args:
        trees: the meshes.
        points: as many arrays (N_i, 3), in the frame of their mesh.

    Returns:
        (sum of N_i,) int64, counted among each mesh's faces that have an area.

    Raises:
        ContractError: PyTorch3D is not installed.
    """
    import torch

    extension = compiled()
    device = torch.device(trees[0].device)
    triangles = [tree.mesh.vertices[tree.mesh.faces[tree.kept]] - tree.centre for tree in trees]
    queries = [each - tree.centre for tree, each in zip(trees, points, strict=True)]

    def packed(arrays: Sequence[Array]) -> tuple[torch.Tensor, torch.Tensor]:
        """All arrays in one, and where each begins."""
        first = np.cumsum([0, *map(len, arrays)])[:-1]
        values = torch.as_tensor(np.concatenate(arrays), dtype=torch.float32, device=device)
        return values, torch.as_tensor(first, dtype=torch.int64, device=device)

    (asked, asked_first), (faces, faces_first) = packed(queries), packed(triangles)
    most = max(len(each) for each in queries)
    _, found = extension.point_face_dist_forward(asked, asked_first, faces, faces_first, most, _SMALLEST_AREA)
    counts = torch.as_tensor([len(each) for each in queries], device=device)
    return np.asarray((found - torch.repeat_interleave(faces_first, counts)).cpu().numpy())
