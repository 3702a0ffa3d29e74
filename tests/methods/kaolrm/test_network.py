"""KaoLRM against the published code, and its parts against readable twins in double precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.methods.kaolrm.cameras import source_numbers
from harness.methods.kaolrm.gaussians import front, plane_points, surface_points
from harness.methods.kaolrm.network import MINI, HeadCodes, KaoLRM
from harness.methods.kaolrm.triplanes import Layer, TriplaneSizes, lookup
from harness.methods.networks.dinov2 import VisionSizes, VisionTransformer
from tests import kaolrm_reference as reference
from tests.network_reference import json_of, needs_reference


@pytest.mark.slow
@pytest.mark.parametrize("name", reference.NAMES)
@needs_reference
def test_official_weights_give_official_outputs(name: str) -> None:
    report, values, chained = reference.outputs(name)
    assert set(values) == reference.stage_names(name)
    stages = reference.compared(name, values)
    assert {stage: error for stage, (error, _) in stages.items() if error > 2e-5} == {}
    assert {s: e for s, (e, limit) in reference.compared(name, chained).items() if e > limit} == {}
    assert report is None or report.parameters == report.specified


@pytest.mark.parametrize("name", reference.NAMES)
@needs_reference
def test_keys_and_counts_are_the_published_ones(name: str) -> None:
    with torch.device("meta"):
        ours = KaoLRM(reference.SIZES[name]).state_dict()
    official = {k: tuple(v[0]) for k, v in json_of(name, "keys").items() if not k.startswith("flame_model.")}
    assert {key: tuple(value.shape) for key, value in ours.items()} == official
    for part, numbers in json_of(name, "meta")["numbers"].items():
        count = sum(value.numel() for key, value in ours.items() if key.startswith(part))
        assert count == (0 if part == "flame_model." else numbers["float"]), part


def test_mini_starts_near_the_mean_in_the_middle_and_every_weight_learns() -> None:
    torch.manual_seed(0)
    net = KaoLRM(MINI)
    assert sum(p.numel() for p in net.parameters()) < 2_500_000
    found = net(torch.rand(2, 3, 112, 112), source_numbers(2))
    codes = found.codes
    assert (
        codes.shape.shape == (2, 82) and codes.expression.shape == (2, 46) and found.planes.shape == (2, 3, 16, 12, 12)
    )
    assert max(x.abs().max() for x in (codes.shape, codes.expression, codes.turn, codes.jaw, codes.translation)) < 0.1
    assert (codes.scale - MINI.first_scale).abs().max() < 0.1
    drawn = net.gaussian_decoder(found.planes, torch.rand(2, 9, 3) - 0.5)
    sum(value.square().sum() for value in (*vars(codes).values(), drawn.numbers())).backward()
    still = {name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()}
    assert still == set()


def test_the_camera_changes_the_planes() -> None:
    torch.manual_seed(0)
    net, image = KaoLRM(MINI).eval(), torch.rand(1, 3, 112, 112)
    with torch.inference_mode():
        one, other = (net(image, source_numbers() * factor).planes for factor in (1.0, 1.5))
    assert (one - other).abs().max() > 1e-3


def test_scale_is_at_least_a_tenth() -> None:
    net = KaoLRM(MINI).flame_decoder
    torch.nn.init.zeros_(net.decoder[-1].weight)
    torch.nn.init.constant_(net.decoder[-1].bias, -9.0)
    assert net(torch.rand(1, 3, 16, 12, 12)).scale.item() == pytest.approx(0.1)


def test_a_head_is_scaled_and_then_moved() -> None:
    zero = torch.zeros(1, 3)
    codes = HeadCodes(zero, zero, zero, zero, torch.tensor([[4.0]]), torch.tensor([[1.0, 2, 3]]))
    points = torch.tensor([[[0.1, 0.2, -0.3]]])
    assert torch.allclose(codes.placed(points), torch.tensor([[[1.4, 2.8, 1.8]]]))
    assert torch.allclose(codes.before_a_long_lens().placed(points), torch.tensor([[[1.4, 2.8, -1.2]]]))


def gelu(x: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def attention(query: np.ndarray, key: np.ndarray, value: np.ndarray, heads: int) -> np.ndarray:
    """Of one item: (N, D), (M, D), (M, D) -> (N, D)."""
    parts = []
    for q, k, v in zip(*(np.split(x, heads, axis=1) for x in (query, key, value)), strict=True):
        scores = q @ k.T / np.sqrt(q.shape[1])
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        parts.append(scores / scores.sum(axis=1, keepdims=True) @ v)
    return np.concatenate(parts, axis=1)


def normalised(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    middle = x - x.mean(axis=1, keepdims=True)
    return middle / np.sqrt((middle**2).mean(axis=1, keepdims=True) + 1e-6) * weight + bias


def random_weights(net: torch.nn.Module) -> dict[str, np.ndarray]:
    generator = torch.Generator().manual_seed(1)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=generator)
    return {name: value.double().numpy() for name, value in net.state_dict().items()}


def test_vision_transformer_is_its_formula() -> None:
    sizes = VisionSizes(width=8, depth=2, heads=2, patch=2, grid=3, registers=2)
    net = VisionTransformer(sizes).double()
    w = random_weights(net)
    image = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pixels = image[0].numpy()
    kernel, bias = w["patch_embed.proj.weight"], w["patch_embed.proj.bias"]
    corners = [(i, j) for i in range(0, 6, 2) for j in range(0, 6, 2)]
    patches = [np.einsum("ocij,cij->o", kernel, pixels[:, i : i + 2, j : j + 2]) + bias for i, j in corners]
    x = np.concatenate([w["cls_token"][0], patches]) + w["pos_embed"][0]
    x = np.concatenate([x[:1], w["register_tokens"][0], x[1:]])
    for i in range(2):
        b = {key.removeprefix(f"blocks.{i}."): value for key, value in w.items()}
        qkv = normalised(x, b["norm1.weight"], b["norm1.bias"]) @ b["attn.qkv.weight"].T + b["attn.qkv.bias"]
        seen = attention(*np.split(qkv, 3, axis=1), heads=2) @ b["attn.proj.weight"].T + b["attn.proj.bias"]
        x = x + b["ls1.gamma"] * seen
        hidden = gelu(normalised(x, b["norm2.weight"], b["norm2.bias"]) @ b["mlp.fc1.weight"].T + b["mlp.fc1.bias"])
        x = x + b["ls2.gamma"] * (hidden @ b["mlp.fc2.weight"].T + b["mlp.fc2.bias"])
    x = normalised(x, w["norm.weight"], w["norm.bias"])
    expected = np.concatenate([x[:1], x[3:]])
    with torch.inference_mode():
        assert np.abs(net(image)[0].numpy() - expected).max() < 1e-12


def test_positions_of_a_plane_stay_a_plane() -> None:
    """Cubic resampling keeps linear functions, away from the borders."""
    net = VisionTransformer(VisionSizes(width=2, depth=0, heads=1, grid=37))
    rows, columns = torch.meshgrid(torch.arange(37.0), torch.arange(37.0), indexing="ij")
    with torch.no_grad():
        net.pos_embed[0, 1:] = torch.stack([rows, columns], dim=2).flatten(0, 1)
        net.pos_embed[0, 0] = 5
        found = net.positions(16, 16)
    expected = (torch.arange(16) + 0.5) * 37 / 16 - 0.5
    grid = found[0, 1:].unflatten(0, (16, 16))[3:-3, 3:-3]
    assert (grid[..., 0] - expected[3:-3, None]).abs().max() < 5e-3
    assert (grid[..., 1] - expected[None, 3:-3]).abs().max() < 5e-3
    assert (found[0, 0] == 5).all()
    assert net.positions(37, 37) is net.pos_embed


@pytest.mark.parametrize("image_width", [8, 6])
def test_layer_is_its_formula(image_width: int) -> None:
    """Equal widths store the projections together, others apart."""
    sizes = TriplaneSizes(width=8, depth=1, heads=2, camera=5)
    net = Layer(sizes, image_width).double().eval()
    w = random_weights(net)
    generator = torch.Generator().manual_seed(2)
    shapes = ((1, 7, 8), (1, 4, image_width), (1, 5))
    given = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    x, image, camera = (value[0].numpy() for value in given)

    def modulated(x: np.ndarray, k: int) -> np.ndarray:
        silu = camera / (1 + np.exp(-camera))
        shift, scale = np.split(silu @ w[f"norm{k}.mlp.1.weight"].T + w[f"norm{k}.mlp.1.bias"], 2)
        return normalised(x, w[f"norm{k}.norm.weight"], w[f"norm{k}.norm.bias"]) * (1 + scale) + shift

    if image_width == 8:
        cross = np.split(w["cross_attn.in_proj_weight"], 3)
    else:
        cross = [w[f"cross_attn.{name}_proj_weight"] for name in "qkv"]
    q, k, v = cross
    x = x + attention(modulated(x, 1) @ q.T, image @ k.T, image @ v.T, 2) @ w["cross_attn.out_proj.weight"].T
    q, k, v = np.split(w["self_attn.in_proj_weight"], 3)
    own = modulated(x, 2)
    x = x + attention(own @ q.T, own @ k.T, own @ v.T, 2) @ w["self_attn.out_proj.weight"].T
    hidden = gelu(modulated(x, 3) @ w["mlp.0.weight"].T + w["mlp.0.bias"])
    x = x + hidden @ w["mlp.3.weight"].T + w["mlp.3.bias"]
    with torch.inference_mode():
        assert np.abs(net(*given)[0].numpy() - x).max() < 1e-12


def linear_planes(size: int) -> Tensor:
    """(1, 3, 2, S, S) planes whose two channels are column and row in [-1, 1], plus ten times the plane's number."""
    ramp = (2 * torch.arange(size, dtype=torch.float64) + 1) / size - 1
    maps = torch.stack([ramp.expand(size, size), ramp[:, None].expand(size, size)])
    return torch.stack([maps + 10 * plane for plane in range(3)])[None]


