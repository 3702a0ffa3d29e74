"""The MobileNets' padding and widths."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.methods.networks.mobilenet import MobileNet, MobileNetSizes, SameConv2d


@given(st.integers(3, 17), st.integers(3, 17), st.sampled_from([1, 2]))
def test_padding_is_tensorflows(height: int, width: int, stride: int) -> None:
    """TensorFlow's rule: ceil(side / stride) outputs; of an odd number of border lines the last side gets more."""
    layer = SameConv2d(1, 1, 3, stride=stride, bias=False)
    layer.requires_grad_(False).weight.normal_()
    image = torch.randn(1, 1, height, width)
    output = layer(image)
    assert output.shape[2:] == (-(-height // stride), -(-width // stride))
    before = [max(0, (-(-side // stride) - 1) * stride + 3 - side) // 2 for side in (height, width)]
    for row in range(output.shape[2]):
        for column in range(output.shape[3]):
            total = 0.0
            for i in range(3):
                for j in range(3):
                    y, x = row * stride + i - before[0], column * stride + j - before[1]
                    if 0 <= y < height and 0 <= x < width:
                        total += float(layer.weight[0, 0, i, j] * image[0, 0, y, x])
            assert abs(float(output[0, 0, row, column]) - total) < 1e-4


@pytest.mark.parametrize("variant", ["small", "large"])
@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.0])
def test_widths_are_multiples_of_eight_and_announced(variant: str, width: float) -> None:
    sizes = MobileNetSizes(variant, width)  # type: ignore[arg-type]
    maps = MobileNet(sizes).eval()(torch.rand(1, 3, 64, 64))
    assert tuple(m.shape[1] for m in maps) == sizes.maps
    assert all(channels % 8 == 0 for channels in sizes.maps)
    assert [m.shape[2] for m in maps] == [32, 16, 8, 4, 2]
