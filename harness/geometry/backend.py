"""What finds the closest points of a surface that does not move: NVIDIA Warp, or PyTorch3D where the user has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

from harness.errors import HarnessError
from harness.geometry.pytorch3d_backend import compiled

Backend = Literal["warp", "pytorch3d"]

_chosen: ContextVar[Backend] = ContextVar("geometry", default="warp")


def chosen() -> Backend:
    """The backend in use."""
    return _chosen.get()


def checked(name: str) -> Backend:
    """The backend of this name. Raises HarnessError if there is none, or it is not installed."""
    known = {str(each): each for each in get_args(Backend)}
    if name not in known:
        raise HarnessError(f"geometry={name}: expected {' or '.join(known)}")
    if name == "pytorch3d":
        compiled()
    return known[name]


@contextmanager
def using(backend: Backend) -> Iterator[None]:
    """Within it, closest points are found by this backend, in this thread."""
    before = _chosen.set(backend)
    try:
        yield
    finally:
        _chosen.reset(before)
