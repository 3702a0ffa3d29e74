"""What KaoLRM is shown of a view, and which views it refuses."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.errors import DataError
from harness.methods.kaolrm.pictures import network_picture, on_white, resized
from harness.methods.regression.crops import FaceError
from harness.samples import View

RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (40, 40, 3), dtype=np.uint8)
DISC = np.hypot(*(np.mgrid[:40, :40] - 19.5)) < 14


def saved(folder: Path, alpha: np.ndarray, colour: np.ndarray = COLOUR, name: str = "a.png") -> Path:
    Image.fromarray(np.dstack([colour, alpha.astype(np.uint8)])).save(folder / name)
    return folder / name


def cubic(x: np.ndarray, a: float = -0.75) -> np.ndarray:
    """The kernel of cubic convolution (Keys, 1981)."""
    x = np.abs(x)
    near, far = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def twin_resized(pixels: np.ndarray, size: int) -> np.ndarray:
    """Corner pixel to corner pixel, borders repeated, one axis after the other, in double precision."""
    side = len(pixels)
    places = np.arange(size) * (side - 1) / (size - 1)
    matrix = np.zeros((size, side))
    for row, place in enumerate(places):
        base = int(np.floor(place))
        for column in range(base - 1, base + 3):
            matrix[row, min(max(column, 0), side - 1)] += cubic(np.array(place - column))
    return np.einsum("ri,sj,ijc->rsc", matrix, matrix, pixels.astype(np.float64)).clip(0, 1)


@pytest.mark.parametrize("size", [28, 56])
def test_background_is_white_and_resizing_is_cubic_between_corners(size: int, tmp_path: Path) -> None:
    alpha = np.where(DISC, 255, 0)
    expected = twin_resized(np.where(DISC[..., None], COLOUR / 255, 1.0), size)
    for view in (View(COLOUR, mask=DISC), View(saved(tmp_path, alpha)), View(COLOUR, mask=saved(tmp_path, alpha))):
        found = network_picture(view, size)
        assert found.pixels.shape == (size, size, 3) and found.pixels.dtype == np.float32
        assert np.abs(found.pixels - expected).max() < 1e-5
        assert found.pixels.min() >= 0 and found.pixels.max() <= 1
        assert np.allclose(found.to_crop(np.array([[0.0, 0], [39, 39]])), [[0, 0], [size - 1, size - 1]])


def test_soft_edges_stay_soft(tmp_path: Path) -> None:
    alpha = np.where(DISC, 255, 51)
    found = network_picture(View(saved(tmp_path, alpha)), 40).pixels
    expected = np.where(DISC[..., None], COLOUR / 255, 0.2 * COLOUR / 255 + 0.8)
    assert np.abs(found - expected).max() < 1e-5


def test_a_grey_file_is_a_mask(tmp_path: Path) -> None:
    Image.fromarray(np.where(DISC, 255, 0).astype(np.uint8)).save(tmp_path / "mask.png")
    one, other = (network_picture(View(COLOUR, mask=mask), 40).pixels for mask in (tmp_path / "mask.png", DISC))
    assert np.array_equal(one, other)


def test_the_views_mask_goes_before_the_files_transparency(tmp_path: Path) -> None:
    path = saved(tmp_path, np.where(DISC, 0, 255))
    assert np.array_equal(network_picture(View(path, mask=DISC), 40).pixels[0, 0], [1, 1, 1])


@settings(max_examples=30, deadline=None)
@given(height=st.integers(2, 60), width=st.integers(2, 60), size=st.integers(8, 40))
def test_other_shapes_stand_in_the_middle_of_a_white_square(height: int, width: int, size: int) -> None:
    image = np.zeros((height, width, 3), np.uint8)
    mask = np.ones((height, width), bool)
    mask[0, 0] = False
    found = network_picture(View(image, mask=mask), size)
    corners = found.to_crop(np.array([[0.0, 0.0], [width - 1.0, height - 1.0]]))
    side = max(height, width)
    assert np.abs(found.matrix[0, 0] - (size - 1) / (side - 1)) < 1e-12
    assert corners.min() >= -1e-9 and corners.max() <= size - 1 + 1e-9
    margins = np.array([corners[0], size - 1 - corners[1]]) / found.matrix[0, 0]
    assert np.abs(margins[0] - margins[1]).max() <= 1 + 1e-9  # pixels of the image
    dark = found.pixels.mean(axis=2) < 0.5
    if size >= side:
        across = corners[1] - corners[0]
        assert abs(np.ptp(np.flatnonzero(dark.any(axis=0))) - across[0]) <= 2 * found.matrix[0, 0] + 1
        assert abs(np.ptp(np.flatnonzero(dark.any(axis=1))) - across[1]) <= 2 * found.matrix[0, 0] + 1


def refusal(view: View) -> FaceError:
    with pytest.raises(FaceError) as caught:
        network_picture(view, 28)
    return caught.value


def test_a_picture_whose_background_nobody_knows_is_refused(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "b.png")
    for view, where in ((View(COLOUR), "the view has"), (View(tmp_path / "b.png"), "b.png: the image has")):
        error = refusal(view)
        assert error.reason == "bad_input" and f"{where} neither transparency nor a mask" in str(error)
        assert "rembg" in str(error)


def test_an_empty_and_a_full_matte_are_refused(tmp_path: Path) -> None:
    nothing = refusal(View(saved(tmp_path, np.zeros((40, 40)))))
    assert nothing.reason == "no_face" and "no subject" in str(nothing)
    assert refusal(View(COLOUR, mask=np.zeros((40, 40), bool))).reason == "no_face"
    whole = refusal(View(saved(tmp_path, np.full((40, 40), 255))))
    assert whole.reason == "bad_input" and "background was not removed" in str(whole)


def test_a_mask_of_another_size_is_refused() -> None:
    error = refusal(View(COLOUR, mask=DISC[:30]))
    assert error.reason == "bad_input" and "mask of 40x30 pixels on an image of 40x40" in str(error)


def test_damaged_files_are_data_errors(tmp_path: Path) -> None:
    (tmp_path / "c.png").write_bytes(saved(tmp_path, np.where(DISC, 255, 0)).read_bytes()[:200])
    for view in (View(tmp_path / "c.png"), View(COLOUR, mask=tmp_path / "c.png"), View(tmp_path / "none.png")):
        with pytest.raises(DataError, match=r"\.png"):
            network_picture(view, 28)


def test_one_pixel_is_survived() -> None:
    assert resized(on_white(COLOUR[:1, :1], np.ones((1, 1))), 14).shape == (14, 14, 3)
