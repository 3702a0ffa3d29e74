"""NoW's official inputs and outputs as this harness takes them."""

from __future__ import annotations

from functools import cache

import numpy as np

from harness.geometry.mesh import Mesh
from harness.protocols.now import NOW_LANDMARKS, Now, NowMetrical, NowTruth
from harness.protocols.scores import Score
from harness.samples import Prediction
from tests.protocols.reference import CASES, load, needs_reference

__all__ = ["CASES", "load", "needs_reference", "prediction", "score", "truth"]
PROTOCOLS = {"nm": Now(), "me": NowMetrical()}


@cache
def truth(case: str) -> NowTruth:
    data = load(case)
    return NowTruth(Mesh(data["scan_v"], data["scan_f"]), data["gt_lmk"])


@cache
def prediction(case: str) -> Prediction:
    """As an adapter with the case's unit gives it; the cleaned mesh where zero-area faces hang the official program."""
    data = load(case)
    landmarks = np.full((68, 3), np.nan)
    landmarks[list(NOW_LANDMARKS.values())] = data["pred_lmk"]
    given = Prediction(data["pred_v"], data.get("now_pred_f", data["pred_f"]), landmarks)
    return given.in_millimetres(str(data["unit"]))


@cache
def score(case: str, key: str) -> Score:
    return PROTOCOLS[key].score(prediction(case), truth(case))
