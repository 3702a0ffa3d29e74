"""SMIRK against the published code; the limits of its outputs and where it starts."""

from __future__ import annotations

import pytest
import torch

from harness.methods.networks.mobilenet import MobileNetSizes
from harness.methods.smirk.network import MINI, PAPER, Smirk
from tests import network_reference as reference


@pytest.mark.slow
@reference.needs_reference
def test_official_weights_give_official_outputs() -> None:
    report, stages = reference.parity("smirk")
    assert set(stages) == reference.stage_names("smirk")
    assert {stage: error for stage, (error, limit) in stages.items() if error > min(limit, 1e-4)} == {}
    assert report.parameters == report.specified == {"smirk_encoder": 3_599_921, "smirk_generator": 31_367_171}


def test_starts_at_the_mean_with_scale_seven() -> None:
    torch.manual_seed(0)
    codes = Smirk(MINI)(torch.rand(4, 3, 96, 96))
    assert codes.shape.shape == (4, 82) and not codes.shape.any()
    assert codes.camera is not None and codes.turn is not None and codes.expression is not None
    assert codes.camera[:, 0].eq(7).all() and codes.camera[:, 1:].abs().max() < 0.01 and codes.turn.abs().max() < 0.01
    assert codes.expression.shape == (4, 46) and 0 < codes.expression.abs().max() < 0.5


def test_eyelids_and_jaw_stay_within_their_limits() -> None:
    torch.manual_seed(0)
    net = Smirk(MINI).eval()
    head = net.smirk_encoder.expression_encoder.expression_layers[0]
    crops = torch.rand(1, 3, 64, 64)
    raw = torch.tensor([[-0.5, 1.7, -0.3, 0.5, -0.5], [0.4, 0.6, 0.9, 0.1, -0.1]])
    limited = torch.tensor([[0.0, 1.0, 0.0, 0.2, -0.2], [0.4, 0.6, 0.9, 0.1, -0.1]])
    for given, expected in zip(raw, limited, strict=True):
        with torch.no_grad():
            head.weight.zero_()
            head.bias[46:] = given
        codes = net(crops)
        assert codes.eyelids is not None and codes.jaw is not None
        assert torch.allclose(codes.eyelids[0], expected[:2]) and torch.allclose(codes.jaw[0], expected[2:])


def test_inference_needs_no_generator_and_training_has_one() -> None:
    torch.manual_seed(0)
    assert not any(key.startswith("smirk_generator") for key in Smirk(MINI).state_dict())
    net = Smirk(MINI, generator=True)
    count = sum(p.numel() for p in net.smirk_generator.parameters())
    assert count <= 2_000_000
    assert sum(p.numel() for p in net.parameters()) - count <= 3_500_000
    rendered, masked = torch.rand(2, 2, 3, 96, 96)
    photo = net.smirk_generator(rendered, masked)
    assert photo.shape == rendered.shape and photo.min() > 0 and photo.max() < 1
    assert not torch.allclose(photo, net.smirk_generator(masked, rendered), atol=1e-4)


@pytest.mark.parametrize(("variant", "maps"), [("small", (16, 16, 24, 48, 576)), ("large", (16, 24, 40, 112, 960))])
def test_channels_of_the_published_backbones(variant: str, maps: tuple[int, ...]) -> None:
    sizes = {"small": PAPER.encoder.pose_backbone, "large": PAPER.encoder.backbone}[variant]
    assert sizes.maps == maps and sizes.maps == MobileNetSizes(variant).maps  # type: ignore[arg-type]
