"""The vision transformer of CLIP (Radford et al., ICML 2021), as FaRL uses it.

Modules are named as in CLIP's `visual`, so that its part of an official state dict loads strictly.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class ViTSizes:
    """Dimensions of a vision transformer; the defaults are those of ViT-B/16 at 224 pixels.

    Attributes:
        image: side of the square picture in pixels, a multiple of `patch`.
        patch: side of a patch in pixels.
        width: of a token.
        depth: blocks.
        heads: of the attention.
        out: of the embedding of the whole picture.
    """

    image: int = 224
    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    out: int = 512

    @property
    def side(self) -> int:
        """Patches along a side of the picture."""
        return self.image // self.patch


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x * (1.702 * x).sigmoid()


class Block(nn.Module):
    """Attention and two linear layers, each behind a normalisation and added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        layers = {
            "c_fc": nn.Linear(width, 4 * width),
            "gelu": QuickGELU(),
            "c_proj": nn.Linear(4 * width, width),
        }
        self.mlp = nn.Sequential(OrderedDict(layers))
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width) -> the same shape."""
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    """Blocks one after the other."""

    def __init__(self, sizes: ViTSizes) -> None:
        super().__init__()
        self.resblocks = nn.Sequential(*(Block(sizes.width, sizes.heads) for _ in range(sizes.depth)))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, T, width) -> the output of every block."""
        outputs = []
        for block in self.resblocks:
            x = block(x)
            outputs.append(x)
        return outputs


class VisionTransformer(nn.Module):
    """Patches and a class token through a transformer."""

    def __init__(self, sizes: ViTSizes) -> None:
        super().__init__()
        self.sizes = sizes
        std = sizes.width**-0.5
        self.conv1 = nn.Conv2d(3, sizes.width, sizes.patch, stride=sizes.patch, bias=False)
        self.class_embedding = nn.Parameter(std * torch.randn(sizes.width))
        self.positional_embedding = nn.Parameter(std * torch.randn(sizes.side**2 + 1, sizes.width))
        self.ln_pre = nn.LayerNorm(sizes.width)
        self.transformer = Transformer(sizes)
        self.ln_post = nn.LayerNorm(sizes.width)
        self.proj = nn.Parameter(std * torch.randn(sizes.width, sizes.out))

    def blocks(self, images: Tensor) -> list[Tensor]:
        """(B, 3, image, image) normalised pictures -> (B, 1 + patches, width) after every block, class token first."""
        patches = self.conv1(images).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(images), 1, -1)
        return self.transformer(self.ln_pre(torch.cat([first, patches], dim=1) + self.positional_embedding))

    def maps(self, images: Tensor, taps: Sequence[int]) -> list[Tensor]:
        """(B, 3, image, image) normalised pictures -> (B, width, side, side) after the blocks of these numbers."""
        outputs, side = self.blocks(images), self.sizes.side
        return [outputs[tap][:, 1:].transpose(1, 2).unflatten(2, (side, side)) for tap in taps]

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, image, image) normalised pictures -> (B, out) embeddings."""
        return self.ln_post(self.blocks(images)[-1][:, 0]) @ self.proj


def resized_positions(positions: Tensor, side: int) -> Tensor:
    """(1 + n * n, width) position embeddings -> (1 + side * side, width): the class token kept, the grid bicubic."""
    old = round((len(positions) - 1) ** 0.5)
    if old == side:
        return positions
    grid = positions[1:].T.unflatten(1, (old, old))[None]
    new = functional.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
    return torch.cat([positions[:1], new[0].flatten(1).T])
