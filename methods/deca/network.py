"""DECA (Feng et al., SIGGRAPH 2021): two residual networks and a decoder of fine displacements.

Modules are named as in the official checkpoint (`E_flame`, `E_detail`, `D_detail`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from harness.methods.networks.resnet import ResNet, ResNetSizes
from harness.methods.regression.codes import Codes

FIRST_SCALE = 8.0  # of the camera before training: a head fills the crop
FIRST_WEIGHT = 0.1  # factor on the last layer before training: every crop starts near the mean head
MILLIMETRES = 1000.0


@dataclass(frozen=True)
class Sizes:
    """Dimensions of a DECA network; the defaults are as published.

    Attributes:
        image: side of the square crop in pixels, a multiple of 32.
        shape: identity coefficients.
        texture: albedo coefficients.
        expression: expression coefficients.
        backbone: of each encoder.
        hidden: width of each encoder's layer behind the backbone.
        detail: numbers that describe fine displacements; 0: the network has no detail branch.
    """

    image: int = 224
    shape: int = 100
    texture: int = 50
    expression: int = 50
    backbone: ResNetSizes = field(default_factory=ResNetSizes)
    hidden: int = 1024
    detail: int = 128

    @property
    def codes(self) -> dict[str, int]:
        """How many numbers of `E_flame`'s output belong to what, in their order."""
        return {
            "shape": self.shape,
            "texture": self.texture,
            "expression": self.expression,
            "turn": 3,
            "jaw": 3,
            "camera": 3,
            "light": 27,
        }


PAPER = Sizes()
MINI = Sizes(
    image=96,
    shape=82,
    texture=8,
    expression=46,
    backbone=ResNetSizes(blocks=(1, 2, 2, 1), width=16),
    hidden=256,
    detail=0,
)


class Encoder(nn.Module):
    """A residual network and two linear layers behind it."""

    def __init__(self, backbone: ResNetSizes, hidden: int, outputs: int) -> None:
        super().__init__()
        self.encoder = ResNet(backbone)
        last = nn.Linear(hidden, outputs)
        self.layers = nn.Sequential(nn.Linear(backbone.out, hidden), nn.ReLU(), last)
        with torch.no_grad():
            last.weight.mul_(FIRST_WEIGHT)
            last.bias.zero_()

    def forward(self, crops: Tensor) -> Tensor:
        """(B, 3, S, S) in 0..1, RGB -> (B, outputs)."""
        return self.layers(self.encoder(crops))


class DetailDecoder(nn.Module):
    """Draws a displacement map from jaw, expression and detail code."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        widths = (128, 128, 64, 64, 32, 16)
        self.l1 = nn.Sequential(nn.Linear(inputs, widths[0] * 8 * 8))
        blocks: list[nn.Module] = [nn.BatchNorm2d(widths[0])]
        for before, after in pairwise(widths):
            blocks += [
                nn.Upsample(scale_factor=2, mode="bilinear"),
                nn.Conv2d(before, after, 3, padding=1),
                nn.BatchNorm2d(after, eps=0.8),  # the published code passes 0.8 where eps stands
                nn.LeakyReLU(0.2),
            ]
        self.conv_blocks = nn.Sequential(*blocks, nn.Conv2d(widths[-1], 1, 3, padding=1), nn.Tanh())

    def forward(self, codes: Tensor) -> Tensor:
        """(B, 3 + E + detail) in the order jaw, expression, detail -> (B, 1, 256, 256) metres."""
        return 0.01 * self.conv_blocks(self.l1(codes).unflatten(1, (-1, 8, 8)))


class Deca(nn.Module):
    """Reads identity, expression, pose, camera, texture, light and, if asked, fine displacements from a crop.

    Before training, the last layers are small and the camera's scale is 8, which is a choice of this implementation.
    """

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.E_flame = Encoder(sizes.backbone, sizes.hidden, sum(sizes.codes.values()))
        self.E_detail: Encoder | None = None
        self.D_detail: DetailDecoder | None = None
        if sizes.detail:
            self.E_detail = Encoder(sizes.backbone, sizes.hidden, sizes.detail)
            self.D_detail = DetailDecoder(3 + sizes.expression + sizes.detail)
        start_camera(self.E_flame, sizes)

    def forward(self, crops: Tensor) -> Codes:
        """(B, 3, S, S) crops in 0..1, RGB -> codes without eyelids and tokens."""
        return split(self.E_flame(crops), self.sizes)

    def displacement(self, crops: Tensor, codes: Codes) -> Tensor:
        """(B, 3, S, S) crops and what was read from them -> (B, 1, 256, 256) along the normals, millimetres, in UV.

        Raises:
            TypeError: the network was built without a detail branch.
        """
        return MILLIMETRES * displacement(self.E_detail, self.D_detail, crops, codes)


def split(values: Tensor, sizes: Sizes) -> Codes:
    """`E_flame`'s output (B, outputs) -> codes; light is stored coefficient by coefficient, colours together."""
    parts = dict(zip(sizes.codes, values.split(list(sizes.codes.values()), dim=1), strict=True))
    parts["light"] = parts["light"].unflatten(1, (9, 3))
    return Codes(**parts)


def start_camera(encoder: Encoder, sizes: Sizes) -> None:
    """Lets an untrained `E_flame` draw the head at the size of the crop."""
    place = sizes.shape + sizes.texture + sizes.expression + 6
    with torch.no_grad():
        cast(nn.Linear, encoder.layers[-1]).bias[place] = FIRST_SCALE


def displacement(encoder: Encoder | None, decoder: DetailDecoder | None, crops: Tensor, codes: Codes) -> Tensor:
    """(B, 1, 256, 256) metres. Raises TypeError without a detail branch, expression or jaw."""
    if encoder is None or decoder is None or codes.expression is None or codes.jaw is None:
        raise TypeError("displacements need a detail branch (sizes.detail > 0), an expression and a jaw")
    return decoder(torch.cat([codes.jaw, codes.expression, encoder(crops)], dim=1))
