"""The perception of the minis: vectors turn with cameras, views fuse by what they see, what is read gives modes."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from harness.geometry.placement import rotation_exponential
from harness.heads.head import Head
from harness.heads.procedural import procedural_head
from harness.methods.lvd.expectation import Expectation, face_vertices
from harness.methods.lvd.fitting import StartingHead
from harness.methods.lvd.lessons import Lesson
from harness.methods.lvd.modes import modes_of, starting_modes
from harness.methods.lvd.network import MINI
from harness.methods.lvd.perceiving import Perceiver, shape_loss, start_code, wanted_code
from harness.methods.lvd.perception import Dense, SurfaceCode
from harness.training_data import Batch


def test_vectors_are_turned_into_the_head_axes() -> None:
    torch.manual_seed(0)
    dense, last = Dense(8, 2), torch.randn(2, 8, 4, 4)
    turn = rotation_exponential(torch.tensor([[0.3, -0.8, 0.2]]))
    with torch.no_grad():
        straight = dense(last, torch.eye(3).expand(2, 3, 3))
        turned = dense(last, turn.expand(2, 3, 3))
    for first in (0, 3):
        camera = torch.einsum("ij,njhw->nihw", turn[0], turned[:, first : first + 3])
        assert torch.allclose(camera, straight[:, first : first + 3], atol=1e-5)
    assert torch.equal(straight[:, 6:], turned[:, 6:])


def test_regression_finds_what_the_inputs_tell() -> None:
    head = procedural_head()
    sizes = replace(MINI, probes=40)
    torch.manual_seed(0)
    net = Perceiver(sizes, head).eval()
    draw = partial(_lesson, head, Expectation(head, 24, 40))
    start_code(net, draw, 40)
    lessons = [draw(number) for number in range(100, 104)]
    with torch.no_grad():
        codes = [net(x.batch, x.projection, x.expected).code for x in lessons]
    found = torch.stack([net.shaped(x.start, c, x.ids) - x.truth for x, c in zip(lessons, codes, strict=True)])
    before = torch.stack([x.start - x.truth for x in lessons])
    assert found.norm(dim=-1).mean() < 0.5 * before.norm(dim=-1).mean()


def _lesson(head: Head, expectation: Expectation, number: int) -> Lesson:
    """Four heads before a grey background whose truth lies in four modes, which their starts' coefficients tell."""
    generator = torch.Generator().manual_seed(number)
    starting = StartingHead(head)
    coefficients = torch.zeros(4, len(starting.basis))
    coefficients[:, :4] = torch.randn(4, 4, generator=generator)
    start, truth = starting.vertices(coefficients), starting.vertices(0.4 * coefficients)
    rotation = torch.diag(torch.tensor([1.0, -1, -1])).expand(4, 1, 3, 3)
    shift = torch.tensor([0.0, -60, 900]).expand(4, 1, 3)[..., None]
    projection = torch.diag(torch.tensor([6.0, 6, 1])) @ torch.cat([rotation, shift], dim=-1)
    images = torch.zeros(4, 1, 4, 96, 96)
    normals, ids = expectation.normals(truth), torch.nonzero(face_vertices(head))[::20, 0]
    expected = expectation((coefficients, start, expectation.normals(start)), projection, rotation, images)
    batch = Batch(images, projection, rotation, truth, starting.landmarks(coefficients))
    first, goal, goal_normals = (v[:, ids] for v in (start, truth, normals))
    heat_maps, keypoints = torch.zeros(4, 1, 68, 24, 24), batch.landmarks
    return Lesson(
        batch,
        projection,
        heat_maps,
        expected,
        ids,
        len(ids),
        first,
        keypoints,
        goal,
        goal_normals,
        generator,
    )


def test_wanted_code_brings_the_face_to_the_truth() -> None:
    head = procedural_head()
    lesson = _lesson(head, Expectation(head, 24, 40), 0)
    basis = starting_modes(modes_of(head), 88)
    code = wanted_code(lesson, basis)
    moved = lesson.start + torch.einsum("br,rpd->bpd", code, basis[:, lesson.ids])
    across = ((moved - lesson.truth) * lesson.normals).sum(dim=-1).abs().mean()
    assert across < 0.2 * ((lesson.start - lesson.truth) * lesson.normals).sum(dim=-1).abs().mean()


def test_views_have_no_order_and_unseen_points_do_not_count() -> None:
    torch.manual_seed(0)
    code = SurfaceCode(6, 20, 4, 7, 5, 9)
    torch.nn.init.normal_(code.linear.weight)
    values, seen, start = torch.randn(2, 3, 20, 6), torch.rand(2, 3, 20), torch.randn(2, 5)
    keys = torch.randn(2, 3, 7, 4), torch.rand(2, 3, 7)
    with torch.no_grad():
        together = code((values, seen), keys, start)
        order = [2, 0, 1]
        assert torch.allclose(
            together, code((values[:, order], seen[:, order]), (keys[0][:, order], keys[1][:, order]), start), atol=1e-4
        )
        seen[:, 1] = 0
        hidden = code((values, seen), keys, start)
        values[:, 1] += 5
        assert torch.equal(hidden, code((values, seen), keys, start))
    assert not torch.allclose(together, hidden, atol=1e-3)


def test_shape_loss_feels_the_surface_more_than_what_slides_along_it() -> None:
    generator = torch.Generator().manual_seed(0)
    normals = torch.nn.functional.normalize(torch.randn(2, 200, 3, generator=generator), dim=-1)
    truth = 80 * normals
    turn = rotation_exponential(torch.tensor([[0.1, 0.2, 0.0]]))
    assert shape_loss(truth @ turn.mT + 5, truth, normals) < 1e-3
    along = torch.linalg.cross(normals, torch.tensor([0.0, 0, 1]).expand_as(normals))
    bump = (normals[..., :1] > 0.3).float()
    raised, slid = (
        shape_loss(truth + 3 * bump * normals, truth, normals),
        shape_loss(truth + 3 * bump * along, truth, normals),
    )
    assert float(raised) > 1.5 * float(slid)
    assert float(raised) == pytest.approx(float(shape_loss(truth - 3 * bump * normals, truth, normals)), rel=0.1)
