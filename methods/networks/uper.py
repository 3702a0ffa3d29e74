"""UPerNet's decoder (Xiao et al., ECCV 2018): pooled context at the coarsest level, then down a pyramid of maps.

Modules are named as in mmsegmentation's `UPerHead`, so that an official state dict loads strictly.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

POOL_SCALES = (1, 2, 3, 6)


class ConvModule(nn.Module):
    """A convolution without bias, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H, W)."""
        return functional.relu(self.bn(self.conv(x)))


class UPerHead(nn.Module):
    """Four maps, the finest first, become one of `outputs` channels at the finest size.

    Args:
        inputs: channels of each of the four maps.
        channels: inside.
        outputs: channels of the result: classes or points.
    """

    def __init__(self, inputs: int, channels: int, outputs: int) -> None:
        super().__init__()
        self.psp_modules = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(scale), ConvModule(inputs, channels, 1)) for scale in POOL_SCALES
        )
        self.bottleneck = ConvModule(inputs + len(POOL_SCALES) * channels, channels, 3)
        self.lateral_convs = nn.ModuleList(ConvModule(inputs, channels, 1) for _ in range(3))
        self.fpn_convs = nn.ModuleList(ConvModule(channels, channels, 3) for _ in range(3))
        self.fpn_bottleneck = ConvModule(4 * channels, channels, 3)
        self.dropout = nn.Dropout2d(0.1)
        self.conv_seg = nn.Conv2d(channels, outputs, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Four (B, inputs, H, W), the finest first -> (B, outputs, H, W) at the finest size."""
        levels = [lateral(one) for lateral, one in zip(self.lateral_convs, maps, strict=False)]
        levels.append(self._context(maps[-1]))
        for i in range(len(levels) - 1, 0, -1):
            levels[i - 1] = levels[i - 1] + resized(levels[i], levels[i - 1])
        smooth = [conv(level) for conv, level in zip(self.fpn_convs, levels, strict=False)]
        together = torch.cat([smooth[0], *(resized(one, smooth[0]) for one in (*smooth[1:], levels[-1]))], dim=1)
        return self.conv_seg(self.dropout(self.fpn_bottleneck(together)))

    def _context(self, coarse: Tensor) -> Tensor:
        pooled = [resized(module(coarse), coarse) for module in self.psp_modules]
        return self.bottleneck(torch.cat([coarse, *pooled], dim=1))


def resized(x: Tensor, like: Tensor) -> Tensor:
    """(B, C, H, W) bilinearly at the height and width of another map."""
    return functional.interpolate(x, size=like.shape[2:], mode="bilinear", align_corners=False)
