"""FLAME (Li et al., SIGGRAPH Asia 2017) from the user's own file, in millimetres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from harness.errors import ContractError, DataError
from harness.heads.flame_file import LIDS, MASKS, MEDIAPIPE_EMBEDDING, converted, find_files
from harness.heads.head import Head, rotation_matrices
from harness.heads.parts import labels_of_masks
from harness.samples import Array

JOINT_NAMES = ("root", "neck", "jaw", "left_eye", "right_eye")
PARENTS = (-1, 0, 1, 1, 1)
SHAPES, EXPRESSIONS = 300, 100
LAST_YAW_DEG = 39
"""The table of contours has a row for each whole degree of yaw up to this one: 0..39 for turns to one side, then
1..39 for turns to the other."""


@dataclass(frozen=True, eq=False)
class FlameHead(Head):
    """FLAME 2020 or 2023 with its landmark embeddings; all that `Head` says holds.

    Attributes:
        inner_faces, inner_barycentric: (51,) and (51, 3), iBUG points 17..67.
        contour_faces, contour_barycentric: (79, 17) and (79, 17, 3), iBUG points 0..16 by yaw.
        mediapipe_faces, mediapipe_barycentric: (105,) and (105, 3), or None where the user has no such file.
        mediapipe_numbers: (105,) which of MediaPipe's points each of these is, or None.
        eyelids: (2, V, 3) millimetres that close the left and right lid, or None.
        masks: part -> sorted vertex numbers; empty where the user has no such file.
        jaw_opens: false for the model "no_jaw", whose mouth opens through its expression components.
    """

    inner_faces: Tensor
    inner_barycentric: Tensor
    contour_faces: Tensor
    contour_barycentric: Tensor
    mediapipe_faces: Tensor | None
    mediapipe_barycentric: Tensor | None
    mediapipe_numbers: Tensor | None
    eyelids: Tensor | None
    masks: Mapping[str, Tensor]
    jaw_opens: bool

    def vertices(self, shape: Tensor, expression: Tensor | None = None, pose: Tensor | None = None) -> Tensor:
        """As `Head.vertices`; also raises ContractError if a model without a jaw is to open it."""
        if not self.jaw_opens and pose is not None and bool((pose[:, JOINT_NAMES.index("jaw")] != 0).any()):
            raise ContractError(
                f"head {self.name}: pose turns the jaw, which FLAME 2023 without a jaw cannot; leave it at 0 (the "
                "mouth opens through the expression components) or use flame2023.pkl"
            )
        return super().vertices(shape, expression, pose)

    def close_lids(self, vertices: Tensor, amount: Tensor) -> Tensor:
        """Adds the lids' offsets after skinning, as SMIRK does: (B, V, 3) and (B, 2) left and right -> (B, V, 3).

        Raises:
            ContractError: the user's files hold no lids.
        """
        if self.eyelids is None:
            raise ContractError(
                f"head {self.name}: eyelids asked for, but {' and '.join(LIDS)} are not there. They come with SMIRK "
                "(github.com/georgeretsi/smirk, folder assets); put them beside the model"
            )
        return vertices + torch.einsum("bl,lvc->bvc", amount, self.eyelids)

    def contour_rows(self, pose: Tensor, yaw_sign: int = 1) -> Tensor:
        """(B, J, 3) pose -> (B,) int64 rows of the contour table.

        Args:
            pose: joint rotations; only those of root and neck count.
            yaw_sign: 1 as in DECA, EMOCA, SMIRK and MICA; -1 as in FLAME_PyTorch and RingNet.
        """
        rotations = rotation_matrices(pose[:, :2].detach())
        turned = rotations[:, 0] @ rotations[:, 1]
        yaw = torch.atan2(-turned[:, 2, 0], torch.hypot(turned[:, 0, 0], turned[:, 1, 0]))
        degrees = torch.round(torch.rad2deg(yaw_sign * yaw).clamp(max=LAST_YAW_DEG)).long()
        return torch.where(degrees >= 0, degrees, LAST_YAW_DEG - degrees.clamp(min=-LAST_YAW_DEG))

    def sliding_landmarks(self, vertices: Tensor, pose: Tensor | None = None, yaw_sign: int = 1) -> Tensor:
        """(B, 68, 3) iBUG points whose contour slides with the head's yaw; differentiable in the vertices.

        Args:
            vertices: (B, V, 3) of `vertices`.
            pose: (B, J, 3) that they were made with, or None for rest.
            yaw_sign: see `contour_rows`.
        """
        turns = vertices.new_zeros(len(vertices), len(JOINT_NAMES), 3) if pose is None else pose
        rows = self.contour_rows(turns, yaw_sign)
        corners = self.faces[self.contour_faces[rows]]
        batch = torch.arange(len(vertices), device=vertices.device)[:, None, None]
        contour = torch.einsum("blk,blkc->blc", self.contour_barycentric[rows], vertices[batch, corners])
        return torch.cat([contour, self._on(vertices, self.inner_faces, self.inner_barycentric)], dim=1)

    def mediapipe_landmarks(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) -> (B, 105, 3) points of MediaPipe's face mesh. Raises ContractError without their file."""
        if self.mediapipe_faces is None or self.mediapipe_barycentric is None:
            raise ContractError(
                f"head {self.name}: MediaPipe's points asked for, but {MEDIAPIPE_EMBEDDING} is not there. It comes "
                "with SMIRK and EMOCA (folder assets) and at flame.is.tue.mpg.de; put it beside the model"
            )
        return self._on(vertices, self.mediapipe_faces, self.mediapipe_barycentric)

    def _on(self, vertices: Tensor, faces: Tensor, barycentric: Tensor) -> Tensor:
        return torch.einsum("lk,blkc->blc", barycentric, vertices[:, self.faces[faces]])

    def triangles_of(self, mask: str) -> Tensor:
        """(n,) numbers of the triangles whose three corners are in a mask ("face", "nose", ...).

        Raises:
            ContractError: there is no such mask.
        """
        if mask not in self.masks:
            there = ", ".join(sorted(self.masks)) or f"{MASKS}, which is had at flame.is.tue.mpg.de, is not there"
            raise ContractError(f"head {self.name}: no mask {mask}; {there}")
        inside = torch.zeros(len(self.template), dtype=torch.bool, device=self.faces.device)
        inside[self.masks[mask]] = True
        return inside[self.faces].all(dim=1).nonzero()[:, 0]

    @cached_property
    def face_triangles(self) -> Tensor:
        """Those of the mask "face"."""
        return self.triangles_of("face")

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> FlameHead:
        """As `Head.to`."""
        moved = super().to(device, dtype)
        assert isinstance(moved, FlameHead)
        return replace(moved, masks={name: numbers.to(device=device) for name, numbers in self.masks.items()})


