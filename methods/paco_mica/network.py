"""MICA's identity, and an expression read by a pre-trained encoder of faces."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.methods.farl.network import CLIP_MEAN, CLIP_STD
from harness.methods.mica import network as mica
from harness.methods.networks.vit import VisionTransformer, ViTSizes
from harness.methods.paco_fr import network as paco
from harness.methods.regression.codes import Codes

JAW = 3


@dataclass(frozen=True)
class Sizes:
    """Dimensions; the paper's supplement, which would tell the branch, could not be had.

    Attributes:
        mica: of the identity.
        vit: of the encoder, and with it the side of both crops.
        hidden: width of the branch's two hidden layers.
        expression: coefficients.
    """

    mica: mica.Sizes = field(default_factory=mica.Sizes)
    vit: ViTSizes = field(default_factory=ViTSizes)
    hidden: int = 512
    expression: int = 100


PAPER = Sizes()
MINI_EXPRESSION = 46  # of the procedural head
PATCH_WIDTH = 16
"""Numbers that the branch keeps of each patch: where something is matters, and the class token, which no loss of the
pre-training reads, knows next to nothing of expressions."""
MINI = Sizes(mica.MINI, paco.MINI.vit, hidden=128, expression=MINI_EXPRESSION)


class PacoMica(nn.Module):
    """Two crops of a face become identity, expression and jaw."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.image_mean: Tensor
        self.image_std: Tensor
        self.register_buffer("image_mean", torch.tensor(CLIP_MEAN).view(1, 3, 1, 1))
        self.register_buffer("image_std", torch.tensor(CLIP_STD).view(1, 3, 1, 1))
        self.mica = mica.Mica(sizes.mica)
        self.visual = VisionTransformer(sizes.vit)
        width, hidden = sizes.vit.width, sizes.hidden
        self.branch = nn.Sequential(
            *(nn.LayerNorm(width), nn.Linear(width, PATCH_WIDTH), nn.Flatten()),
            *(nn.Linear(PATCH_WIDTH * sizes.vit.side**2, hidden), nn.LeakyReLU(mica.SLOPE)),
            *(nn.Linear(hidden, hidden), nn.LeakyReLU(mica.SLOPE)),
            nn.Linear(hidden, sizes.expression + JAW),
        )
        last = self.branch[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight.mul_(0.1)

    def forward(self, crops: Tensor) -> Codes:
        """(B, 6, S, S) -> codes; three channels of FFHQ's crop in 0..1, three of ArcFace's in [-1, 1]."""
        portraits, aligned = crops[:, :3], crops[:, 3:]
        side = self.sizes.mica.image
        if aligned.shape[-1] != side:
            aligned = functional.interpolate(aligned, size=(side, side), mode="area")
        tokens = self.visual.blocks((portraits - self.image_mean) / self.image_std)[-1]
        found = self.branch(tokens[:, 1:])
        return Codes(
            shape=self.mica(aligned).shape,
            expression=found[:, :-JAW],
            turn=torch.zeros_like(found[:, :JAW]),
            jaw=found[:, -JAW:],
        )
