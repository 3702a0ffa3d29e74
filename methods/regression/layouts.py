"""What the official checkpoints of the regressors look like: levels, prefixes, what stands beside the networks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from harness.methods.deca import network as deca
from harness.methods.emoca import network as emoca
from harness.methods.mica import network as mica
from harness.methods.smirk import network as smirk
from harness.methods.teaser import network as teaser

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of every entry of a file by its official key."""


@dataclass(frozen=True)
class Layout:
    """How a method's official checkpoint is built.

    Attributes:
        title: the method's name in messages.
        file: what the official file is called.
        network: builds the network at published size from the file's variant and whether with generator.
        parameters: of each part as the specification counts them (several numbers: which one the file decides).
        prefixes: the official keys' prefixes and what the network has in their place.
        generator: prefix of what is needed in training only.
        ignored: what else the file may hold: kind -> pattern of keys.
        deciding: key whose number of rows is the file's variant; "" where there are none.
    """

    title: str
    file: str
    network: Callable[[int, bool], nn.Module]
    parameters: Mapping[str, tuple[int, ...]]
    prefixes: Mapping[str, str] = field(default_factory=lambda: {"": ""})
    generator: str = ""
    ignored: Mapping[str, str] = field(default_factory=dict)
    deciding: str = ""

    def variant(self, shapes: Shapes) -> int:
        """Which of the published variants a file is; 0 where there is one only."""
        shape = shapes.get(self.deciding, ())
        return shape[0] if shape else 0

    def renamed(self, key: str) -> str | None:
        """The network's name of an official key; None where the key has none of the prefixes."""
        for official, ours in self.prefixes.items():
            if key.startswith(official):
                return ours + key.removeprefix(official)
        return None

    def official(self, key: str) -> str:
        """The official name of a network's key."""
        for official, ours in self.prefixes.items():
            if key.startswith(ours):
                return official + key.removeprefix(ours)
        return key

    def kind(self, key: str) -> str | None:
        """What an official key is that does not belong to the network; None for what no official file holds."""
        return next((kind for kind, pattern in self.ignored.items() if re.match(pattern, key)), None)


_OF_THE_PROGRAMS = ("opt", "scheduler", "validator", "epoch", "global_step", "batch_size")
_OF_LIGHTNING = (
    *("pytorch-lightning_version", "callbacks", "optimizer_states", "lr_schedulers", "loops"),
    *("hparams_name", "hparams_type", "hyper_parameters", "datamodule_hparams_name", "datamodule_hyper_parameters"),
    *("native_amp_scaling_state", "amp_scaling_state", "MixedPrecisionPlugin", "MixedPrecision"),
)
TRAINING = frozenset((*_OF_THE_PROGRAMS, *_OF_LIGHTNING))
"""Top-level entries that training programs write beside the weights."""

WRAPPER = "state_dict"
"""The top-level entry in which Lightning keeps the weights."""


def _emoca(rows: int, _: bool) -> nn.Module:
    try:
        return emoca.Emoca(emoca.PAPER.with_outputs(rows))
    except ValueError:
        return emoca.Emoca(emoca.PAPER)  # the comparison of shapes names the entry


_DECA_PARTS: dict[str, Any] = {"E_flame": (25_848_108,), "E_detail": (25_737_408,), "D_detail": (1_773_345,)}

LAYOUTS: dict[str, Layout] = {
    "deca": Layout(
        title="DECA",
        file="deca_model.tar",
        network=lambda _, __: deca.Deca(deca.PAPER),
        parameters=_DECA_PARTS,
    ),
    "emoca": Layout(
        title="EMOCA",
        file="a folder with detail/checkpoints/*.ckpt, or one such file",
        network=_emoca,
        parameters=_DECA_PARTS | {"E_expression": (25_657_458, 25_660_533, 25_663_608)},
        prefixes={"deca.": ""},
        deciding="deca.E_expression.layers.2.weight",
        ignored={
            "FLAME": r"deca\.(flame|flametex)\.",
            "renderer": r"deca\.(render\.|uv_face_mask$|uv_face_eye_mask$|fixed_uv_dis$)",
            "networks of training losses": r"(deca\.)?\w*loss\.",
        },
    ),
    "smirk": Layout(
        title="SMIRK",
        file="SMIRK_em1.pt",
        network=lambda _, generator: smirk.Smirk(smirk.PAPER, generator),
        parameters={"smirk_encoder": (3_599_921,), "smirk_generator": (31_367_171,)},
        generator="smirk_generator.",
    ),
    "teaser": Layout(
        title="TEASER",
        file="TEASER.pt",
        network=lambda _, generator: teaser.Teaser(teaser.PAPER, generator),
        parameters={"teaser_encoder": (4_586_889,), "teaser_generator": (85_224_355,)},
        generator="teaser_generator.",
    ),
    "mica": Layout(
        title="MICA",
        file="mica.tar",
        network=lambda _, __: mica.Mica(mica.PAPER),
        parameters={"arcface": (65_156_160,), "regressor": (515_100,)},
        prefixes={"arcface.": "arcface.", "flameModel.regressor.": "regressor."},
        ignored={"FLAME": r"flameModel\.generator\."},
    ),
}


@cache
def expected(method: str, variant: int, generator: bool) -> dict[str, Tensor]:
    """The state dict of a method's network at published size, without values (do not write to it)."""
    with torch.device("meta"):
        return LAYOUTS[method].network(variant, generator).state_dict()


_SIGNS = {
    "EMOCA": r"E_expression\.",
    "DECA": r"E_flame\.",
    "TEASER": r"teaser_encoder\.",
    "SMIRK": r"smirk_encoder\.",
    "MICA": r"arcface\.|flameModel\.",
    "3DDFA-V3": r"net_recon\.|final_layers\.",
    "KaoLRM": r"flame_decoder\.",
    "OpenLRM": r"synthesizer\.decoder\.",
    "LVD": r"image_filter\.",
    "FaRL": r"visual\.transformer\.",
}


def recognise(shapes: Shapes) -> str | None:
    """The title of the method whose keys a file has, whatever stands before them; None if it is none of the known."""
    for title, pattern in _SIGNS.items():
        if any(re.search(rf"(^|\.)({pattern})", key) for key in shapes):
            return title
    return None
