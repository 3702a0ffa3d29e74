"""A bench without files, and methods that behave and misbehave: what the tests of the run itself use."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from harness import MethodAdapter, Prediction, Sample, View
from harness.benchmark import Access, DataKind, Dataset
from harness.protocols.base import Protocol
from harness.protocols.scores import Score

TRIANGLE = np.array([[0, 1, 2]])
IMAGE = np.zeros((4, 4, 3), dtype=np.uint8)


def tetrahedron(size: float) -> np.ndarray:
    return size * np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])


class ToyDataset(Dataset):
    name = "toy"
    access = Access.OPEN
    ask_at = "nowhere"
    mirror_version = "toy-1"
    version = "1"

    def __init__(self, count: int = 12, data: str = "auto"):
        self.count, self.folder, self.kind = count, Path(__file__).parent, DataKind.MIRROR

    @staticmethod
    def write_mirror(folder, progress):
        (folder / "truth.txt").write_text("1.0")

    def samples(self) -> Sequence[Sample]:
        return [
            Sample(f"s{i:04d}", subject=f"p{i // 2}", views=(View(IMAGE),), condition={"views": 1 + i % 2})
            for i in range(self.count)
        ]

    def truth(self, sample: Sample) -> float:
        return float(sample.id[1:])

    def files(self) -> Sequence[Path]:
        return [Path(__file__)]


class ToyProtocol(Protocol):
    """Distance of the first vertex's x to the sample's number."""

    def __init__(self, name: str = "toy_distance") -> None:
        fields = {"alignment": "landmarks+surface", "scale": "none", "reflection": False, "distance": "surface"}
        super().__init__(name=name, official=False, regions=("face",), **fields)

    def score(self, prediction, truth):
        value = abs(float(prediction.vertices[1, 0]) - truth)
        return Score(
            values={"face": value}, per_point={"face": (np.arange(2, dtype=np.int32), np.zeros(2, np.float32))}
        )


class NoScore(ToyProtocol):
    """A scorer that does nothing, to time the harness itself."""

    def score(self, prediction, truth):
        return Score(values={"face": 0.0})


class Good(MethodAdapter):
    """Answers at once; the answer depends on the sample and on the seeded random state."""

    unit = "mm"

    def __init__(self, pause: float = 0.0):
        self.pause = pause

    def load(self, device):
        pass

    def predict(self, samples):
        time.sleep(self.pause)
        return [self.answer(sample) for sample in samples]

    def answer(self, sample):
        noise = np.random.default_rng(int(sample.id[1:])).random() + np.random.random()  # noqa: NPY002
        return Prediction(tetrahedron(100 + noise), TRIANGLE, landmarks=np.zeros((68, 3)))


class Slow(Good):
    def __init__(self):
        super().__init__(pause=0.05)


class InMetres(Good):
    unit = "m"

    def answer(self, sample):
        one = super().answer(sample)
        return replace(one, vertices=one.vertices / 1000, landmarks=one.landmarks / 1000)


class Bad(Good):
    """Each sample goes wrong in a way of its own."""

    def answer(self, sample):
        number = int(sample.id[1:])
        match number % 6:
            case 0:
                raise ValueError("deliberate")
            case 1:
                return Prediction(np.full((3, 3), np.nan), TRIANGLE)
            case 2:
                return Prediction(tetrahedron(100), TRIANGLE + 5)
            case 3:
                return Prediction.failed("no_face", "nothing there")
            case 4:
                return "not a prediction"
            case _:
                return super().answer(sample)


class Deadly(Good):
    """Takes the process down at one sample."""

    def answer(self, sample):
        if sample.id == "s0003":
            os._exit(7)
        return super().answer(sample)


class Hanging(Good):
    def answer(self, sample):
        if sample.id == "s0003":
            time.sleep(60)
        return super().answer(sample)


class TooFew(Good):
    def predict(self, samples):
        return list(super().predict(samples))[1:]


class NoUnit(Good):
    unit = "inch"


class BrokenLoad(Good):
    def load(self, device):
        raise RuntimeError("weights are gone")


class Incomplete(MethodAdapter):
    unit = "mm"

    def load(self, device):
        pass
