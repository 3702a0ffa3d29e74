"""Training of the mini MICA: supervised by the neutral heads behind the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from harness.heads.head import PARTS, Head
from harness.methods.mica.network import MINI, Mica
from harness.methods.regression.material import CropVariation, Lesson, aligned_squares
from harness.methods.regression.training import Setting, Stage, Workshop, export, prepare, train_stage
from harness.training import Schedule

_WEIGHTS = {
    **dict.fromkeys(("skin", "left_brow", "right_brow"), 150.0),
    **dict.fromkeys(("nose", "upper_lip", "lower_lip", "inner_mouth"), 50.0),
    **dict.fromkeys(("left_ear", "right_ear", "left_eye", "right_eye"), 0.01),
}
FACE_RADIUS = 45.0
"""Millimetres from the nearest landmark: the skin that counts as face."""


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
    vertices: Stage = field(default_factory=lambda: Stage(Schedule(2400, learning_rate=1.5e-3, seed=1), 32, 1))


def vertex_weights(head: Head) -> Tensor:
    """(V,) MICA's weights: face 150, nose and lips 50, ears and eyeballs 0.01, the rest 1."""
    weights = torch.ones(len(head.template), device=head.template.device)
    landmarks = head.landmarks(head.template[None])[0]
    near = torch.cdist(head.template, landmarks).amin(dim=1) < FACE_RADIUS
    for name, value in _WEIGHTS.items():
        members = head.faces[head.part_labels == PARTS.index(name)].unique()
        weights[members[near[members]] if name == "skin" else members] = value
    return weights


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
    weights = vertex_weights(shop.head)
    weights = weights / weights.mean()

    def losses(lesson: Lesson, generator: torch.Generator) -> Mapping[str, Tensor]:
        codes = net(lesson.images * 2 - 1)
        # Both heads are the same linear function of their codes: the template cancels.
        error = torch.einsum("bs,svc->bvc", codes.shape - lesson.shape, shop.head.shape_basis)
        return {"vertices": (error.abs().mean(dim=2) * weights).mean()}

    return train_stage(net, losses, shop, stage, folder, MINI.image, aligned_squares)
