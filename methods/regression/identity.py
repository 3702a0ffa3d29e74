"""MICA's loss: what an identity is worth is told by the neutral head behind the picture."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.heads.head import PARTS, Head

_WEIGHTS = {
    **dict.fromkeys(("skin", "left_brow", "right_brow"), 150.0),
    **dict.fromkeys(("nose", "upper_lip", "lower_lip", "inner_mouth"), 50.0),
    **dict.fromkeys(("left_ear", "right_ear", "left_eye", "right_eye"), 0.01),
}
FACE_RADIUS = 45.0
"""Millimetres from the nearest landmark: the skin that counts as face."""


class IdentityTeacher:
    """Compares identity codes as neutral heads.

    Args:
        head: the model of the codes.
    """

    def __init__(self, head: Head) -> None:
        weights = vertex_weights(head)
        self.weights = weights / weights.mean()
        self.basis = head.shape_basis

    def __call__(self, found: Tensor, truth: Tensor) -> Tensor:
        """Weighted mean distance per coordinate, millimetres, of the heads of codes (B, S) and (B, S)."""
        # Both heads are the same linear function of their codes: the template cancels.
        error = torch.einsum("bs,svc->bvc", found - truth, self.basis)
        return (error.abs().mean(dim=2) * self.weights).mean()


def vertex_weights(head: Head) -> Tensor:
    """(V,) MICA's weights: face 150, nose and lips 50, ears and eyeballs 0.01, the rest 1."""
    weights = torch.ones(len(head.template), device=head.template.device)
    landmarks = head.landmarks(head.template[None])[0]
    near = torch.cdist(head.template, landmarks).amin(dim=1) < FACE_RADIUS
    for name, value in _WEIGHTS.items():
        members = head.faces[head.part_labels == PARTS.index(name)].unique()
        weights[members[near[members]] if name == "skin" else members] = value
    return weights
