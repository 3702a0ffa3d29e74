"""The pre-training: incubation of the Belief Predictor first, then restoring pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from harness.methods.farl.material import Faces
from harness.methods.paco_fr.losses import incubating_losses, restoring_losses
from harness.methods.paco_fr.network import PacoSizes, Pretrainer
from harness.training import Schedule, fit

INCUBATION_SHARE = 1 / 8
"""Of the steps. In the paper it is the first of 32 epochs of 2 million pictures: far more steps than all of these."""


@dataclass(frozen=True)
class Pretraining:
    """How to pre-train.

    Attributes:
        steps: in all, those of the incubation included.
        pictures: per step.
        learning_rate: at the end of the warm-up, which is the incubation.
        weight_decay: of AdamW.
        incubation: false lets the Belief Predictor choose, and learn, from the first step to the last.
        seed: of the weights and of every step.
    """

    steps: int = 400
    pictures: int = 32
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    incubation: bool = True
    seed: int = 0

    def schedules(self, believes: bool) -> dict[str, Schedule]:
        """Stages by name: the incubation with a rising rate, the rest with a falling one."""
        first = round(self.steps * INCUBATION_SHARE) if believes and self.incubation else 0
        if not first:
            name = "together" if believes else "restore"
            return {name: self._schedule(self.steps, INCUBATION_SHARE, self.seed)}
        return {
            "incubate": self._schedule(first, 1.0, self.seed),
            "restore": self._schedule(self.steps - first, 0.0, self.seed + 1),
        }

    def _schedule(self, steps: int, warmup: float, seed: int) -> Schedule:
        return Schedule(steps, self.learning_rate, warmup, self.weight_decay, seed=seed)


def pretrain(sizes: PacoSizes, how: Pretraining, faces: Faces, folder: Path, device: torch.device) -> Pretrainer:
    """The trained network; continues where an earlier call with the same folder stopped.

    Args:
        sizes: dimensions and switches.
        how: steps and rates.
        faces: the pictures.
        folder: for checkpoints, one folder a stage.
        device: what to train on.
    """
    torch.manual_seed(how.seed)
    net = Pretrainer(sizes).to(device)

    def losses(stage: str, generator: torch.Generator) -> Mapping[str, Tensor]:
        images = faces.plain(how.pictures, sizes.vit.image, generator).to(device)
        if stage == "restore":
            return restoring_losses(net, images, generator)
        if stage == "incubate":
            return incubating_losses(net, images, generator)
        return incubating_losses(net, images, generator, random_share=0.0)

    recipe = (faces.material.name, sizes, how)
    for stage, schedule in how.schedules(sizes.believes).items():
        fit(net, partial(losses, stage), schedule, folder / stage, recipe=recipe)
    return net.eval()


@dataclass(frozen=True)
class Habits:
    """What the Belief Predictor of a trained network does.

    Attributes:
        shares: (tokens,) how often each is chosen.
        hits: share of masked places at which the choice is the one that restores best.
        error: mean squared error of all restored patches, in normalised pixels.
    """

    shares: list[float] = field(default_factory=list)
    hits: float = float("nan")
    error: float = float("nan")


@torch.no_grad()
def habits(net: Pretrainer, images: Tensor, masked: Tensor) -> Habits:
    """Of pictures (B, 3, S, S), RGB in 0..1, and masks (B, K)."""
    given = net.patches(images)
    chosen = net.believed(given)
    error = float((net(images, masked, chosen).patches - given).square().mean())
    shares = torch.bincount(chosen[masked], minlength=net.sizes.tokens).double()
    hits = (chosen == net.likest(given, masked))[masked].double().mean() if net.belief is not None else float("nan")
    return Habits((shares / shares.sum()).tolist(), float(hits), error)
