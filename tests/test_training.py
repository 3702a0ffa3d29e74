"""The training loop: an interrupted run ends with the same weights, exports come back."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from harness.errors import HarnessError
from harness.training import Schedule, export_weights, fit, read_weights


class _Interrupted(Exception):
    pass


def _train(folder: Path, stop_at: int | None = None) -> nn.Linear:
    torch.manual_seed(5)
    net = nn.Linear(4, 3)

    def loss(generator: torch.Generator) -> dict[str, torch.Tensor]:
        x = torch.randn(16, 4, generator=generator)
        return {"fit": (net(x) - x[:, :3] * 2).abs().mean()}

    def stop(steps: int, seconds: float) -> None:
        if steps == stop_at:
            raise _Interrupted

    fit(net, loss, Schedule(steps=150, learning_rate=0.1, checkpoint_minutes=0), folder, stop)
    return net


def test_interrupted_and_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    whole = _train(tmp_path / "whole")
    with pytest.raises(_Interrupted):
        _train(tmp_path / "parts", stop_at=23)
    resumed = _train(tmp_path / "parts")
    assert torch.equal(whole.weight, resumed.weight)
    assert torch.equal(whole.bias, resumed.bias)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    _train(tmp_path)
    net = nn.Linear(4, 3)
    schedule = Schedule(steps=150, learning_rate=0.1)
    for changed, recipe in ((replace(schedule, steps=151), None), (schedule, "another")):
        with pytest.raises(HarnessError, match=f"{tmp_path}.*other settings.*delete"):
            fit(net, lambda _: {"fit": net.weight.sum()}, changed, tmp_path, recipe=recipe)


@pytest.mark.parametrize("damage", [b"", b"not a checkpoint", None])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, damage: bytes | None) -> None:
    _train(tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:500] if damage is None else damage)
    with pytest.raises(HarnessError, match=r"checkpoint.pt.*damaged.*delete"):
        _train(tmp_path)


def test_it_learns(tmp_path: Path) -> None:
    net = _train(tmp_path / "run")
    assert torch.allclose(net.weight, 2 * torch.eye(4)[:3], atol=0.1)


def test_a_loss_that_is_not_finite_stops_with_its_step(tmp_path: Path) -> None:
    net = nn.Linear(1, 1)
    with pytest.raises(HarnessError, match="step 0"):
        fit(net, lambda _: {"bad": net.weight.sum() * torch.nan}, Schedule(steps=3), tmp_path)


def test_rate_warms_up_and_decays_to_zero() -> None:
    schedule = Schedule(steps=100, warmup=0.1)
    rates = [schedule.rate(i) for i in range(100)]
    assert rates[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert rates[10] == 1.0 and all(a > b for a, b in pairwise(rates[10:]))
    assert rates[-1] < 1e-3


def test_export_and_read(tmp_path: Path) -> None:
    net = nn.Linear(5, 5)
    export_weights(net, tmp_path / "w.safetensors", {"seed": "3"}, exact=("bias",))
    tensors, metadata = read_weights(tmp_path / "w.safetensors")
    assert metadata == {"seed": "3"}
    assert torch.equal(tensors["bias"], net.bias)
    assert torch.allclose(tensors["weight"], net.weight, atol=1e-3) and not torch.equal(tensors["weight"], net.weight)


def test_a_file_that_is_not_weights_is_named(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"pickle?")
    with pytest.raises(HarnessError, match="w.safetensors"):
        read_weights(tmp_path / "w.safetensors")
