"""TEASER's generator (Liu et al., ICLR 2025): SMIRK's U-Net steered by appearance tokens.

Every block normalises its maps per picture and scales and shifts them by a token (AdaIN); a second decoder draws from
all tokens and is added to the first. Modules are named as in the published code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.methods.networks.unet import ResidualBlock


@dataclass(frozen=True)
class TokenGeneratorSizes:
    """Dimensions of a generator with tokens; the defaults are as published.

    Attributes:
        image: side of the square picture in pixels, a multiple of 32: the tokens' decoder starts at a 16th of it.
        width: channels at full resolution, doubled with every halving.
        residual: residual blocks at the bottom.
        token: numbers per token.
        hidden: width of the layer between a token and its scales and shifts.
    """

    image: int = 224
    width: int = 32
    residual: int = 5
    token: int = 256
    hidden: int = 128


class AdaIN(nn.Module):
    """Normalises every map of every picture, then scales and shifts it by what a token says."""

    def __init__(self, channels: int, token: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Linear(token, hidden), nn.ReLU())
        self.mlp_gamma = nn.Linear(hidden, channels)
        self.mlp_beta = nn.Linear(hidden, channels)

    def forward(self, x: Tensor, token: Tensor) -> Tensor:
        """Maps (B, C, H, W) and tokens (B, token) -> (B, C, H, W)."""
        shared = self.mlp_shared(token)
        gamma, beta = (layer(shared)[:, :, None, None] for layer in (self.mlp_gamma, self.mlp_beta))
        return functional.instance_norm(x, eps=1e-5) * (1 + gamma) + beta


class AdaINBlock(nn.Module):
    """Twice 3x3, normalise, AdaIN, ReLU."""

    def __init__(self, inputs: int, outputs: int, sizes: TokenGeneratorSizes) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.adain1 = AdaIN(outputs, sizes.token, sizes.hidden)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.adain2 = AdaIN(outputs, sizes.token, sizes.hidden)

    def forward(self, x: Tensor, token: Tensor) -> Tensor:
        """Maps (B, inputs, H, W) and tokens (B, token) -> (B, outputs, H, W)."""
        x = functional.relu(self.adain1(self.norm1(self.conv1(x)), token))
        return functional.relu(self.adain2(self.norm2(self.conv2(x)), token))


def _doubled(inputs: int, outputs: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1)
    return [nn.Upsample(scale_factor=2, mode="bilinear"), convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


class TokenDecoder(nn.Module):
    """Draws maps at four resolutions from all tokens together."""

    def __init__(self, sizes: TokenGeneratorSizes) -> None:
        super().__init__()
        w, side = sizes.width, sizes.image // 16
        start = nn.Linear(4 * sizes.token, 8 * w * side * side)
        self.decoder_1 = nn.Sequential(start, nn.Unflatten(1, (8 * w, side, side)), *_doubled(8 * w, 8 * w))
        self.decoder_2 = nn.Sequential(*_doubled(8 * w, 4 * w))
        self.decoder_3 = nn.Sequential(*_doubled(4 * w, 2 * w))
        self.decoder_4 = nn.Sequential(*_doubled(2 * w, w), nn.Conv2d(w, w, 3, padding=1), nn.Tanh())

    def forward(self, tokens: Tensor) -> list[Tensor]:
        """Tokens (B, 4, token) -> maps (B, 8w, S/8, S/8), (B, 4w, S/4, S/4), (B, 2w, S/2, S/2), (B, w, S, S)."""
        x = tokens.flip(1).flatten(1)  # token 3 first
        maps = []
        for decoder in (self.decoder_1, self.decoder_2, self.decoder_3, self.decoder_4):
            x = decoder(x)
            maps.append(x)
        return maps


class TokenUNet(nn.Module):
    """Makes a photo of a rendered mesh, of what surrounds it and of appearance tokens."""

    def __init__(self, sizes: TokenGeneratorSizes) -> None:
        super().__init__()
        w = sizes.width
        self.encoder1 = AdaINBlock(6, w, sizes)
        self.encoder2 = AdaINBlock(w, 2 * w, sizes)
        self.encoder3 = AdaINBlock(2 * w, 4 * w, sizes)
        self.encoder4 = AdaINBlock(4 * w, 8 * w, sizes)
        self.bottleneck = AdaINBlock(8 * w, 16 * w, sizes)
        self.resnet_blocks = nn.Sequential(*(ResidualBlock(16 * w) for _ in range(sizes.residual)))
        self.upconv4 = nn.ConvTranspose2d(16 * w, 8 * w, 2, stride=2)
        self.decoder4 = AdaINBlock(16 * w, 8 * w, sizes)
        self.upconv3 = nn.ConvTranspose2d(8 * w, 4 * w, 2, stride=2)
        self.decoder3 = AdaINBlock(8 * w, 4 * w, sizes)
        self.upconv2 = nn.ConvTranspose2d(4 * w, 2 * w, 2, stride=2)
        self.decoder2 = AdaINBlock(4 * w, 2 * w, sizes)
        self.upconv1 = nn.ConvTranspose2d(2 * w, w, 2, stride=2)
        self.decoder1 = AdaINBlock(2 * w, w, sizes)
        self.conv = nn.Conv2d(w, 3, 1)
        self.token_decoder = TokenDecoder(sizes)
        for level, channels in ((4, 8 * w), (3, 4 * w), (2, 2 * w), (1, w)):
            layer = nn.Conv2d(channels, channels, 1)
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
            self.add_module(f"token_zero_conv_{level}", layer)

    def forward(self, rendered: Tensor, masked: Tensor, tokens: Tensor) -> Tensor:
        """Photos (B, 3, S, S) in 0..1.

        Args:
            rendered: (B, 3, S, S) the mesh, 0..1.
            masked: (B, 3, S, S) the photo without the face, 0..1.
            tokens: (B, 4, token), the one of the whole picture first, the one of the finest map last.
        """
        t0, t1, t2, t3 = tokens.unbind(1)
        first = self.encoder1(torch.cat([rendered, masked], dim=1), t3)
        second = self.encoder2(functional.max_pool2d(first, 2), t2)
        third = self.encoder3(functional.max_pool2d(second, 2), t1)
        fourth = self.encoder4(functional.max_pool2d(third, 2), t0)
        x = self.resnet_blocks(self.bottleneck(functional.max_pool2d(fourth, 2), t0))
        drawn = self.token_decoder(tokens)
        levels = ((4, fourth, t0), (3, third, t1), (2, second, t2), (1, first, t3))
        for (level, skip, token), extra in zip(levels, drawn, strict=True):
            up, decoder, mix = (self.get_submodule(f"{n}{level}") for n in ("upconv", "decoder", "token_zero_conv_"))
            x = decoder(torch.cat([up(x), skip], dim=1), token) + mix(extra)
        return self.conv(x).sigmoid()
