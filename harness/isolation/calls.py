"""One guarded call of an adapter: whatever goes wrong becomes failed predictions with a reason."""

from __future__ import annotations

import hashlib
import logging
import random
import traceback
from collections.abc import Sequence

import numpy as np

from harness.adapter import MethodAdapter
from harness.errors import ContractError, DataError, HarnessError, NonFiniteError
from harness.samples import MILLIMETRES_PER, Prediction, Sample

log = logging.getLogger(__name__)
RAISED = ("crash", "out_of_memory", "bad_input", "bad_mesh", "non_finite")
"""What a call that raised comes to: whichever sample it was, the others of the batch deserve another try."""


def load(adapter: MethodAdapter, device: str) -> None:
    """Checks the adapter's declarations and loads it on `device` ("cpu", "cuda", "cuda:1", ...).

    Raises:
        HarnessError: the unit is none of m, cm, mm, or the device is not there.
    """
    import torch

    unit = getattr(adapter, "unit", None)
    if unit not in MILLIMETRES_PER:
        raise HarnessError(f"{type(adapter).__name__}.unit: {unit!r}, expected one of {', '.join(MILLIMETRES_PER)}")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise HarnessError(f"device={device}: no CUDA device is available here; use device=cpu")
    adapter.load(torch.device(device))


def predict(adapter: MethodAdapter, samples: Sequence[Sample], seed: int) -> list[Prediction]:
    """Asks for a batch; if the batch fails as a whole, asks sample by sample, so that one cannot spoil another.

    The random state is set from `seed` and the first sample's id, so that a resumed run repeats an uninterrupted
    one. Lengths of the returned predictions are millimetres.
    """
    predictions = _attempt(adapter, samples, seed)
    if len(samples) > 1 and all(p.failure in RAISED for p in predictions):
        log.warning("A batch of %d samples failed; trying them one by one", len(samples))
        return [p for sample in samples for p in _attempt(adapter, [sample], seed)]
    return predictions


def _attempt(adapter: MethodAdapter, samples: Sequence[Sample], seed: int) -> list[Prediction]:
    set_seed(seed, samples[0].id)
    try:
        predictions = list(adapter.predict(samples))
    except Exception as error:  # an adapter may raise anything; the run must survive it
        failure = _failure(error)
        log.debug("%s", traceback.format_exc())
        return [failure] * len(samples)
    if len(predictions) != len(samples):
        detail = f"predict returned {len(predictions)} predictions for {len(samples)} samples"
        return [Prediction.failed("crash", detail)] * len(samples)
    return [_checked(prediction, adapter.unit) for prediction in predictions]


def _checked(prediction: object, unit: str) -> Prediction:
    if not isinstance(prediction, Prediction):
        return Prediction.failed("crash", f"predict returned a {type(prediction).__name__}, expected a Prediction")
    return prediction if prediction.failure is not None else prediction.in_millimetres(unit)


def _failure(error: Exception) -> Prediction:
    kind = type(error).__name__
    if isinstance(error, DataError):
        return Prediction.failed("bad_input", str(error))
    if isinstance(error, NonFiniteError):
        return Prediction.failed("non_finite", str(error))
    if isinstance(error, ContractError):
        return Prediction.failed("bad_mesh", str(error))
    if isinstance(error, MemoryError) or kind == "OutOfMemoryError":
        return Prediction.failed("out_of_memory", f"{kind}: {error}")
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return Prediction.failed("crash", f"{kind}: {error} ({frame.name}, line {frame.lineno})")


def set_seed(seed: int, key: str) -> None:
    """Seeds Python, numpy and torch from `seed` and `key`."""
    import torch

    value = int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:4], "big")
    random.seed(value)
    np.random.seed(value)  # noqa: NPY002 - adapters may use the legacy generator
    torch.default_generator.manual_seed(value)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(value)
