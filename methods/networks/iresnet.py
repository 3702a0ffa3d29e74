"""The residual network of ArcFace (Deng et al., CVPR 2019) for aligned faces.

Modules are named as in insightface's `iresnet100`, so that its state dict loads strictly.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class IResNetSizes:
    """Dimensions of an identity network; the defaults are those of iresnet100.

    Attributes:
        image: side of the square input in pixels, a multiple of 16.
        blocks: per stage.
        widths: channels per stage; the first is also that of the first convolution.
        embedding: numbers that describe a face.
    """

    image: int = 112
    blocks: tuple[int, int, int, int] = (3, 13, 30, 3)
    widths: tuple[int, int, int, int] = (64, 128, 256, 512)
    embedding: int = 512


class Block(nn.Module):
    """Normalise, 3x3, normalise, PReLU, 3x3 with the stride, normalise; plus the input. Nothing after the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.prelu = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        y = self.prelu(self.bn2(self.conv1(self.bn1(x))))
        return self.bn3(self.conv2(y)) + (x if self.downsample is None else self.downsample(x))


class IResNet(nn.Module):
    """Describes an aligned face; the description is not yet brought to unit length."""

    def __init__(self, sizes: IResNetSizes) -> None:
        super().__init__()
        widths, side = sizes.widths, sizes.image // 16
        self.conv1 = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.prelu = nn.PReLU(widths[0])
        self.layer1 = _stage(widths[0], widths[0], sizes.blocks[0])
        self.layer2 = _stage(widths[0], widths[1], sizes.blocks[1])
        self.layer3 = _stage(widths[1], widths[2], sizes.blocks[2])
        self.layer4 = _stage(widths[2], widths[3], sizes.blocks[3])
        self.bn2 = nn.BatchNorm2d(widths[3])
        self.fc = nn.Linear(widths[3] * side * side, sizes.embedding)
        self.features = nn.BatchNorm1d(sizes.embedding)
        self.features.weight.requires_grad_(False)  # stays 1, as published
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, a=0.25)

    def forward(self, crops: Tensor) -> Tensor:
        """(B, 3, image, image) in [-1, 1], RGB -> (B, embedding)."""
        x = self.prelu(self.bn1(self.conv1(crops)))
        x = self.bn2(self.layer4(self.layer3(self.layer2(self.layer1(x)))))
        return self.features(self.fc(x.flatten(1)))


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(Block(inputs, outputs, 2), *(Block(outputs, outputs, 1) for _ in range(blocks - 1)))
