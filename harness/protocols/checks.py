"""What every protocol asks of a prediction first, and how what cannot be scored becomes a failed score."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

import numpy as np

from harness.errors import AlignmentError, ContractError
from harness.geometry.together import Fit
from harness.protocols.scores import Score
from harness.samples import Prediction

This = TypeVar("This")
Truth = TypeVar("Truth")

LARGEST_COORDINATE = 1e7  # millimetres: ten kilometres from the origin nothing can be computed to a micrometre


def fails_without_number(
    score: Callable[[This, Prediction, Truth], Score],
) -> Callable[[This, Prediction, Truth], Score]:
    """Decorates a protocol's `score`: what cannot be scored gives a failed Score with its reason.

    A prediction that failed, has no mesh or lies too far away (see `unusable`) does not reach the method at all.
    AlignmentError becomes "no_alignment", ContractError "bad_mesh".
    """

    @wraps(score)
    def checked(self: This, prediction: Prediction, truth: Truth) -> Score:
        failure = unusable(prediction)
        if failure is not None:
            return failure
        try:
            return score(self, prediction, truth)
        except (AlignmentError, ContractError) as error:
            return _failed(error)

    return checked


def fit_fails_without_number(
    fit: Callable[[This, Prediction, Truth], Fit[Score]],
) -> Callable[[This, Prediction, Truth], Fit[Score]]:
    """The same for a score that is found by a fit beside others."""

    @wraps(fit)
    def checked(self: This, prediction: Prediction, truth: Truth) -> Fit[Score]:
        failure = unusable(prediction)
        if failure is not None:
            return failure
        try:
            return (yield from fit(self, prediction, truth))
        except (AlignmentError, ContractError) as error:
            return _failed(error)

    return checked


def _failed(error: AlignmentError | ContractError) -> Score:
    return Score.failed("no_alignment" if isinstance(error, AlignmentError) else "bad_mesh", str(error))


def check_plausible(prediction: Prediction) -> str | None:
    """Why a prediction in millimetres cannot be the size of a head, or None if it can.

    Measures the distance between the outer eye corners (landmarks 36 and 45; 20 to 400 mm) where they are known,
    else the diagonal of the box around the mesh (40 to 4000 mm). The message names the unit that would fit.
    """
    eyes = None if prediction.landmarks is None else prediction.landmarks[[36, 45]]
    if eyes is not None and np.isfinite(eyes).all():
        what, size, low, high = "outer eye corners", float(np.linalg.norm(eyes[0] - eyes[1])), 20.0, 400.0
    elif prediction.vertices is not None:
        what, size, low, high = (
            "corners of the mesh's box",
            float(np.linalg.norm([np.ptp(column) for column in prediction.vertices.T])),
            40.0,
            4000.0,
        )
    else:
        return None
    if low <= size <= high:
        return None
    message = f"the {what} are {size:.3g} mm apart, expected {low:.0f} to {high:.0f}"
    for unit, factor in (("metres", 1000.0), ("centimetres", 10.0)):
        if low <= size * factor <= high:
            return f"{message}: these look like {unit} taken for millimetres (check the adapter's `unit`)"
        if low <= size / factor <= high:
            return f"{message}: these look like millimetres taken for {unit} (check the adapter's `unit`)"
    return message


def unusable(prediction: Prediction) -> Score | None:
    """The failed score of a prediction that failed or has no mesh; None for one that can be scored."""
    if prediction.failure is not None:
        return Score.failed(prediction.failure, prediction.detail)
    if prediction.vertices is None or prediction.faces is None:
        return Score.failed("bad_mesh", "the prediction has no mesh; this protocol needs vertices and faces")
    if np.abs(prediction.vertices).max() > LARGEST_COORDINATE:
        return Score.failed("bad_mesh", f"a vertex is more than {LARGEST_COORDINATE:g} mm from the origin")
    return None
