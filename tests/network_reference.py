"""Networks of the regressors against outputs of the published code, where a checkout has them beside it.

The weights follow a rule of the reference data; they come as a dictionary in the layout of the official file.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.methods.deca.network import split
from harness.methods.regression.checkpoints import LoadReport, interpret, network_of

FOLDER = Path(__file__).resolve().parents[1] / "../shared/reference/networks"
needs_reference = pytest.mark.skipif(not (FOLDER / "refrule.py").exists(), reason=f"no reference data in {FOLDER}")
MILLIMETRES = 1000.0


@cache
def rules() -> ModuleType:
    spec = importlib.util.spec_from_file_location("refrule", FOLDER / "refrule.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def json_of(name: str, what: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((FOLDER / name / f"{what}.json").read_text())
    return content


def container(name: str) -> dict[str, Any]:
    """What the official file of the network holds, with the rule's weights."""
    return _tensors(rules().nested(str(FOLDER / name / "keys.json"), str(FOLDER / name / "meta.json")))


def _tensors(tree: Any) -> Any:
    return {k: _tensors(v) for k, v in tree.items()} if isinstance(tree, dict) else torch.from_numpy(tree)


def inputs(name: str) -> dict[str, Tensor]:
    return {label: torch.from_numpy(value) for label, value in rules().inputs(name).items()}


@dataclass
class Stages:
    """Outputs by their name in the reference data."""

    values: dict[str, np.ndarray] = field(default_factory=dict)

    def keep(self, name: str, value: Tensor) -> None:
        self.values[name] = value.detach().contiguous().numpy().copy()

    def hook(self, name: str, module: nn.Module) -> None:
        module.register_forward_hook(lambda _, __, output: self.keep(name, output))


def _deca(net: Any, given: dict[str, Tensor], stages: Stages) -> None:
    for part in ("E_flame", "E_detail"):
        encoder = getattr(net, part)
        for layer in ("maxpool", "layer1", "layer2", "layer4"):
            stages.hook(f"{part}/encoder.{layer}", getattr(encoder.encoder, layer))
        stages.hook(f"{part}/features", encoder.encoder)
        stages.hook(f"{part}/out", encoder)
    displacement = net.displacement(given["image"], net(given["image"]))
    stages.keep("D_detail/out_chain", displacement / MILLIMETRES)
    stages.hook("D_detail/l1", net.D_detail.l1)
    for i in (3, 15, 20):
        stages.hook(f"D_detail/conv_blocks.{i}", net.D_detail.conv_blocks[i])
    stages.hook("D_detail/out", net.D_detail)
    net.D_detail(given["latent"])


def _emoca(net: Any, given: dict[str, Tensor], stages: Stages) -> None:
    for part in ("E_flame", "E_expression"):
        encoder = getattr(net, part)
        for layer in ("layer1", "layer3"):
            stages.hook(f"{part}/encoder.{layer}", getattr(encoder.encoder, layer))
        stages.hook(f"{part}/features", encoder.encoder)
        stages.hook(f"{part}/out", encoder)
    stages.hook("code/detail", net.E_detail)
    codes = net(given["image"])
    own = split(torch.from_numpy(stages.values["E_flame/out"]), net.sizes)
    stages.keep("code/exp_of_E_flame", own.expression)
    names = {"shape": "shape", "tex": "texture", "exp": "expression", "cam": "camera", "light": "light"}
    for official, ours in names.items():
        stages.keep(f"code/{official}", getattr(codes, ours))
    stages.keep("code/pose", torch.cat([codes.turn, codes.jaw], dim=1))
    stages.keep("uv_z", net.displacement(given["image"], codes) / MILLIMETRES)


def _smirk(net: Any, given: dict[str, Tensor], stages: Stages) -> None:
    heads = {"pose": "pose_cam_layers", "shape": "shape_layers", "expression": "expression_layers"}
    for part, head in heads.items():
        encoder = getattr(net.smirk_encoder, f"{part}_encoder")
        stages.hook(f"{part}_encoder/conv_stem", encoder.encoder.conv_stem)
        stages.hook(f"{part}_encoder/head", getattr(encoder, head))
        maps = encoder.encoder(given["image"])
        for i in (0, 2, 4):
            stages.keep(f"{part}_encoder/features{i}", maps[i])
    codes = net(given["image"])
    names = {"pose_params": "turn", "cam": "camera", "shape_params": "shape", "expression_params": "expression"}
    for official, ours in (names | {"eyelid_params": "eyelids", "jaw_params": "jaw"}).items():
        stages.keep(f"encoder/{official}", getattr(codes, ours))
    for layer in ("encoder1", "encoder4", "bottleneck", "resnet_blocks.4", "decoder3", "conv"):
        stages.hook(f"generator/{layer}", net.smirk_generator.get_submodule(layer))
    stages.keep("generator/out", net.smirk_generator(*given["generator"].split(3, dim=1)))


def _mica(net: Any, given: dict[str, Tensor], stages: Stages) -> None:
    for layer in ("prelu", "layer1", "layer2", "layer3", "layer4", "fc", "features"):
        stages.hook(f"arcface/{layer}", getattr(net.arcface, layer))
    stages.hook("regressor/network.1", net.regressor.network[1])
    stages.keep("shape_code", net(given["arcface_image"]).shape)
    stages.keep("embedding", functional.normalize(torch.from_numpy(stages.values["arcface/features"])))


_RUNS: dict[str, Callable[[Any, dict[str, Tensor], Stages], None]] = {
    "deca": _deca,
    "emoca": _emoca,
    "smirk": _smirk,
    "mica": _mica,
}
OF_THE_HEAD = {"vertices", "landmarks2d", "landmarks3d", "landmarks68"}  # stages behind the networks


@cache
def stage_names(name: str) -> frozenset[str]:
    """The stages of the reference data that a network is to reproduce."""
    with np.load(FOLDER / name / "outputs.npz") as file:
        meta = {"input_stream_names", "input_stream_seeds"}
        return frozenset(k for k in file.files if not k.startswith("input_sample/")) - meta - OF_THE_HEAD


@cache
def parity(name: str) -> tuple[LoadReport, dict[str, tuple[float, float]]]:
    """Loads the rule's weights as an official file's, runs the reference's inputs.

    Returns:
        The load report, and for each stage the worst difference over the rms and what the reference data suggest as
        its limit.
    """
    state, report = interpret(container(name), name, Path(f"{name} (weights by rule)"), generator=name == "smirk")
    net = network_of(state, name, generator=name == "smirk")
    stages = Stages()
    with torch.inference_mode():
        _RUNS[name](net, inputs(name), stages)
    return report, rules().compare(str(FOLDER / name), stages.values)
