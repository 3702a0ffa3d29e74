"""The crops: against a slow twin of scikit-image's `warp`, Umeyama's fit, and the numbers of the official programs."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from harness import ContractError
from harness.geometry.alignment import fit_similarity
from harness.methods.regression.arcface import TEMPLATE, face_crop, face_crop_through_box, five_points, similarity_2d
from harness.methods.regression.crops import RULES, Crop, FaceError, Framing, crop, square_of
from harness.methods.regression.resampling import resample_affine, resample_grid

IMAGE = np.random.default_rng(5).integers(3, 250, (40, 50, 3), dtype=np.uint8)


def pixel(image, row, column):
    inside = 0 <= row < image.shape[0] and 0 <= column < image.shape[1]
    return image[row, column].astype(float) if inside else np.zeros(3)


def keys(a, b, c, d, t):
    """The cubic through b and c with the slopes of their neighbours, a..d at -1..2 (Keys 1981)."""
    slope, end = (c - a) / 2, (d - b) / 2
    return (
        (2 * t**3 - 3 * t**2 + 1) * b + (t**3 - 2 * t**2 + t) * slope + (3 * t**2 - 2 * t**3) * c + (t**3 - t**2) * end
    )


def slow(image, x, y, order):
    """One value of scikit-image's warp, mode constant 0, in float64."""
    column, row = int(np.floor(x)), int(np.floor(y))
    u, v = x - column, y - row
    if order == 1:
        lines = [(1 - u) * pixel(image, r, column) + u * pixel(image, r, column + 1) for r in (row, row + 1)]
        return (1 - v) * lines[0] + v * lines[1]
    lines = [keys(*(pixel(image, row + r, column + c) for c in range(-1, 3)), u) for r in range(-1, 3)]
    return keys(*lines, v)


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize(("start", "step"), [(3.2, 0.37), (-4.5, 2.6), (-3, 1), (45, 0.9), (-90, 0.5)])
def test_resampling_is_scikit_images(order, start, step):
    places = start + step * np.arange(22)
    fast = resample_grid(IMAGE, places, places[::-1], order)
    twin = np.array([[slow(IMAGE, x, y, order) for x in places] for y in places[::-1]])
    if order == 3:
        assert start != 3.2 or twin.max() > IMAGE.max() + 5  # there is something to cut off
        twin = np.clip(twin, 0 if twin.min() <= 0 else IMAGE.min(), IMAGE.max())
    assert np.allclose(fast, twin, rtol=0, atol=1e-10)


@given(st.floats(-3, 3), st.floats(0.1, 4), st.floats(-30, 40), st.floats(-30, 40))
@settings(max_examples=15, deadline=None)
def test_turned_resampling_is_bilinear(angle, scale, x, y):
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[cos, -sin, x], [sin, cos, y], [0, 0, 1]])
    twin = [[slow(IMAGE, *(matrix @ [c, r, 1])[:2], 1) for c in range(7)] for r in range(7)]
    assert np.allclose(resample_affine(IMAGE, matrix, 7), twin, rtol=0, atol=1e-7)


FIGURES = {  # side of the square and how far down it is, for a box of 100 x 140 (mean side 120)
    ("deca", "landmarks"): (int(120 * 1.1 * 1.25), 0),
    ("deca", "shared"): (192, 0),
    ("deca", "detector"): (150, 0.12 * 120),
    ("emoca", "landmarks"): (165, 0),
    ("emoca", "shared"): (192, 0),
    ("smirk", "landmarks"): (179, -0.11 * 120),
    ("smirk", "shared"): (168, 0),
    ("teaser", "landmarks"): (179, -0.11 * 120),
    ("teaser", "shared"): (168, 0),
    ("mica", "shared"): (192, 0),
}


