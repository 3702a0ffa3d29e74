"""Reads image files of every kind that data sets come in as plain 8-bit pixels.

Pixels come back as they are stored: an EXIF orientation is not applied, because boxes, landmarks and cameras are given
in stored pixels. A photograph that its camera stored lying on its side has to be turned (and saved) by its owner.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from harness.errors import DataError

UPRIGHT = 1


def read_pixels(path: Path, mode: str) -> NDArray[Any]:
    """The image in another form of pixel.

    Grey values are repeated, palettes looked up, CMYK converted without a colour profile, and transparency dropped.
    Of 16 bits the upper 8 remain, also of grey images, whose values the Python Imaging Library would clip at 255.

    Args:
        path: an image file.
        mode: "RGB" for (H, W, 3) uint8; "L" for (H, W) uint8, which is the transparency where the file has one.

    Raises:
        DataError: the file is missing or damaged, is absurdly large, or has pixels without a known range.
    """
    try:
        with Image.open(path) as image:
            if mode == "L" and "A" in image.getbands():
                return np.asarray(image.getchannel("A"))
            return np.asarray(_with_8_bits(image, path).convert(mode))
    except FileNotFoundError:
        raise DataError(f"{path}: image file is missing") from None
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: {error}; make the image smaller") from None
    except (OSError, ValueError, SyntaxError, EOFError, struct.error) as error:
        raise DataError(f"{path}: cannot be read as an image ({error}); restore the file from the data set") from None


def has_transparency(path: Path) -> bool:
    """Whether the pixels of an image file have a transparency; false for a file that cannot be read."""
    try:
        with Image.open(path) as image:
            return "A" in image.getbands()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False


def _with_8_bits(image: Image.Image, path: Path) -> Image.Image:
    """The image itself, or the upper half of its 16 bits, which is what is read of 16-bit colour as well."""
    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image)
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 65535:
        raise DataError(
            f"{path}: pixels of kind {image.mode}, {values.min():.6g} to {values.max():.6g}; what is black and what is "
            "white is not known. Save the image with 8 or 16 bits per channel"
        )
    return Image.fromarray((values.astype(np.int32) >> 8).astype(np.uint8))


def stored_turned(path: Path) -> bool:
    """Whether the file says, by its EXIF orientation, that its pixels have to be turned to stand upright."""
    try:
        with Image.open(path) as image:
            return int(image.getexif().get(ExifTags.Base.Orientation, UPRIGHT)) not in (0, UPRIGHT)
    except (OSError, ValueError, SyntaxError, TypeError):
        return False
