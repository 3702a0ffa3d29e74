"""The "minimal" MobileNetV3 (Howard et al., ICCV 2019) as trained in TensorFlow: 3x3 depthwise only, ReLU, no gates.

Modules are named as in timm's `tf_mobilenetv3_{small,large}_minimal_100` with `features_only`, so that its state dict
loads strictly. TensorFlow pads "SAME": with stride 2 on an even side, one pixel at the right and bottom only.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

EPS = 1e-3  # of the batch normalisation, TensorFlow's default
STEM = 16

Stage = tuple[tuple[int, int, int], ...]
"""(expanded channels, output channels, stride) per block; expanded 0: depthwise-separable, no expansion."""

_SMALL: tuple[Stage, ...] = (
    ((0, 16, 2),),
    ((72, 24, 2), (88, 24, 1)),
    ((96, 40, 2), (240, 40, 1), (240, 40, 1)),
    ((120, 48, 1), (144, 48, 1)),
    ((288, 96, 2), (576, 96, 1), (576, 96, 1)),
)
_LARGE: tuple[Stage, ...] = (
    ((0, 16, 1),),
    ((64, 24, 2), (72, 24, 1)),
    ((72, 40, 2), (120, 40, 1), (120, 40, 1)),
    ((240, 80, 2), (200, 80, 1), (184, 80, 1), (184, 80, 1)),
    ((480, 112, 1), (672, 112, 1)),
    ((672, 160, 2), (960, 160, 1), (960, 160, 1)),
)


@dataclass(frozen=True)
class MobileNetSizes:
    """Dimensions of a MobileNetV3-minimal.

    Attributes:
        variant: which table of blocks.
        width: factor on the numbers of channels, which are rounded to multiples of 8; 1 as published.
    """

    variant: Literal["small", "large"]
    width: float = 1.0

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The table of blocks with the factor applied."""
        table = _SMALL if self.variant == "small" else _LARGE
        return tuple(tuple((self.scaled(e), self.scaled(c), s) for e, c, s in stage) for stage in table)

    @property
    def stem(self) -> int:
        """Channels after the first convolution."""
        return self.scaled(STEM)

    @property
    def out(self) -> int:
        """Channels of the last map."""
        return self.scaled(576 if self.variant == "small" else 960)

    @property
    def maps(self) -> tuple[int, ...]:
        """Channels of the maps at strides 2, 4, 8, 16, 32."""
        widths = [self.stem, *(stage[-1][1] for stage in self.stages)]
        ends = [before for before, stage in zip(widths[:-1], self.stages, strict=True) if stage[0][2] == 2]
        return (*ends, self.out)

    def scaled(self, channels: int) -> int:
        """`channels` times the factor, to the nearest multiple of 8, never below 90 % of the product."""
        product = channels * self.width
        rounded = max(8, int(product + 4) // 8 * 8) if channels else 0
        return rounded + 8 if rounded < 0.9 * product else rounded


class SameConv2d(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""
        (top, bottom), (left, right) = (_same(x.shape[2 + i], self.kernel_size[i], self.stride[i]) for i in (0, 1))
        if top == bottom and left == right:
            return functional.conv2d(x, self.weight, self.bias, self.stride, (top, left), groups=self.groups)
        padded = functional.pad(x, (left, right, top, bottom))
        return functional.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)


def _same(side: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max(0, (-(-side // stride) - 1) * stride + kernel - side)
    return total // 2, total - total // 2


class Separable(nn.Module):
    """3x3 depthwise, then 1x1 without activation; plus the input where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.skip = stride == 1 and inputs == outputs
        self.conv_dw = SameConv2d(inputs, inputs, 3, stride=stride, groups=inputs, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs, eps=EPS)
        self.conv_pw = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, ceil(H / stride), ceil(W / stride))."""
        y = self.bn2(self.conv_pw(functional.relu(self.bn1(self.conv_dw(x)))))
        return x + y if self.skip else y


class Inverted(nn.Module):
    """1x1 to `expanded` channels, 3x3 depthwise, 1x1 without activation; plus the input where the shapes agree."""

    def __init__(self, inputs: int, expanded: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.skip = stride == 1 and inputs == outputs
        self.conv_pw = nn.Conv2d(inputs, expanded, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(expanded, eps=EPS)
        self.conv_dw = SameConv2d(expanded, expanded, 3, stride=stride, groups=expanded, bias=False)
        self.bn2 = nn.BatchNorm2d(expanded, eps=EPS)
        self.conv_pwl = nn.Conv2d(expanded, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, ceil(H / stride), ceil(W / stride))."""
        y = functional.relu(self.bn1(self.conv_pw(x)))
        y = functional.relu(self.bn2(self.conv_dw(y)))
        y = self.bn3(self.conv_pwl(y))
        return x + y if self.skip else y


class Widening(nn.Module):
    """The last block: 1x1 with activation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs, eps=EPS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        return functional.relu(self.bn1(self.conv(x)))


class MobileNet(nn.Module):
    """The feature maps of a MobileNetV3-minimal at strides 2, 4, 8, 16, 32."""

    def __init__(self, sizes: MobileNetSizes) -> None:
        super().__init__()
        stages = sizes.stages
        widths = (sizes.stem, *(stage[-1][1] for stage in stages))
        self.conv_stem = SameConv2d(3, sizes.stem, 3, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(sizes.stem, eps=EPS)
        self.blocks = nn.Sequential(
            *(_stage(inputs, stage) for inputs, stage in zip(widths[:-1], stages, strict=True)),
            nn.Sequential(Widening(widths[-1], sizes.out)),
        )
        self._halves = [stage[0][2] == 2 for stage in stages] + [False]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out = module.out_channels * module.kernel_size[0] ** 2 // module.groups
                nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(B, 3, H, W) -> five maps (B, C, H / 2, W / 2) ... (B, out, H / 32, W / 32)."""
        x = functional.relu(self.bn1(self.conv_stem(images)))
        maps = []
        for stage, halves in zip(self.blocks, self._halves, strict=True):
            if halves:
                maps.append(x)
            x = stage(x)
        return [*maps, x]


def _stage(inputs: int, stage: Stage) -> nn.Sequential:
    blocks: list[nn.Module] = []
    chain = (inputs, *(outputs for _, outputs, _ in stage))
    for (before, after), (expanded, _, stride) in zip(pairwise(chain), stage, strict=True):
        block = Inverted(before, expanded, after, stride) if expanded else Separable(before, after, stride)
        blocks.append(block)
    return nn.Sequential(*blocks)