def read_flame(path: str | Path) -> FlameHead:
    """The head of the user's FLAME file: 300 identity, 100 expression components, five joints.

    The first call converts the pickles into the cache folder; later ones read that.

    Args:
        path: `generic_model.pkl`, `flame2023.pkl` or `flame2023_no_jaw.pkl`, or a folder that holds one of them.
            `landmark_embedding.npy` (or RingNet's pair of files) must be beside it or one folder below; MediaPipe's
            embedding, eyelids and masks are read where they are.

    Raises:
        DataError: a file is missing, damaged or not FLAME's; the message says where it is had.
    """
    files = find_files(Path(path))
    arrays = converted(files)
    try:
        return _head(arrays, jaw_opens="no_jaw" not in files["model"].stem)
    except ContractError as error:
        raise DataError(f"{files['model']}: {error}; get the file again") from None


def _head(arrays: Mapping[str, Array], jaw_opens: bool) -> FlameHead:
    def tensor(key: str, scale: float = 1.0) -> Tensor:
        values = arrays[key]
        return torch.from_numpy(np.float32(scale) * values if scale != 1 else values)

    def optional(key: str, scale: float = 1.0) -> Tensor | None:
        return tensor(key, scale) if key in arrays else None

    faces, template = arrays["f"], arrays["v_template"]
    masks = {key.removeprefix("mask_"): values for key, values in arrays.items() if key.startswith("mask_")}
    bases = tensor("shapedirs", 1000).permute(2, 0, 1).contiguous()
    landmark_faces, landmark_barycentric = arrays["full_lmk_faces_idx"], arrays["full_lmk_bary_coords"]
    landmarks = np.einsum("lk,lkc->lc", landmark_barycentric, template[faces[landmark_faces]])
    return FlameHead(
        name="flame",
        template=tensor("v_template", 1000),
        faces=tensor("f"),
        shape_basis=bases[:SHAPES],
        shape_names=tuple(f"shape_{index:03d}" for index in range(SHAPES)),
        expression_basis=bases[SHAPES:],
        expression_names=tuple(f"expression_{index:03d}" for index in range(EXPRESSIONS)),
        joint_regressor=tensor("J_regressor"),
        parents=PARENTS,
        joint_names=JOINT_NAMES,
        skinning=tensor("weights"),
        pose_basis=tensor("posedirs", 1000).permute(2, 0, 1).contiguous(),
        landmark_faces=torch.from_numpy(landmark_faces),
        landmark_barycentric=torch.from_numpy(landmark_barycentric),
        part_labels=torch.from_numpy(labels_of_masks(template, faces, landmarks, masks)),
        inner_faces=tensor("static_lmk_faces_idx"),
        inner_barycentric=tensor("static_lmk_bary_coords"),
        contour_faces=tensor("dynamic_lmk_faces_idx"),
        contour_barycentric=tensor("dynamic_lmk_bary_coords"),
        mediapipe_faces=optional("mediapipe_lmk_face_idx"),
        mediapipe_barycentric=optional("mediapipe_lmk_b_coords"),
        mediapipe_numbers=optional("mediapipe_landmark_indices"),
        eyelids=optional("eyelids", 1000),
        masks={key: torch.from_numpy(values) for key, values in masks.items()},
        jaw_opens=jaw_opens,
    )
