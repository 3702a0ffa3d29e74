"""The stacked hourglass image filter of LVD (which took it from PIFu), with its sizes as parameters.

Module names follow the official checkpoint, so that its state dict loads with `strict=True`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class FilterSizes:
    """Dimensions of an image filter.

    Attributes:
        inputs: image channels: 3, or 4 with the mask.
        stem: channels of the three stages of the stem; the last is the width of the hourglasses and the output.
        stride: stride of the first convolution; the maps have the input's size divided by it.
        stacks: how many hourglasses follow each other; one output map each.
        depth: levels of each hourglass.
        groups: groups of the group normalisations.
        expected: channels of a picture of what is expected, twice as large as the maps, which joins them behind the
            stem; 0: none.
    """

    inputs: int = 3
    stem: tuple[int, int, int] = (64, 128, 256)
    stride: int = 2
    stacks: int = 4
    depth: int = 2
    groups: int = 32
    expected: int = 0

    @property
    def channels(self) -> int:
        """Channels of each output map."""
        return self.stem[-1]


class ConvBlock(nn.Module):
    """Pre-activation residual block whose three convolutions give a half, a quarter and a quarter of the output.

    `bn4` exists in every block, as in the official code, but acts only where the widths differ; there it is
    also registered as `downsample.0`.
    """

    def __init__(self, inputs: int, outputs: int, groups: int) -> None:
        super().__init__()
        half, quarter = outputs // 2, outputs // 4
        self.conv1 = nn.Conv2d(inputs, half, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(half, quarter, 3, padding=1, bias=False)
        self.conv3 = nn.Conv2d(quarter, quarter, 3, padding=1, bias=False)
        self.bn1 = nn.GroupNorm(min(groups, inputs), inputs)
        self.bn2 = nn.GroupNorm(min(groups, half), half)
        self.bn3 = nn.GroupNorm(min(groups, quarter), quarter)
        self.bn4 = nn.GroupNorm(min(groups, inputs), inputs)
        self.downsample: nn.Sequential | None = None
        if inputs != outputs:
            self.downsample = nn.Sequential(self.bn4, nn.ReLU(), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        half = self.conv1(functional.relu(self.bn1(x)))
        third = self.conv2(functional.relu(self.bn2(half)))
        fourth = self.conv3(functional.relu(self.bn3(third)))
        residual = x if self.downsample is None else self.downsample(x)
        return torch.cat([half, third, fourth], dim=1) + residual


class Hourglass(nn.Module):
    """One hourglass: average pooling down, bicubic interpolation (aligned corners) up, a skip block per level."""

    def __init__(self, channels: int, depth: int, groups: int) -> None:
        super().__init__()
        self.depth = depth
        for level in range(1, depth + 1):
            for name in ("b1", "b2", "b3"):
                self.add_module(f"{name}_{level}", ConvBlock(channels, channels, groups))
        self.b2_plus_1 = ConvBlock(channels, channels, groups)

    def forward(self, x: Tensor, level: int | None = None) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W); H and W divisible by 2**depth. `level` counts down to 1 in the recursion."""
        level = self.depth if level is None else level
        skip = self._modules[f"b1_{level}"](x)  # type: ignore[misc]
        low = self._modules[f"b2_{level}"](functional.avg_pool2d(x, 2))  # type: ignore[misc]
        low = self.forward(low, level - 1) if level > 1 else self.b2_plus_1(low)
        low = self._modules[f"b3_{level}"](low)  # type: ignore[misc]
        return skip + functional.interpolate(low, scale_factor=2, mode="bicubic", align_corners=True)


class HourglassStack(nn.Module):
    """Hourglasses in sequence; each gives an output map and passes its sum with its input on to the next."""

    def __init__(self, sizes: FilterSizes) -> None:
        super().__init__()
        self.stacks = sizes.stacks
        width, groups = sizes.channels, min(sizes.groups, sizes.channels)
        for s in range(sizes.stacks):
            self.add_module(f"m{s}", Hourglass(width, sizes.depth, groups))
            self.add_module(f"top_m_{s}", ConvBlock(width, width, groups))
            self.add_module(f"conv_last{s}", nn.Conv2d(width, width, 1))
            self.add_module(f"bn_end{s}", nn.GroupNorm(groups, width))
            self.add_module(f"l{s}", nn.Conv2d(width, width, 1))
            if s < sizes.stacks - 1:
                self.add_module(f"bl{s}", nn.Conv2d(width, width, 1))
                self.add_module(f"al{s}", nn.Conv2d(width, width, 1))

    def _part(self, name: str) -> nn.Module:
        return cast(nn.Module, self._modules[name])

    def refine(self, x: Tensor) -> list[Tensor]:
        """(B, C, H, W) -> one (B, C, H, W) map per stack."""
        outputs = []
        for s in range(self.stacks):
            low = self._part(f"top_m_{s}")(self._part(f"m{s}")(x))
            low = functional.relu(self._part(f"bn_end{s}")(self._part(f"conv_last{s}")(low)))
            outputs.append(self._part(f"l{s}")(low))
            if s < self.stacks - 1:
                x = x + self._part(f"bl{s}")(low) + self._part(f"al{s}")(outputs[-1])
        return outputs

    def forward(self, x: Tensor) -> list[Tensor]:
        """The same as `refine`."""
        return self.refine(x)


class ImageFilter(HourglassStack):
    """Stem and hourglasses: (B, inputs, H, W) images -> one map per stack, (B, C, H/stride, W/stride)."""

    def __init__(self, sizes: FilterSizes) -> None:
        super().__init__(sizes)
        first, second, width = sizes.stem
        self.conv1 = nn.Conv2d(sizes.inputs, first, 7, stride=sizes.stride, padding=3)
        self.bn1 = nn.GroupNorm(min(sizes.groups, first), first)
        self.conv2 = ConvBlock(first, second, sizes.groups)
        self.conv3 = ConvBlock(second, second, sizes.groups)
        self.conv4 = ConvBlock(second, width, sizes.groups)
        self.expected = nn.Conv2d(sizes.expected, width, 4, stride=2, padding=1) if sizes.expected else None

    def forward(self, images: Tensor, expected: Tensor | None = None) -> list[Tensor]:
        """(B, inputs, H, W) -> list of (B, C, h, w), first stack first; `expected` (B, E, 2h, 2w) joins them."""
        x = self.conv4(self.conv3(self.conv2(functional.relu(self.bn1(self.conv1(images))))))
        if self.expected is not None and expected is not None:
            x = x + self.expected(expected)
        return self.refine(x)
