"""Losses on landmarks and codes, in [-1, 1] of the crop, as DECA, EMOCA and SMIRK define them."""

from __future__ import annotations

import torch
from torch import Tensor

CONTOUR = 17  # of the 68 points, the first are the jaw's
_EYES = ((37, 41), (38, 40), (43, 47), (44, 46))
_LIPS = ((61, 67), (62, 66), (63, 65))
_CORNERS = ((48, 54),)


def _deca_weights() -> Tensor:
    weights = torch.ones(68)
    weights[[5, 6, 10, 11]] = 2.0
    weights[27:36] = 1.5
    weights[[30, 31, 35]] = 3.0
    weights[48:] = 1.5
    weights[[48, 54]] = 3.0
    return weights


DECA_WEIGHTS = _deca_weights()


def weighted_landmarks(found: Tensor, seen: Tensor) -> Tensor:
    """DECA's L1 over (B, 68, 2), points weighted by how much they matter."""
    weights = DECA_WEIGHTS.to(found)[None, :, None].expand_as(found)
    return ((found - seen).abs() * weights).sum() / weights.sum()


def squared_landmarks(found: Tensor, seen: Tensor) -> Tensor:
    """SMIRK's: the mean squares of the contour and of the inner points, added."""
    error = (found - seen).square()
    return error[:, :CONTOUR].mean() + error[:, CONTOUR:].mean()


def _opening(points: Tensor, pairs: tuple[tuple[int, int], ...]) -> Tensor:
    first, second = zip(*pairs, strict=True)
    return points[:, list(first)] - points[:, list(second)]


def eye_closure(found: Tensor, seen: Tensor) -> Tensor:
    """How wide the eyes are open, whatever their place: DECA's L1 over the pairs of lid points."""
    return (_opening(found, _EYES) - _opening(seen, _EYES)).abs().mean()


def lip_closure(found: Tensor, seen: Tensor) -> Tensor:
    """The same of the inner lips."""
    return (_opening(found, _LIPS) - _opening(seen, _LIPS)).abs().mean()


def mouth_corners(found: Tensor, seen: Tensor) -> Tensor:
    """How wide the mouth is: EMOCA v2's distance between its corners."""
    return (_opening(found, _CORNERS) - _opening(seen, _CORNERS)).abs().mean()


def half_squares(codes: Tensor) -> Tensor:
    """DECA's prior on a code: half the squares, summed over the batch as its code does."""
    return 0.5 * codes.square().sum()


def light_variance(light: Tensor) -> Tensor:
    """(B, 9, 3): lights are nearly grey, DECA's mean square about the mean of the colours."""
    return (light - light.mean(dim=2, keepdim=True)).square().mean()
