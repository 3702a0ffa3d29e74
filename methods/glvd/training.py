"""Training of the mini GLVD, on the same pictures and as many steps as LVD."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from harness.methods.glvd.network import GLVD, MINI
from harness.methods.lvd.descents import descent_losses, on_the_way
from harness.methods.lvd.training import Lesson, TrainingSettings, begin, train_descent, vertex_losses

__all__: Sequence[str] = ("TrainingSettings", "train")

OWN_KEYPOINTS = 0.7  # share of the subjects whose vertices are given the network's own keypoints


def train(settings: TrainingSettings, folder: Path, device: torch.device) -> Path:
    """Trains the mini GLVD; continues where an earlier call with the same folder stopped.

    Args:
        settings: the recipe, the same as LVD's.
        folder: gets checkpoints and `mini.safetensors`; the pictures and the landmark network go beside it.
        device: what to train on.

    Returns:
        The path of the weights.
    """
    net, shop = begin(lambda vertices: GLVD(MINI, vertices), settings, folder, device)

    def losses(lesson: Lesson) -> dict[str, Tensor]:
        batch = lesson.batch
        vertex, keypoint = net.encode(
            batch.images, lesson.heat_maps, lesson.projection, batch.rotation, lesson.expected
        )
        start = on_the_way(batch.landmarks, lesson.keypoints, lesson.generator)
        step = net.keypoint_step(keypoint, start, lesson.keypoints)
        own = (torch.rand((len(start), 1, 1), generator=lesson.generator) < OWN_KEYPOINTS).to(device)
        guides = torch.where(own, (start + step).detach(), start)
        points = lesson.points()
        moved = points + net.vertex_step(vertex, points, lesson.ids, lesson.start, guides)
        keypoints = descent_losses(step, batch.landmarks - start, batch.landmarks)
        return {**vertex_losses(lesson, moved), **{f"keypoint {name}": value for name, value in keypoints.items()}}

    return train_descent(net, losses, shop, settings, folder, "python -m harness train method=glvd")
