"""The upright square crop around a face box that DECA, EMOCA, SMIRK, TEASER and MICA were trained with.

A box (left, top, right, bottom) becomes a square around its centre whose side is the mean of the box's two sides times
a method's factors, rounded down to whole pixels; the square's corners land on the centres of the crop's corner pixels.
`RULES` holds each method's numbers as its official program has them. None subtracts a mean colour.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError, HarnessError
from harness.methods.regression.resampling import Image8, Order, resample_grid
from harness.samples import Array

BoxKind = Literal["landmarks", "shared", "detector"]
"""What a box encloses: the 68 landmarks exactly; a face with its forehead (NoW's files); what DECA's own program calls
a `bbox`, the raw answer of a face detector."""


class FaceError(HarnessError):
    """No crop can be made of a view.

    Attributes:
        reason: one of `harness.samples.FAILURE_REASONS`: "no_face" or "bad_input".
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Framing:
    """How a kind of box becomes a square, in mean sides of the box.

    Attributes:
        factor: what the box is made larger by to be of the kind that the method was made for.
        scale: the square's side of that.
        shift: how far down the square's centre is from the box's, in mean sides of the given box.
    """

    factor: float
    scale: float
    shift: float = 0.0


@dataclass(frozen=True)
class CropRule:
    """A method's crop.

    Attributes:
        framings: for each kind of box that the method knows.
        order: of interpolation: 1 bilinear, 3 cubic.
        whole_numbers: whether colours are cut down to whole numbers 0..255 after resampling.
        value_range: what black and white become.
    """

    framings: Mapping[str, Framing]
    order: Order = 1
    whole_numbers: bool = False
    value_range: tuple[float, float] = (0.0, 1.0)

    def framing(self, kind: BoxKind) -> Framing:
        """The numbers for a kind of box. Raises ContractError for one that the method does not know."""
        if kind not in self.framings:
            raise ContractError(f"box kind {kind!r}: this method crops around {', '.join(self.framings)} boxes")
        return self.framings[kind]


def _rule(order: Order = 1, whole_numbers: bool = False, **framings: Framing) -> CropRule:
    return CropRule(MappingProxyType(framings), order, whole_numbers)


_FAN_BOX = Framing(factor=1.1, scale=1.25)
_NOW_BOX = Framing(factor=1.0, scale=1.6)
_MESH_BOX = Framing(factor=1.07, scale=1.4, shift=-0.11)
"""SMIRK's program crops around all 478 points of MediaPipe's face mesh, which reach up to the hair. Against the box of
the 68 landmarks that box is 1.07 times as large and 0.11 higher: medians over 115 pictures of the NoW mirror (1.08,
-0.11) and 17 photographs (1.06, -0.12), at all yaws (`tests/external/mesh_boxes.py`)."""

RULES: Mapping[str, CropRule] = MappingProxyType(
    {
        "deca": _rule(landmarks=_FAN_BOX, shared=_NOW_BOX, detector=Framing(factor=1.0, scale=1.25, shift=0.12)),
        "emoca": _rule(order=3, landmarks=_FAN_BOX, shared=_NOW_BOX),
        "smirk": _rule(whole_numbers=True, landmarks=_MESH_BOX, shared=Framing(factor=1.0, scale=1.4)),
        "teaser": _rule(whole_numbers=True, landmarks=_MESH_BOX, shared=Framing(factor=1.0, scale=1.4)),
        "mica": _rule(shared=_NOW_BOX),
    }
)
"""By method. MICA's is the picture in which its NoW program looks for five points (see `arcface`). SMIRK and TEASER
have no program for NoW: a box with forehead counts as the face mesh's."""


@dataclass(frozen=True, eq=False)
class Crop:
    """What a network sees of an image.

    Attributes:
        pixels: (size, size, 3) float32 RGB in the method's value range.
        matrix: (3, 3) float64 takes homogeneous pixels of the image to pixels of the crop.
    """

    pixels: NDArray[np.float32]
    matrix: Array

    def to_image(self, points: Array) -> Array:
        """(N, 2) pixels of the crop -> (N, 2) pixels of the image."""
        return _move(np.linalg.inv(self.matrix), points)

    def to_crop(self, points: Array) -> Array:
        """(N, 2) pixels of the image -> (N, 2) pixels of the crop."""
        return _move(self.matrix, points)


def _move(matrix: Array, points: Array) -> Array:
    return np.asarray(np.asarray(points, dtype=np.float64) @ matrix[:2, :2].T + matrix[:2, 2])


def crop(image: Image8, box: Array, rule: CropRule, kind: BoxKind, size: int = 224) -> Crop:
    """Crops an image around a face as a method does it.

    Args:
        image: (H, W, 3) uint8 RGB.
        box: (4,) left, top, right, bottom in pixels.
        rule: the method's, one of `RULES`.
        kind: what the box encloses.
        size: side of the crop in pixels.

    Raises:
        FaceError: the box is empty or wholly outside the image (`bad_input`).
        ContractError: the method has no rule for such boxes.
    """
    corner, side = square_of(box, rule.framing(kind))
    check_box(box, side, image.shape)
    scale = (size - 1) / side
    matrix = np.array([[scale, 0, -scale * corner[0]], [0, scale, -scale * corner[1]], [0, 0, 1]])
    steps = np.arange(size) / scale
    values = resample_grid(image, corner[0] + steps, corner[1] + steps, rule.order)
    if rule.whole_numbers:
        values = np.floor(values)
    low, high = rule.value_range
    return Crop((low + (high - low) / 255 * values).astype(np.float32), matrix)


def square_of(box: Array, framing: Framing) -> tuple[Array, int]:
    """(2,) the upper left corner and the side of the square around a box, pixels.

    The official programs fit a similarity to three corners of this square and of the crop; as both are upright
    squares, it is exact and in closed form.
    """
    left, top, right, bottom = (float(v) for v in box)
    old = (right - left + bottom - top) / 2
    side = int(old * framing.factor * framing.scale)
    centre = np.array([right - (right - left) / 2, bottom - (bottom - top) / 2 + framing.shift * old])
    return centre - side / 2, side


def check_box(box: Array, side: int, shape: tuple[int, ...]) -> None:
    """Raises FaceError (`bad_input`) where a box is empty, or no part of it lies in an image of (H, W, ...)."""
    left, top, right, bottom = (float(v) for v in box)
    words = f"face box {left:.1f}, {top:.1f}, {right:.1f}, {bottom:.1f} (left, top, right, bottom)"
    if not (right > left and bottom > top and side >= 1):
        raise FaceError("bad_input", f"{words}: holds less than a pixel; correct the data set's box")
    if right < 0 or bottom < 0 or left > shape[1] - 1 or top > shape[0] - 1:
        raise FaceError(
            "bad_input", f"{words}: lies outside the image of {shape[1]}x{shape[0]} pixels; correct the data set's box"
        )
