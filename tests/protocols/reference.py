"""Inputs and outputs of the official evaluation programs, where a checkout has them beside it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.geometry.mesh import Mesh
from harness.protocols.h3ds import H3DS_LANDMARKS, H3dsTruth
from harness.samples import Prediction

FOLDER = Path(__file__).resolve().parents[2] / "../shared/reference/evaluators"
CASES = sorted(path.stem for path in FOLDER.glob("c*.npz"))
MILLIMETRES = {"m": 1000.0, "cm": 10.0, "mm": 1.0}

needs_reference = pytest.mark.skipif(not CASES, reason=f"no reference cases in {FOLDER}")


@cache
def load(case: str) -> dict[str, Any]:
    with np.load(FOLDER / f"{case}.npz") as file:
        return dict(file)


def _has(case: str, key: str) -> bool:
    with np.load(FOLDER / f"{case}.npz") as file:
        return key in file.files


# Without landmarks the official program was run on some cases only.
H3DS_RUNS = [
    (case, key)
    for case in CASES
    for key in ("face_sphere", "head", "nolmk_face_sphere")
    if _has(case, f"h3ds_{key}_gt2pred")
]


def truth(case: str) -> H3dsTruth:
    data = load(case)
    landmarks = dict(zip(data["h3ds_landmark_names"].tolist(), data["h3ds_gt_landmarks"].tolist(), strict=True))
    regions = {name: data[f"h3ds_region_{name}"] for name in ("face", "face_sphere")}
    return H3dsTruth(Mesh(data["scan_v"], data["scan_f"]), landmarks, regions)


def prediction(case: str, millimetres: bool = False) -> Prediction:
    """The predicted mesh in its own unit, or in millimetres; of its 68 landmarks the six that H3DS uses."""
    data = load(case)
    vertices = data["pred_v"].astype(np.float64) * (MILLIMETRES[str(data["unit"])] if millimetres else 1.0)
    landmarks = np.full((68, 3), np.nan)
    for name, vertex in zip(data["h3ds_landmark_names"].tolist(), data["h3ds_pred_landmarks"], strict=True):
        landmarks[H3DS_LANDMARKS[name]] = vertices[vertex]
    return Prediction(vertices, data["pred_f"], landmarks)
