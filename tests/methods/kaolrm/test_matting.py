"""GrabCut around a face that is given, and the square that it works in."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from harness.methods.kaolrm.matting import first_guess, grabcut, head_square, matted
from harness.methods.regression.crops import FaceError
from harness.methods.regression.faces import Face
from harness.samples import View

SIDE = 240
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
HEAD = ((COLUMNS - 120) / 45.0) ** 2 + ((ROWS - 110) / 60.0) ** 2 < 1
BODY = (np.abs(COLUMNS - 120) < 70) & (ROWS > 175) | (np.abs(COLUMNS - 120) < 22) & (ROWS > 150)
SUBJECT = HEAD | BODY
FACE = Face(np.array([85.0, 80, 155, 165]), "landmarks", np.zeros((5, 2)))


def picture(background: tuple[int, int, int]) -> np.ndarray:
    rng = np.random.default_rng(0)
    image = np.where(SUBJECT[..., None], (190, 140, 120), background) + rng.normal(0, 6, (SIDE, SIDE, 3))
    return image.clip(0, 255).astype(np.uint8)


def test_a_subject_before_another_colour_is_found() -> None:
    view, shift = matted(View(picture((60, 90, 150))), FACE)
    mask = view.read_mask()
    assert mask is not None
    rows, columns = np.indices(mask.shape)
    inside = (rows - shift[1, 2] >= 0) & (rows - shift[1, 2] < SIDE) & (columns - shift[0, 2] >= 0)
    inside &= columns - shift[0, 2] < SIDE
    truth = SUBJECT[(rows - shift[1, 2]).astype(int)[inside], (columns - shift[0, 2]).astype(int)[inside]]
    both, either = (mask[inside] & truth).sum(), (mask[inside] | truth).sum()
    assert both / either > 0.95


def test_the_square_is_where_it_says_it_is() -> None:
    image = np.zeros((60, 50, 3), np.uint8)
    image[30, 25] = 255
    square, shift = head_square(image, Face(np.array([20.0, 20, 30, 32]), "landmarks", np.zeros((5, 2))))
    row, column = np.argwhere(square[..., 0] == 255)[0]
    assert np.allclose(shift @ [25, 30, 1], [column, row, 1]) and square.shape[0] == square.shape[1] == 31
    far, _ = head_square(image, Face(np.array([-40.0, -40, -30, -30]), "shared", np.zeros((5, 2))))
    assert far.shape[0] == far.shape[1] and not far.any()  # the edge, repeated


def test_the_guess_holds_all_four_answers_and_the_face_is_sure() -> None:
    guess = first_guess(100)
    assert set(np.unique(guess)) == {0, 1, 2, 3} and guess[55, 50] == 1 and guess[0, 50] == 0


def test_without_opencv_the_view_fails_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(FaceError, match=r"pip install .*matting"):
        grabcut(np.zeros((20, 20, 3), np.uint8))
