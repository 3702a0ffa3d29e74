"""FaRL's networks against outputs of the published code, on the first of the reference's two pictures.

Networks with a head take half a minute per picture on one core, so that the second one is left to
`python -m tests.figures.network_parity`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from harness.methods.farl.checkpoint import encoder_of, network_of
from harness.methods.farl.network import Aligner, Parser
from tests.network_reference import FOLDER, container, inputs, json_of

Worst = dict[str, tuple[float, float]]
"""Stage -> worst difference over the rms, and what the reference data suggest as its limit."""


class Stages:
    """Outputs of some pictures by their name in the reference data."""

    def __init__(self, name: str, pictures: int) -> None:
        self.name, self.pictures, self.found = name, pictures, {}
        self.expected = json_of(name, "meta")["outputs"]

    def hook(self, stage: str, module: nn.Module) -> None:
        module.register_forward_hook(lambda _, __, output: self.keep(stage, output))

    def keep(self, stage: str, value: Tensor) -> None:
        if stage.startswith("resblocks"):
            value = value.transpose(0, 1)  # tokens come first there
        self.found.setdefault(stage, value.detach().numpy())

    def compare(self) -> Worst:
        """Only places of the pictures that were computed."""
        with np.load(FOLDER / self.name / "outputs.npz") as file:
            return {stage: self._worst(stage, file[stage]) for stage in self.found}

    def _worst(self, stage: str, stored: np.ndarray) -> tuple[float, float]:
        meta = self.expected[stage]
        full = np.full(meta["shape"], np.nan, np.float32)
        one = np.s_[:, : self.pictures] if stage.startswith("resblocks") else np.s_[: self.pictures]
        full[one] = self.found[stage]
        difference = np.abs(full.reshape(-1)[:: meta["stride"]].astype(np.float64) - stored.reshape(-1))
        assert np.isfinite(difference).sum() >= difference.size * self.pictures // 2 - 1
        limit = max(1e-5, 10 * meta["rel_err_vs_float64"])
        return float(np.nanmax(difference) / meta["rms"]), limit


def encoder_parity() -> Worst:
    """The encoder at 224 pixels, both pictures."""
    net, stages = encoder_of(container("farl_visual"), Path("farl_visual")), Stages("farl_visual", 2)
    for stage in ("conv1", "ln_pre", "ln_post"):
        stages.hook(stage, net.get_submodule(stage))
    for number in (0, 5, 11):
        stages.hook(f"resblocks.{number}", net.transformer.resblocks[number])
    with torch.inference_mode():
        stages.keep("embedding", net(inputs("farl_visual")["image"]))
    return stages.compare()


@cache
def network(name: str) -> Parser | Aligner:
    return network_of(container(name), Path(f"{name} (weights by rule)"))


def head_parity(name: str, pictures: int = 1, larger: bool = False) -> Worst:
    """A network with its head.

    Args:
        name: farl_parsing or farl_alignment.
        pictures: how many of the reference's two.
        larger: also from 512 pixels, which the network makes smaller itself.
    """
    net, stages, given = network(name), Stages(name, pictures), inputs(name)
    for number in (3, 11):
        stages.hook(f"resblocks.{number}", net.backbone.visual.transformer.resblocks[number])
    for number, fpn in enumerate(net.backbone.fpns):
        stages.hook(f"fpn{number}", fpn)
    head, result = (net.head, "logits512") if isinstance(net, Parser) else (net.heatmap_head, "landmarks")
    stages.hook("head_logits", head)
    with torch.inference_mode():
        stages.keep(result, net(given["image"][:pictures]))
        if larger:
            stages.keep(f"{result}_from512", net(given["image512"][:pictures]))
    return stages.compare()
