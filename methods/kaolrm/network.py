"""KaoLRM (3DV 2026, arXiv 2601.12736): an image becomes a triplane, the triplane a FLAME head and its appearance.

Modules are named as in the official checkpoint. Attention is PyTorch's `scaled_dot_product_attention`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.methods.kaolrm.cameras import NUMBERS
from harness.methods.kaolrm.gaussians import GaussianDecoder
from harness.methods.kaolrm.triplanes import CameraEmbedder, Transformer, TriplaneSizes, drawn
from harness.methods.networks.dinov2 import VisionSizes, VisionTransformer

POSE, TRANSLATION = 6, 3
LEAST_SCALE = 0.1


@dataclass(frozen=True)
class Sizes:
    """Dimensions of a KaoLRM; the defaults are as published.

    Attributes:
        image: side of the square picture in pixels, a multiple of the encoder's patch.
        encoder: of the picture.
        triplane: of the transformer and of the planes.
        hidden: widths of the head's three hidden layers.
        gate: width of the gate's hidden layer.
        gaussian: width of the appearance decoder.
        shape: identity coefficients.
        expression: expression coefficients.
        layer_scale: see `VisionTransformer`.
        first_scale: the head's scale before training.
    """

    image: int = 224
    encoder: VisionSizes = field(default_factory=VisionSizes)
    triplane: TriplaneSizes = field(default_factory=TriplaneSizes)
    hidden: tuple[int, int, int] = (2048, 1024, 512)
    gate: int = 128
    gaussian: int = 64
    shape: int = 100
    expression: int = 50
    layer_scale: float = 1e-5
    first_scale: float = 5.0


PAPER = Sizes()
MINI = Sizes(
    image=112,
    encoder=VisionSizes(width=128, depth=4, heads=4, grid=8),
    triplane=TriplaneSizes(width=128, depth=2, heads=4, camera=64, low=6, channels=16),
    hidden=(256, 128, 128),
    gate=32,
    gaussian=32,
    shape=82,
    expression=46,
    layer_scale=1.0,
    first_scale=1.25,
)
MINI_FOCAL = 4.0
"""Of the lens that the mini draws through, in widths of the picture: heads at portrait distance."""


@dataclass(frozen=True, eq=False)
class HeadCodes:
    """A FLAME head in the network's frame, for a batch of B pictures.

    Attributes:
        shape: (B, S) identity.
        expression: (B, E).
        turn: (B, 3) axis-angle radians of the whole head about its first joint.
        jaw: (B, 3) axis-angle radians of the jaw joint.
        scale: (B, 1) the network's lengths per metre.
        translation: (B, 3) the network's lengths, added after the scale.
    """

    shape: Tensor
    expression: Tensor
    turn: Tensor
    jaw: Tensor
    scale: Tensor
    translation: Tensor

    def placed(self, metres: Tensor) -> Tensor:
        """(B, N, 3) points of the head in metres -> in the network's frame."""
        return metres * self.scale[:, None] + self.translation[:, None]

    def before_a_long_lens(self) -> HeadCodes:
        """With the depth that the mono weights draw at: through a long lens it cannot be told from the scale."""
        return replace(self, translation=self.translation * self.translation.new_tensor([1.0, 1.0, 0.0]))


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """What the network makes of a batch of B pictures.

    Attributes:
        codes: of the head.
        planes: (B, 3, C, H, W) what the appearance is read from.
    """

    codes: HeadCodes
    planes: Tensor


class Encoder(nn.Module):
    """The vision transformer under the name that the official program wraps it in."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.model = VisionTransformer(sizes.encoder, sizes.layer_scale)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) -> (B, 1 + patches, width)."""
        return self.model(images)


class Gate(nn.Module):
    """Lets through of every feature what all features together say."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, width) -> the same shape."""
        return x * self.fc(x).sigmoid()


class FlameDecoder(nn.Module):
    """Reads a head from the planes; starts near the mean face with `first_scale`, in the middle."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.counts = [sizes.shape, sizes.expression, POSE, 1, TRANSLATION]
        first, second, third = sizes.hidden
        last = nn.Linear(third, sum(self.counts))
        self.decoder = nn.Sequential(
            *(nn.Linear(3 * sizes.triplane.high**2, first), nn.GELU()),
            *(nn.Linear(first, second), nn.GELU()),
            Gate(second, sizes.gate),
            *(nn.Linear(second, third), nn.GELU()),
            last,
        )
        with torch.no_grad():
            last.weight.mul_(0.1)
            last.bias.zero_()
            last.bias[-1 - TRANSLATION] = math.log(math.expm1(sizes.first_scale))  # inverse of the softplus

    def forward(self, planes: Tensor) -> HeadCodes:
        """Planes (B, 3, C, H, W) -> codes."""
        values = self.decoder(planes.mean(dim=2).flatten(1))
        shape, expression, pose, scale, translation = values.split(self.counts, dim=1)
        scale = functional.softplus(scale).clamp_min(LEAST_SCALE)
        return HeadCodes(shape, expression, pose[:, :3], pose[:, 3:], scale, translation)


class KaoLRM(nn.Module):
    """KaoLRM; its appearance is had by `gaussian_decoder(planes, points, focal)`."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        planes = sizes.triplane
        self.encoder = Encoder(sizes)
        self.camera_embedder = CameraEmbedder(NUMBERS, planes.camera)
        self.pos_embed = nn.Parameter(torch.randn(1, 3 * planes.low**2, planes.width) / math.sqrt(planes.width))
        self.transformer = Transformer(planes, sizes.encoder.width)
        self.upsampler = nn.ConvTranspose2d(planes.width, planes.channels, 2, stride=2)
        self.flame_decoder = FlameDecoder(sizes)
        self.gaussian_decoder = GaussianDecoder(planes.channels, sizes.gaussian)

    def forward(self, images: Tensor, cameras: Tensor) -> Reconstruction:
        """Reconstructs heads from one picture each.

        Args:
            images: (B, 3, S, S) on white, 0..1, RGB; S a multiple of the encoder's patch.
            cameras: (B, 16); see `cameras.source_numbers`.
        """
        camera = self.camera_embedder(cameras)
        start = self.pos_embed.expand(len(images), -1, -1)
        tokens = self.transformer(start, self.encoder(images), camera)
        planes = drawn(tokens, self.upsampler, self.sizes.triplane.low)
        return Reconstruction(self.flame_decoder(planes), planes)
