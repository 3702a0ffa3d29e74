"""Crops against projections: what a camera sees through a crop is where the crop's matrix says it is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.geometry.crop import Square, square_of_box, square_of_mask, square_of_sphere
from harness.samples import Camera


def _dot(height: int, width: int, x: float, y: float) -> np.ndarray:
    """A soft round dot around (x, y)."""
    rows, columns = np.mgrid[:height, :width]
    return (255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)).astype(np.uint8)


@settings(max_examples=40, deadline=None)
@given(x=st.floats(20, 100), y=st.floats(20, 70), side=st.floats(70, 220), dx=st.floats(-20, 20), dy=st.floats(-20, 20))
def test_a_dot_lands_where_the_matrix_says(x: float, y: float, side: float, dx: float, dy: float) -> None:
    square = Square(x + dx, y + dy, side)
    crop = square.cut(_dot(90, 120, x, y), 64).astype(np.float64)
    rows, columns = np.mgrid[:64, :64]
    found = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
    wanted = (square.matrix(64) @ [x, y, 1])[:2]
    assert np.abs(found - wanted).max() < 0.6  # a dot near the image's edge is cut off there


def test_whole_image_is_itself() -> None:
    image = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    square = Square(15.5, 15.5, 32)
    assert (square.cut(image, 32) == image).all()
    assert np.allclose(square.matrix(32), np.eye(3))


def test_outside_is_black() -> None:
    crop = Square(-40, 5, 20).cut(np.full((10, 10), 255, np.uint8), 8)
    assert (crop == 0).all()


def test_mask_and_box() -> None:
    mask = np.zeros((50, 60), np.bool_)
    mask[10:30, 20:25] = True
    assert square_of_mask(mask) == Square(22.0, 19.5, 20.0)
    assert square_of_mask(np.zeros((3, 3), np.bool_)) is None
    assert square_of_box(np.array([0, 0, 10, 4]), 2.0) == Square(5, 2, 20)


def test_sphere_holds_its_points() -> None:
    camera = Camera(
        np.array([[900, 0, 300], [0, 900, 200], [0, 0, 1.0]]), np.eye(3), np.array([10.0, -5, 900]), 600, 400
    )
    centre = np.array([30.0, 20, 15])
    square = square_of_sphere(camera, centre, 100)
    assert square is not None
    points = np.random.default_rng(0).normal(size=(500, 3))
    pixels = camera.project(centre + 100 * points / np.linalg.norm(points, axis=1, keepdims=True))
    reach = np.abs(pixels - [square.x, square.y]).max()
    assert reach == pytest.approx(square.side / 2, rel=0.05)
    assert square_of_sphere(camera, np.array([0, 0, -850.0]), 100) is None
