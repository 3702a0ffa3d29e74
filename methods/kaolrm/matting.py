"""For views of which nothing says what is subject: a square around the head, and OpenCV's GrabCut within it.

The official program uses rembg, a network whose weights have to be downloaded. GrabCut (Rother et al., SIGGRAPH 2004)
needs none: it learns colours of subject and background from where a face box says that they are. Where hair or clothes
have the colour of what is behind them, it is wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.methods.regression.crops import BoxKind, FaceError
from harness.methods.regression.faces import Face
from harness.samples import Array, View

SQUARES: dict[BoxKind, tuple[float, float]] = {"landmarks": (2.8, 0.155), "shared": (2.45, 0.01)}
"""Side of the square and how far its centre is above the box's, in mean sides of a box of each kind. The first are
medians over the rendered training pictures, the others follow with the boxes of the NoW mirror."""
SIDE = 256  # pixels of the picture that is segmented
ROUNDS = 5


def head_square(image: Array, face: Face) -> tuple[NDArray[np.uint8], Array]:
    """The part of a picture that shows the head as the training's pictures do, and where its corner is.

    Args:
        image: (H, W, 3) uint8.
        face: where the face is.

    Returns:
        (S, S, 3) uint8, the picture's edge repeated where the square reaches over it; (3, 3) view to square pixels.
    """
    factor, up = SQUARES["shared" if face.kind == "shared" else "landmarks"]
    extent = face.box[2:] - face.box[:2]
    side = max(round(float(factor * extent.mean())), 2)
    middle = face.box[:2] + extent / 2 - [0, up * extent.mean()]
    left, top = (round(float(value)) for value in middle - (side - 1) / 2)
    rows = np.clip(np.arange(top, top + side), 0, len(image) - 1)
    columns = np.clip(np.arange(left, left + side), 0, image.shape[1] - 1)
    shift = np.array([[1.0, 0, -left], [0, 1, -top], [0, 0, 1]])
    return np.ascontiguousarray(image[rows[:, None], columns]), shift


def grabcut(square: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(S, S) what of a square as `head_square` cuts it is subject: the part that the middle of the face belongs to.

    Raises:
        FaceError: OpenCV is not installed, or nothing is left (`bad_input`).
    """
    cv2 = _opencv()
    small = cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    trimap = first_guess(SIDE)
    cv2.setRNGSeed(0)
    cv2.grabCut(small, trimap, None, np.zeros((1, 65)), np.zeros((1, 65)), ROUNDS, cv2.GC_INIT_WITH_MASK)
    _, parts = cv2.connectedComponents(np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8))
    subject = (parts == parts[FACE_ROW, SIDE // 2]).astype(np.uint8)
    whole = cv2.resize(subject, square.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    return np.asarray(whole, np.bool_)


FACE_ROW = int(0.55 * SIDE)


def first_guess(side: int) -> NDArray[np.uint8]:
    """(S, S) GrabCut's 0 background, 1 subject, 2 and 3 the same if nothing speaks against it."""
    axis = (np.arange(side) + 0.5) / side
    x, y = np.abs(axis - 0.5), axis[:, None]
    guess = np.full((side, side), 2, np.uint8)
    guess[(x > 0.4) & (y < 0.7)] = 0
    guess[np.broadcast_to(y < 0.04, guess.shape)] = 0
    guess[(x / 0.27) ** 2 + ((y - 0.48) / 0.36) ** 2 < 1] = 3
    guess[(x < 0.32) & (y > 0.78)] = 3
    guess[(x / 0.13) ** 2 + ((y - 0.55) / 0.15) ** 2 < 1] = 1
    return guess


def matted(view: View, face: Face) -> tuple[View, Array]:
    """A view of the head with a mask, and (3, 3) pixels of the given view to its own.

    Raises:
        FaceError: as `grabcut`.
        DataError: the image cannot be read.
    """
    square, shift = head_square(view.read_image(), face)
    return View(square, mask=grabcut(square)), shift


def _opencv() -> Any:
    try:
        import cv2
    except ImportError:
        raise FaceError(
            "bad_input",
            "the view has neither transparency nor a mask, and GrabCut, which would find its background, needs OpenCV: "
            'pip install "face-recon-harness[matting]"',
        ) from None
    return cv2


def check(matting: str) -> str:
    """Raises HarnessError unless it is "grabcut" or "none"."""
    if matting not in ("grabcut", "none"):
        raise HarnessError(f"kaolrm: option matting={matting!r}, expected grabcut or none")
    return matting
