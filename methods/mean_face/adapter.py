"""The mean face: the answer of a method that does not look."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harness.adapter import MethodAdapter
from harness.heads.procedural import procedural_head
from harness.samples import Prediction, Sample


class MeanFace(MethodAdapter):
    """The template of the procedural head for every sample: the baseline that every method has to beat."""

    unit = "mm"
    family = "baseline"

    def load(self, device: torch.device) -> None:
        """Builds the head; there is nothing to compute, so `device` does not matter."""
        head = procedural_head()
        vertices, landmarks = head.template.numpy(), head.landmarks(head.template[None])[0].numpy()
        self.prediction = Prediction(
            vertices=vertices,
            faces=head.faces.numpy(),
            landmarks=landmarks,
            neutral_vertices=vertices,
            neutral_landmarks=landmarks,
        )

    def predict(self, samples: Sequence[Sample]) -> list[Prediction]:
        """The same head for every sample, in the model's own frame."""
        return [self.prediction for _ in samples]
