"""A head model as linear modes about its template: where networks start, and what a descended mesh is fitted with."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.files import digest
from harness.heads.head import Head

EXPRESSION_DEVIATION = 0.2  # of a coefficient: few of them act at once, and most faces are nearly neutral
POSE_DEVIATION = 0.03  # radians, of a joint's rotation


@dataclass(frozen=True, eq=False)
class Modes:
    """A linearised head.

    Attributes:
        template: (V, 3) millimetres.
        basis: (M, V, 3) millimetres per standard deviation of identity, then expression, then joint rotation.
        counts: how many modes of each kind, in that order.
    """

    template: Tensor
    basis: Tensor
    counts: tuple[int, int, int]

    def parameters(self, coefficients: Tensor) -> dict[str, Tensor]:
        """(M,) coefficients -> shape (S,), expression (E,), pose (3 (J - 1),) axis-angle of all joints but one."""
        shape, expression, pose = coefficients.split(self.counts)
        return {"shape": shape, "expression": expression * EXPRESSION_DEVIATION, "pose": pose * POSE_DEVIATION}


def modes_of(head: Head) -> Modes:
    """Identity and expression bases, and the head's first-order change with each joint but the (rigid) first."""
    joints = len(head.joint_names)
    count = 3 * (joints - 1)
    pose = torch.zeros(2 * count, joints, 3)
    for i in range(count):
        pose[i, 1 + i // 3, i % 3], pose[count + i, 1 + i // 3, i % 3] = POSE_DEVIATION, -POSE_DEVIATION
    turned = head.template.new_zeros(0, *head.template.shape)
    if count:
        posed = head.vertices(head.template.new_zeros(2 * count, 0), None, pose.to(head.template))
        turned = (posed[:count] - posed[count:]) / 2
    basis = torch.cat([head.shape_basis, EXPRESSION_DEVIATION * head.expression_basis, turned])
    return Modes(head.template, basis, (len(head.shape_basis), len(head.expression_basis), count))


def starting_modes(modes: Modes, count: int) -> Tensor:
    """(count, V, 3): shifts by 8 mm, turns by about 5 degrees, then the principal combinations of the head's modes.

    Fewer than `count` where the head has fewer.
    """
    axes = torch.eye(3).to(modes.template)
    shifts = 8.0 * axes[:, None].expand(3, len(modes.template), 3)
    turns = 0.09 * torch.linalg.cross(axes[:, None].expand_as(shifts), modes.template.expand_as(shifts))
    return torch.cat([shifts, turns, principal_modes(modes, max(0, count - 6))])[:count]


def principal_modes(modes: Modes, count: int) -> Tensor:
    """(count, V, 3) uncorrelated combinations of unit variance that move the vertices most, or all there are.

    Their signs do not depend on rounding: the largest weight of each combination is positive. In combinations that turn
    left against right two are equally large; there it is the one at an even place, as in the shipped weights' training.
    """
    flat = modes.basis.flatten(1).double()
    _, vectors = torch.linalg.eigh(flat @ flat.T)
    even = 1 - torch.arange(len(flat)) % 2
    largest = (vectors.abs() * (1 + 1e-4 * even[:, None])).argmax(dim=0, keepdim=True)
    vectors = vectors * vectors.gather(0, largest).sign()
    return (vectors.T.flip(0)[:count] @ flat).view(-1, *modes.template.shape).to(modes.template)


def head_signature(head: Head) -> str:
    """Names a head's geometry: weights that were trained for another one do not fit it.

    A digest of the integers, then two sums over each of the real arrays, which another processor may round differently.
    """
    integers = (head.faces, head.landmark_faces)
    names = [digest(b"".join(p.cpu().contiguous().numpy().tobytes() for p in integers))]
    for values in (head.template, head.shape_basis, head.expression_basis):
        flat = values.detach().cpu().double().flatten()
        wave = torch.cos(torch.arange(len(flat), dtype=torch.float64))
        names += [f"{float(v):.4f}" for v in (flat.square().mean().sqrt(), (flat * wave).sum() / len(flat) ** 0.5)]
    return " ".join(names)


def same_head(one: str, other: str, tolerance: float = 0.005) -> bool:
    """Whether two signatures are of the same head."""
    (digest_one, *sums_one), (digest_other, *sums_other) = one.split(), other.split()
    pairs = zip(sums_one, sums_other, strict=False)
    same_sums = len(sums_one) == len(sums_other) and all(abs(float(a) - float(b)) <= tolerance for a, b in pairs)
    return digest_one == digest_other and same_sums
