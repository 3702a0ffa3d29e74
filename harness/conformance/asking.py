"""Asks an adapter as the harness's worker does, and says in words where it breaks the contract."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import pytest

from harness.adapter import MethodAdapter
from harness.isolation.calls import set_seed
from harness.samples import Prediction, Sample


def as_in_a_worker(samples: Sequence[Sample]) -> list[Sample]:
    """The samples as they arrive in the method's process: copies, whose arrays can be written to."""
    copies: list[Sample] = pickle.loads(pickle.dumps(list(samples)))
    return copies


class Asking:
    """Calls one adapter."""

    def __init__(self, adapter: MethodAdapter) -> None:
        self.adapter = adapter

    def __call__(self, samples: Sequence[Sample]) -> list[Prediction]:
        """The predictions in millimetres; fails the test where the call raises or returns something else."""
        given = as_in_a_worker(samples)
        set_seed(0, given[0].id)
        name = type(self.adapter).__name__
        try:
            returned = self.adapter.predict(given)
        except Exception as error:  # whatever it is, it is the author's to know
            words = f"{name}.predict raised {type(error).__name__}: {error}"
            pytest.fail(f"{words}. Where there is no answer it has to return Prediction.failed(reason)")
        try:
            predictions = list(returned)
        except TypeError:
            pytest.fail(f"{name}.predict returned a {type(returned).__name__}, expected one Prediction per sample")
        if len(predictions) != len(given):
            pytest.fail(f"{name}.predict returned {len(predictions)} predictions for {len(given)} samples")
        for prediction in predictions:
            if type(prediction) is not Prediction:
                pytest.fail(f"{name}.predict returned a {type(prediction).__name__}, expected a harness.Prediction")
        return [p if p.failure is not None else p.in_millimetres(self.adapter.unit) for p in predictions]

    def one(self, sample: Sample) -> Prediction:
        """The answer to one sample."""
        return self([sample])[0]

    def mesh(self, sample: Sample) -> Prediction:
        """The answer to one sample; skips the test where it holds no mesh."""
        answer = self.one(sample)
        if answer.vertices is None:
            pytest.skip(f"the answer holds no mesh ({answer.failure or 'another kind of answer'})")
        return answer
