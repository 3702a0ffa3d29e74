"""LVD against outputs of the official code (float32, weights by rule), and properties of the multi-view form."""

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from harness.methods.lvd.network import LVD, MINI, PAPER, Features, OwnRows, Sizes, encode

ORTHOGRAPHIC = ((1 / 102.4, 0, 0, 0), (0, -1 / 102.4, 0, 0), (0, 0, 0, 1))  # the paper's camera, point -> [-1, 1]
REFERENCE = Path(__file__).resolve().parents[2] / "../shared/reference/networks"


def _rules() -> ModuleType:
    if not (REFERENCE / "refrule.py").exists():
        pytest.skip("reference data ../shared/reference/networks is not there")
    spec = importlib.util.spec_from_file_location("refrule", REFERENCE / "refrule.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(("name", "channels"), [("lvd_images", 3), ("lvd_wmask", 4)])
def test_official_state_dict_gives_official_outputs(name: str, channels: int) -> None:
    rules = _rules()
    folder = str(REFERENCE / name)
    weights = {k: torch.from_numpy(v) for k, v in rules.build(f"{folder}/keys.json", f"{folder}/meta.json").items()}
    inputs = {k: torch.from_numpy(v) for k, v in rules.inputs(name).items()}
    net = LVD(replace(PAPER, filter=replace(PAPER.filter, inputs=channels)), 6890)
    net.load_state_dict(weights, strict=True)
    results = {}
    for stage, module in {"bn1": "bn1", "conv2": "conv2", "conv4": "conv4", "m0.b1_2": "m0.b1_2", "m0": "m0"}.items():
        keep = lambda _, __, out, stage=stage: results.__setitem__(stage, out.numpy())  # noqa: E731
        net.image_filter.get_submodule(module).register_forward_hook(keep)
    with torch.inference_mode():
        projection = torch.tensor(ORTHOGRAPHIC).expand(len(inputs["image"]), 1, 3, 4)
        features = encode(net.image_filter, None, inputs["image"][:, None], projection, projection, None)
        for s in range(4):
            results[f"feat{s}"] = features.maps[:, 0, 256 * s : 256 * (s + 1)].numpy()
        results["query"] = net.query(features, inputs["points"]).numpy()
        first = Features(features.maps[:1], features.projection[:1], features.code[:1])
        ids = torch.arange(6890)
        start = torch.zeros(1, 6890, 3)
        results["query_test"] = net.field(first, inputs["test_points"], ids, start)[0].numpy()
        results["two_iterations_from_zero"] = net.descend(first, start, 2).numpy()
    report = rules.compare(folder, results)
    assert {k: v for k, v in report.items() if v[0] > v[1]} == {}
    assert max(error for error, _ in report.values()) < 1e-4


def _features(net: LVD, views: int, seed: int = 0) -> Features:
    generator = torch.Generator().manual_seed(seed)
    rank = net.sizes.rank if net.sizes.probes and net.sizes.rank is not None else 0
    channels = net.sizes.values - rank
    projection = torch.tensor([[0.01, 0, 0, 0], [0, -0.01, 0, 0], [0, 0, 1e-4, 1.0]])
    projection = projection + 1e-3 * torch.randn(2, views, 3, 4, generator=generator)
    maps = torch.randn(2, views, channels, 16, 16, generator=generator)
    return Features(maps, projection, torch.randn(2, rank, generator=generator))


def _order(features: Features, order: list[int]) -> Features:
    return Features(features.maps[:, order], features.projection[:, order], features.code)


def test_views_have_no_order_and_a_repeated_view_changes_nothing() -> None:
    torch.manual_seed(0)
    net = LVD(MINI, 40)
    points, ids = 50 * torch.randn(2, 40, 3), torch.arange(40)
    features = _features(net, 3)
    start = torch.zeros_like(points)
    field = net.field(features, points, ids, start)
    assert torch.allclose(field, net.field(_order(features, [2, 0, 1]), points, ids, start), atol=1e-4)
    one, thrice = (net.field(_order(features, v), points, ids, start) for v in ([1], [1, 1, 1]))
    assert torch.allclose(one, thrice, atol=1e-4)
    assert not torch.allclose(one, field, atol=1e-2)


@pytest.mark.parametrize("sizes", [MINI, replace(MINI, rank=None, probes=0)])
def test_own_rows_belong_to_their_vertex(sizes: Sizes) -> None:
    torch.manual_seed(0)
    net = LVD(sizes, 40)
    points, features, ids = 50 * torch.randn(2, 40, 3), _features(net, 1), torch.randperm(40)
    start = 50 * torch.randn(2, 40, 3)
    every = net.field(features, points, torch.arange(40), start)
    some = net.field(features, points[:, ids[:7]], ids[:7], start[:, ids[:7]])
    assert torch.allclose(some, every[:, ids[:7]], atol=1e-4)
    if sizes.rank is None:
        outputs = net.query(features, points).unflatten(1, (40, 3))
        own = torch.stack([outputs[:, v, :, v] for v in range(40)], dim=1)
        assert torch.allclose(own, every, atol=1e-4)


def test_the_code_moves_every_point_by_its_modes() -> None:
    torch.manual_seed(0)
    net = LVD(MINI, 40)
    points, features, ids = 50 * torch.randn(2, 40, 3), _features(net, 1), torch.arange(40)
    assert isinstance(net.fc3, OwnRows)
    with torch.no_grad():
        net.fc3.reduce.weight_g.zero_()
        field = net.field(features, points, ids, points)
        assert torch.allclose(-field, torch.einsum("br,vkr->bvk", features.code, net.fc3.rows), atol=1e-4)


def test_sampling_is_exact_at_a_projected_pixel() -> None:
    net = LVD(MINI, 5)
    features = _features(net, 2)
    column, row, depth = 3, 11, 0.7
    ray = torch.tensor([2 * column / 15 - 1, 2 * row / 15 - 1, 1.0]) * depth
    projection = features.projection[1, 1]
    point = torch.linalg.solve(projection[:, :3], ray - projection[:, 3])
    sampled = features.sample(point.expand(2, 1, 3))[1, 1, 0]
    assert torch.allclose(sampled, features.maps[1, 1, :, row, column], atol=1e-3)


def test_descent_subtracts_the_field_until_it_is_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    net = LVD(MINI, 30)
    truth = 50 * torch.randn(2, 30, 3)
    monkeypatch.setattr(net, "field", lambda features, points, ids, start: 0.5 * (points - truth[:, ids]))
    end = net.descend(_features(net, 1), torch.zeros(2, 30, 3), 20)
    assert (end - truth).abs().max() < 1e-3
