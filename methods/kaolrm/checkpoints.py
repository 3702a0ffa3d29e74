"""The released weights of KaoLRM, and those of OpenLRM that its training starts with.

Both are `model.safetensors` beside a `config.json`. KaoLRM's file also holds FLAME's arrays, which are not used: the
head comes from the user's own FLAME.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from harness.errors import HarnessError
from harness.methods.kaolrm.network import PAPER, KaoLRM
from harness.methods.regression.checkpoints import LoadReport, interpret_as
from harness.methods.regression.layouts import Layout, recognise

FILE, CONFIG = "model.safetensors", "config.json"
OWN = ("flame_decoder.", "gaussian_decoder.")  # what OpenLRM has not

_TRUNK: dict[str, tuple[int, ...]] = {
    "encoder": (86_582_784,),
    "camera_embedder": (1_067_008,),
    "pos_embed": (2_359_296,),
    "transformer": (170_027_520,),
    "upsampler": (147_504,),
}


def _paper(_: int = 0, __: bool = False) -> nn.Module:
    return KaoLRM(PAPER)


KAOLRM = Layout(
    title="KaoLRM",
    file="model.safetensors of a release folder (mono or multiview)",
    network=_paper,
    parameters=_TRUNK | {"flame_decoder": (28_136_224,), "gaussian_decoder": (18_315,)},
    ignored={"FLAME": r"flame_model\."},
)
OPENLRM = Layout(
    title="OpenLRM",
    file="model.safetensors of openlrm-mix-base-1.1 or openlrm-obj-base-1.1",
    network=_paper,
    parameters=_TRUNK,
    ignored={"radiance field": r"synthesizer\.decoder\."},
)

_CONFIG: Mapping[str, object] = {
    "camera_embed_dim": PAPER.triplane.camera,
    "transformer_dim": PAPER.triplane.width,
    "transformer_layers": PAPER.triplane.depth,
    "transformer_heads": PAPER.triplane.heads,
    "triplane_low_res": PAPER.triplane.low,
    "triplane_high_res": PAPER.triplane.high,
    "triplane_dim": PAPER.triplane.channels,
    "encoder_type": "dinov2",
    "encoder_model_name": "dinov2_vitb14_reg",
    "encoder_feat_dim": PAPER.encoder.width,
}
"""What a `config.json` says of weights of `PAPER` size; the number of heads cannot be seen in the weights."""


@cache
def _expected(own: bool) -> dict[str, Tensor]:
    with torch.device("meta"):
        state = _paper().state_dict()
    return {key: value for key, value in state.items() if own or not key.startswith(OWN)}


def read_weights(path: Path) -> tuple[dict[str, Tensor], LoadReport]:
    """The state dict of a KaoLRM of `PAPER` size, for prediction.

    Args:
        path: `model.safetensors`, or the release folder that holds it.

    Raises:
        HarnessError: the file cannot be read, is of another method (OpenLRM's predict no head) or size, is
            incomplete, or holds what the released one does not.
    """
    path, content = _opened(path)
    if _title(content) == OPENLRM.title:
        raise HarnessError(
            f"{path}: is a checkpoint of OpenLRM, not of KaoLRM: it has no FLAME head, so it cannot predict a face. "
            f"For prediction name KaoLRM's ({KAOLRM.file}); this one is of use as the start of a training"
        )
    return interpret_as(KAOLRM, lambda _: _expected(own=True), content, path)


def read_start(path: Path) -> tuple[dict[str, Tensor], LoadReport]:
    """What a training of `PAPER` size can start with: all of a KaoLRM, or of an OpenLRM-base what both have.

    Load it with `strict=False`; the rest keeps its random start.

    Raises:
        HarnessError: as `read_weights`, which refuses OpenLRM.
    """
    path, content = _opened(path)
    if _title(content) == OPENLRM.title:
        return interpret_as(OPENLRM, lambda _: _expected(own=False), content, path)
    return interpret_as(KAOLRM, lambda _: _expected(own=True), content, path)


def official_network(path: Path) -> tuple[KaoLRM, LoadReport]:
    """The network of `PAPER` size with released weights, in evaluation mode on the CPU; see `read_weights`."""
    state, report = read_weights(path)
    return with_weights(state), report


def with_weights(state: Mapping[str, Tensor]) -> KaoLRM:
    """A network of `PAPER` size that has these tensors as its weights."""
    with torch.device("meta"):
        net = KaoLRM(PAPER)
    net.load_state_dict(dict(state), assign=True)
    return net.eval()


def _title(content: Mapping[str, Tensor]) -> str | None:
    return recognise({key: tuple(value.shape) for key, value in content.items()})


def _opened(path: Path) -> tuple[Path, dict[str, Tensor]]:
    """The file's own path and its tensors."""
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise HarnessError(f"{file}: there is no such checkpoint; the method's README.md says where to ask for one")
    try:
        content = load_file(file)
    except (SafetensorError, OSError, ValueError) as error:
        reason = str(error).split("\n")[0][:200]
        raise HarnessError(
            f"{file}: cannot be read as a safetensors file ({reason}); it is truncated, damaged or of another kind. "
            "Compare its size with the published one and fetch it again"
        ) from None
    _check_config(file.with_name(CONFIG))
    return file, content


def _check_config(path: Path) -> None:
    """Raises HarnessError where a `config.json` beside the weights speaks of another size."""
    if not path.is_file():
        return
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HarnessError(f"{path}: cannot be read as JSON ({error}); fetch it again or remove it") from None
    found = content.get("config", content) if isinstance(content, dict) else None
    if not isinstance(found, dict):
        raise HarnessError(f"{path}: expected a dictionary of sizes; fetch it again or remove it")
    for key, value in _CONFIG.items():
        if key in found and found[key] != value:
            raise HarnessError(
                f"{path}: {key} is {str(found[key])[:60]}, expected {value}: the weights beside it are of another "
                f"size; use {KAOLRM.file}"
            )