def test_lookup_reads_three_planes() -> None:
    points = torch.tensor([[[0.1, -0.4, 0.7], [0.5, 0.2, -0.3]]], dtype=torch.float64)
    x, y, z = points.unbind(2)
    expected = torch.stack([x, y, 10 + x, 10 + z, 20 + z, 20 + y], dim=2)
    assert torch.allclose(lookup(linear_planes(16), points), expected)


def test_lookup_is_zero_outside_and_half_at_the_edge() -> None:
    points = torch.tensor([[[1.2, 1.2, 1.2], [1.0, 0.0, 0.0]]], dtype=torch.float64)
    ones = torch.ones(1, 3, 1, 8, 8, dtype=torch.float64)
    assert lookup(ones, points)[0].tolist() == [[0, 0, 0], [0.5, 0.5, 1]]


def test_planes_have_z_up_and_are_read_larger_through_a_longer_lens() -> None:
    point = torch.tensor([0.1, 0.2, 0.3])
    assert torch.allclose(plane_points(point, 0.75), torch.tensor([0.1, -0.3, 0.2]))
    assert torch.allclose(plane_points(point, 3.0), torch.tensor([0.4, -1.2, 0.8]))


def test_front_keeps_the_nearest_over_one_point_eight() -> None:
    points = torch.randn(5023, 3, generator=torch.Generator().manual_seed(0))
    kept = points[front(points), 2]
    assert len(kept) == 2790 and torch.equal(kept, points[:, 2].sort(descending=True).values[:2790])


