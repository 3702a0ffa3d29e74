"""The face detector of the `own` track: dlib's, whose model is part of the library, so that it works offline.

It is a sliding window over histograms of gradients (dlib's `get_frontal_face_detector`): five templates of a face that
looks at the camera, to either side, or tilts to either side. It answers with a square and the template that matched,
and no landmarks. The regressors' own programs use other detectors (FAN, MediaPipe, RetinaFace) and crop around what
those return, so the square is turned into the box of the 68 landmarks by constants fitted to pictures whose landmarks
are known, one set per template: medians over every second picture of the NoW mirror (`python -m
tests.figures.detector_boxes 2`). The box is then of the right size within 5 % and its centre off by 7 % of it (medians
up to 40 degrees of yaw; by 10 % at profiles). The five points of a face are places in the square in the same way, and
an approximation: off by 7 % of the face seen from the front, by 15 % at profiles.

It misses more than networks do: of the mirror's 176 pictures 73 of 74 faces up to 25 degrees of yaw are found, 30 of
32 up to 40, 27 of 31 up to 55, 23 of 39 beyond; and 17 of 18 photographs. In one of 194 pictures with the face painted
over it saw one. Tilts of more than about 25 degrees, and faces below about a twentieth of a picture, are beyond it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from harness.errors import HarnessError
from harness.methods.regression.resampling import Image8
from harness.samples import Array

SIDES = (480, 320, 640, 960, 1600)
"""Longer sides of the picture to look at, one after the other; the window is 80 pixels wide."""
LARGEST_ZOOM = 4
LOOKS = (*((side, 0.0) for side in SIDES), *((side, -0.4) for side in SIDES[:4]))
"""Sides with thresholds: the library's own first; then a lower one, which hardly ever finds faces where none are."""

FRONT, SIDE = 0, 1
"""Templates that have constants: facing the camera, turned towards the image's left. Number 2 is the mirror image of 1;
3 and 4, tilted heads, are rare and take those of the first."""
OUTLINES = {FRONT: (-0.436, -0.405, 0.436, 0.592), SIDE: (-0.263, -0.32, 0.594, 0.6)}
"""Left, top, right, bottom of the landmarks from the square's centre, in its sides."""
POINTS = {
    FRONT: ((-0.202, -0.216), (0.202, -0.216), (0.0, 0.055), (-0.172, 0.256), (0.172, 0.256)),
    SIDE: ((-0.16, -0.13), (0.14, -0.147), (-0.148, 0.11), (-0.128, 0.29), (0.099, 0.295)),
}
"""The five points of `harness.methods.regression.arcface`, in the same measure."""


@dataclass(frozen=True, eq=False)
class Detection:
    """A face in an image, in pixels.

    Attributes:
        square: (4,) left, top, right, bottom as the detector has them.
        template: which one matched, 0 to 4.
        score: how well; larger is better.
    """

    square: Array
    template: int
    score: float

    @property
    def box(self) -> Array:
        """(4,) about where the 68 landmarks are."""
        left, top, right, bottom = OUTLINES[SIDE if self.template in (1, 2) else FRONT]
        if self.template == 2:
            left, right = -right, -left
        return np.tile(self._centre, 2) + self._side * np.array([left, top, right, bottom])

    @property
    def points(self) -> Array:
        """(5, 2) about where eyes, nose and mouth are."""
        places = np.array(POINTS[SIDE if self.template in (1, 2) else FRONT])
        if self.template == 2:
            places = places[[1, 0, 2, 4, 3]] * [-1, 1]
        return self._centre + self._side * places

    @property
    def _centre(self) -> Array:
        return np.asarray((self.square[:2] + self.square[2:]) / 2)

    @property
    def _side(self) -> float:
        return float((self.square[2:] - self.square[:2]).mean())


class FaceDetector:
    """Finds faces in images.

    Raises:
        HarnessError: when made, if the library is not installed.
    """

    def __init__(self) -> None:
        try:
            import dlib
        except ImportError as error:
            raise HarnessError(
                f'the own track needs a face detector ({error}): pip install "face-recon-harness[detector]", or choose '
                "the shared box or the landmarks of the data set"
            ) from None
        self._detector: Any = dlib.get_frontal_face_detector()

    def __call__(self, image: Image8) -> Sequence[Detection]:
        """The faces of (H, W, 3) uint8 RGB, the largest first; empty where there are none.

        The picture is looked at in several sizes until one shows faces; others that are much smaller are not counted.
        """
        picture = Image.fromarray(image)
        longest = max(image.shape[:2])
        if longest > SIDES[-1]:
            picture = _resized(picture, SIDES[-1])
        for side, threshold in LOOKS:
            if side > LARGEST_ZOOM * longest:
                continue
            small = np.ascontiguousarray(_resized(picture, side))
            found = self._detector.run(small, 0, threshold)
            if found[0]:
                scale = np.tile(np.array(image.shape[1::-1]) / small.shape[1::-1], 2)
                faces = [Detection(_corners(r, scale), int(t), float(s)) for r, s, t in zip(*found, strict=True)]
                return sorted(faces, key=lambda face: (-face.square[2] + face.square[0], -face.score))
        return []


def _resized(picture: Image.Image, side: int) -> Image.Image:
    scale = side / max(picture.size)
    width, height = (max(1, round(scale * length)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.BILINEAR)


def _corners(rectangle: Any, scale: Array) -> Array:
    """(4,) pixel centres of the resized picture to those of the picture itself."""
    sides = [rectangle.left(), rectangle.top(), rectangle.right(), rectangle.bottom()]
    return np.asarray((np.array(sides, dtype=np.float64) + 0.5) * scale - 0.5)
