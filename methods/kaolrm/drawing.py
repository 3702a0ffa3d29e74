"""What the trainings and the pictures need: the decoded head in the network's frame, its Gaussians, its own shading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from harness.geometry.rasterise import rasterise, vertex_normals
from harness.methods.kaolrm.gaussians import surface_points
from harness.methods.kaolrm.network import HeadCodes, KaoLRM, Reconstruction
from harness.methods.kaolrm.splatting import Picture, splat
from harness.methods.regression.appearance import face_vertices
from harness.methods.regression.codes import Codes
from harness.methods.regression.decoding import METRES, Decoder
from harness.samples import Camera


def decoded(decoder: Decoder, codes: HeadCodes) -> tuple[Tensor, Tensor]:
    """(B, V, 3) vertices and (B, 68, 3) landmarks in the network's frame."""
    shaped = decoder(Codes(codes.shape, codes.expression, codes.turn, codes.jaw))
    return codes.placed(shaped.vertices / METRES), codes.placed(shaped.fixed_landmarks / METRES)


def appearance(
    net: KaoLRM,
    made: Reconstruction,
    item: int,
    vertices: Tensor,
    faces: Tensor,
    cameras: list[Camera],
    points: int,
    focal: float,
    generator: torch.Generator | None = None,
) -> list[Picture]:
    """Draws one head's Gaussians before each camera, on white.

    Args:
        net: whose appearance decoder is asked.
        made: of a batch.
        item: which of the batch.
        vertices: (V, 3) of the mesh that carries the Gaussians, network's frame.
        faces: (F, 3).
        cameras: in the network's frame.
        points: Gaussians.
        focal: of the lens that the frame stands before.
        generator: source of chance.
    """
    on_mesh = surface_points(vertices, faces, points, generator)[None]
    gaussians = net.gaussian_decoder(made.planes[item : item + 1], on_mesh, focal).of(0)
    return [splat(gaussians, camera) for camera in cameras]


@dataclass(frozen=True, eq=False)
class Seen:
    """What a picture of R x R pixels shows of meshes.

    Attributes:
        depth: (N, R, R, 1) along the camera's axis; 0 where nothing is.
        normals: (N, R, R, 3) in the camera's axes, towards it.
        there: (N, R, R) bool.
    """

    depth: Tensor
    normals: Tensor
    there: Tensor


class FaceDrawer:
    """Draws depth and normals of a head's face region.

    Args:
        faces: (F, 3) of the whole head.
        used: (N,) the region's vertices.
    """

    def __init__(self, faces: Tensor, used: Tensor, vertices: int) -> None:
        kept = torch.zeros(vertices, dtype=torch.bool, device=faces.device)
        kept[used] = True
        self.used, flat = faces[kept[faces].all(dim=1)].unique(return_inverse=True)
        self.faces = flat.view(-1, 3)

    @classmethod
    def of(cls, decoder: Decoder) -> FaceDrawer:
        """Of the face of a decoder's head."""
        head = decoder.head
        return cls(head.faces, face_vertices(head), len(head.template))

    def __call__(self, vertices: Tensor, cameras: list[Camera]) -> Seen:
        """(N, V, 3) meshes in the network's frame, one camera each."""
        points = vertices[:, self.used]
        turn, shift, lens = (
            torch.from_numpy(np.stack([getattr(c, name) for c in cameras])).to(points)
            for name in ("rotation", "translation", "intrinsics")
        )
        seen = points @ turn.mT + shift[:, None]
        image = seen @ lens.mT
        pixels = torch.cat([image[..., :2] / image[..., 2:], seen[..., 2:]], dim=-1)
        fragments = rasterise(pixels, self.faces, cameras[0].width)
        far = fragments.interpolate(1 / seen[..., 2:], self.faces)  # what is linear on the picture
        normals = fragments.interpolate(vertex_normals(seen, self.faces), self.faces)
        there = fragments.picture_of(torch.ones_like(far))[:, 0] > 0
        depth, facing = (
            fragments.picture_of(x).permute(0, 2, 3, 1) for x in (1 / far, functional.normalize(normals, dim=1))
        )
        return Seen(depth, facing, there)
