"""Weights of mini sizes, as `harness train` writes them."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from harness.errors import HarnessError
from harness.methods.lvd.modes import same_head
from harness.training import read_weights


def load_shipped(net: nn.Module, path: Path, head: str, method: str) -> None:
    """Puts the weights of a file into a network.

    Args:
        net: of the size that the weights are for.
        path: what `harness train` wrote.
        head: signature of the head that will be used.
        method: whose they are, for messages.

    Raises:
        HarnessError: the file is missing or damaged, of another head or of another size.
    """
    command = f"python -m harness train method={method}"
    if not path.exists():
        raise HarnessError(f"{path}: weights are missing; `{command}`")
    tensors, metadata = read_weights(path)
    if not same_head(metadata.get("head", "unknown"), head):
        raise HarnessError(
            f"{path}: trained for head {metadata.get('head')}, the present one is {head}; "
            f"leave out method.head, or train again: `{command}`"
        )
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise HarnessError(f"{path}: does not fit the mini network ({error}); `{command}`") from None
