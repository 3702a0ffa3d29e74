"""Training of the mini TEASER: SMIRK's pose and shape stay; expressions and tokens learn through the generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from harness.errors import HarnessError
from harness.methods.regression.codes import Codes
from harness.methods.regression.losses import squared_landmarks
from harness.methods.regression.material import Lesson
from harness.methods.regression.training import Setting, Stage, export, landmarks_of, prepare, train_stage
from harness.methods.smirk.cycle import cycle_loss, other_expressions
from harness.methods.smirk.masking import outside_face
from harness.methods.smirk.painting import Painter, frozen
from harness.methods.smirk.training import pick, rest_losses
from harness.methods.teaser.network import MINI, Teaser
from harness.training import Schedule, read_weights

_REGIONS = (slice(48, 68), slice(36, 42), slice(42, 48))  # mouth and eyes, among the 68 landmarks


@dataclass(frozen=True)
class TrainingSettings:
    """The recipe of the shipped weights.

    Attributes:
        setting: pictures and crops.
        stage: of expression encoder, token encoder and generator.
        tokens: weight of the tokens' agreement between photograph and painting.
        regions: weight of the colours of mouth and eyes; the paper's is not known.
        smirk: weights of the mini SMIRK that it starts from; the shipped ones by default.
    """

    setting: Setting = field(default_factory=Setting)
    stage: Stage = field(default_factory=lambda: Stage(Schedule(300, learning_rate=7e-4, seed=0), 16, 1))
    tokens: float = 5.0
    regions: float = 10.0
    smirk: str = str(Path(__file__).parent.parent / "smirk" / "mini.safetensors")


def start(path: Path) -> Teaser:
    """With SMIRK's encoders. Raises HarnessError without them."""
    if not path.exists():
        raise HarnessError(f"{path}: TEASER starts from the mini SMIRK; `python -m harness train method=smirk` first")
    net = Teaser(MINI, generator=True)
    net.teaser_encoder.load_state_dict(read_weights(path)[0], strict=False)
    return net


def train(settings: TrainingSettings, folder: Path, device: torch.device) -> Path:
    """Trains the mini TEASER; continues where an earlier call with the same folder stopped.

    Without the perceptual and the emotion loss and the 203 landmarks, which need networks that are not embedded.

    Args:
        settings: the recipe.
        folder: gets checkpoints and `mini.safetensors`; the pictures go beside it.
        device: what to train on.

    Returns:
        The path of the weights.
    """
    shop = prepare(settings.setting, folder, device)
    torch.manual_seed(settings.stage.schedule.seed)
    net = start(Path(settings.smirk)).to(device)
    encoders, generator = net.teaser_encoder, net.teaser_generator
    assert generator is not None
    still = nn.ModuleList([encoders.pose_encoder, encoders.shape_encoder]).requires_grad_(False)
    painter = Painter(shop, lambda drawn, masked, codes: generator(drawn, masked, codes.tokens), ratio=0.0)
    templates = shop.material.codes[1]

    def losses(lesson: Lesson, rng: torch.Generator) -> Mapping[str, Tensor]:
        still.eval()
        codes = net(lesson.images)
        first = painter(lesson, codes, rng)
        meant = other_expressions(codes.detached(), pick(templates, len(lesson.images), rng).to(shop.device), rng)
        with frozen(generator if torch.rand((), generator=rng) < 0.5 else encoders.expression_encoder):
            again = net(painter(lesson, meant, rng).images)
        return {
            "landmarks": 100 * squared_landmarks(landmarks_of(shop.decoder, first.points), lesson.landmarks),
            "picture": 10 * (first.images - lesson.images).abs().mean(),
            "regions": settings.regions * region_loss(first.images, lesson),
            "tokens": settings.tokens * token_loss(encoders.token_encoder(first.images), codes, slice(None)),
            "cycle": cycle_loss(again, meant),
            "cycle token": token_loss(_tokens(again), meant, slice(1)),
            **rest_losses(codes),
        }

    recipe = (settings.tokens, settings.regions)
    seconds = train_stage(net, losses, shop, settings.stage, folder / "tokens", MINI.encoder.image, recipe=recipe)
    command = "python -m harness train method=teaser"
    return export(encoders, folder / "mini.safetensors", shop, command, {"tokens": (settings.stage, seconds)})


def region_loss(images: Tensor, lesson: Lesson) -> Tensor:
    """L1 of the colours within the hulls of mouth and eyes."""
    size = images.shape[-1]
    inside = sum(1 - outside_face(lesson.landmarks[:, points], size) for points in _REGIONS)
    assert isinstance(inside, Tensor)
    inside = inside.clamp(max=1)
    return ((images - lesson.images).abs() * inside).sum() / (3 * inside.sum()).clamp_min(1)


def token_loss(found: Tensor, codes: Codes, which: slice) -> Tensor:
    """Mean squares between tokens (B, 4, D), added over `which` of the four."""
    return (found - _tokens(codes)).square()[:, which].mean(dim=(0, 2)).sum()


def _tokens(codes: Codes) -> Tensor:
    assert codes.tokens is not None
    return codes.tokens
