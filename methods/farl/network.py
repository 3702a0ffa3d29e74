"""FaRL (Zheng et al., CVPR 2022): a CLIP-like transformer of faces, with a parsing or an alignment head on top.

Modules are named as in the official training states (`networks` -> `main_ema`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.methods.networks.uper import UPerHead
from harness.methods.networks.vit import VisionTransformer, ViTSizes

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
FARL_TAPS = (3, 5, 7, 11)
PACO_TAPS = (1, 3, 7, 11)
"""Blocks, from 0, whose outputs the heads see. PaCo-FR's paper says layers 2, 4, 8, 12, counted from 1."""
LOGITS = 512
"""Side in pixels of the frame in which parsing logits are compared with labels."""


@dataclass(frozen=True)
class Sizes:
    """Dimensions of a network with a head; the defaults are as published, at 448 pixels.

    Attributes:
        vit: of the encoder.
        taps: blocks, from 0, whose outputs the head sees, in ascending order.
        channels: inside the head.
    """

    vit: ViTSizes = field(default_factory=lambda: ViTSizes(image=448))
    taps: tuple[int, int, int, int] = FARL_TAPS
    channels: int = 768

    def at(self, image: int) -> Sizes:
        """The same at another input size (FaRL's headline numbers are at 448, PaCo-FR's tables at 224)."""
        return replace(self, vit=replace(self.vit, image=image))


PAPER = Sizes()


class Backbone(nn.Module):
    """The encoder, and four maps of a pyramid made of its blocks: 4 and 2 times as fine, as they are, half as fine."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        width = sizes.vit.width
        self.image_mean: Tensor
        self.image_std: Tensor
        self.register_buffer("image_mean", torch.tensor(CLIP_MEAN).view(1, 3, 1, 1))
        self.register_buffer("image_std", torch.tensor(CLIP_STD).view(1, 3, 1, 1))
        self.visual = VisionTransformer(sizes.vit)
        finest = [doubling(width), nn.BatchNorm2d(width), nn.GELU(), doubling(width)]
        self.fpns = nn.ModuleList([nn.Sequential(*finest), doubling(width), nn.Identity(), nn.MaxPool2d(2)])

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) RGB in 0..1 of any size -> four (B, width, h, w), the finest first."""
        side = self.sizes.vit.image
        if images.shape[2:] != (side, side):
            images = functional.interpolate(images, size=(side, side), mode="bilinear", align_corners=False)
        maps = self.visual.maps((images - self.image_mean) / self.image_std, self.sizes.taps)
        return [fpn(one) for fpn, one in zip(self.fpns, maps, strict=True)]


def doubling(width: int) -> nn.ConvTranspose2d:
    """Makes a map twice as fine."""
    return nn.ConvTranspose2d(width, width, 2, stride=2)


class Head(nn.Module):
    """The decoder under the name that it has in official files."""

    def __init__(self, sizes: Sizes, outputs: int) -> None:
        super().__init__()
        self.head = UPerHead(sizes.vit.width, sizes.channels, outputs)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Four maps -> (B, outputs, h, w) at the finest size."""
        return self.head(maps)


class Parser(nn.Module):
    """Logits of the classes of every pixel.

    Args:
        sizes: dimensions.
        classes: 11 for LaPa, 19 for CelebAMask-HQ.
    """

    def __init__(self, sizes: Sizes, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone(sizes)
        self.head = Head(sizes, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in 0..1, aligned and warped -> (B, classes, 512, 512)."""
        logits = self.head(self.backbone(images))
        return functional.interpolate(logits, size=(LOGITS, LOGITS), mode="bilinear", align_corners=False)


class Aligner(nn.Module):
    """Where landmarks are.

    Args:
        sizes: dimensions.
        points: 68 for 300W, 98 for WFLW, 19 for AFLW-19.
    """

    def __init__(self, sizes: Sizes, points: int) -> None:
        super().__init__()
        self.backbone = Backbone(sizes)
        self.heatmap_head = Head(sizes, points)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) RGB in 0..1, cropped -> (B, points, 2) x and y in shares of the crop's sides."""
        return centres(self.heatmap_head(self.backbone(images)).sigmoid())


def centres(heat: Tensor) -> Tensor:
    """(B, N, h, w) heat, not negative -> (B, N, 2) its centre of mass, x and y in shares of the map's sides."""
    height, width = heat.shape[2:]
    total = heat.sum(dim=(2, 3)).clamp_min(1e-6)
    x = (heat.sum(dim=2) @ torch.arange(width).to(heat)) / total
    y = (heat.sum(dim=3) @ torch.arange(height).to(heat)) / total
    return torch.stack([(x + 0.5) / width, (y + 0.5) / height], dim=2)
