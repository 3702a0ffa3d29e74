"""The packed form of ICT-FaceKit's light model, and how a clone of its repository becomes one file of that form.

Packed: `template` (26719, 3) float32 centimetres; `identity` (100, 26719, 3) int16 in 1e-4 cm and `expression`
(57, 26719, 3) int16 in 1e-3 cm, differences to the template; `expression_names`; `faces` (F, 4) int32, -1 in the last
column of a triangle; `landmarks68` vertex numbers in iBUG order.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import numpy as np
from tqdm import tqdm

from harness.data import cache_folder
from harness.errors import DataError
from harness.files import read_arrays, write_arrays
from harness.geometry.mesh import read_mesh
from harness.samples import Array

log = logging.getLogger(__name__)

VERTICES = 26719
IDENTITY_CM, EXPRESSION_CM = 1e-4, 1e-3
"""Centimetres of one unit of the packed bases."""
ASK = "python -m harness data get ict --from PATH, where PATH is a clone of github.com/ICT-VGL/ICT-FaceKit"

_NEUTRAL, _INDICES = "generic_neutral_mesh.obj", "vertex_indices.json"
_NAMES = ("template", "identity", "expression", "expression_names", "faces", "landmarks68")
_MIRRORED = ((0, 16), (4, 12), (36, 45), (39, 42), (31, 35), (48, 54))


def packed_file() -> Path:
    """Where `get` puts the model."""
    return cache_folder() / "heads" / "ict_facekit.npz"


def get(source: Path) -> Path:
    """Puts the model into the cache: from a clone (or its folder FaceXModel), or from a file of the packed form.

    Raises:
        DataError: the source is missing, incomplete or something else.
    """
    source = source.expanduser()
    arrays = read_packed(source) if source.is_file() else _pack(source)
    target = packed_file()
    target.parent.mkdir(parents=True, exist_ok=True)
    write_arrays(target, arrays)
    log.info("ICT-FaceKit: %d identity, %d expression shapes", len(arrays["identity"]), len(arrays["expression"]))
    return target


def read_packed(path: Path) -> dict[str, Array]:
    """The arrays of a packed file, checked.

    Raises:
        DataError: it is missing, damaged, or lacks or distorts an array; says how the model is had.
    """
    if not path.is_file():
        raise DataError(f"{path}: no ICT-FaceKit model here; {ASK}")
    arrays = read_arrays(path, _NAMES)
    missing = [name for name in _NAMES if name not in arrays]
    if missing:
        raise DataError(f"{path}: {', '.join(missing)} missing, expected {', '.join(_NAMES)}; {ASK}")
    identities, expressions = len(arrays["identity"]), len(arrays["expression_names"])
    expected = {
        "template": (VERTICES, 3),
        "identity": (identities, VERTICES, 3),
        "expression": (expressions, VERTICES, 3),
        "expression_names": (expressions,),
        "faces": (len(arrays["faces"]), 4),
        "landmarks68": (68,),
    }
    for name, shape in expected.items():
        if arrays[name].shape != shape:
            raise DataError(f"{path}: {name} has shape {arrays[name].shape}, expected {shape}; {ASK}")
    _check_numbers(path, arrays)
    return arrays


def _check_numbers(path: Path, arrays: dict[str, Array]) -> None:
    faces, landmarks = arrays["faces"], arrays["landmarks68"]
    if faces.min() < -1 or faces[:, :3].min() < 0 or faces.max() >= VERTICES:
        raise DataError(f"{path}: faces span {faces.min()}..{faces.max()}, expected 0..{VERTICES - 1}; {ASK}")
    if landmarks.min() < 0 or landmarks.max() >= VERTICES:
        raise DataError(f"{path}: landmarks68 span {landmarks.min()}..{landmarks.max()}, expected vertices; {ASK}")
    points = arrays["template"][landmarks]
    apart = max(float(np.linalg.norm(points[a] * (-1, 1, 1) - points[b])) for a, b in _MIRRORED)
    if not apart < 0.5:  # early revisions of the repository list another mesh's vertices
        raise DataError(
            f"{path}: landmarks of the left and right side are {apart:.2f} cm from being mirrored, so they are not "
            "this mesh's; update the clone (git pull)"
        )


def _pack(clone: Path) -> dict[str, Array]:
    """Reads a clone: about half a minute for its 158 meshes."""
    folder = clone / "FaceXModel" if (clone / "FaceXModel").is_dir() else clone
    for name in (_NEUTRAL, _INDICES):
        if not (folder / name).is_file():
            raise DataError(f"{folder}: {name} is missing; expected the folder FaceXModel of the repository; {ASK}")
    neutral = read_mesh(folder / _NEUTRAL)
    if len(neutral.vertices) != VERTICES:
        raise DataError(f"{folder / _NEUTRAL}: {len(neutral.vertices)} vertices, expected {VERTICES}; {ASK}")
    meshes = sorted(file for file in folder.glob("*.obj") if file.name != _NEUTRAL)
    identities = [file for file in meshes if re.fullmatch(r"identity\d+", file.stem)]
    expressions = [file for file in meshes if file not in identities]
    if not identities or not expressions:
        raise DataError(f"{folder}: {len(identities)} identity, {len(expressions)} expression meshes; {ASK}")
    try:
        landmarks = np.array(json.loads((folder / _INDICES).read_text())["idx_to_landmark_verts"], np.int64)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / _INDICES}: idx_to_landmark_verts cannot be read ({error!r}); {ASK}") from None
    if landmarks.shape != (68,):
        raise DataError(f"{folder / _INDICES}: idx_to_landmark_verts has {landmarks.shape} numbers, expected 68")
    arrays = {
        "template": neutral.vertices.astype(np.float32),
        "identity": _differences(identities, neutral.vertices, IDENTITY_CM),
        "expression": _differences(expressions, neutral.vertices, EXPRESSION_CM),
        "expression_names": np.array([file.stem for file in expressions]),
        "faces": np.column_stack([neutral.faces, np.full(len(neutral.faces), -1)]).astype(np.int32),
        "landmarks68": landmarks,
    }
    _check_numbers(folder / _INDICES, arrays)
    return arrays


def _differences(files: list[Path], neutral: Array, unit: float) -> Array:
    """(N, V, 3) int16 differences of meshes to the neutral one, in `unit` centimetres."""
    result = np.empty((len(files), *neutral.shape), np.int16)
    for index, file in enumerate(tqdm(files, desc="ICT-FaceKit", leave=False)):
        vertices = read_mesh(file).vertices
        if vertices.shape != neutral.shape:
            raise DataError(f"{file}: {len(vertices)} vertices, expected the neutral mesh's {len(neutral)}; {ASK}")
        steps = np.round((vertices - neutral) / unit)
        if np.abs(steps).max() > np.iinfo(np.int16).max:
            raise DataError(f"{file}: differs from {_NEUTRAL} by over {32767 * unit:.1f} cm; it is another mesh. {ASK}")
        result[index] = steps
    return result
