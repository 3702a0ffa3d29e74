"""Decoding against the head model itself, and the projections against each other."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.heads.procedural import procedural_head
from harness.methods.regression.codes import Codes
from harness.methods.regression.decoding import Decoder, project, projection_matrix


def codes(count: int = 3) -> Codes:
    generator = torch.Generator().manual_seed(4)

    def draw(size: int, spread: float = 1.0) -> torch.Tensor:
        return spread * torch.randn((count, size), generator=generator)

    camera = torch.tensor([[8.0, 0.01, -0.02], [7.0, 0.0, 0.03], [9.5, -0.01, 0.0]])[:count]
    return Codes(draw(82), draw(46, 0.2), draw(3, 0.3), draw(3, 0.1), camera)


def test_the_mesh_is_the_heads_with_turn_and_jaw_in_their_joints() -> None:
    head, read = procedural_head(), codes()
    shaped = Decoder(head)(read)
    pose = torch.zeros(3, 5, 3)
    pose[:, head.joint_names.index("root")] = read.turn
    pose[:, head.joint_names.index("jaw")] = read.jaw
    expected = head.vertices(read.shape, read.expression, pose)
    assert torch.equal(shaped.vertices, expected)
    assert torch.equal(shaped.landmarks, head.landmarks(expected))


def test_the_neutral_face_depends_on_the_identity_alone() -> None:
    decoder, read = Decoder(procedural_head()), codes()
    other = replace(read, expression=read.expression * 0 + 0.5, turn=read.turn + 1, jaw=read.jaw + 0.2)
    assert torch.equal(decoder.neutral(read).vertices, decoder.neutral(other).vertices)
    alone = Codes(read.shape)
    assert torch.equal(decoder(alone).vertices, decoder.neutral(read).vertices)


def test_closed_lids_bring_the_lids_together_and_leave_the_mouth() -> None:
    decoder, read = Decoder(procedural_head()), replace(codes(1), expression=torch.zeros(1, 46), jaw=torch.zeros(1, 3))
    open_eyes, closed = (
        decoder(replace(read, eyelids=torch.tensor([amount]))).landmarks[0] for amount in ((0.0, 0.0), (1.0, 0.0))
    )

    def gap(points: torch.Tensor, upper: int, lower: int) -> float:
        return float((points[upper] - points[lower]).norm())

    assert gap(closed, 43, 47) < 0.4 * gap(open_eyes, 43, 47)  # the subject's left eye, on the image's right
    assert gap(closed, 37, 41) == pytest.approx(gap(open_eyes, 37, 41), rel=1e-4)
    assert torch.allclose(closed[48:], open_eyes[48:], atol=1e-3)


def test_projection_adds_the_shift_before_it_scales_and_turns_y_and_z() -> None:
    points = torch.tensor([[[30.0, 50.0, 100.0]]])
    camera = torch.tensor([[8.0, 0.01, -0.02]])
    expected = torch.tensor([[[8 * (0.03 + 0.01), -8 * (0.05 - 0.02), -8 * 0.1]]])
    assert torch.allclose(project(points, camera), expected)


@pytest.mark.parametrize("half", [112.0, 47.5])
def test_the_matrix_gives_the_pixels_of_the_projection(half: float) -> None:
    read = codes()
    points = torch.from_numpy(np.random.default_rng(0).normal(0, 60, (3, 20, 3)))
    camera = read.camera.double()
    matrix = projection_matrix(camera, half)
    homogeneous = torch.cat([points, torch.ones(3, 20, 1).double()], dim=-1)
    pixels = torch.einsum("bij,bnj->bni", matrix, homogeneous)
    expected = half * (project(points, camera)[..., :2] + 1)
    assert torch.allclose(pixels[..., :2], expected)
    assert torch.equal(pixels[..., 2], torch.ones_like(pixels[..., 2]))
