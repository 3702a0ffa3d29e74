"""Residual networks of bottleneck blocks (He et al., CVPR 2016), version 1.5: stride on the 3x3 convolution.

Modules are named as in torchvision's `resnet50`, so that its state dict without `fc` loads strictly.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

EXPANSION = 4


@dataclass(frozen=True)
class ResNetSizes:
    """Dimensions of a residual network; the defaults are those of ResNet-50.

    Attributes:
        blocks: per stage.
        width: channels after the first convolution; the stages' blocks have width x 1, 2, 4, 8 inside.
    """

    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    width: int = 64

    @property
    def out(self) -> int:
        """Channels of the last map."""
        return 8 * EXPANSION * self.width


class Bottleneck(nn.Module):
    """1x1 to `planes` channels, 3x3 with the stride, 1x1 to 4 x `planes`, plus the input."""

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * planes
        self.conv1 = nn.Conv2d(inputs, planes, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.conv3 = nn.Conv2d(planes, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, 4 planes, H / stride, W / stride)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = functional.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return functional.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """The convolutions of a residual network and the mean over the last map."""

    def __init__(self, sizes: ResNetSizes) -> None:
        super().__init__()
        width = sizes.width
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(width, width, sizes.blocks[0], stride=1)
        self.layer2 = _stage(4 * width, 2 * width, sizes.blocks[1], stride=2)
        self.layer3 = _stage(8 * width, 4 * width, sizes.blocks[2], stride=2)
        self.layer4 = _stage(16 * width, 8 * width, sizes.blocks[3], stride=2)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, out)."""
        x = self.maxpool(functional.relu(self.bn1(self.conv1(images))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean(dim=(2, 3))


def _stage(inputs: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
    first = Bottleneck(inputs, planes, stride)
    return nn.Sequential(first, *(Bottleneck(EXPANSION * planes, planes, 1) for _ in range(blocks - 1)))
