"""Sizes that no head has, predictions without a mesh, and exceptions that become failed scores."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import AlignmentError, ContractError, DataError, NonFiniteError
from harness.protocols.checks import LARGEST_COORDINATE, check_plausible, fails_without_number, unusable
from harness.protocols.scores import Score
from harness.samples import Prediction


def eyes(millimetres):
    landmarks = np.full((68, 3), np.nan)
    landmarks[[36, 45]] = [[-millimetres / 2, 0, 0], [millimetres / 2, 0, 0]]
    return Prediction(np.eye(3) * millimetres * 2, [[0, 1, 2]], landmarks)


@pytest.mark.parametrize("millimetres", [20, 60, 90, 120, 400])
def test_plausible_sizes(millimetres):
    assert check_plausible(eyes(millimetres)) is None


@pytest.mark.parametrize(
    ("millimetres", "words"),
    [
        (0.09, "look like metres taken for millimetres"),
        (9.0, "look like centimetres taken for millimetres"),
        (90_000, "look like millimetres taken for metres"),
        (900, "look like millimetres taken for centimetres"),
        (1e-6, "expected 20 to 400"),
    ],
)
def test_implausible_sizes_name_the_unit(millimetres, words):
    assert words in check_plausible(eyes(millimetres))


def test_size_without_landmarks():
    assert check_plausible(Prediction(np.eye(3) * 200, [[0, 1, 2]])) is None
    assert "metres" in check_plausible(Prediction(np.eye(3) * 0.2, [[0, 1, 2]]))
    assert "box" in check_plausible(Prediction(np.eye(3) * 2, [[0, 1, 2]]))
    assert check_plausible(Prediction.failed("no_face")) is None


def test_unusable_predictions():
    assert unusable(Prediction.failed("timeout", "10 s")).failure == "timeout"
    assert unusable(Prediction()).failure == "bad_mesh"
    assert unusable(eyes(90)) is None
    assert unusable(Prediction(np.eye(3) * LARGEST_COORDINATE * 1.01, [[0, 1, 2]])).failure == "bad_mesh"


class Raises:
    """Stands in for a protocol."""

    error: Exception | None = None

    @fails_without_number
    def score(self, prediction, truth):
        """What it is about."""
        if self.error is not None:
            raise self.error
        return Score({"face": truth})


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (AlignmentError("on a line"), "no_alignment"),
        (ContractError("mesh"), "bad_mesh"),
        (NonFiniteError("NaN"), "bad_mesh"),
    ],
)
def test_what_cannot_be_scored_says_why(error, reason):
    protocol = Raises()
    assert protocol.score(eyes(90), 2.0).values == {"face": 2.0}
    protocol.error = error
    score = protocol.score(eyes(90), 2.0)
    assert (score.failure, score.detail) == (reason, str(error))
    assert protocol.score(Prediction.failed("timeout", "10 s"), 2.0).failure == "timeout"
    assert Raises.score.__doc__ == "What it is about."


@pytest.mark.parametrize("error", [DataError("the scan"), ValueError("a mistake in the code")])
def test_other_errors_are_not_hidden(error):
    protocol = Raises()
    protocol.error = error
    with pytest.raises(type(error)):
        protocol.score(eyes(90), 2.0)
