"""What NoW's protocols share: who is scored, and that several fits go on side by side."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from harness.geometry.together import Fit, alone, together
from harness.protocols.base import Protocol
from harness.protocols.checks import fit_fails_without_number
from harness.protocols.now_truth import NowTruth, predicted_landmarks
from harness.protocols.scores import Score
from harness.samples import Prediction

NO_NEUTRAL = "no neutral mesh given: scored as predicted"


@dataclass(frozen=True, kw_only=True)
class NowProtocol(Protocol):
    """Scores a prediction's neutral face, where it has one, by a fit that starts from NoW's seven landmarks."""

    def score(self, prediction: Prediction, truth: NowTruth) -> Score:
        """Scores a prediction in millimetres; see the class."""
        return alone(self._fit(prediction, truth))

    def score_together(self, cases: Sequence[tuple[Prediction, NowTruth]]) -> list[Score]:
        """See `Protocol.score_together`."""
        return together([self._fit(prediction, truth) for prediction, truth in cases])

    @fit_fails_without_number
    def _fit(self, prediction: Prediction, truth: NowTruth) -> Fit[Score]:
        neutral = prediction.neutral()
        landmarks = predicted_landmarks(neutral)
        if isinstance(landmarks, str):
            return Score.failed("no_landmarks", landmarks)
        return (yield from self._score(neutral, landmarks, truth, [] if prediction.has_neutral else [NO_NEUTRAL]))

    @abstractmethod
    def _score(
        self, prediction: Prediction, landmarks: NDArray[Any], truth: NowTruth, warnings: list[str]
    ) -> Fit[Score]:
        """The score of a mesh with its seven landmarks (7, 3); `warnings` are already known."""