@pytest.mark.parametrize(("method", "kind"), FIGURES)
@pytest.mark.parametrize("size", [224, 64])
def test_matrix_is_umeyamas_between_three_corners(method, kind, size):
    side, down = FIGURES[method, kind]
    x, y = 60.0, 90.0 + down
    made = crop(IMAGE, np.array([10.0, 20, 110, 160]), RULES[method], kind, size)
    source = np.array(
        [[x - side / 2, y - side / 2, 0], [x - side / 2, y + side / 2, 0], [x + side / 2, y - side / 2, 0]]
    )
    target = np.array([[0, 0, 0], [0, size - 1, 0], [size - 1, 0, 0]])
    fitted = fit_similarity(source, target).matrix[np.ix_([0, 1, 3], [0, 1, 3])]
    assert np.allclose(made.matrix, fitted, atol=1e-9)
    assert made.pixels.shape == (size, size, 3) and made.pixels.dtype == np.float32


def test_side_is_cut_to_whole_pixels():
    assert square_of(np.array([0, 0, 10.9, 10.9]), Framing(1.0, 1.0))[1] == 10
    assert square_of(np.array([0.0, 0, 100, 100]), Framing(1.1, 1.25))[1] == 137


def test_values_are_each_methods():
    box = np.array([5.0, 5, 45, 35])
    made = {method: crop(IMAGE, box, rule, "shared", 48).pixels for method, rule in RULES.items()}
    assert np.array_equal(made["deca"], made["mica"])
    assert 0 < np.abs(made["deca"] - made["emoca"]).max() < 0.5
    assert made["deca"].min() == 0 and 0.8 < made["deca"].max() <= 250 / 255
    whole = made["smirk"] * 255
    assert np.allclose(whole, np.rint(whole), atol=1e-4)
    assert not np.allclose(made["deca"] * 255, np.rint(255 * made["deca"]), atol=1e-2)
    places = crop(IMAGE, box, RULES["smirk"], "shared", 48).to_image(np.array([[7.0, 9], [30, 20]]))
    for (x, y), (column, row) in zip(places, ((7, 9), (30, 20)), strict=True):
        assert np.array_equal(np.floor(slow(IMAGE, x, y, 1)), np.rint(whole[row, column]))


def test_points_go_there_and_back():
    made = crop(IMAGE, np.array([10.0, 5, 30, 30]), RULES["deca"], "landmarks")
    points = np.random.default_rng(0).normal(20, 30, (9, 2))
    assert np.allclose(made.to_image(made.to_crop(points)), points)
    assert np.allclose(made.to_image(np.array([[111.5, 111.5]])), [[20, 17.5]])  # the middle is the box's


@pytest.mark.parametrize("method", list(RULES))
def test_unknown_kind_of_box_is_named(method):
    missing = "detector" if method != "deca" else "mask"
    with pytest.raises(ContractError, match=f"box kind '{missing}': this method crops around"):
        crop(IMAGE, np.array([10.0, 5, 30, 30]), RULES[method], missing)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ([60, 5, 80, 25], "lies outside the image of 50x40 pixels"),
        ([5, -30, 25, -1], "lies outside the image"),
        ([5, 41, 25, 60], "lies outside the image"),
        ([20, 10, 20, 30], "holds less than a pixel"),
        ([30, 10, 20, 30], "holds less than a pixel"),
        ([30, 10, 30.2, 10.2], "holds less than a pixel"),
    ],
)
def test_useless_box_is_refused(box, words):
    with pytest.raises(FaceError, match=words) as caught:
        crop(IMAGE, np.array(box, dtype=float), RULES["deca"], "shared")
    assert caught.value.reason == "bad_input"


def test_box_partly_outside_fades_to_black():
    pixels = crop(IMAGE, np.array([-30.0, 5, 20, 45]), RULES["emoca"], "shared").pixels
    assert (pixels[:, :50] == 0).all() and pixels[100, 200].min() > 0


