"""SMIRK's generator (Retsinas et al., CVPR 2024): a U-Net with residual blocks at its bottom.

Modules are named as in the published code, so that the official state dict loads strictly.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class GeneratorSizes:
    """Dimensions of a generator; the defaults are as published.

    Attributes:
        width: channels at full resolution, doubled with every halving.
        residual: residual blocks at the bottom.
    """

    width: int = 32
    residual: int = 5


def conv_block(inputs: int, outputs: int, name: str) -> nn.Sequential:
    """Twice 3x3, normalise, ReLU."""
    return nn.Sequential(
        OrderedDict(
            {
                f"{name}conv1": nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                f"{name}norm1": nn.BatchNorm2d(outputs),
                f"{name}relu1": nn.ReLU(),
                f"{name}conv2": nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
                f"{name}norm2": nn.BatchNorm2d(outputs),
                f"{name}relu2": nn.ReLU(),
            }
        )
    )


class ResidualBlock(nn.Module):
    """Twice a 3x3 on mirrored borders, plus the input; nothing after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return x + self.conv_block(x)


class UNet(nn.Module):
    """Makes a photo of a rendered mesh and of what surrounds it."""

    def __init__(self, sizes: GeneratorSizes) -> None:
        super().__init__()
        w = sizes.width
        self.encoder1 = conv_block(6, w, "enc1")
        self.encoder2 = conv_block(w, 2 * w, "enc2")
        self.encoder3 = conv_block(2 * w, 4 * w, "enc3")
        self.encoder4 = conv_block(4 * w, 8 * w, "enc4")
        self.bottleneck = conv_block(8 * w, 16 * w, "bottleneck")
        self.resnet_blocks = nn.Sequential(*(ResidualBlock(16 * w) for _ in range(sizes.residual)))
        self.upconv4 = nn.ConvTranspose2d(16 * w, 8 * w, 2, stride=2)
        self.decoder4 = conv_block(16 * w, 8 * w, "dec4")
        self.upconv3 = nn.ConvTranspose2d(8 * w, 4 * w, 2, stride=2)
        self.decoder3 = conv_block(8 * w, 4 * w, "dec3")
        self.upconv2 = nn.ConvTranspose2d(4 * w, 2 * w, 2, stride=2)
        self.decoder2 = conv_block(4 * w, 2 * w, "dec2")
        self.upconv1 = nn.ConvTranspose2d(2 * w, w, 2, stride=2)
        self.decoder1 = conv_block(2 * w, w, "dec1")
        self.conv = nn.Conv2d(w, 3, 1)

    def forward(self, rendered: Tensor, masked: Tensor) -> Tensor:
        """Photos (B, 3, H, W) in 0..1.

        Args:
            rendered: (B, 3, H, W) the mesh, 0..1; H and W multiples of 16, at least 32.
            masked: (B, 3, H, W) the photo without the face, 0..1.
        """
        first = self.encoder1(torch.cat([rendered, masked], dim=1))
        second = self.encoder2(functional.max_pool2d(first, 2))
        third = self.encoder3(functional.max_pool2d(second, 2))
        fourth = self.encoder4(functional.max_pool2d(third, 2))
        x = self.resnet_blocks(self.bottleneck(functional.max_pool2d(fourth, 2)))
        x = self.decoder4(torch.cat([self.upconv4(x), fourth], dim=1))
        x = self.decoder3(torch.cat([self.upconv3(x), third], dim=1))
        x = self.decoder2(torch.cat([self.upconv2(x), second], dim=1))
        x = self.decoder1(torch.cat([self.upconv1(x), first], dim=1))
        return self.conv(x).sigmoid()
