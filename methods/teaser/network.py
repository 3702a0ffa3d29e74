"""TEASER (Liu et al., ICLR 2025): SMIRK's encoders, one of appearance tokens, and a generator that the tokens steer.

Modules are named as in the official checkpoints (`teaser_encoder`, `teaser_generator`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.methods.networks.adain import TokenGeneratorSizes, TokenUNet
from harness.methods.networks.mobilenet import MobileNet, MobileNetSizes
from harness.methods.regression.codes import Codes
from harness.methods.smirk.network import MINI_ENCODER, Encoders, EncoderSizes

GRIDS = (1, 2, 4, 8)  # cells per side that a token's map is averaged to, the coarsest map first


@dataclass(frozen=True)
class Sizes:
    """Dimensions of a TEASER network; the defaults are as published.

    Attributes:
        encoder: SMIRK's three encoders.
        token_backbone: of the token encoder.
        generator: it also says how many numbers a token has.
    """

    encoder: EncoderSizes = field(default_factory=EncoderSizes)
    token_backbone: MobileNetSizes = field(default_factory=lambda: MobileNetSizes("small"))
    generator: TokenGeneratorSizes = field(default_factory=TokenGeneratorSizes)


PAPER = Sizes()
MINI = Sizes(
    encoder=MINI_ENCODER,
    token_backbone=MobileNetSizes("small", width=0.5),
    generator=TokenGeneratorSizes(image=96, width=8, residual=2, token=64, hidden=32),
)


class TokenEncoder(nn.Module):
    """Four tokens of a picture, from its whole to its fine parts."""

    def __init__(self, backbone: MobileNetSizes, token: int) -> None:
        super().__init__()
        self.encoder = MobileNet(backbone)
        maps = backbone.maps[:0:-1]  # the coarsest first; the one at stride 2 is not used
        self.token_layers = nn.ModuleList(
            nn.Sequential(nn.Linear(channels * grid * grid, token)) for channels, grid in zip(maps, GRIDS, strict=True)
        )

    def forward(self, crops: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, 4, token)."""
        maps = self.encoder(crops)[:0:-1]
        cells = [functional.adaptive_avg_pool2d(x, grid).flatten(1) for x, grid in zip(maps, GRIDS, strict=True)]
        return torch.stack([layer(x) for layer, x in zip(self.token_layers, cells, strict=True)], dim=1)


class TokenEncoders(Encoders):
    """SMIRK's three encoders and the one of the tokens."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__(sizes.encoder)
        self.token_encoder = TokenEncoder(sizes.token_backbone, sizes.generator.token)

    def forward(self, crops: Tensor) -> Codes:
        """(B, 3, S, S) crops in 0..1, RGB -> codes without texture and light."""
        return replace(super().forward(crops), tokens=self.token_encoder(crops))


class Teaser(nn.Module):
    """TEASER; with its generator only where one is asked for (`teaser_generator(rendered, masked, tokens)`)."""

    def __init__(self, sizes: Sizes, generator: bool = False) -> None:
        super().__init__()
        self.sizes = sizes
        self.teaser_encoder = TokenEncoders(sizes)
        self.teaser_generator = TokenUNet(sizes.generator) if generator else None

    def forward(self, crops: Tensor) -> Codes:
        """(B, 3, S, S) crops in 0..1, RGB -> codes without texture and light."""
        return self.teaser_encoder(crops)
