"""HIFI3D's 85 keypoints on meshes of a fixed topology: what REALY needs to know of a method's mesh."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError, DataError
from harness.geometry.mesh import read_mesh

Array = NDArray[Any]

COUNT = 85
"""The first 68 are iBUG's."""

# The 17 others on the procedural head: towards these mixtures of iBUG points. REALY uses 70, 71 (wings of the nose) and
# 76, 77 (cheeks). The first of a pair is the subject's right.
_MIXTURES: dict[int, dict[int, float]] = {
    68: {36: 0.5, 39: 0.5},
    69: {42: 0.5, 45: 0.5},
    70: {31: 1.2, 33: -0.4, 29: 0.2},
    71: {35: 1.2, 33: -0.4, 29: 0.2},
    72: {39: 0.5, 28: 0.5},
    73: {42: 0.5, 28: 0.5},
    74: {36: 0.4, 39: 0.3, 31: 0.3},
    75: {45: 0.4, 42: 0.3, 35: 0.3},
    76: {36: 0.5, 48: 0.5},
    77: {45: 0.5, 54: 0.5},
    78: {48: 0.5, 5: 0.5},
    79: {54: 0.5, 11: 0.5},
    80: {27: 2.0, 29: -1.0},
    81: {19: 1.6, 37: -0.6},
    82: {24: 1.6, 44: -0.6},
    83: {57: 0.5, 8: 0.5},
    84: {33: 0.5, 51: 0.5},
}


@dataclass(frozen=True, eq=False)
class Topology:
    """Meshes that all have the same faces, and where their keypoints are.

    Attributes:
        name: for messages.
        faces: (F, 3) int64.
        keypoint_faces: (85,) int64, the triangle of each keypoint.
        keypoint_weights: (85, 3) of that triangle's corners; rows sum to 1.
        mask: (V,) bool: the surface of the final distances consists of the faces whose corners are all true; None
            for the whole mesh.

    Raises:
        ContractError: shapes or indices do not fit.
    """

    name: str
    faces: Array
    keypoint_faces: Array
    keypoint_weights: Array
    mask: Array | None = None

    def __post_init__(self) -> None:
        shapes = self.keypoint_faces.shape, self.keypoint_weights.shape
        if shapes != ((COUNT,), (COUNT, 3)):
            raise ContractError(f"topology {self.name}: keypoints have shapes {shapes}, expected (85,) and (85, 3)")
        low, high = int(self.keypoint_faces.min()), int(self.keypoint_faces.max())
        if low < 0 or high >= len(self.faces):
            raise ContractError(
                f"topology {self.name}: keypoints on triangles {low}..{high}, but there are 0..{len(self.faces) - 1}"
            )
        if not np.isfinite(self.keypoint_weights).all():
            raise ContractError(f"topology {self.name}: a keypoint's weights are NaN or infinite")
        if self.mask is not None:
            if len(self.mask) <= self.faces.max():
                raise ContractError(
                    f"topology {self.name}: the mask has {len(self.mask)} values for {self.faces.max() + 1} vertices"
                )
            if not self.mask[self.faces].all(axis=1).any():
                raise ContractError(f"topology {self.name}: the mask leaves no face")

    def keypoints(self, vertices: Array) -> Array:
        """(85, 3) float64 on a mesh of this topology with `vertices` (V, 3)."""
        corners = vertices[self.faces[self.keypoint_faces]]
        return np.asarray((corners * self.keypoint_weights[:, :, None]).sum(axis=1))

    @property
    def scored_faces(self) -> Array:
        """(M, 3) the faces inside the mask."""
        return self.faces if self.mask is None else self.faces[self.mask[self.faces].all(axis=1)]

    def fits(self, faces: Array) -> bool:
        """Whether a mesh with these faces is of this topology."""
        return np.array_equal(faces, self.faces)


def find_topology(faces: Array, topologies: Iterable[Topology]) -> Topology | None:
    """The topology of a mesh: one of `topologies` or that of the procedural head; None if it is neither."""
    return next((known for known in (*topologies, procedural_topology()) if known.fits(faces)), None)


def read_topologies(files: Sequence[Path]) -> tuple[Topology, ...]:
    """Reads templates in the official form: `NAME.obj`, `NAME.txt` and, where there is one, `NAME_mask.txt`.

    The text file is a JSON list of 85 [triangle from 0, weight 1, weight 2]; the third weight is 1 less the others. The
    mask has one 0 or 1 per vertex between commas.

    Args:
        files: as `topology_files` finds them.

    Raises:
        DataError: a file is in another form, or does not fit its mesh.
    """
    by_name = {path.name: path for path in files}
    return tuple(
        _read_topology(path, by_name[f"{path.stem}.txt"], by_name.get(f"{path.stem}_mask.txt"))
        for path in files
        if path.suffix == ".obj"
    )


def topology_files(folder: Path) -> list[Path]:
    """Templates of a folder with their keypoints and masks: every OBJ that has a text file of the same name."""
    found = []
    for mesh in sorted(folder.glob("*.obj")):
        if mesh.with_suffix(".txt").is_file():
            found += [mesh, mesh.with_suffix(".txt")]
            mask = mesh.with_name(f"{mesh.stem}_mask.txt")
            found += [mask] if mask.is_file() else []
    return found


def _read_topology(mesh: Path, keypoints: Path, mask: Path | None) -> Topology:
    try:
        rows = np.array(json.loads(keypoints.read_text()), dtype=np.float64)
        if rows.shape != (COUNT, 3):
            raise ValueError(f"found shape {rows.shape}")
    except (OSError, ValueError, TypeError) as error:
        form = "a JSON list of 85 [triangle, weight, weight]"
        raise DataError(f"{keypoints}: {error}; expected {form}, as REALY's official files have") from None
    inside = None
    if mask is not None:
        try:
            inside = np.array(mask.read_text().replace(",", " ").split(), dtype=np.float64) == 1
        except (OSError, ValueError) as error:
            raise DataError(f"{mask}: {error}; expected one 0 or 1 per vertex, with commas between") from None
    weights = np.stack([rows[:, 1], rows[:, 2], 1 - rows[:, 1] - rows[:, 2]], axis=1)
    try:
        return Topology(mesh.stem, read_mesh(mesh).faces, rows[:, 0].astype(np.int64), weights, inside)
    except ContractError as error:
        raise DataError(f"{keypoints}: {error}; it belongs to another mesh than {mesh.name}") from None


@cache
def procedural_topology() -> Topology:
    """The procedural head's faces and its 85 keypoints: the 17 beyond iBUG's are ours, found on its template."""
    from harness.geometry.closest import ClosestPoints
    from harness.geometry.mesh import Mesh
    from harness.heads.procedural import procedural_head  # imports torch

    head = procedural_head()
    vertices, faces = head.template.double().numpy(), head.faces.numpy()
    ibug = head.landmarks(head.template[None])[0].double().numpy()
    wanted = [sum(weight * ibug[k] for k, weight in mixture.items()) for mixture in _MIXTURES.values()]
    front = np.flatnonzero(vertices[faces].mean(axis=1)[:, 2] > 0)
    closest = ClosestPoints(Mesh(vertices, faces[front])).query(np.array(wanted))
    return Topology(
        "procedural",
        faces,
        np.concatenate([head.landmark_faces.numpy(), front[closest.faces]]),
        np.vstack([head.landmark_barycentric.double().numpy(), closest.barycentric]),
    )
