"""FLAME's files as they are on a user's disk, filled with the made-up model of the reference data."""

from __future__ import annotations

import importlib.util
import io
import pickle
import struct
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

NETWORKS = Path(__file__).resolve().parents[2] / ".." / "shared" / "reference" / "networks"


def reference() -> Any:
    """The module of the reference data that makes up the model; skips the test where it is absent."""
    if "refrule" not in sys.modules:
        file = NETWORKS / "refrule.py"
        if not file.exists():
            pytest.skip(f"no reference data at {NETWORKS}")
        spec = importlib.util.spec_from_file_location("refrule", file)
        assert spec is not None and spec.loader is not None
        sys.modules["refrule"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules["refrule"])
    return sys.modules["refrule"]


class Python2Pickler(pickle._Pickler):  # type: ignore[misc]
    """Writes what Python 2 did: protocol 2, all texts and bytes as 8-bit strings, the module names of its day."""

    dispatch = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=2)

    def _save_text(self, value: Any) -> None:
        content = value.encode("latin1") if isinstance(value, str) else bytes(value)
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = _save_text


def python2(value: Any) -> bytes:
    file = io.BytesIO()
    Python2Pickler(file).dump(value)
    names = {
        b"cnumpy._core.multiarray\n": b"cnumpy.core.multiarray\n",
        b"cscipy.sparse._csc\n": b"cscipy.sparse.csc\n",
    }
    content = file.getvalue()
    for ours, theirs in names.items():
        content = content.replace(ours, theirs)
    return content


def chumpy_modules(monkeypatch: pytest.MonkeyPatch) -> tuple[type, type]:
    """Classes that pickle as chumpy's Ch and Select do."""
    ch, reordering = types.ModuleType("chumpy.ch"), types.ModuleType("chumpy.reordering")
    made = []
    for module, name in ((ch, "Ch"), (reordering, "Select")):
        kind = type(name, (), {"__module__": module.__name__})
        setattr(module, name, kind)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        made.append(kind)
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    return made[0], made[1]


def as_chumpy(model: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The model with the nodes that FLAME's file of 2020 has."""
    leaf_kind, select_kind = chumpy_modules(monkeypatch)

    def leaf(values: np.ndarray) -> Any:
        node = leaf_kind()
        node.__dict__.update(x=values, _dirty_vars=set(), _itr=None, _make_dense=False, _depends_on_deps={})
        return node

    chosen = select_kind()
    shuffled = np.roll(model["v_template"].ravel(), 5)
    places = (np.arange(shuffled.size) + 5) % shuffled.size
    chosen.__dict__.update(a=leaf(shuffled), idxs=places, preferred_shape=model["v_template"].shape)
    return model | {"shapedirs": leaf(model["shapedirs"]), "v_template": chosen, "weights": leaf(model["weights"])}


def write_embedding(path: Path) -> None:
    """DECA's file, with its two tensors."""
    import torch

    content: dict[str, Any] = reference().landmark_embedding()
    for name in ("dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords"):
        content[name] = torch.from_numpy(content[name])
    content["dynamic_lmk_bary_coords"] = content["dynamic_lmk_bary_coords"].float()
    np.save(path, content, allow_pickle=True)  # type: ignore[arg-type]


def made_up_masks() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    sizes = {"face": 1787, "lips": 254, "nose": 379, "left_eyeball": 546, "right_eyeball": 546, "neck": 253}
    masks = {name: rng.permutation(5023)[:size] for name, size in sizes.items()}
    return masks | {"left_ear": np.arange(588), "right_ear": np.arange(600, 1188)}


def write_all(folder: Path, model: bytes | None = None, name: str = "generic_model.pkl") -> Path:
    """A folder with all of FLAME's files; returns it."""
    rule = reference()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(python2(rule.flame_pickle()) if model is None else model)
    write_embedding(folder / "landmark_embedding.npy")
    np.savez(folder / "mediapipe_landmark_embedding.npz", **rule.mediapipe_embedding())
    for file, values in zip(("l_eyelid.npy", "r_eyelid.npy"), rule.eyelids(), strict=True):
        np.save(folder / file, values.astype(np.float64))
    (folder / "FLAME_masks.pkl").write_bytes(python2(made_up_masks()))
    return folder
