"""FaRL's networks against the published code, how they load, and what small ones of the same kind do."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.errors import HarnessError
from harness.methods.farl.checkpoint import encoder_of, network_of, read_encoder
from harness.methods.farl.network import PAPER, Aligner, Parser, Sizes, centres
from harness.methods.networks.vit import VisionTransformer, ViTSizes, resized_positions
from tests import farl_reference as farl
from tests import network_reference as reference

MINI = Sizes(ViTSizes(image=32, patch=8, width=24, depth=4, heads=4, out=16), taps=(0, 1, 2, 3), channels=16)
FILE = Path("farl.pth")


@pytest.mark.slow
@reference.needs_reference
def test_the_encoder_equals_the_published_one() -> None:
    stages = farl.encoder_parity()
    assert set(stages) == reference.stage_names("farl_visual")
    assert {stage: error for stage, (error, limit) in stages.items() if error > min(limit, 1e-4)} == {}


@pytest.mark.slow
@reference.needs_reference
@pytest.mark.parametrize(("name", "outputs"), [("farl_parsing", 11), ("farl_alignment", 68)])
def test_networks_with_a_head_equal_the_published_ones(name: str, outputs: int) -> None:
    stages = farl.head_parity(name)
    last = {"farl_parsing": "logits512", "farl_alignment": "landmarks"}[name]
    assert set(stages) == reference.stage_names(name) - {f"{last}_from512"}
    assert {stage: error for stage, (error, limit) in stages.items() if error > min(limit, 1e-4)} == {}
    net = farl.network(name)
    head = net.head if isinstance(net, Parser) else net.heatmap_head
    assert head.head.conv_seg.out_channels == outputs and net.backbone.sizes == PAPER


def test_parameters_are_as_specified() -> None:
    with torch.device("meta"):
        visual, parser = VisionTransformer(ViTSizes()), Parser(PAPER.at(224), 11)
    count = {
        name: sum(p.numel() for p in net.parameters())
        for name, net in (("visual", visual), ("fpn", parser.backbone.fpns), ("head", parser.head))
    }
    assert count == {"visual": 86_192_640, "fpn": 7_081_728, "head": 67_856_651}


def container_of(net: torch.nn.Module) -> dict[str, object]:
    return {"networks": {"main": {}, "main_ema": net.state_dict()}, "epoch": 3}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Parser:
    monkeypatch.setattr("harness.methods.farl.checkpoint.PAPER", MINI)
    torch.manual_seed(0)
    return Parser(MINI, 11).eval()


def test_the_file_decides_what_the_network_is(small: Parser) -> None:
    aligner = Aligner(MINI.at(64), 98)
    loaded = network_of(container_of(aligner), FILE)
    assert isinstance(loaded, Aligner) and loaded.backbone.sizes.vit.image == 64
    points = loaded(torch.rand(2, 3, 50, 40))
    assert points.shape == (2, 98, 2) and points.min() > 0 and points.max() < 1
    again, picture = network_of(container_of(small), FILE), torch.rand(1, 3, 32, 32)
    assert isinstance(again, Parser)
    with torch.inference_mode():
        assert torch.equal(again(picture), small(picture)) and again(picture).shape == (1, 11, 512, 512)


def test_damage_is_named(small: Parser) -> None:
    state = small.state_dict()
    lost = {k: v for k, v in state.items() if "lateral_convs.1.conv" not in k}
    cases = [
        ({"networks": {"main_ema": lost}}, "lacks head.head.lateral_convs.1.conv.weight"),
        ({"networks": {"main_ema": state | {"extra.weight": torch.zeros(1)}}}, "holds extra.weight, which"),
        ({"networks": {"main_ema": state | {"head.head.conv_seg.weight": torch.zeros(2, 2)}}}, r"shape \(2, 2\)"),
        (
            {"networks": {"main_ema": state | {"head.head.conv_seg.bias": torch.full((11,), torch.nan)}}},
            "NaN or infinity",
        ),
        ({"networks": {"main_ema": {}}}, r"lacks its head's conv_seg\.bias"),
        ({"networks": 3}, "no FaRL network with a head: it holds networks"),
        ({}, "it holds nothing"),
    ]
    for content, words in cases:
        with pytest.raises(HarnessError, match=words):
            network_of(content, FILE)


def test_an_encoder_file_may_hold_more_but_not_less(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("harness.methods.farl.checkpoint.ViTSizes", lambda: MINI.vit)
    torch.manual_seed(0)
    net = VisionTransformer(MINI.vit).eval()
    state = {f"visual.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": state | {"logit_scale": torch.ones(())}}, tmp_path / "farl.pth")
    picture = torch.rand(1, 3, 32, 32)
    assert torch.equal(read_encoder(tmp_path / "farl.pth")(picture), net(picture))
    del state["visual.proj"]
    with pytest.raises(HarnessError, match="lacks proj; the official one is FaRL-Base"):
        encoder_of({"state_dict": state}, FILE)
    with pytest.raises(HarnessError, match="is no FaRL encoder: it holds a"):
        encoder_of({"a": torch.zeros(1)}, FILE)


def test_taps_are_outputs_of_blocks_without_the_class_token() -> None:
    torch.manual_seed(0)
    net, picture = VisionTransformer(MINI.vit), torch.rand(2, 3, 32, 32)
    (tap,) = net.maps(picture, [2])
    assert torch.equal(tap[1, :, 1, 3], net.blocks(picture)[2][1, 1 + 1 * 4 + 3])


def test_positions_keep_the_class_token() -> None:
    torch.manual_seed(0)
    positions = torch.randn(17, 5)
    larger = resized_positions(positions, 8)
    assert larger.shape == (65, 5) and torch.equal(larger[0], positions[0])
    assert resized_positions(positions, 4) is positions
    flat = torch.cat([positions[:1], torch.ones(16, 5)])
    assert torch.allclose(resized_positions(flat, 8)[1:], torch.ones(64, 5))


def test_the_centre_of_heat() -> None:
    heat = torch.zeros(1, 2, 4, 8)
    heat[0, 0, 1, 6] = 3.0
    heat[0, 1, 0, 0] = heat[0, 1, 3, 7] = 1.0
    assert torch.allclose(centres(heat)[0], torch.tensor([[6.5 / 8, 1.5 / 4], [0.5, 0.5]]))
    assert torch.allclose(centres(torch.zeros(1, 1, 4, 4)), torch.full((1, 1, 2), 0.125))
