"""A method in plain numpy whose answers are the same to the last bit in every numpy: only + - * / and square roots."""

from pathlib import Path

import numpy as np

from harness import MethodAdapter, Prediction

ROWS = 40


class Plain(MethodAdapter):
    """A bowl whose depth depends on the picture, on every view's camera and on the seeded random numbers."""

    unit = "cm"

    def __init__(self, depth: float = 1.0, table: str = ""):
        self.depth, self.table = depth, table

    def load(self, device):
        self.offset = float(Path(self.table).read_text()) if self.table else 0.0

    def predict(self, samples):
        return [self.answer(sample) for sample in samples]

    def answer(self, sample):
        x, y = (values.ravel() for values in np.meshgrid(np.arange(ROWS) / 4.0, np.arange(ROWS) / 4.0))
        pixels = [int(view.read_image().astype(np.int64).sum()) % 1000 for view in sample.views]
        cameras = sum(float(view.camera.translation.sum()) for view in sample.views if view.camera is not None)
        bend = self.depth * (1 + sum(pixels) / 1000.0) + self.offset
        noise = np.random.random(ROWS * ROWS)  # noqa: NPY002 - what the harness seeds
        z = bend * np.sqrt(1 + x * x + y * y) + noise / 64 + cameras / 1e6
        corners = (np.arange(ROWS - 1)[:, None] * ROWS + np.arange(ROWS - 1)).ravel()
        faces = np.concatenate([corners[:, None] + [0, 1, ROWS], corners[:, None] + [1, ROWS + 1, ROWS]])
        vertices = np.stack([x, y, z], 1)
        return Prediction(
            vertices=vertices,
            faces=faces,
            landmarks=vertices[np.arange(68) * 23],
            parameters={"bend": np.array([bend])},
        )