def test_fast_enough():
    """A few milliseconds of one core; the bound is loose because others may be at work."""
    image = np.random.default_rng(0).integers(0, 255, (4000, 8000, 3), dtype=np.uint8)
    boxes = (np.array([100.0, 90, 400, 380]), np.array([1000.0, 900, 3800, 3500]))
    for box in boxes:
        times = []
        for _ in range(5):
            start = time.process_time()
            crop(image, box, RULES["deca"], "landmarks")
            times.append(time.process_time() - start)
        assert min(times) < 0.05


def test_five_points_of_68():
    landmarks = np.random.default_rng(2).normal(size=(68, 2))
    points = five_points(landmarks)
    assert np.allclose(points[0], landmarks[36:42].mean(0)) and np.allclose(points[1], landmarks[42:48].mean(0))
    assert np.array_equal(points[2:], landmarks[[30, 48, 54]])
    landmarks[40] = np.nan
    assert np.isnan(five_points(landmarks)[0]).all() and np.isfinite(five_points(landmarks)[1:]).all()


@given(st.floats(-3.1, 3.1), st.floats(0.05, 20), st.floats(-500, 500), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_plane_similarity_is_umeyamas(angle, scale, shift, seed):
    noise = np.random.default_rng(seed).normal(0, 2, (5, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    source = scale * (TEMPLATE + noise) @ turn.T + shift
    flat = np.zeros((5, 1))
    fitted = fit_similarity(np.hstack([source, flat]), np.hstack([TEMPLATE, flat])).matrix
    assert np.allclose(similarity_2d(source, TEMPLATE), fitted[np.ix_([0, 1, 3], [0, 1, 3])], atol=1e-6)


def test_mirrored_points_are_not_mirrored_back():
    source = TEMPLATE * [-1, 1] + [90, 3]

    def cost(p):
        moved = source @ np.array([[p[0], p[1]], [-p[1], p[0]]]) + p[2:]
        return ((moved - TEMPLATE) ** 2).sum()

    best = minimize(cost, [1, 0, 0, 0], method="BFGS").x
    expected = [[best[0], -best[1], best[2]], [best[1], best[0], best[3]]]
    assert np.allclose(similarity_2d(source, TEMPLATE)[:2], expected, atol=1e-3)


@pytest.mark.parametrize("points", [np.full((5, 2), np.nan), np.ones((5, 2))])
def test_useless_points_are_refused(points):
    with pytest.raises(ContractError, match="five points of a face"):
        face_crop(IMAGE, points)


@pytest.mark.parametrize("size", [112, 56])
def test_face_crop_puts_points_on_the_template(size):
    points = 0.3 * TEMPLATE + [4, 2]
    made = face_crop(IMAGE, points, size)
    assert np.allclose(made.to_crop(points), TEMPLATE * size / 112)
    assert made.pixels.shape == (size, size, 3) and -1 < made.pixels.min() < -0.9 and 0.9 < made.pixels.max() < 1
    assert (face_crop(IMAGE, points - 200, size).pixels[:9, :9] == -1).all()
    (x, y), value = made.to_image(np.array([[size // 2, size // 3]]))[0], made.pixels[size // 3, size // 2]
    assert np.allclose(value, (np.rint(slow(IMAGE, x, y, 1)) - 127.5) / 127.5, atol=1e-6)


def test_crop_of_a_crop_keeps_track_of_pixels():
    seen = []

    def points_in(picture):
        seen.append(picture)
        return 0.9 * TEMPLATE + 60

    box = np.array([5.0, 5, 45, 35])
    made = face_crop_through_box(IMAGE, box, points_in)
    assert isinstance(made, Crop) and seen[0].shape == (224, 224, 3) and seen[0].dtype == np.uint8
    first = crop(IMAGE, box, RULES["mica"], "shared")
    assert np.allclose(made.to_crop(first.to_image(0.9 * TEMPLATE + 60)), TEMPLATE)
    assert np.array_equal(seen[0], np.rint(first.pixels * 255))