def test_surface_points_are_spread_by_area() -> None:
    """A large square and a small one of another height: shares of points and their means are those of the areas."""
    square = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    vertices = torch.cat([3 * square, square + torch.tensor([5.0, 0, 1])]).requires_grad_()
    faces = torch.tensor([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    points = surface_points(vertices, faces, 20_000, torch.Generator().manual_seed(0))
    small = points[:, 2] > 0.5
    assert small.double().mean().item() == pytest.approx(0.1, abs=0.008)
    large = points[~small]
    assert (large[:, :2].mean(dim=0) - 1.5).abs().max() < 0.03
    quarter = (large[:, 0] < 1.5) & (large[:, 1] < 1.5)
    assert quarter.double().mean().item() == pytest.approx(0.25, abs=0.015)
    assert large[:, :2].min() >= 0 and large[:, :2].max() <= 3
    points.sum().backward()
    assert vertices.grad is not None and vertices.grad.sum().item() == pytest.approx(60_000, rel=1e-4)
    again = surface_points(vertices, faces, 20_000, torch.Generator().manual_seed(0))
    assert torch.equal(again, points)


def test_mini_reads_other_picture_sizes() -> None:
    net = KaoLRM(replace(MINI, image=84)).eval()
    with torch.inference_mode():
        assert net(torch.rand(1, 3, 84, 84), source_numbers()).planes.isfinite().all()
