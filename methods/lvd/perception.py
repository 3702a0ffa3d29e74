"""What the minis read off a feature map before the fields: vectors and values per cell, and modes of the whole head.

LVD and GLVD share this stage and its training (`perceiving.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

VECTORS = 2  # per cell
NORMAL_SCALE = 0.2  # of differences of normals
_LEAST_SEEN = 0.05


class Dense(nn.Module):
    """Per cell of a map: two vectors, turned from the camera's axes into the head's, and free channels."""

    def __init__(self, channels: int, free: int) -> None:
        super().__init__()
        self.out = nn.Conv2d(channels, 3 * VECTORS + free, 1)
        nn.init.normal_(self.out.weight, std=0.1 * channels**-0.5)
        if self.out.bias is not None:
            nn.init.zeros_(self.out.bias)

    def forward(self, last: Tensor, rotation: Tensor) -> Tensor:
        """The last map (N, C, h, w), rotations head to camera (N, 3, 3) -> (N, 6 + free, h, w)."""
        found = self.out(functional.relu(last))
        vectors = found[:, : 3 * VECTORS].unflatten(1, (VECTORS, 3))
        turned = torch.einsum("nij,nvihw->nvjhw", rotation, vectors).flatten(1, 2)
        return torch.cat([turned, found[:, 3 * VECTORS :]], dim=1)


class SurfaceCode(nn.Module):
    """Coefficients of the last layer's modes from what is read at fixed points of the starting head, in all views.

    A linear map, which starts as a ridge regression (`perceiving.start_code`).

    Args:
        channels: values per point.
        probes: points.
        key_channels: values per landmark.
        keys: landmarks.
        modes: coefficients of the starting head.
        rank: coefficients that are told.
    """

    def __init__(self, channels: int, probes: int, key_channels: int, keys: int, modes: int, rank: int) -> None:
        super().__init__()
        self.linear = nn.Linear(probes * (channels + 1) + modes + keys * (key_channels + 1), rank)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def inputs(self, surface: Reading, keys: Reading, coefficients: Tensor) -> Tensor:
        """What is read at probes and landmarks, (B, M) coefficients of the start -> (B, inputs of the linear map)."""
        return torch.cat([_fused(surface), coefficients, _fused(keys)], dim=1)

    def forward(self, surface: Reading, keys: Reading, coefficients: Tensor) -> Tensor:
        """The same -> (B, rank)."""
        found: Tensor = self.linear(self.inputs(surface, keys, coefficients))
        return found


Reading = tuple[Tensor, Tensor]
"""Values (B, n, P, C) at points in n views, and (B, n, P) how well each is seen there."""


def _fused(reading: Reading) -> Tensor:
    """-> (B, P (C + 1)): means over the views that see a point, and how well it is seen."""
    values, seen = reading
    total = seen.mean(dim=1)[..., None]
    fused = torch.einsum("bnpc,bnp->bpc", values, seen) / seen.shape[1] / (total + _LEAST_SEEN)
    return torch.cat([fused, total / (total + _LEAST_SEEN)], dim=-1).flatten(1)
