"""The linear head model that every builder (procedural, FLAME, ICT-FaceKit) returns."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from harness.errors import ContractError

PARTS = (
    "background",
    "skin",
    "left_brow",
    "right_brow",
    "left_eye",
    "right_eye",
    "nose",
    "upper_lip",
    "inner_mouth",
    "lower_lip",
    "hair",
    "left_ear",
    "right_ear",
    "neck",
    "cloth",
)
"""Part labels. The first eleven are LaPa's, in its order. Left and right are those of the image, as in LaPa:
the left brow, eye and ear are the ones on the image's left, which are the subject's right (negative x)."""


@dataclass(frozen=True, eq=False)
class Head:
    """A linear head model in the formulation of FLAME (Li et al., SIGGRAPH Asia 2017, equations 1-5).

    S identity, E expression components, V vertices, F triangles, J joints. Lengths are millimetres; x points to the
    subject's left (image-right in a frontal picture), y up, z out of the face.

    Attributes:
        name: of the builder.
        template: (V, 3) the mean head.
        faces: (F, 3) int64, counter-clockwise seen from outside.
        shape_basis: (S, V, 3) millimetres per unit; one unit is one standard deviation.
        shape_names: S names.
        expression_basis: (E, V, 3) millimetres per unit.
        expression_names: E names.
        joint_regressor: (J, V) gives the joints of a shaped head; rows sum to 1.
        parents: J indices; -1 for the first joint, and every other parent comes before its child.
        joint_names: J names.
        skinning: (V, J) blend weights, not negative; rows sum to 1.
        pose_basis: (9 * (J - 1), V, 3) millimetres per unit of (rotation matrix - identity) of joints 1.., or None.
        landmark_faces: (68,) int64, the triangle that each iBUG point lies on.
        landmark_barycentric: (68, 3) its barycentric coordinates there.
        part_labels: (F,) int64, indices into PARTS.

    Raises:
        ContractError: a shape, an index range or a sum above does not hold.
    """

    name: str
    template: Tensor
    faces: Tensor
    shape_basis: Tensor
    shape_names: tuple[str, ...]
    expression_basis: Tensor
    expression_names: tuple[str, ...]
    joint_regressor: Tensor
    parents: tuple[int, ...]
    joint_names: tuple[str, ...]
    skinning: Tensor
    pose_basis: Tensor | None
    landmark_faces: Tensor
    landmark_barycentric: Tensor
    part_labels: Tensor

    def __post_init__(self) -> None:
        self._check_shapes()
        self._check_indices()
        self._check_weights()

    def _check_shapes(self) -> None:
        vertices, faces = len(self.template), len(self.faces)
        shapes, expressions, joints = len(self.shape_names), len(self.expression_names), len(self.joint_names)
        expected = {
            "template": (vertices, 3),
            "faces": (faces, 3),
            "shape_basis": (shapes, vertices, 3),
            "expression_basis": (expressions, vertices, 3),
            "joint_regressor": (joints, vertices),
            "skinning": (vertices, joints),
            "pose_basis": (9 * (joints - 1), vertices, 3),
            "landmark_faces": (68,),
            "landmark_barycentric": (68, 3),
            "part_labels": (faces,),
        }
        for field_name, shape in expected.items():
            value = getattr(self, field_name)
            if value is None and field_name == "pose_basis":
                continue
            if tuple(value.shape) != shape:
                raise ContractError(f"head {self.name}: {field_name} has shape {tuple(value.shape)}, expected {shape}")
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise ContractError(f"head {self.name}: {field_name} has NaN or infinite values, expected finite ones")

    def _check_indices(self) -> None:
        limits = {"faces": len(self.template), "landmark_faces": len(self.faces), "part_labels": len(PARTS)}
        for field_name, limit in limits.items():
            value = getattr(self, field_name)
            if value.dtype != torch.int64:
                raise ContractError(f"head {self.name}: {field_name} is {value.dtype}, expected torch.int64")
            if value.numel() and (int(value.min()) < 0 or int(value.max()) >= limit):
                raise ContractError(
                    f"head {self.name}: {field_name} spans {int(value.min())}..{int(value.max())}, "
                    f"expected indices in 0..{limit - 1}"
                )
        joints = len(self.joint_names)
        ordered = all(0 <= parent < child for child, parent in enumerate(self.parents) if child)
        if len(self.parents) != joints or self.parents[:1] != (-1,) or not ordered:
            raise ContractError(
                f"head {self.name}: parents {self.parents} for {joints} joints, expected -1 first and then "
                "for each joint the index of an earlier one"
            )

    def _check_weights(self) -> None:
        sums = {
            "joint_regressor": self.joint_regressor.sum(dim=1),
            "skinning": self.skinning.sum(dim=1),
            "landmark_barycentric": self.landmark_barycentric.sum(dim=1),
        }
        for field_name, total in sums.items():
            error = float((total - 1).abs().max())
            if error > 1e-3:
                raise ContractError(
                    f"head {self.name}: rows of {field_name} sum to 1 +- {error:.3g}, expected 1; "
                    "normalise them before building the head"
                )

    def vertices(self, shape: Tensor, expression: Tensor | None = None, pose: Tensor | None = None) -> Tensor:
        """The vertices of a batch of heads; differentiable in all arguments.

        Args:
            shape: (B, s) identity coefficients, s <= S; the missing ones are 0.
            expression: (B, e) expression coefficients, e <= E, or None for a neutral face.
            pose: (B, J, 3) axis-angle rotation of each joint relative to its parent in radians, or None for rest.
                The first joint's rotation turns the whole head about that joint.

        Returns:
            (B, V, 3) millimetres.

        Raises:
            ContractError: an argument has too many coefficients or the wrong shape.
        """
        shaped = self.template + _blend("shape", shape, self.shape_basis)
        if expression is not None:
            shaped = shaped + _blend("expression", expression, self.expression_basis)
        if pose is None:
            return shaped
        if pose.ndim != 3 or pose.shape[1:] != (len(self.parents), 3):
            raise ContractError(f"pose: shape {tuple(pose.shape)}, expected (B, {len(self.parents)}, 3)")
        return self._posed(shaped, rotation_matrices(pose))

    def _posed(self, shaped: Tensor, rotations: Tensor) -> Tensor:
        """(B, V, 3) shaped vertices and (B, J, 3, 3) joint rotations -> (B, V, 3) skinned vertices."""
        joints = torch.einsum("jv,bvc->bjc", self.joint_regressor, shaped)
        if self.pose_basis is not None:
            identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
            feature = (rotations[:, 1:] - identity).flatten(1)
            shaped = shaped + torch.einsum("bp,pvc->bvc", feature, self.pose_basis)
        turned, offsets = self._chain(joints, rotations)
        blended_rotation = torch.einsum("vj,bjrc->bvrc", self.skinning, turned)
        blended_offset = torch.einsum("vj,bjc->bvc", self.skinning, offsets)
        return torch.einsum("bvrc,bvc->bvr", blended_rotation, shaped) + blended_offset

    def _chain(self, joints: Tensor, rotations: Tensor) -> tuple[Tensor, Tensor]:
        """The rigid motion x -> R x + t of each joint's body relative to rest: (B, J, 3, 3) and (B, J, 3)."""
        turned, offsets = [rotations[:, 0]], [joints[:, 0] - _apply(rotations[:, 0], joints[:, 0])]
        for child, parent in enumerate(self.parents[1:], start=1):
            rotation = turned[parent] @ rotations[:, child]
            moved = _apply(turned[parent], joints[:, child]) + offsets[parent]
            turned.append(rotation)
            offsets.append(moved - _apply(rotation, joints[:, child]))
        return torch.stack(turned, dim=1), torch.stack(offsets, dim=1)

    def landmarks(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) vertices -> (B, 68, 3) iBUG points on the surface; differentiable."""
        corners = vertices[:, self.faces[self.landmark_faces]]
        return torch.einsum("lk,blkc->blc", self.landmark_barycentric, corners)

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Head:
        """The same head on another device, its real-valued tensors in another dtype (indices stay int64)."""
        changes: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, Tensor):
                changes[item.name] = value.to(device=device, dtype=dtype if value.is_floating_point() else None)
        return replace(self, **changes)


def _blend(name: str, coefficients: Tensor, basis: Tensor) -> Tensor:
    """(B, n) coefficients of the first n of N blend shapes (N, V, 3) -> (B, V, 3)."""
    if coefficients.ndim != 2 or coefficients.shape[1] > len(basis):
        raise ContractError(f"{name}: shape {tuple(coefficients.shape)}, expected (B, n) with n <= {len(basis)}")
    return torch.einsum("bn,nvc->bvc", coefficients, basis[: coefficients.shape[1]])


def _apply(rotation: Tensor, point: Tensor) -> Tensor:
    return (rotation @ point[..., None])[..., 0]


def rotation_matrices(axis_angle: Tensor) -> Tensor:
    """(..., 3) axis-angle vectors in radians -> (..., 3, 3) rotations, by Rodrigues' formula.

    Smooth at zero: sin(a)/a and (1 - cos(a))/a^2 are evaluated through `sinc`, so gradients are finite there.
    """
    squared = (axis_angle * axis_angle).sum(-1)
    # The square root has no derivative at 0; below this angle both factors equal their limits to rounding.
    angle = torch.sqrt(squared.clamp_min(1e-16))[..., None, None]
    x, y, z = axis_angle.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    first = torch.sinc(angle / torch.pi)
    second = 0.5 * torch.sinc(angle / (2 * torch.pi)) ** 2
    identity = torch.eye(3, dtype=axis_angle.dtype, device=axis_angle.device)
    return identity + first * cross + second * (cross @ cross)
