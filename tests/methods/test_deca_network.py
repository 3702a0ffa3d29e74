"""DECA and EMOCA against the published code, and what their codes mean."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from harness.methods.deca import network as deca
from harness.methods.emoca import network as emoca
from tests import network_reference as reference


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deca", "emoca"])
@reference.needs_reference
def test_official_weights_give_official_outputs(name: str) -> None:
    report, stages = reference.parity(name)
    assert set(stages) == reference.stage_names(name)
    assert {stage: error for stage, (error, limit) in stages.items() if error > min(limit, 1e-4)} == {}
    assert report.parameters == report.specified


@pytest.mark.parametrize("size", [96, 128])
def test_mini_starts_near_the_mean_with_the_head_filling_the_crop(size: int) -> None:
    torch.manual_seed(0)
    codes = deca.Deca(deca.MINI)(torch.rand(4, 3, size, size))
    assert codes.shape.shape == (4, 82) and codes.texture is not None and codes.texture.shape == (4, 8)
    assert codes.expression is not None and codes.expression.shape == (4, 46)
    assert codes.camera is not None and codes.light is not None and codes.light.shape == (4, 9, 3)
    assert (codes.camera - torch.tensor([8.0, 0, 0])).abs().max() < 0.5
    assert codes.shape.abs().max() < 0.5 and codes.expression.abs().max() < 0.5
    assert codes.eyelids is None and codes.tokens is None


def test_light_is_stored_coefficient_by_coefficient() -> None:
    values = torch.arange(236.0)[None]
    codes = deca.split(values, deca.PAPER)
    assert codes.light is not None and codes.camera is not None and codes.jaw is not None
    assert codes.light[0, 2].tolist() == [215, 216, 217]  # third coefficient: red, green, blue
    assert codes.camera[0].tolist() == [206, 207, 208]
    assert codes.jaw[0].tolist() == [203, 204, 205]


def test_displacement_is_drawn_from_jaw_expression_and_detail() -> None:
    torch.manual_seed(0)
    net = deca.Deca(replace(deca.MINI, detail=5)).eval()
    assert net.D_detail is not None and net.E_detail is not None
    read: list[torch.Tensor] = []
    net.D_detail.register_forward_hook(lambda _, given, __: read.append(given[0]))
    crops = torch.rand(1, 3, 96, 96)
    codes = net(crops)
    drawn = net.displacement(crops, codes)
    assert torch.equal(read[0], torch.cat([codes.jaw, codes.expression, net.E_detail(crops)], dim=1))
    assert torch.allclose(drawn, 1000 * net.D_detail(read[0])) and drawn.shape == (1, 1, 256, 256)
    assert 0.01 < drawn.abs().max() <= 10  # tanh x 0.01 m, in millimetres
    with pytest.raises(TypeError, match="detail branch"):
        deca.Deca(deca.MINI).displacement(crops, codes)


@pytest.mark.parametrize(("count", "own_turn", "own_jaw"), [(50, False, False), (53, False, True), (56, True, True)])
def test_emoca_takes_what_its_own_encoder_gives(count: int, own_turn: bool, own_jaw: bool) -> None:
    torch.manual_seed(0)
    sizes = replace(emoca.MINI, expression=50).with_outputs(count)
    assert (sizes.own_turn, sizes.own_jaw) == (own_turn, own_jaw)
    net = emoca.Emoca(sizes).eval()
    crops = torch.rand(2, 3, 96, 96)
    own, flame, codes = net.E_expression(crops), deca.split(net.E_flame(crops), sizes), net(crops)
    assert own.shape == (2, count)
    assert torch.equal(codes.expression, own[:, :50]) and torch.equal(codes.shape, flame.shape)
    assert torch.equal(codes.turn, own[:, 50:53] if own_turn else flame.turn)
    assert torch.equal(codes.jaw, own[:, -3:] if own_jaw else flame.jaw)


def test_emoca_refuses_other_numbers_of_outputs() -> None:
    with pytest.raises(ValueError, match=r"\+ 3 \(jaw\)"):
        emoca.PAPER.with_outputs(51)


def test_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        net = emoca.Emoca(emoca.PAPER.with_outputs(53))
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in net.named_children()}
    detail = {"E_detail": 25_737_408, "D_detail": 1_773_345}
    assert counts == {"E_flame": 25_848_108, "E_expression": 25_660_533, **detail}


@pytest.mark.parametrize("net", [deca.Deca(deca.MINI), emoca.Emoca(emoca.MINI)])
def test_mini_is_small(net: torch.nn.Module) -> None:
    assert sum(p.numel() for p in net.parameters()) <= 3_500_000
