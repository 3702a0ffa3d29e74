"""The training loop of the mini models: deterministic per step, resumable, with progress on the terminal."""

from __future__ import annotations

import json
import logging
import math
import pickle
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from harness.errors import HarnessError

log = logging.getLogger(__name__)

Loss = Callable[[torch.Generator], Mapping[str, Tensor]]
"""One step's losses by name; their sum is minimised. Everything random comes from the generator."""


@dataclass(frozen=True)
class Schedule:
    """How to minimise: AdamW with a linear warm-up and a cosine decay to zero.

    Attributes:
        steps: optimiser steps in all.
        learning_rate: at the end of the warm-up.
        warmup: share of the steps.
        weight_decay: of AdamW.
        clip: largest norm of the gradient.
        seed: of the weights and of every step.
        checkpoint_minutes: time between checkpoints.
    """

    steps: int
    learning_rate: float = 2e-3
    warmup: float = 0.03
    weight_decay: float = 1e-4
    clip: float = 10.0
    seed: int = 0
    checkpoint_minutes: float = 2.0

    def rate(self, step: int) -> float:
        """Factor on the learning rate in step 0, 1, ..., steps - 1."""
        warm = max(1, round(self.warmup * self.steps))
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, self.steps - warm)))


def step_generator(seed: int, step: int) -> torch.Generator:
    """The source of randomness of one step (on the CPU): the same whether or not the run was interrupted before it."""
    return torch.Generator().manual_seed((seed << 32) + step)


def fit(
    net: nn.Module,
    loss: Loss,
    schedule: Schedule,
    folder: Path,
    on_checkpoint: Callable[[int, float], None] | None = None,
    recipe: object = None,
    slower: Mapping[str, float] | None = None,
) -> float:
    """Trains `net` in place; continues from the checkpoint in `folder` if there is one.

    Args:
        net: what to train; its parameters that require no gradient stay as they are.
        loss: computes the losses of one step from `net`'s present weights.
        schedule: steps and rates.
        folder: gets `checkpoint.pt`, replaced as a whole each time.
        on_checkpoint: called with the steps done and the seconds spent, after each checkpoint.
        recipe: what else the loss depends on: numbers, texts, dataclasses, or sequences of these.
        slower: first part of a parameter's name -> factor on its learning rate.

    Returns:
        Seconds of training, those before an interruption included.

    Raises:
        HarnessError: a loss is no longer finite; the checkpoint is damaged, or of another recipe or schedule.
    """
    folder.mkdir(parents=True, exist_ok=True)
    described = _described([schedule, recipe, dict(slower)] if slower else [schedule, recipe])
    groups = _groups(net, slower or {})
    optimizer = torch.optim.AdamW(groups, lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True)
    done, spent = _resume(net, optimizer, folder, described)
    started = saved = time.monotonic()
    averages: dict[str, float] = {}
    with tqdm(total=schedule.steps, initial=done, desc=folder.name, unit="step", mininterval=5) as bar:
        for step in range(done, schedule.steps):
            values = _step(net, loss, optimizer, schedule, step)
            averages = {k: 0.98 * averages.get(k, v) + 0.02 * v for k, v in values.items()}
            bar.update()
            if step % 50 == 0:
                bar.set_postfix({k: f"{v:.3f}" for k, v in averages.items()})
            if time.monotonic() - saved > 60 * schedule.checkpoint_minutes or step + 1 == schedule.steps:
                saved = time.monotonic()
                _save(net, optimizer, folder, described, step + 1, spent + saved - started)
                log.info("%s: step %d, %s", folder.name, step + 1, averages)
                if on_checkpoint is not None:
                    on_checkpoint(step + 1, spent + saved - started)
    return spent + time.monotonic() - started


def _groups(net: nn.Module, slower: Mapping[str, float]) -> list[dict[str, Any]]:
    """The optimiser's groups: one of each factor on the learning rate, the usual one first."""
    groups: dict[float, list[nn.Parameter]] = {1.0: []}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            factor = next((f for start, f in slower.items() if name.startswith(start)), 1.0)
            groups.setdefault(factor, []).append(parameter)
    return [{"params": members, "factor": factor} for factor, members in groups.items()]


def _step(
    net: nn.Module, loss: Loss, optimizer: torch.optim.Optimizer, schedule: Schedule, step: int
) -> dict[str, float]:
    for group in optimizer.param_groups:
        group["lr"] = schedule.learning_rate * schedule.rate(step) * group.get("factor", 1.0)
    optimizer.zero_grad()
    losses = loss(step_generator(schedule.seed, step))
    total = torch.stack(list(losses.values())).sum()
    if not torch.isfinite(total):
        raise HarnessError(f"training: the loss of step {step} is {total.item()}; lower schedule.learning_rate")
    total.backward()
    norm = nn.utils.clip_grad_norm_(net.parameters(), schedule.clip)
    optimizer.step()
    return {**{k: float(v.detach()) for k, v in losses.items()}, "gradient": float(norm)}


def _described(recipe: object) -> str:
    """JSON of settings, in which tuples and lists are equal, without what does not change the weights."""

    def kept(values: dict[str, object]) -> dict[str, object]:
        return {k: v for k, v in values.items() if k != "checkpoint_minutes"}

    return json.dumps(json.loads(json.dumps(recipe, default=asdict), object_hook=kept))


def _save(
    net: nn.Module, optimizer: torch.optim.Optimizer, folder: Path, recipe: str, step: int, seconds: float
) -> None:
    state = {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "seconds": seconds}
    state["recipe"] = recipe
    temporary = folder / "checkpoint.tmp"
    torch.save(state, temporary)
    temporary.replace(folder / "checkpoint.pt")


def _resume(net: nn.Module, optimizer: torch.optim.Optimizer, folder: Path, recipe: str) -> tuple[int, float]:
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0, 0.0
    remedy = f"delete {folder} to train it anew, or choose another folder"
    try:
        state = torch.load(path, map_location=next(net.parameters()).device, weights_only=True)
        found = state["recipe"]
    except (RuntimeError, OSError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise HarnessError(f"{path}: not a checkpoint, or a damaged one ({type(error).__name__}); {remedy}") from None
    if found != recipe:
        raise HarnessError(f"{path}: was made by other settings; {remedy}.\n  there: {found}\n  now:   {recipe}")
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    log.info("%s: continues at step %d", folder.name, state["step"])
    return int(state["step"]), float(state["seconds"])


def export_weights(net: nn.Module, path: Path, metadata: Mapping[str, str], exact: tuple[str, ...] = ()) -> None:
    """Writes the state of `net` as safetensors in half precision; names that end in one of `exact` in single."""
    tensors = {
        name: (value if exact and name.endswith(exact) else value.half()).detach().contiguous().cpu().clone()
        for name, value in net.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(tensors, temporary, dict(metadata))
    temporary.replace(path)


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors (single precision) and metadata of a file that `export_weights` wrote.

    Raises:
        HarnessError: the file is not safetensors.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
        return {name: value.float() for name, value in load_file(path).items()}, metadata
    except (SafetensorError, OSError) as error:
        raise HarnessError(f"{path}: cannot be read as safetensors ({error}); export the weights again") from None
