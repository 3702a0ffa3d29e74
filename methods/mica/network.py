"""MICA (Zielonka et al., ECCV 2022): from ArcFace's description of a face to the coefficients of its neutral shape.

Modules are named as in the official checkpoint (`arcface`; `regressor` within its `flameModel`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.methods.networks.iresnet import IResNet, IResNetSizes
from harness.methods.regression.codes import Codes

SLOPE = 0.2


@dataclass(frozen=True)
class Sizes:
    """Dimensions of a MICA network; the defaults are as published.

    Attributes:
        backbone: ArcFace's network.
        hidden: width of the mapping network.
        shape: identity coefficients.
    """

    backbone: IResNetSizes = field(default_factory=IResNetSizes)
    hidden: int = 300
    shape: int = 300

    @property
    def image(self) -> int:
        """Side of the square crop in pixels."""
        return self.backbone.image


PAPER = Sizes()
MINI = Sizes(
    backbone=IResNetSizes(image=96, blocks=(1, 2, 3, 1), widths=(8, 24, 64, 192), embedding=256), hidden=200, shape=82
)


class Mapping(nn.Module):
    """Four hidden layers and a linear one."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.network = nn.ModuleList([nn.Linear(inputs if i == 0 else hidden, hidden) for i in range(4)])
        self.output = nn.Linear(hidden, outputs)
        for layer in self.network:
            nn.init.kaiming_normal_(layer.weight, a=SLOPE, nonlinearity="leaky_relu")  # type: ignore[arg-type]
        with torch.no_grad():
            self.output.weight.mul_(0.25)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs) -> (B, outputs)."""
        for layer in self.network:
            x = functional.leaky_relu(layer(x), SLOPE)
        return self.output(x)


class Mica(nn.Module):
    """Reads the identity from an aligned crop; nothing else."""

    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.arcface = IResNet(sizes.backbone)
        self.regressor = Mapping(sizes.backbone.embedding, sizes.hidden, sizes.shape)

    def forward(self, crops: Tensor) -> Codes:
        """(B, 3, S, S) crops in [-1, 1], RGB -> codes with a shape only."""
        return Codes(shape=self.regressor(functional.normalize(self.arcface(crops))))
