"""Finding and converting the user's FLAME files: pickles of the Python 2 days become one plain .npz in the cache.

FLAME's licence forbids passing the converted file on; it never leaves the user's cache folder.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from harness.data import cache_folder
from harness.errors import DataError
from harness.files import digest_files, read_arrays, write_arrays
from harness.pickles import as_array, read_pickle, read_pickled_array
from harness.samples import Array

VERTICES, TRIANGLES = 5023, 9976
MODELS = ("generic_model.pkl", "flame2023.pkl", "flame2023_no_jaw.pkl", "male_model.pkl", "female_model.pkl")
ASK = "FLAME is had by registering at flame.is.tue.mpg.de"
DECA_EMBEDDING = "landmark_embedding.npy"
RINGNET_EMBEDDING = ("flame_static_embedding.pkl", "flame_dynamic_embedding.npy")
MEDIAPIPE_EMBEDDING = "mediapipe_landmark_embedding.npz"
LIDS = ("l_eyelid.npy", "r_eyelid.npy")
MASKS = "FLAME_masks.pkl"

_CONVERSION = 1
"""Part of the cached file's name: to be raised when what is written changes."""

_MODEL_SHAPES = {
    "v_template": (VERTICES, 3),
    "f": (TRIANGLES, 3),
    "shapedirs": (VERTICES, 3, 400),
    "posedirs": (VERTICES, 3, 36),
    "J_regressor": (5, VERTICES),
    "weights": (VERTICES, 5),
    "kintree_table": (2, 5),
}
_EMBEDDING_SHAPES = {
    "static_lmk_faces_idx": (51,),
    "static_lmk_bary_coords": (51, 3),
    "dynamic_lmk_faces_idx": (79, 17),
    "dynamic_lmk_bary_coords": (79, 17, 3),
    "full_lmk_faces_idx": (68,),
    "full_lmk_bary_coords": (68, 3),
}


def find_files(path: Path) -> dict[str, Path]:
    """The model, under "model", and under their own names the files that belong to it.

    Args:
        path: the model's pickle, or a folder with it. Other files stand beside the pickle, one level below it, or in
            the folder.

    Raises:
        DataError: nothing is there, or more than one file could be meant.
    """
    path = path.expanduser()
    if path.is_dir():
        found = [file for name in MODELS if (file := _beside(path, name))]
        if len(found) != 1:
            what = ", ".join(file.name for file in found) or "no model"
            raise DataError(f"{path}: holds {what}, expected one of {', '.join(MODELS)}; name the file itself. {ASK}")
        folder, model = path, found[0]
    elif path.is_file():
        folder, model = path.parent, path
    else:
        raise DataError(f"{path}: no such file or folder, expected a FLAME model ({MODELS[0]}). {ASK}")
    files = {"model": model}
    for name in (DECA_EMBEDDING, *RINGNET_EMBEDDING, MEDIAPIPE_EMBEDDING, *LIDS, MASKS):
        if file := _beside(folder, name) or _beside(model.parent, name):
            files[name] = file
    return files


def _beside(folder: Path, name: str) -> Path | None:
    if (folder / name).is_file():
        return folder / name
    below = sorted(folder.glob(f"*/{name}"))
    if len(below) > 1:
        raise DataError(f"{folder}: {name} is there more than once ({', '.join(map(str, below))}); keep one")
    return below[0] if below else None


def converted(files: Mapping[str, Path]) -> dict[str, Array]:
    """The arrays of `find_files`' files in metres, from the cache if they were converted before.

    Raises:
        DataError: a file is damaged, is not FLAME, or the landmarks are missing.
    """
    root = Path(next(iter(files.values())).anchor)
    name = f"flame-{_CONVERSION}-{digest_files([file.resolve() for file in files.values()], root.resolve())}.npz"
    target = cache_folder() / "heads" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not target.exists():
            write_arrays(target, _convert(files))
    return read_arrays(target)


def _convert(files: Mapping[str, Path]) -> dict[str, Array]:
    arrays = _model(files["model"]) | _embedding(files)
    if MEDIAPIPE_EMBEDDING in files:
        arrays |= _mediapipe(files[MEDIAPIPE_EMBEDDING])
    if all(name in files for name in LIDS):
        arrays["eyelids"] = np.stack([_lid(files[name]) for name in LIDS])
    if MASKS in files:
        arrays |= _masks(files[MASKS])
    return {name: _compact(values) for name, values in arrays.items()}


def _compact(values: Array) -> Array:
    return np.ascontiguousarray(values, np.float32 if np.issubdtype(values.dtype, np.floating) else np.int64)


