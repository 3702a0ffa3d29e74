"""Training of the mini MICA: supervised by the neutral heads behind the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from harness.methods.mica.network import MINI, Mica
from harness.methods.regression.identity import IdentityTeacher
from harness.methods.regression.material import CropVariation, Lesson, aligned_squares
from harness.methods.regression.training import Setting, Stage, Workshop, export, prepare, train_stage
from harness.training import Schedule


@dataclass(frozen=True)
class TrainingSettings:
    """The recipe of the shipped weights.

    Attributes:
        setting: pictures and crops.
        landmarks: of the backbone alone, in place of the published one's training for face recognition.
        vertices: of the whole.
    """

    setting: Setting = field(default_factory=lambda: Setting(variation=CropVariation(boxes=0.6)))
    landmarks: Stage = field(default_factory=lambda: Stage(Schedule(1200, learning_rate=2e-3, seed=0), 32, 1))
    vertices: Stage = field(
        default_factory=lambda: Stage(Schedule(5000, learning_rate=1.5e-3, seed=1), 32, 1, covered=0.3)
    )


def train(settings: TrainingSettings, folder: Path, device: torch.device) -> Path:
    """Trains the mini MICA; continues where an earlier call with the same folder stopped.

    Args:
        settings: the recipe.
        folder: gets checkpoints and `mini.safetensors`; the pictures go beside it.
        device: what to train on.

    Returns:
        The path of the weights.
    """
    shop = prepare(settings.setting, folder, device)
    torch.manual_seed(settings.landmarks.schedule.seed)
    net = Mica(MINI).to(device)
    spent = {
        "landmarks": (settings.landmarks, train_backbone(net, shop, settings.landmarks, folder / "landmarks")),
        "vertices": (settings.vertices, train_vertices(net, shop, settings.vertices, folder / "vertices")),
    }
    return export(net, folder / "mini.safetensors", shop, "python -m harness train method=mica", spent)


def train_backbone(net: Mica, shop: Workshop, stage: Stage, folder: Path) -> float:
    """The 68 landmarks from the embedding, through a layer that is thrown away.

    The published backbone has learnt to tell millions of faces apart. Rendered heads are told apart by hair and colour;
    where the features are is what their shape is read from.
    """
    points = nn.Linear(net.arcface.features.num_features, 2 * 68).to(shop.device)

    def losses(lesson: Lesson, generator: torch.Generator) -> Mapping[str, Tensor]:
        found = points(net.arcface(lesson.images * 2 - 1)).unflatten(1, (68, 2))
        return {"landmarks": (found - lesson.landmarks).abs().mean()}

    both = nn.ModuleDict({"arcface": net.arcface, "points": points})
    return train_stage(both, losses, shop, stage, folder, MINI.image, aligned_squares)


def train_vertices(net: Mica, shop: Workshop, stage: Stage, folder: Path) -> float:
    """The paper's loss: weighted distances to the vertices of the neutral head behind the picture, per coordinate."""
    teacher = IdentityTeacher(shop.head)

    def losses(lesson: Lesson, generator: torch.Generator) -> Mapping[str, Tensor]:
        return {"vertices": teacher(net(lesson.images * 2 - 1).shape, lesson.shape)}

    return train_stage(net, losses, shop, stage, folder, MINI.image, aligned_squares)
