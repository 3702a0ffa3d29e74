"""KaoLRM against outputs of the published code: the released size, and a reduced one that is quick."""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from harness.heads.flame import FlameHead, read_flame
from harness.methods.kaolrm.checkpoints import KAOLRM, with_weights
from harness.methods.kaolrm.gaussians import activated, front
from harness.methods.kaolrm.network import PAPER, HeadCodes, KaoLRM, Sizes
from harness.methods.kaolrm.triplanes import TriplaneSizes
from harness.methods.networks.dinov2 import VisionSizes
from harness.methods.regression.checkpoints import LoadReport, interpret_as
from harness.methods.regression.codes import Codes
from harness.methods.regression.decoding import METRES, Decoder
from tests import network_reference as reference
from tests.heads.flame_files import write_all

NAMES = ("kaolrm_small", "kaolrm_base")
SMALL = Sizes(
    image=112,
    encoder=VisionSizes(width=384, heads=6),
    triplane=TriplaneSizes(width=128, depth=2, heads=4, camera=64, low=8, channels=16),
)
SIZES = {"kaolrm_small": SMALL, "kaolrm_base": PAPER}
FOCALS = ("0.75", "4", "20")


@cache
def flame() -> FlameHead:
    """The made-up model, by the same way as a user's files."""
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, HARNESS_CACHE=f"{folder}/cache"):
        return read_flame(write_all(Path(folder) / "flame"))


def network(name: str) -> tuple[KaoLRM, LoadReport | None]:
    """The network with the rule's weights: at the released size as a released file's."""
    content = reference.container(name)
    if name == "kaolrm_base":
        with torch.device("meta"):
            wanted = KaoLRM(PAPER).state_dict()
        state, report = interpret_as(KAOLRM, lambda _: wanted, content, Path(f"{name} (weights by rule)"))
        return with_weights(state), report
    with torch.device("meta"):
        net = KaoLRM(SIZES[name])
    own = {key: value for key, value in content.items() if not key.startswith("flame_model.")}
    net.load_state_dict(own, assign=True)
    return net.eval(), None


def heads(codes: HeadCodes) -> tuple[Tensor, Tensor]:
    """Vertices and the fixed landmarks in the network's frame."""
    shaped = Decoder(flame())(Codes(codes.shape, codes.expression, codes.turn, codes.jaw))
    return codes.placed(shaped.vertices / METRES), codes.placed(shaped.fixed_landmarks / METRES)


def _hooks(net: KaoLRM, stages: reference.Stages) -> None:
    vision, layers = net.encoder.model, net.transformer.layers
    vision.blocks[0].register_forward_pre_hook(lambda _, given: stages.keep("encoder/tokens_in", given[0]))
    last = len(layers) - 1
    hooked: dict[str, Any] = {
        "encoder/blocks.5": vision.blocks[5],
        "encoder/out": net.encoder,
        "camera_embedder": net.camera_embedder,
        "transformer/layers.0.norm1": layers[0].norm1,
        "transformer/layers.0": layers[0],
        f"transformer/layers.{last}": layers[last],
        "transformer/out": net.transformer,
        "flame_decoder/raw160": net.flame_decoder.decoder,
    }
    for stage, module in hooked.items():
        stages.hook(stage, module)


def stored(name: str, stage: str, shape: tuple[int, ...]) -> Tensor:
    """A stage as the published code computed it, where all of it is stored."""
    with np.load(reference.FOLDER / name / "outputs.npz") as file:
        return torch.from_numpy(file[stage].reshape(shape))


@cache
def outputs(name: str) -> tuple[LoadReport | None, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Every stage by its name in the reference data, and the Gaussians once more.

    Planes of weights by rule are so rough that single precision's error in a vertex changes its Gaussian a
    thousandfold. So the first Gaussians are those at the vertices that the published code computed, the second those
    at our own.
    """
    net, report = network(name)
    given, stages, chained = reference.inputs(name), reference.Stages(), reference.Stages()
    _hooks(net, stages)
    with torch.inference_mode():
        found = net(given["image"], given["camera"])
        codes, decode = found.codes, net.gaussian_decoder
        stages.keep("planes", found.planes)
        pose = torch.cat([codes.turn, codes.jaw], dim=1)
        for stage, value in {**vars(codes), "pose": pose}.items():
            if stage not in ("turn", "jaw"):
                stages.keep(f"flame/{stage}", value)
        raw = decode.raw(found.planes, given["points"], 0.75)
        stages.keep("gaussian_raw11/fixed_points", raw)
        stages.keep("gaussian_act11/fixed_points", activated(given["points"], raw).numbers()[..., 3:])
        for suffix, head in {"": codes, "_mono": codes.before_a_long_lens()}.items():
            vertices, landmarks = heads(head)
            stages.keep(f"vertices{suffix}", vertices)
            stages.keep(f"lmk3d{suffix}", landmarks)
        for focal in FOCALS:
            stage = "vertices" if focal == "0.75" else "vertices_mono"
            own = torch.from_numpy(stages.values[stage])
            for kept, points in ((stages, stored(name, stage, tuple(own.shape))), (chained, own)):
                kept.keep(f"gaussian_raw11/focal{focal}", decode.raw(found.planes, points, float(focal)))
                kept.keep(f"gaussians/focal{focal}", decode(found.planes, points, float(focal)).numbers())
        own = torch.from_numpy(stages.values["vertices_mono"])
        stages.keep("gaussians/focal4_culled_z", torch.stack([points[front(points), 2] for points in own]))
    return report, stages.values, chained.values


def compared(name: str, values: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    """For each stage the worst difference over the rms, and what the reference data suggest as its limit."""
    found: dict[str, tuple[float, float]] = reference.rules().compare(str(reference.FOLDER / name), values)
    return found


def stage_names(name: str) -> set[str]:
    """All stages of the reference data."""
    with np.load(reference.FOLDER / name / "outputs.npz") as file:
        return {key for key in file.files if not key.startswith("input_")}
