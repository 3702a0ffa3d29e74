"""Adapters that break the contract, each in one way; all answer the mean face otherwise."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness import Prediction, Sample
from harness.methods.mean_face.adapter import MeanFace


class ByPicture(MeanFace):
    """Keeps the contract: a size that depends on the picture, so that answers can be told apart."""

    def predict(self, samples: Sequence[Sample]) -> list[Prediction]:
        return [self.answer(sample) for sample in samples]

    def answer(self, sample: Sample) -> Prediction:
        return self.scaled(1 + float(sample.views[0].read_image().mean()) / 2000)

    def scaled(self, size: float) -> Prediction:
        names = ("vertices", "landmarks", "neutral_vertices", "neutral_landmarks")
        return replace(self.prediction, **{name: getattr(self.prediction, name) * size for name in names})


class NoUnit(ByPicture):
    unit = "inch"


class WrongUnit(ByPicture):
    unit = "m"


class TooFew(ByPicture):
    def predict(self, samples):
        return super().predict(samples)[1:]


class NotInOrder(ByPicture):
    def predict(self, samples):
        return sorted(super().predict(samples), key=lambda answer: answer.vertices[0, 0])


class Dictionary(ByPicture):
    def predict(self, samples):
        return [{"vertices": answer.vertices} for answer in super().predict(samples)]


class RaisesOnBlack(ByPicture):
    def answer(self, sample):
        if sample.views[0].read_image().max() == 0:
            raise ValueError("no face found")
        return super().answer(sample)


class NeedsAMask(ByPicture):
    def answer(self, sample):
        assert sample.views[0].mask.any()
        return super().answer(sample)


class OneViewOnly(ByPicture):
    def answer(self, sample):
        (_,) = sample.views
        return super().answer(sample)


class PaintsOnItsInput(ByPicture):
    def answer(self, sample):
        sample.views[0].image[:2] = 0
        return super().answer(sample)


class Chance(ByPicture):
    def answer(self, sample):
        one = super().answer(sample)  # a draw for each vertex: of a single one, two can agree within what passes
        return replace(one, vertices=one.vertices + np.random.default_rng().normal(0, 0.5, one.vertices.shape))


class Counts(ByPicture):
    def load(self, device):
        super().load(device)
        self.count = 0

    def answer(self, sample):
        self.count += 1
        return self.scaled(1 + self.count / 1000)


class Averages(ByPicture):
    def predict(self, samples):
        return [self.scaled(1 + len(samples) / 1000) for _ in samples]


class NestedStages(ByPicture):
    def answer(self, sample):
        with self.stage("network"), self.stage("decode"):
            return super().answer(sample)


class LandmarksElsewhere(ByPicture):
    def answer(self, sample):
        one = super().answer(sample)
        return replace(one, landmarks=one.landmarks + 500)


class FilesThatAreNot(ByPicture):
    def files(self):
        from pathlib import Path

        return [Path("/nowhere/weights.safetensors")]


class TakesOptions(ByPicture):
    def __init__(self, steps: int):
        if steps != 3:
            raise TypeError(f"steps={steps}")


class OtherTriangles(ByPicture):
    def answer(self, sample):
        shift = int(sample.views[0].read_image().sum()) % 7
        return replace(super().answer(sample), faces=np.roll(self.prediction.faces, shift, axis=0))
