"""Training of the mini SMIRK: landmarks with MICA's shapes first, then expressions through the generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.errors import HarnessError
from harness.methods.mica.network import MINI as MICA_MINI
from harness.methods.mica.network import Mica
from harness.methods.regression.codes import Codes
from harness.methods.regression.losses import squared_landmarks
from harness.methods.regression.material import CropVariation, Lesson, aligned_squares
from harness.methods.regression.training import (
    Setting,
    Stage,
    Workshop,
    export,
    landmarks_of,
    placed,
    prepare,
    train_stage,
)
from harness.methods.smirk.cycle import cycle_loss, other_expressions
from harness.methods.smirk.network import MINI, Smirk
from harness.methods.smirk.painting import Painter, frozen
from harness.training import Schedule, read_weights
from harness.training_data import cut

RATIO = 0.01
"""Of a crop's pixels that the generator may see of the face."""


@dataclass(frozen=True)
class TrainingSettings:
    """The recipe of the shipped weights.

    Attributes:
        setting: pictures and crops.
        pretrain: all encoders, without the generator.
        shape: the shape encoder by MICA's identities alone, since few steps of landmarks draw it away from them.
        pose: the pose encoder alone, before other backgrounds, which it had come to look at.
        core: the expression encoder with the generator.
        mica: weights of the mini MICA that tells shapes apart; the shipped ones by default.
    """

    setting: Setting = field(default_factory=Setting)
    pretrain: Stage = field(default_factory=lambda: Stage(Schedule(4000, learning_rate=5e-3, seed=0), 32, 1))
    shape: Stage = field(default_factory=lambda: Stage(Schedule(3000, learning_rate=3e-3, seed=2), 32, 1, covered=0.3))
    pose: Stage = field(default_factory=lambda: Stage(Schedule(2500, learning_rate=3e-3, seed=3), 32, 1, covered=0.3))
    core: Stage = field(default_factory=lambda: Stage(Schedule(300, learning_rate=5e-4, seed=1), 16, 1))
    mica: str = str(Path(__file__).parent.parent / "mica" / "mini.safetensors")


def shape_teacher(path: str, device: torch.device) -> Mica:
    """The mini MICA, ready to be asked. Raises HarnessError if its weights are missing."""
    if not Path(path).exists():
        raise HarnessError(f"{path}: SMIRK's training needs the mini MICA; `python -m harness train method=mica` first")
    net = Mica(MICA_MINI)
    net.load_state_dict(read_weights(Path(path))[0])
    return net.to(device).eval().requires_grad_(False)


def teach(teacher: Mica, lesson: Lesson) -> Tensor:
    """(N, S) the teacher's identities of the crops, aligned by the landmarks without error."""
    size = lesson.images.shape[-1]
    pixels = (lesson.landmarks.cpu() + 1) * ((size - 1) / 2)
    to_aligned = aligned_squares(pixels, MICA_MINI.image, CropVariation(shift=0.0, boxes=0.0), torch.Generator())
    aligned = cut(lesson.images.cpu(), to_aligned, MICA_MINI.image).to(lesson.images)
    with torch.no_grad():
        shape: Tensor = teacher(aligned * 2 - 1).shape
    return shape


def train(settings: TrainingSettings, folder: Path, device: torch.device) -> Path:
    """Trains the mini SMIRK; continues where an earlier call with the same folder stopped.

    Without the paper's perceptual and emotion losses, which need networks that are not embedded.

    Args:
        settings: the recipe.
        folder: gets checkpoints and `mini.safetensors`; the pictures go beside it.
        device: what to train on.

    Returns:
        The path of the weights.
    """
    shop = prepare(settings.setting, folder, device)
    torch.manual_seed(settings.pretrain.schedule.seed)
    net = Smirk(MINI, generator=True).to(device)
    teacher = shape_teacher(settings.mica, device)
    spent = {"pretrain": (settings.pretrain, pretrain(net, teacher, shop, settings.pretrain, folder / "pretrain"))}
    spent["shape"] = (settings.shape, train_shape(net, teacher, shop, settings.shape, folder / "shape"))
    spent["pose"] = (settings.pose, train_pose(net, shop, settings.pose, folder / "pose"))
    spent["core"] = (settings.core, train_core(net, settings, shop, folder / "core"))
    command = "python -m harness train method=smirk"
    return export(net.smirk_encoder, folder / "mini.safetensors", shop, command, spent)


