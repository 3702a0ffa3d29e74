"""Properties of GLVD: keypoints guide, views have no order, rows start from the head's modes, steps add."""

import pytest
import torch

from harness.methods.glvd.network import GLVD, KEYPOINTS, MINI, RelativeEncoding
from harness.methods.lvd.expectation import CHANNELS, PROBES, Expected
from harness.methods.lvd.fitting import MODES
from harness.methods.lvd.network import Features, OwnRows

VERTICES = 50


@pytest.fixture(scope="module")
def inputs() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    projection = torch.tensor([[0.01, 0, 0, 0], [0, -0.01, 0, 0], [0, 0, 1e-4, 1.0]])
    return {
        "images": torch.randn(1, 3, 4, 64, 64, generator=generator),
        "heat": torch.rand(1, 3, KEYPOINTS, 16, 16, generator=generator),
        "projection": projection + 1e-3 * torch.randn(1, 3, 3, 4, generator=generator),
        "rotation": torch.eye(3).expand(1, 3, 3, 3),
        "picture": torch.randn(1, 3, CHANNELS, 32, 32, generator=generator),
        "probes": 50 * torch.randn(1, PROBES, 3, generator=generator),
        "seen": torch.rand(1, 3, PROBES, generator=generator),
        "bent": torch.randn(1, 3, PROBES, 3, generator=generator),
        "points": 50 * torch.randn(1, VERTICES, 3, generator=generator),
        "keypoints": 50 * torch.randn(1, KEYPOINTS, 3, generator=generator),
    }


@pytest.fixture(scope="module")
def net() -> GLVD:
    torch.manual_seed(0)
    net = GLVD(MINI, VERTICES).eval().requires_grad_(False)
    for field in (net.vertex_field, net.keypoint_field):
        field.fc3.rows *= 10
    assert net.perception is not None
    net.perception.surface.linear.weight.normal_(std=1e-3)
    return net


def _encode(net: GLVD, inputs: dict[str, torch.Tensor], views: list[int]) -> tuple[Features, Features]:
    picture, seen, bent = (inputs[k][:, views] for k in ("picture", "seen", "bent"))
    keys = inputs["keypoints"], seen[:, :, :KEYPOINTS]
    expected = Expected(picture, inputs["probes"], seen, *keys, bent, torch.zeros(1, MODES))
    with torch.inference_mode():
        return net.encode(*(inputs[k][:, views] for k in ("images", "heat", "projection", "rotation")), expected)


def _vertices(net: GLVD, inputs: dict[str, torch.Tensor], views: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        return net.descend(_encode(net, inputs, views), inputs["points"], inputs["keypoints"], 3)[0]


def test_views_have_no_order_and_a_repeated_view_changes_nothing(net: GLVD, inputs: dict[str, torch.Tensor]) -> None:
    together = _vertices(net, inputs, [0, 1, 2])
    assert torch.allclose(together, _vertices(net, inputs, [2, 0, 1]), atol=1e-3)
    assert torch.allclose(_vertices(net, inputs, [1]), _vertices(net, inputs, [1, 1]), atol=1e-3)
    assert not torch.allclose(together, _vertices(net, inputs, [1]), atol=0.01)


def test_keypoints_guide_the_vertices(net: GLVD, inputs: dict[str, torch.Tensor]) -> None:
    features, ids, start = _encode(net, inputs, [0])[0], torch.arange(VERTICES), inputs["points"] + 5
    step = net.vertex_step(features, inputs["points"], ids, start, inputs["keypoints"])
    moved = net.vertex_step(features, inputs["points"], ids, start, inputs["keypoints"] + 10)
    assert (step - moved).abs().max() > 0.005


def test_relative_encoding_sees_distances_only() -> None:
    points, keypoints = torch.randn(2, 9, 3) * 40, torch.randn(2, 4, 3) * 40
    turn = torch.linalg.qr(torch.randn(3, 3))[0]
    encoding = RelativeEncoding(3, 100.0)
    code = encoding(points, keypoints)
    assert code.shape == (2, 9, 2 * 3 * 4)
    assert torch.allclose(code, encoding(points @ turn + 7, keypoints @ turn + 7), atol=1e-4)


def test_descent_adds_displacements(net: GLVD, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, keypoints = torch.randn(1, VERTICES, 3), torch.randn(1, KEYPOINTS, 3)
    monkeypatch.setattr(net, "vertex_step", lambda features, points, ids, start, guides: 0.5 * (truth - points))
    monkeypatch.setattr(net, "keypoint_step", lambda features, points, start: 0.5 * (keypoints - points))
    nothing = Features(torch.zeros(1), torch.zeros(1), torch.zeros(1))
    found = net.descend((nothing, nothing), torch.zeros_like(truth), torch.zeros_like(keypoints), 20)
    assert (found[0] - truth).abs().max() < 1e-4
    assert (found[1] - keypoints).abs().max() < 1e-4


def test_rows_that_start_from_modes_reach_every_mode() -> None:
    start, modes = torch.randn(1, VERTICES, 3), torch.randn(6, VERTICES, 3)
    rows = OwnRows(16, 8, VERTICES)
    rows.start_from(modes)
    wanted = torch.tensor([1.0, -2, 0.5, 0, 3, 1])
    with torch.no_grad():
        rows.reduce.weight_g.zero_()
        rows.reduce.bias.copy_(torch.cat([wanted, torch.zeros(2)]))
    points = torch.randn(1, VERTICES, 3)
    none = torch.zeros(1, 0)
    offset = rows.own_rows(torch.randn(1, VERTICES, 16), torch.arange(VERTICES), points - start, none)
    assert torch.allclose(points - offset, start + torch.einsum("r,rvk->vk", wanted, modes), atol=1e-4)
