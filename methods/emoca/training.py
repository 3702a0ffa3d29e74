"""Training of the mini EMOCA: DECA stays, a second encoder learns expressions and the jaw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from harness.errors import HarnessError
from harness.methods.emoca.network import MINI, Emoca
from harness.methods.regression.losses import (
    eye_closure,
    half_squares,
    lip_closure,
    mouth_corners,
    weighted_landmarks,
)
from harness.methods.regression.material import Lesson
from harness.methods.regression.training import (
    Setting,
    Stage,
    export,
    landmarks_of,
    photometric,
    placed,
    prepare,
    train_stage,
)
from harness.training import Schedule, read_weights


@dataclass(frozen=True)
class TrainingSettings:
    """The recipe of the shipped weights.

    Attributes:
        setting: pictures and crops.
        stage: of the expression encoder, which starts as DECA's.
        photometric: weight of the colours.
        prior: weight of the squares of the expression code.
        deca: weights of the mini DECA; the shipped ones by default.
    """

    setting: Setting = field(default_factory=Setting)
    stage: Stage = field(default_factory=lambda: Stage(Schedule(350, learning_rate=1e-3, seed=0), 32, 1))
    photometric: float = 2.0
    prior: float = 1e-4
    deca: str = str(Path(__file__).parent.parent / "deca" / "mini.safetensors")


def start(path: Path) -> Emoca:
    """With DECA's weights, also in the expression encoder but for its last layer. Raises HarnessError without them."""
    if not path.exists():
        raise HarnessError(f"{path}: EMOCA stands on the mini DECA; `python -m harness train method=deca` first")
    net = Emoca(MINI)
    weights = read_weights(path)[0]
    encoder = {key.removeprefix("E_flame."): value for key, value in weights.items()}
    net.E_flame.load_state_dict(encoder)
    last = {f"layers.2.{kind}" for kind in ("weight", "bias")}
    net.E_expression.load_state_dict({k: v for k, v in encoder.items() if k not in last}, strict=False)
    net.E_flame.requires_grad_(False)
    return net


def train(settings: TrainingSettings, folder: Path, device: torch.device) -> Path:
    """Trains the mini EMOCA; continues where an earlier call with the same folder stopped.

    The losses are those of the second version on landmarks, and DECA's on colours. Without the emotion and the
    lip-reading losses, which compare features of networks that are not embedded.

    Args:
        settings: the recipe.
        folder: gets checkpoints and `mini.safetensors`; the pictures go beside it.
        device: what to train on.

    Returns:
        The path of the weights.
    """
    shop = prepare(settings.setting, folder, device)
    torch.manual_seed(settings.stage.schedule.seed)
    net = start(Path(settings.deca)).to(device)

    def losses(lesson: Lesson, generator: torch.Generator) -> Mapping[str, Tensor]:
        net.E_flame.eval()
        codes = net(lesson.images)
        assert codes.expression is not None
        shaped, points = placed(shop.decoder, codes)
        landmarks = landmarks_of(shop.decoder, points)
        drawn = shop.artist.draw(shaped.vertices, points, lesson.images.shape[-1])
        return {
            "landmarks": weighted_landmarks(landmarks, lesson.landmarks),
            "eyes": eye_closure(landmarks, lesson.landmarks),
            "lips": lip_closure(landmarks, lesson.landmarks),
            "corners": mouth_corners(landmarks, lesson.landmarks),
            "picture": settings.photometric * photometric(shop.artist, drawn, codes, lesson.images, lesson.masks),
            "prior": settings.prior * half_squares(codes.expression),
        }

    recipe = (settings.photometric, settings.prior)
    seconds = train_stage(net, losses, shop, settings.stage, folder / "expression", MINI.image, recipe=recipe)
    command = "python -m harness train method=emoca"
    return export(net, folder / "mini.safetensors", shop, command, {"expression": (settings.stage, seconds)})
