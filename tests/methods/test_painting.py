"""What SMIRK's generator gets to see: masks, sampled pixels that stay on the surface, other expressions."""

import numpy as np
import pytest
import torch

from harness.geometry.rasterise import rasterise
from harness.heads.procedural import procedural_head
from harness.methods.regression.appearance import FaceArtist
from harness.methods.regression.codes import Codes
from harness.methods.regression.decoding import Decoder, project
from harness.methods.smirk.cycle import SPREAD, cycle_loss, other_expressions
from harness.methods.smirk.masking import masked_picture, outside_face, sample_pixels, sampling_weights
from harness.methods.smirk.painting import Kept, frozen

SIZE = 64


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def codes(count: int, expression: float = 0.0) -> Codes:
    camera = torch.tensor([[7.5, 0.0, 0.0]]).repeat(count, 1)
    zeros = torch.zeros(count, 3)
    return Codes(
        torch.zeros(count, 82), torch.full((count, 46), expression), zeros, zeros, camera, torch.zeros(count, 2)
    )


def test_the_hull_grows_by_half_of_21_pixels_of_224() -> None:
    square = torch.tensor([[[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5], [0.0, 0.0]]])
    inside = 1 - outside_face(square, 224)[0, 0]
    rows = torch.nonzero(inside.any(dim=1))[:, 0]
    # Pixels 56..167 are within the square; ten more on each side.
    assert (int(rows.min()), int(rows.max())) == (56 - 10, 167 + 10)
    assert float(inside.sum()) == (112 + 20) ** 2
    line = torch.tensor([[[0.0, 0.0], [0.1, 0.1], [0.2, 0.2]]])
    assert float(outside_face(line, 32).sum()) == 32 * 32


def test_pixels_are_drawn_at_the_ratio_and_never_from_eyeballs() -> None:
    head = procedural_head()
    artist = FaceArtist(head)
    points = project(Decoder(head)(codes(1)).vertices, codes(1).camera)
    half = (SIZE - 1) / 2
    pixels = torch.cat([half * (points[..., :2] + 1), points[..., 2:]], dim=-1)[:, artist.used]
    fragments = rasterise(pixels, artist.faces, SIZE)
    weights = sampling_weights(head, artist.used[artist.faces])
    drawn = [sample_pixels(fragments, weights, 0.05, rng(seed)) for seed in range(30)]
    counts = torch.stack([d.sum() for d in drawn]).float()
    assert float(counts.mean()) == pytest.approx(0.05 * SIZE**2, rel=0.05)
    chosen = torch.stack(drawn).any(dim=0)
    assert (weights[fragments.face[chosen]] > 0).all()
    assert {0.0, 0.5, 1.0} == set(weights.tolist())


def test_the_masked_photograph_shows_neither_face_nor_drawing_but_the_kept_pixels() -> None:
    images = torch.full((1, 3, SIZE, SIZE), 0.5)
    head = procedural_head()
    artist = FaceArtist(head)
    shaped = Decoder(head)(codes(1))
    drawn = artist.draw(shaped.vertices, project(shaped.vertices, codes(1).camera), SIZE)
    fragments = drawn.fragments
    nothing = torch.zeros(0, 3, dtype=torch.int64), torch.zeros(0, 3)
    bare = masked_picture(images, torch.ones(1, 1, SIZE, SIZE), fragments, *nothing, rng())
    assert (bare[0, :, fragments.row, fragments.column] == 0).all()
    assert float(bare.sum()) == 0.5 * 3 * (SIZE**2 - len(fragments.face))
    places = torch.stack([fragments.picture, fragments.row, fragments.column], dim=1)[::7]
    some = masked_picture(
        images, torch.zeros(1, 1, SIZE, SIZE), fragments, places, torch.full((len(places), 3), 0.5), rng()
    )
    shown = (some > 0).any(dim=1)[0]
    assert 0.3 * len(places) < int(shown.sum()) <= len(places)
    assert np.allclose(some[0, :, shown].numpy(), 0.5, atol=0.15)


def test_kept_points_move_with_the_surface() -> None:
    decoder = Decoder(procedural_head())
    still, moved = (project(decoder(c).vertices, c.camera) for c in (codes(1), codes(1, 0.4)))
    vertex = int((still - moved)[0].norm(dim=1).argmax())
    kept = Kept(
        torch.zeros(1, dtype=torch.int64), torch.tensor([[vertex] * 3]), torch.full((1, 3), 1 / 3), torch.zeros(1, 3)
    )
    for points in (still, moved):
        _, row, column = kept.places(points, SIZE)[0].tolist()
        expected = (points[0, vertex, :2] + 1) * (SIZE - 1) / 2
        assert abs(column - float(expected[0])) <= 0.51 and abs(row - float(expected[1])) <= 0.51


def test_other_expressions_come_in_four_kinds() -> None:
    read, templates = codes(400, 0.1), torch.full((400, 46), 0.3)
    other = other_expressions(read, templates, rng())
    assert other.expression is not None and other.jaw is not None and other.eyelids is not None
    noise = SPREAD * 0.2
    group = torch.arange(400) % 4
    assert float(other.expression[group == 3].std()) < noise
    assert float(other.expression[group == 3].mean().abs()) < 0.01
    assert float(other.expression[group == 2].mean()) == pytest.approx(0.3 * 0.875, rel=0.15)
    assert float(other.expression[group == 0].std()) > 2 * noise
    assert (other.jaw[group == 3] == 0).all() and (other.jaw[:, 0] >= 0).all() and float(other.jaw[:, 0].max()) <= 0.5
    assert float(other.eyelids.min()) >= 0 and float(other.eyelids.max()) <= 1
    assert torch.equal(other.shape, read.shape) and float(cycle_loss(other, other)) == 0
    assert float(cycle_loss(read, other)) > 0


def test_what_is_frozen_passes_gradients_on_but_takes_none() -> None:
    first, second = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
    with frozen(second):
        loss = second(first(torch.ones(1, 2))).sum()
    loss.backward()
    assert first.weight.grad is not None and second.weight.grad is None
    assert second.weight.requires_grad
