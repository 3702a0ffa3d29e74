"""FaRL's official weights: the encoder's file, and the training states of networks with a head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from harness.errors import HarnessError
from harness.methods.farl.network import PAPER, Aligner, Parser
from harness.methods.networks.vit import VisionTransformer, ViTSizes
from harness.methods.regression.containers import read_container

ENCODER_FILE = "FaRL-Base-Patch16-LAIONFace20M-ep16.pth or -ep64.pth"
STATE_FILE = "a training state with networks -> main_ema"
VISUAL = "visual."
SHOWN = 5  # keys that a message names

T = TypeVar("T", bound=nn.Module)


def read_encoder(path: Path) -> VisionTransformer:
    """The encoder at 224 pixels with official weights; other parts of the file (text, masked images) are left out.

    Raises:
        HarnessError: the file cannot be read, or is not the encoder's.
    """
    return encoder_of(read_container(path)[0], path)


def read_network(path: Path) -> Parser | Aligner:
    """A network with its head: which one, how many classes or points and what input size, the file decides.

    Raises:
        HarnessError: the file cannot be read, or is no such training state.
    """
    return network_of(read_container(path)[0], path)


def encoder_of(content: Mapping[Any, Any], path: Path) -> VisionTransformer:
    """The second half of `read_encoder`: of what `torch.save` put into the file at `path`."""
    entries = _tensors(content.get("state_dict", content), path)
    state = {key.removeprefix(VISUAL): value for key, value in entries.items() if key.startswith(VISUAL)}
    if not state:
        found = ", ".join(list(entries)[:SHOWN]) or "no tensor at all"
        raise HarnessError(f"{path}: is no FaRL encoder: it holds {found}; the official file is {ENCODER_FILE}")
    with torch.device("meta"):
        net = VisionTransformer(ViTSizes())
    return _filled(net, state, path, ENCODER_FILE)


def network_of(content: Mapping[Any, Any], path: Path) -> Parser | Aligner:
    """The second half of `read_network`. Averaged weights (`main_ema`) are taken, as the official evaluation does."""
    networks = content.get("networks")
    averaged = networks.get("main_ema") if isinstance(networks, Mapping) else None
    if not isinstance(averaged, Mapping):
        found = ", ".join(map(str, list(content)[:SHOWN])) or "nothing"
        raise HarnessError(f"{path}: is no FaRL network with a head: it holds {found}; expected {STATE_FILE}")
    state = _tensors(averaged, path)
    outputs = {name: state.get(f"{name}.head.conv_seg.bias") for name in ("head", "heatmap_head")}
    positions = state.get(f"backbone.{VISUAL}positional_embedding")
    kinds = [(name, len(bias)) for name, bias in outputs.items() if bias is not None and bias.ndim == 1]
    if positions is None or len(kinds) != 1:
        raise HarnessError(f"{path}: lacks its head's conv_seg.bias or the encoder's positions; expected {STATE_FILE}")
    (name, count), side = kinds[0], round((len(positions) - 1) ** 0.5)
    sizes = PAPER.at(side * PAPER.vit.patch)
    with torch.device("meta"):
        net: Parser | Aligner = Parser(sizes, count) if name == "head" else Aligner(sizes, count)
    return _filled(net, state, path, STATE_FILE)


def _tensors(entries: Any, path: Path) -> dict[str, Tensor]:
    """The tensors of a state dict by name; what else stands there is left out."""
    if not isinstance(entries, Mapping):
        raise HarnessError(f"{path}: holds a {type(entries).__name__}, expected a state dict")
    return {str(key): value for key, value in entries.items() if isinstance(value, Tensor)}


def _filled(net: T, state: Mapping[str, Tensor], path: Path, file: str) -> T:
    """The network with these weights, in evaluation mode. Raises HarnessError if a key or shape does not fit."""
    wanted = net.state_dict()
    missing, surplus = [key for key in wanted if key not in state], [key for key in state if key not in wanted]
    if missing or surplus:
        parts = [f"lacks {_named(missing)}"] if missing else []
        parts += [f"holds {_named(surplus)}, which the official file does not"] if surplus else []
        raise HarnessError(f"{path}: {' and '.join(parts)}; the official one is {file}")
    for key, value in state.items():
        if value.shape != wanted[key].shape:
            shapes = f"{tuple(value.shape)}, expected {tuple(wanted[key].shape)}"
            raise HarnessError(f"{path}: {key} has shape {shapes}; the official file is {file}")
        if value.is_floating_point() and not value.isfinite().all():
            raise HarnessError(f"{path}: {key} holds NaN or infinity; the file is damaged, fetch it again")
    net.load_state_dict({key: value.to(wanted[key].dtype, copy=True) for key, value in state.items()}, assign=True)
    return net.eval()


def _named(keys: Iterable[str]) -> str:
    keys = list(keys)
    more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
    return ", ".join(keys[:SHOWN]) + more
