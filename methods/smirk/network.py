"""SMIRK (Retsinas et al., CVPR 2024): three small encoders, and a generator that is needed in training only.

Modules are named as in the official checkpoint (`smirk_encoder`, `smirk_generator`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.methods.networks.mobilenet import MobileNet, MobileNetSizes
from harness.methods.networks.unet import GeneratorSizes, UNet
from harness.methods.regression.codes import Codes

FIRST_SCALE = 7.0  # of the camera before training
JAW_SIDE = 0.2  # radians: how far the jaw's second and third component may go
EYELIDS, JAW = 2, 3


@dataclass(frozen=True)
class EncoderSizes:
    """Dimensions of SMIRK's encoders; the defaults are as published.

    Attributes:
        image: side of the square crop in pixels, a multiple of 32.
        shape: identity coefficients.
        expression: expression coefficients.
        pose_backbone: of the encoder of turn and camera.
        backbone: of the encoders of shape and of expression.
    """

    image: int = 224
    shape: int = 300
    expression: int = 50
    pose_backbone: MobileNetSizes = field(default_factory=lambda: MobileNetSizes("small"))
    backbone: MobileNetSizes = field(default_factory=lambda: MobileNetSizes("large"))


@dataclass(frozen=True)
class Sizes:
    """Dimensions of a SMIRK network; the defaults are as published."""

    encoder: EncoderSizes = field(default_factory=EncoderSizes)
    generator: GeneratorSizes = field(default_factory=GeneratorSizes)


MINI_ENCODER = EncoderSizes(
    image=96,
    shape=82,
    expression=46,
    pose_backbone=MobileNetSizes("small"),
    backbone=MobileNetSizes("large", width=0.5),
)
PAPER = Sizes()
MINI = Sizes(encoder=MINI_ENCODER, generator=GeneratorSizes(width=8, residual=3))


class PoseEncoder(nn.Module):
    """Turn of the head and camera."""

    def __init__(self, sizes: EncoderSizes) -> None:
        super().__init__()
        self.encoder = MobileNet(sizes.pose_backbone)
        head = nn.Linear(sizes.pose_backbone.out, 6)
        self.pose_cam_layers = nn.Sequential(head)
        with torch.no_grad():
            head.weight.mul_(0.001)
            head.bias.mul_(0.001)
            head.weight[3] = 0.0
            head.bias[3] = FIRST_SCALE

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, S, S) -> turn (B, 3) axis-angle radians, camera (B, 3) scale, tx, ty."""
        turn, camera = self.pose_cam_layers(pooled(self.encoder(crops)[-1])).split(3, dim=1)
        return turn, camera


class ShapeEncoder(nn.Module):
    """Identity; starts at the mean."""

    def __init__(self, sizes: EncoderSizes) -> None:
        super().__init__()
        self.encoder = MobileNet(sizes.backbone)
        head = nn.Linear(sizes.backbone.out, sizes.shape)
        self.shape_layers = nn.Sequential(head)
        nn.init.zeros_(head.weight)
        nn.init.zeros_(head.bias)

    def forward(self, crops: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, shape)."""
        return self.shape_layers(pooled(self.encoder(crops)[-1]))


class ExpressionEncoder(nn.Module):
    """Expression, eyelids and jaw."""

    def __init__(self, sizes: EncoderSizes) -> None:
        super().__init__()
        self.counts = [sizes.expression, EYELIDS, JAW]
        self.encoder = MobileNet(sizes.backbone)
        head = nn.Linear(sizes.backbone.out, sum(self.counts))
        self.expression_layers = nn.Sequential(head)
        with torch.no_grad():
            head.weight.mul_(0.1)
            head.bias.mul_(0.1)

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 3, S, S) -> expression (B, E), eyelids (B, 2) left and right in 0..1, jaw (B, 3) axis-angle radians."""
        values = self.expression_layers(pooled(self.encoder(crops)[-1]))
        expression, eyelids, jaw = values.split(self.counts, dim=1)
        side = jaw[:, 1:].clamp(-JAW_SIDE, JAW_SIDE)
        return expression, eyelids.clamp(0, 1), torch.cat([functional.relu(jaw[:, :1]), side], dim=1)


class Encoders(nn.Module):
    """The three encoders; none shares anything with another."""

    def __init__(self, sizes: EncoderSizes) -> None:
        super().__init__()
        self.pose_encoder = PoseEncoder(sizes)
        self.shape_encoder = ShapeEncoder(sizes)
        self.expression_encoder = ExpressionEncoder(sizes)

    def forward(self, crops: Tensor) -> Codes:
        """(B, 3, S, S) crops in 0..1, RGB -> codes without texture, light and tokens."""
        turn, camera = self.pose_encoder(crops)
        expression, eyelids, jaw = self.expression_encoder(crops)
        shape = self.shape_encoder(crops)
        return Codes(shape=shape, expression=expression, turn=turn, jaw=jaw, camera=camera, eyelids=eyelids)


class Smirk(nn.Module):
    """SMIRK; with its generator only where one is asked for (`smirk_generator(rendered, masked)`)."""

    def __init__(self, sizes: Sizes, generator: bool = False) -> None:
        super().__init__()
        self.sizes = sizes
        self.smirk_encoder = Encoders(sizes.encoder)
        self.smirk_generator = UNet(sizes.generator) if generator else None

    def forward(self, crops: Tensor) -> Codes:
        """(B, 3, S, S) crops in 0..1, RGB -> codes without texture, light and tokens."""
        return self.smirk_encoder(crops)


def pooled(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C) means."""
    return maps.mean(dim=(2, 3))
