"""Methods whose time is known, and methods that break while they are timed."""

import os
import time

import torch

from harness import MethodAdapter, Prediction
from tests.toys import TRIANGLE, Good, tetrahedron

STAGE_SECONDS = {"input": 0.004, "network": 0.016, "decode": 0.008}


class Sleeper(MethodAdapter):
    """Sleeps in each stage for a known time."""

    unit = "mm"

    def __init__(self, steps=3):
        self.steps = steps

    def load(self, device):
        self.net = torch.nn.Linear(10, 4)
        self.more = {"same": self.net, "other": torch.nn.Linear(2, 1, bias=False), "text": "no module"}

    def predict(self, samples):
        for name, seconds in STAGE_SECONDS.items():
            with self.stage(name):
                time.sleep(seconds)
        return [Prediction(tetrahedron(100), TRIANGLE) for _ in samples]


class DiesLater(Good):
    """Takes its process down at the twentieth call."""

    count = 0

    def predict(self, samples):
        self.count += 1
        if self.count == 20:
            os._exit(7)
        return super().predict(samples)


class OneByOne(Good):
    """Refuses batches."""

    def predict(self, samples):
        if len(samples) > 1:
            raise MemoryError("too much at once")
        return super().predict(samples)


class FailsAtOne(Good):
    def answer(self, sample):
        return Prediction.failed("no_face") if sample.id == "s0002" else super().answer(sample)
