"""From codes to a head, and from the head to the picture: FLAME's conventions with the head that is at hand."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.heads.flame import FlameHead
from harness.heads.head import Head
from harness.methods.regression.codes import Codes

METRES = 1000.0  # millimetres in the unit of the camera


@dataclass(frozen=True, eq=False)
class Shaped:
    """A decoded batch, millimetres in the head's own frame.

    Attributes:
        vertices: (B, V, 3) with expression and pose; the neutral ones where there are no such codes.
        landmarks: (B, 68, 3) on these; the contour slides with the yaw where the head knows how (FLAME).
        fixed_landmarks: (B, 68, 3) the same with the fixed contour.
    """

    vertices: Tensor
    landmarks: Tensor
    fixed_landmarks: Tensor


class Decoder:
    """Decodes with any head that has FLAME's joints.

    Args:
        head: the model; a code shorter than its basis leaves the other components at rest.
    """

    def __init__(self, head: Head) -> None:
        self.head = head
        self.jaw = head.joint_names.index("jaw")
        names = head.expression_names
        self.lids = [names.index(f"blink_{side}") for side in ("left", "right") if f"blink_{side}" in names]

    def neutral(self, codes: Codes) -> Shaped:
        """The identity alone, without expression and pose."""
        return self._shaped(self.head.vertices(codes.shape), None)

    def __call__(self, codes: Codes) -> Shaped:
        """The face as it is in the picture; neck and eyes at rest."""
        if codes.expression is None or codes.turn is None or codes.jaw is None:
            return self.neutral(codes)
        pose = codes.shape.new_zeros(len(codes.shape), len(self.head.joint_names), 3)
        pose[:, 0], pose[:, self.jaw] = codes.turn, codes.jaw
        vertices = self.head.vertices(codes.shape, self._expression(codes.expression, codes.eyelids), pose)
        if codes.eyelids is not None and isinstance(self.head, FlameHead):
            vertices = self.head.close_lids(vertices, codes.eyelids)
        return self._shaped(vertices, pose)

    def _expression(self, expression: Tensor, eyelids: Tensor | None) -> Tensor:
        """With closed lids where these are components of the head's expressions, as they are not in FLAME."""
        if eyelids is None or not self.lids:
            return expression
        more = torch.zeros_like(expression)
        more[:, self.lids] = eyelids
        return expression + more

    def _shaped(self, vertices: Tensor, pose: Tensor | None) -> Shaped:
        fixed = self.head.landmarks(vertices)
        if pose is None or not isinstance(self.head, FlameHead):
            return Shaped(vertices, fixed, fixed)
        return Shaped(vertices, self.head.sliding_landmarks(vertices, pose), fixed)


def project(points: Tensor, camera: Tensor) -> Tensor:
    """Weak perspective: (B, N, 3) millimetres and (B, 3) scale, tx, ty -> (B, N, 3) in [-1, 1] of the crop.

    x to the right, y down, the last coordinate grows away from the camera. The shift is added before the scale, in
    metres, as DECA, EMOCA, SMIRK and TEASER do.
    """
    scale, shift = camera[:, None, :1], torch.nn.functional.pad(camera[:, None, 1:], (0, 1))
    moved = scale * (points / METRES + shift)
    return moved * torch.tensor([1.0, -1.0, -1.0]).to(moved)


def projection_matrix(camera: Tensor, half: float) -> Tensor:
    """(B, 3, 4) millimetres of the head's frame -> homogeneous pixels half * (u + 1) of the crop; see `project`.

    Args:
        camera: (B, 3).
        half: pixels from 0 to the middle of the crop: 112 for the official weights, which counts pixels of 224 from
            their corners; (S - 1) / 2 where [-1, 1] spans the centres of the crop's pixels.
    """
    scale, x, y = camera.unbind(dim=1)
    matrix = camera.new_zeros(len(camera), 3, 4)
    matrix[:, 0, 0], matrix[:, 0, 3] = half * scale / METRES, half * (scale * x + 1)
    matrix[:, 1, 1], matrix[:, 1, 3] = -half * scale / METRES, half * (1 - scale * y)
    matrix[:, 2, 3] = 1
    return matrix
