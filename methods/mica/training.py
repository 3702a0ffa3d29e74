"""Training of the mini MICA: supervised by the neutral heads behind the pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from harness.heads.head import PARTS, Head
from harness.methods.mica.network import MINI, Mica
from harness.methods.regression.material import CropVariation, Lesson, aligned_squares
from harness.methods.regression.training import Setting, Stage, export, prepare, train_stage
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
    """The recipe of the shipped weights."""

    setting: Setting = field(default_factory=lambda: Setting(variation=CropVariation(boxes=0.6)))
    stage: Stage = field(default_factory=lambda: Stage(Schedule(3600, learning_rate=2e-3, seed=0), 32, 1))


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

    The published training starts from a face recognition network; this one from nothing, so all of it learns.

    Args:
        settings: the recipe.
        folder: gets checkpoints and `mini.safetensors`; the pictures go beside it.
        device: what to train on.

    Returns:
        The path of the weights.
    """
    shop = prepare(settings.setting, folder, device)
    torch.manual_seed(settings.stage.schedule.seed)
    net = Mica(MINI).to(device)
    weights = vertex_weights(shop.head)
    weights = weights / weights.mean()

    def losses(lesson: Lesson, generator: torch.Generator) -> Mapping[str, Tensor]:
        codes = net(lesson.images * 2 - 1)
        # Both heads are the same linear function of their codes: the template cancels.
        error = torch.einsum("bs,svc->bvc", codes.shape - lesson.shape, shop.head.shape_basis)
        return {"vertices": (error.abs().mean(dim=2) * weights).mean()}

    seconds = train_stage(net, losses, shop, settings.stage, folder / "vertices", MINI.image, aligned_squares)
    command = "python -m harness train method=mica"
    return export(net, folder / "mini.safetensors", shop, command, {"vertices": (settings.stage, seconds)})
