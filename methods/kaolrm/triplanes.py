"""From an image's tokens to three feature planes, as in OpenLRM, and reading these planes at points.

Modules are named as in the published code of OpenLRM and KaoLRM.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-6  # of every normalisation
PLANE_AXES = ((0, 1), (0, 2), (2, 1))
"""Axes of a point that are a plane's columns and rows."""


@dataclass(frozen=True)
class TriplaneSizes:
    """Dimensions of an image-to-triplane transformer; the defaults are those of OpenLRM-base and KaoLRM.

    Attributes:
        width: of the tokens.
        depth: layers.
        heads: of the attention; divides `width`.
        camera: width of what the camera is embedded to.
        low: tokens per side of a plane; the planes have twice as many places per side.
        channels: of the planes.
    """

    width: int = 768
    depth: int = 12
    heads: int = 12
    camera: int = 1024
    low: int = 32
    channels: int = 48

    @property
    def high(self) -> int:
        """Places per side of a plane."""
        return 2 * self.low


class CameraEmbedder(nn.Module):
    """Two layers over the numbers of a camera."""

    def __init__(self, numbers: int, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(numbers, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, cameras: Tensor) -> Tensor:
        """(B, numbers) -> (B, width)."""
        return self.mlp(cameras)


class ModulatedNorm(nn.Module):
    """A normalisation whose result is shifted and scaled by what the camera says."""

    def __init__(self, width: int, camera: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(camera, 2 * width))

    def forward(self, x: Tensor, camera: Tensor) -> Tensor:
        """(B, N, width) and (B, camera) -> (B, N, width)."""
        shift, scale = self.mlp(camera)[:, None].chunk(2, dim=2)
        return self.norm(x) * (1 + scale) + shift


class Layer(nn.Module):
    """Looks at the image's tokens, at its own, and thinks; each normalised before and added."""

    def __init__(self, sizes: TriplaneSizes, image_width: int) -> None:
        super().__init__()
        width, heads = sizes.width, sizes.heads
        self.norm1, self.norm2, self.norm3 = (ModulatedNorm(width, sizes.camera) for _ in range(3))
        self.cross_attn = nn.MultiheadAttention(
            width, heads, bias=False, kdim=image_width, vdim=image_width, batch_first=True
        )
        self.self_attn = nn.MultiheadAttention(width, heads, bias=False, batch_first=True)
        hidden = 4 * width
        # the third stands where the published code drops some features out in training, with probability 0
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Identity(), nn.Linear(hidden, width))

    def forward(self, x: Tensor, image: Tensor, camera: Tensor) -> Tensor:
        """Tokens (B, N, width), the image's (B, M, image_width) and (B, camera) -> (B, N, width)."""
        x = x + self.cross_attn(self.norm1(x, camera), image, image, need_weights=False)[0]
        own = self.norm2(x, camera)
        x = x + self.self_attn(own, own, own, need_weights=False)[0]
        return x + self.mlp(self.norm3(x, camera))


class Transformer(nn.Module):
    """The layers, and a last normalisation that no camera changes."""

    def __init__(self, sizes: TriplaneSizes, image_width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(sizes, image_width) for _ in range(sizes.depth))
        self.norm = nn.LayerNorm(sizes.width, eps=EPS)

    def forward(self, x: Tensor, image: Tensor, camera: Tensor) -> Tensor:
        """As `Layer`."""
        for layer in self.layers:
            x = layer(x, image, camera)
        return self.norm(x)


def drawn(tokens: Tensor, upsampler: nn.ConvTranspose2d, low: int) -> Tensor:
    """Tokens (B, 3 * low * low, width) in the order plane, row, column -> planes (B, 3, channels, 2 low, 2 low)."""
    maps = tokens.unflatten(1, (3, low, low)).permute(0, 1, 4, 2, 3)
    return upsampler(maps.flatten(0, 1)).unflatten(0, (len(tokens), 3))


def lookup(planes: Tensor, points: Tensor) -> Tensor:
    """Reads three planes at points and joins what they say.

    Args:
        planes: (B, 3, C, H, W) which span [-1, 1] from edge to edge; zero outside.
        points: (B, N, 3) in the frame of the planes.

    Returns:
        (B, N, 3 C), interpolated bilinearly.
    """
    places = torch.stack([points[..., axes] for axes in PLANE_AXES], dim=1)
    flat = (planes.flatten(0, 1), places.flatten(0, 1)[:, None])
    read = functional.grid_sample(*flat, mode="bilinear", padding_mode="zeros", align_corners=False)
    return read[:, :, 0].unflatten(0, places.shape[:2]).permute(0, 3, 1, 2).flatten(2)
