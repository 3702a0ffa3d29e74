"""The label map of a regressor: the parts of its head as the picture shows them."""

from __future__ import annotations

import numpy as np
import torch

from harness.geometry.rasterise import rasterise
from harness.heads.head import Head
from harness.protocols.labels import BACKGROUND
from harness.samples import Array


def part_map(head: Head, vertices: Array, projection: Array, shape: tuple[int, int]) -> Array:
    """(H, W) labels of a picture's pixels: that of the triangle in front, background where there is none.

    A head has neither hair nor clothes, and a mouth only where its model has the inside of one: these are never
    answered, and the bald scalp counts as what the model says of it.

    Args:
        head: whose triangles and part labels.
        vertices: (V, 3) in the head's own frame, z towards the camera.
        projection: (3, 4) takes these to homogeneous pixels, with parallel rays.
        shape: H, W.
    """
    pixels = vertices @ projection[:2, :3].T + projection[:2, 3]
    points = torch.from_numpy(np.column_stack([pixels, -vertices[:, 2]])).float()[None]
    found = rasterise(points, head.faces.cpu(), max(shape))
    labels = np.full((max(shape), max(shape)), BACKGROUND, np.int64)
    labels[found.row.numpy(), found.column.numpy()] = head.part_labels.cpu().numpy()[found.face.numpy()]
    return labels[: shape[0], : shape[1]]