def pretrain(net: Smirk, teacher: Mica, shop: Workshop, stage: Stage, folder: Path) -> float:
    """The three encoders, by landmarks, MICA's identities, and rest."""

    def losses(lesson: Lesson, generator: torch.Generator) -> Mapping[str, Tensor]:
        codes = net(lesson.images)
        points = placed(shop.sketcher, codes)[1]
        return {
            "landmarks": 100 * squared_landmarks(landmarks_of(shop.sketcher, points), lesson.landmarks),
            "shape": 10 * (codes.shape - teach(teacher, lesson)).square().mean(),
            **rest_losses(codes),
        }

    return train_stage(net.smirk_encoder, losses, shop, stage, folder, MINI.encoder.image)


def train_shape(net: Smirk, teacher: Mica, shop: Workshop, stage: Stage, folder: Path) -> float:
    """The shape encoder, by MICA's identities."""
    encoder = net.smirk_encoder.shape_encoder

    def losses(lesson: Lesson, generator: torch.Generator) -> Mapping[str, Tensor]:
        return {"shape": 10 * (encoder(lesson.images) - teach(teacher, lesson)).square().mean()}

    return train_stage(encoder, losses, shop, stage, folder, MINI.encoder.image)


def train_pose(net: Smirk, shop: Workshop, stage: Stage, folder: Path) -> float:
    """The pose encoder, by landmarks; shape and expression stay."""
    encoders = net.smirk_encoder
    still = nn.ModuleList([encoders.shape_encoder, encoders.expression_encoder]).eval()

    def losses(lesson: Lesson, rng: torch.Generator) -> Mapping[str, Tensor]:
        images = before_other_backgrounds(lesson.images, lesson.masks, 0.5, rng)
        with torch.no_grad():
            codes = net(images)
        turn, camera = encoders.pose_encoder(images)
        points = placed(shop.sketcher, replace(codes, turn=turn, camera=camera))[1]
        return {"landmarks": 100 * squared_landmarks(landmarks_of(shop.sketcher, points), lesson.landmarks)}

    try:
        return train_stage(encoders.pose_encoder, losses, shop, stage, folder, MINI.encoder.image, recipe="backgrounds")
    finally:
        still.train()


def before_other_backgrounds(images: Tensor, masks: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Some of (N, 3, S, S) pictures with soft random colours where masks (N, 1, S, S) say that no subject is."""
    colours = torch.rand(len(images), 3, 4, 4, generator=generator).to(images)
    clouds = functional.interpolate(colours, images.shape[-2:], mode="bicubic").clamp(0, 1)
    there = (torch.rand(len(images), 1, 1, 1, generator=generator) < share).to(masks.device) & ~masks
    return torch.where(there, clouds, images)


def rest_losses(codes: Codes, expression: float = 1.0, jaw: float = 0.1) -> dict[str, Tensor]:
    """Expression and jaw are at rest unless there is a reason.

    The weights are far above the published ones, whose FLAME coefficients are a hundred times more spread than the
    procedural head's: with small ones, expressions explain what the landmarks say of the shape.
    """
    assert codes.expression is not None and codes.jaw is not None
    return {"expression": expression * codes.expression.square().mean(), "jaw": jaw * codes.jaw.square().mean()}


def train_core(net: Smirk, settings: TrainingSettings, shop: Workshop, folder: Path) -> float:
    """The expression encoder and the generator; pose and shape stay."""
    encoders, generator = net.smirk_encoder, net.smirk_generator
    assert generator is not None
    still = nn.ModuleList([encoders.pose_encoder, encoders.shape_encoder]).requires_grad_(False)
    painter = Painter(shop, lambda drawn, masked, codes: generator(drawn, masked), RATIO)
    templates = shop.material.codes[1]

    def losses(lesson: Lesson, rng: torch.Generator) -> Mapping[str, Tensor]:
        still.eval()
        codes = net(lesson.images)
        first = painter(lesson, codes, rng)
        meant = other_expressions(codes.detached(), pick(templates, len(lesson.images), rng).to(shop.device), rng)
        with frozen(generator if torch.rand((), generator=rng) < 0.5 else encoders.expression_encoder):
            again = net(painter(lesson, meant, rng, first.kept).images)
        return {
            "landmarks": 100 * squared_landmarks(landmarks_of(shop.decoder, first.points), lesson.landmarks),
            "picture": 10 * (first.images - lesson.images).abs().mean(),
            "cycle": cycle_loss(again, meant),
            **rest_losses(codes),
        }

    before = (settings.pretrain, settings.shape, settings.pose)
    return train_stage(net, losses, shop, settings.core, folder, MINI.encoder.image, recipe=before)


def pick(rows: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` random ones of (N, ...) rows."""
    return rows[torch.randint(len(rows), (count,), generator=generator)]