def _checked(file: Path, content: Any, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """The named arrays of a pickled dictionary, if they are there and have the right shape."""
    if not isinstance(content, dict):
        raise DataError(f"{file}: holds a {type(content).__name__}, expected a dictionary of FLAME's arrays")
    missing = [name for name in shapes if name not in content]
    if missing:
        raise DataError(f"{file}: {', '.join(missing)} missing, expected {', '.join(shapes)}: not FLAME's. {ASK}")
    arrays: dict[str, Array] = {}
    for name, shape in shapes.items():
        try:
            values = as_array(content[name])
        except (TypeError, KeyError, ValueError, IndexError, AttributeError) as error:
            raise DataError(f"{file}: {name} cannot be read as an array ({error!r})") from None
        values = values[0] if values.shape == (1, *shape) else values
        if values.shape != shape or values.dtype.kind not in "iuf":
            raise DataError(
                f"{file}: {name} has shape {values.shape} of {values.dtype}, expected {shape} numbers: not FLAME 2020 "
                f"or 2023, which have {VERTICES} vertices (SMPL has 6890). {ASK}"
            )
        if not np.isfinite(values).all():
            raise DataError(f"{file}: {name} has NaN or infinite values; get the file again. {ASK}")
        arrays[name] = values
    return arrays


def _model(file: Path) -> dict[str, Array]:
    arrays = _checked(file, read_pickle(file), _MODEL_SHAPES)
    _in_range(file, "f", arrays["f"], VERTICES)
    return arrays


def _in_range(file: Path, name: str, index: Array, limit: int) -> None:
    if index.size and (int(index.min()) < 0 or int(index.max()) >= limit):
        raise DataError(f"{file}: {name} spans {index.min()}..{index.max()}, expected 0..{limit - 1}; get it again")


def _embedding(files: Mapping[str, Path]) -> dict[str, Array]:
    if DECA_EMBEDDING in files:
        file = files[DECA_EMBEDDING]
        arrays = _checked(file, read_pickled_array(file), _EMBEDDING_SHAPES)
    elif all(name in files for name in RINGNET_EMBEDDING):
        file = files[RINGNET_EMBEDDING[0]]
        arrays = _ringnet_embedding(*(files[name] for name in RINGNET_EMBEDDING))
    else:
        raise DataError(
            f"{files['model'].parent}: no {DECA_EMBEDDING}, without which FLAME has no landmarks. It comes with DECA "
            f"(github.com/yfeng95/DECA, folder data); put it beside {files['model'].name}"
        )
    for name, values in arrays.items():
        if name.endswith("faces_idx"):
            _in_range(file, name, values, TRIANGLES)
    return arrays


def _ringnet_embedding(static: Path, dynamic: Path) -> dict[str, Array]:
    """RingNet's and FLAME_PyTorch's form; their 3D contour is the row of the dynamic table at yaw 0."""
    inner = _checked(static, read_pickle(static), {"lmk_face_idx": (51,), "lmk_b_coords": (51, 3)})
    outer = _checked(dynamic, read_pickled_array(dynamic), {"lmk_face_idx": (79, 17), "lmk_b_coords": (79, 17, 3)})
    arrays = {}
    for ours, theirs in (("faces_idx", "lmk_face_idx"), ("bary_coords", "lmk_b_coords")):
        arrays[f"static_lmk_{ours}"], arrays[f"dynamic_lmk_{ours}"] = inner[theirs], outer[theirs]
        arrays[f"full_lmk_{ours}"] = np.concatenate([outer[theirs][0], inner[theirs]])
    return arrays


def _mediapipe(file: Path) -> dict[str, Array]:
    arrays = _checked(
        file, read_arrays(file), {"lmk_face_idx": (105,), "lmk_b_coords": (105, 3), "landmark_indices": (105,)}
    )
    _in_range(file, "lmk_face_idx", arrays["lmk_face_idx"], TRIANGLES)
    return {f"mediapipe_{name}": values for name, values in arrays.items()}


def _lid(file: Path) -> Array:
    try:
        values = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file}: cannot be read as an array ({error or type(error).__name__})") from None
    return _checked(file, {"offsets": values}, {"offsets": (VERTICES, 3)})["offsets"]


def _masks(file: Path) -> dict[str, Array]:
    content = read_pickle(file)
    if not isinstance(content, dict) or not content:
        raise DataError(f"{file}: holds no masks, expected a dictionary of vertex numbers. {ASK}")
    masks = {}
    for name, values in content.items():
        if not isinstance(name, str) or not re.fullmatch(r"\w+", name):
            raise DataError(f"{file}: a mask is called {name!r}, expected letters. {ASK}")
        numbers = np.asarray(as_array(values))
        if numbers.ndim != 1 or numbers.dtype.kind not in "iu":
            raise DataError(f"{file}: {name} has shape {numbers.shape} of {numbers.dtype}, expected vertex numbers")
        _in_range(file, name, numbers, VERTICES)
        masks[f"mask_{name}"] = np.sort(numbers.astype(np.int64))
    return masks
