"""MICA against the published code; it looks at directions only."""

from __future__ import annotations

import pytest
import torch

from harness.methods.mica.network import MINI, Mica
from tests import network_reference as reference


@pytest.mark.slow
@reference.needs_reference
def test_official_weights_give_official_outputs() -> None:
    report, stages = reference.parity("mica")
    assert set(stages) == reference.stage_names("mica")
    assert {stage: error for stage, (error, limit) in stages.items() if error > min(limit, 1e-4)} == {}
    assert report.parameters == report.specified == {"arcface": 65_156_160, "regressor": 515_100}


def test_reads_a_shape_and_nothing_else() -> None:
    torch.manual_seed(0)
    net = Mica(MINI)
    codes = net(2 * torch.rand(4, 3, MINI.image, MINI.image) - 1)
    assert codes.shape.shape == (4, 82) and codes.shape.abs().max() < 0.5
    assert (codes.expression, codes.turn, codes.jaw, codes.camera) == (None, None, None, None)
    assert sum(p.numel() for p in net.parameters()) <= 3_500_000


def test_the_length_of_the_description_does_not_matter() -> None:
    torch.manual_seed(0)
    net = Mica(MINI).eval()
    crops = torch.rand(2, 3, MINI.image, MINI.image)
    before = net(crops).shape
    net.arcface.register_forward_hook(lambda _, __, output: 3 * output)
    assert torch.allclose(before, net(crops).shape, atol=1e-6)


def test_scale_of_the_description_is_not_trained() -> None:
    assert not Mica(MINI).arcface.features.weight.requires_grad
