"""The vision transformer of DINOv2 (Oquab et al., TMLR 2024) with register tokens (Darcet et al., ICLR 2024).

Modules are named as in the published code, so that its state dict loads strictly, less `mask_token`, which only
training needs.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-6  # of every normalisation


@dataclass(frozen=True)
class VisionSizes:
    """Dimensions of a vision transformer; the defaults are those of ViT-B/14 with 4 registers.

    Attributes:
        width: of the tokens.
        depth: blocks.
        heads: of the attention; divides `width`.
        patch: side of a patch in pixels.
        grid: patches per side that there is a learned position for; other numbers are interpolated.
        registers: tokens without a place in the image, dropped at the end.
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    patch: int = 14
    grid: int = 37
    registers: int = 4


class PatchEmbed(nn.Module):
    """One token per patch."""

    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, sizes.width, sizes.patch, stride=sizes.patch)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, H / patch * W / patch, width), row by row."""
        return self.proj(images).flatten(2).mT


class SelfAttention(nn.Module):
    """Every token looks at every token."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) -> the same shape."""
        query, key, value = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Two layers, the first four times as wide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) -> the same shape."""
        return self.fc2(functional.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """A learned factor per channel."""

    def __init__(self, width: int, first: float = 1e-5) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), first))

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> the same shape."""
        return x * self.gamma


class Block(nn.Module):
    """Attention, then the two layers, each normalised before, scaled after and added."""

    def __init__(self, sizes: VisionSizes) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(sizes.width, eps=EPS)
        self.attn = SelfAttention(sizes.width, sizes.heads)
        self.ls1 = LayerScale(sizes.width)
        self.norm2 = nn.LayerNorm(sizes.width, eps=EPS)
        self.mlp = Mlp(sizes.width)
        self.ls2 = LayerScale(sizes.width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, width) -> the same shape."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class VisionTransformer(nn.Module):
    """Tokens of an image.

    Args:
        sizes: dimensions.
        layer_scale: what the factors of `LayerScale` start with: 1e-5 as published is for hundreds of epochs; a short
            training from nothing needs about 1.
    """

    def __init__(self, sizes: VisionSizes, layer_scale: float = 1e-5) -> None:
        super().__init__()
        self.sizes = sizes
        self.cls_token = nn.Parameter(torch.zeros(1, 1, sizes.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, sizes.grid**2 + 1, sizes.width))
        self.register_tokens = nn.Parameter(torch.zeros(1, sizes.registers, sizes.width))
        self.patch_embed = PatchEmbed(sizes)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width, eps=EPS)
        for tokens in (self.cls_token, self.pos_embed, self.register_tokens):
            nn.init.trunc_normal_(tokens, std=0.02)
        for module in self.modules():
            if isinstance(module, LayerScale):
                nn.init.constant_(module.gamma, layer_scale)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W), sides multiples of `patch` -> (B, 1 + patches, width): class token, then patches by rows."""
        x = self.tokens(images)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return torch.cat([x[:, :1], x[:, 1 + self.sizes.registers :]], dim=1)

    def tokens(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 1 + registers + patches, width): what the first block gets."""
        patches = self.patch_embed(images)
        batch, side = len(images), self.sizes.patch
        x = torch.cat([self.cls_token.expand(batch, -1, -1), patches], dim=1)
        x = x + self.positions(images.shape[2] // side, images.shape[3] // side)
        return torch.cat([x[:, :1], self.register_tokens.expand(batch, -1, -1), x[:, 1:]], dim=1)

    def positions(self, rows: int, columns: int) -> Tensor:
        """(1, 1 + rows * columns, width): the learned positions resampled, that of the class token as it is."""
        grid = self.sizes.grid
        if (rows, columns) == (grid, grid):
            return self.pos_embed
        learned = self.pos_embed[:, 1:].mT.unflatten(2, (grid, grid))
        resampled = functional.interpolate(learned, (rows, columns), mode="bicubic", antialias=True)
        return torch.cat([self.pos_embed[:, :1], resampled.flatten(2).mT], dim=1)
