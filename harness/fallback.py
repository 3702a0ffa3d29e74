"""The mean face: what stands in for a failed sample, under the same protocol."""

from __future__ import annotations

from functools import cache

from harness.samples import Prediction


@cache
def mean_face() -> Prediction:
    """The procedural head's template with its 68 landmarks, in millimetres and in the head's own frame."""
    from harness.heads.procedural import procedural_head  # imports torch: seconds that only a failure should cost

    head = procedural_head()
    vertices, landmarks = head.template.numpy(), head.landmarks(head.template[None])[0].numpy()
    return Prediction(
        vertices=vertices,
        faces=head.faces.numpy(),
        landmarks=landmarks,
        neutral_vertices=vertices,
        neutral_landmarks=landmarks,
    )
