"""A part of a head model that moves exactly as the whole does: what training needs of it, at a fraction of the cost."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from harness.heads.head import Head


def restricted(head: Head, vertices: Tensor) -> Head:
    """The head with only some vertices, and with those that its landmarks and joints depend on.

    Args:
        head: the whole; a plain `Head`.
        vertices: (N,) int64, which to keep besides.

    Returns:
        A head whose vertices are those of the whole in the same order; triangles with a missing corner are left out.
    """
    kept = torch.zeros(len(head.template), dtype=torch.bool, device=head.template.device)
    kept[vertices] = True
    kept[head.faces[head.landmark_faces].flatten()] = True
    kept |= (head.joint_regressor != 0).any(dim=0)
    number = torch.cumsum(kept, dim=0) - 1
    whole = kept[head.faces].all(dim=1)
    face_number = torch.cumsum(whole, dim=0) - 1
    return replace(
        head,
        template=head.template[kept],
        faces=number[head.faces[whole]],
        shape_basis=head.shape_basis[:, kept].contiguous(),
        expression_basis=head.expression_basis[:, kept].contiguous(),
        joint_regressor=head.joint_regressor[:, kept],
        skinning=head.skinning[kept],
        pose_basis=None if head.pose_basis is None else head.pose_basis[:, kept].contiguous(),
        landmark_faces=face_number[head.landmark_faces],
        part_labels=head.part_labels[whole],
    )
