"""The tanh warp against its formula written out, there and back, and what a label map loses on the way."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ContractError
from harness.methods.farl.warp import SIZE, STANDARD, Frame, sampled


def plain(x: float, factor: float, size: int) -> float:
    """Frame to aligned picture, one coordinate."""
    u = 2 * x / size - 1
    if abs(u) <= 1 - factor:
        return x
    inside = min((abs(u) - (1 - factor)) / factor, 0.999)
    return (np.sign(u) * ((1 - factor) + factor * np.arctanh(inside)) + 1) * size / 2


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 511), st.floats(0, 511), st.floats(0.05, 1))
def test_equals_its_formula(x, y, factor):
    frame = Frame(np.eye(3), factor)
    found = frame.to_picture(np.array([[x, y]]))[0]
    assert found == pytest.approx([plain(x, factor, SIZE), plain(y, factor, SIZE)], rel=1e-9, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_there_and_back(seed):
    rng = np.random.default_rng(seed)
    points = STANDARD * rng.uniform(0.2, 3) + rng.uniform(-300, 300, 2) + rng.normal(0, 5, (5, 2))
    frame = Frame.of_points(points)
    somewhere = rng.uniform(20, 492, (20, 2))
    assert np.allclose(frame.to_frame(frame.to_picture(somewhere)), somewhere, atol=1e-6)


def test_standard_points_land_where_they_belong():
    places = STANDARD * 511 / 512
    frame = Frame.of_points(2 * places + 30, factor=0)
    assert np.allclose(frame.to_frame(2 * places + 30), places)
    assert np.allclose(Frame.of_points(places).matrix, np.eye(3))


def test_no_warp_is_linear():
    points = np.array([[-40.0, 700.0], [3, 4]])
    assert np.array_equal(Frame(np.eye(3), 0).to_frame(points), points)


def test_the_whole_picture_fits():
    frame = Frame.of_points(STANDARD * 0.4 + 100)
    corners = frame.to_frame(np.array([[0.0, 0.0], [700, 0], [0, 900], [700, 900]]))
    assert corners.min() > 0 and corners.max() < SIZE


def test_labels_come_back_at_the_size_of_the_picture():
    """A disc on a picture of another size, seen in the frame, is found again where it was."""
    y, x = np.mgrid[:300, :400]
    disc = np.hypot(x - 210, y - 140) < 70
    eyes = np.array([[180.0, 120], [240, 120], [210, 145], [190, 170], [230, 170]])
    frame = Frame.of_points(eyes)
    picture = np.repeat((255 * disc)[..., None], 3, axis=2).astype(np.uint8)
    seen = frame.cut(picture)
    assert seen.shape == (1, 3, SIZE, SIZE) and seen.min() >= 0 and seen.max() <= 1
    logits = torch.cat([0.5 - seen[:, :1], seen[:, :1] - 0.5], dim=1)
    found = frame.label_map(logits, 300, 400)
    assert found.shape == (300, 400) and (found != disc).mean() < 0.004


def test_outside_of_the_frame_is_background():
    frame = Frame(np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]), 0, 64)
    found = frame.label_map(torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1).expand(1, 2, 64, 64), 64, 100)
    assert found[:, :64].all() and not found[:, 65:].any()


def test_bilinear_by_hand():
    values = torch.tensor([[[[0.0, 4.0], [8.0, 12.0]]]])
    found = sampled(values, np.array([[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [1.5, 1.0]]), (1, 4))
    assert found.flatten().tolist() == [0, 2, 6, 6]


def test_what_cannot_be_a_frame_is_refused():
    with pytest.raises(ContractError, match="factor 1.2"):
        Frame(np.eye(3), 1.2)
    with pytest.raises(ContractError, match="all in one place"):
        Frame.of_points(np.ones((5, 2)))
