"""Label maps as data sets store them: one number per pixel, or one mask per part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from harness.datasets.point_files import REMEDY
from harness.errors import DataError
from harness.samples import Array

NUMBERED = ("L", "P", "I", "I;16", "1")
"""Kinds of pixels that are one number: of a palette picture its index, not the colour that the index is shown in."""


def read_label_map(path: Path, count: int) -> Array:
    """(H, W) uint8 classes.

    Args:
        path: a picture with one number per pixel, with or without palette.
        count: of classes, from 0.

    Raises:
        DataError: the file is missing or damaged, has colours, or a class that does not exist.
    """
    mode, values = _read(path)
    if mode not in NUMBERED:
        raise DataError(
            f"{path}: has pixels of kind {mode}, expected one number per pixel (8 bits or a palette); {REMEDY}"
        )
    values = values.astype(np.int64)
    if values.min() < 0 or values.max() >= count:
        unknown = np.unique(values[(values < 0) | (values >= count)])[:5].tolist()
        raise DataError(f"{path}: has unknown labels {unknown}, expected 0..{count - 1}; {REMEDY}")
    return values.astype(np.uint8)


def read_mask(path: Path, size: tuple[int, int]) -> Array:
    """(height, width) bool: where a mask of (width, height) pixels is not black.

    Raises:
        DataError: the file is missing, damaged or of another size.
    """
    mode, values = _read(path)
    height, width = values.shape[:2]
    if (width, height) != size:
        raise DataError(f"{path}: has {width}x{height} pixels, expected {size[0]}x{size[1]}; {REMEDY}")
    colours = values[..., :3].any(axis=2) if values.ndim == 3 and mode.startswith("RGB") else values
    return np.asarray(colours > 0)


def painted(masks: Mapping[str, Array], order: Sequence[str], size: tuple[int, int]) -> Array:
    """(height, width) uint8: part i of `order` as i + 1, later ones over earlier ones; 0 where no mask is."""
    classes = np.zeros(size[::-1], np.uint8)
    for number, part in enumerate(order, start=1):
        if part in masks:
            classes[masks[part]] = number
    return classes


def _read(path: Path) -> tuple[str, Array]:
    try:
        with Image.open(path) as image:
            return image.mode, np.asarray(image)
    except FileNotFoundError:
        raise DataError(f"{path}: the label file is missing; {REMEDY}") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be read as a picture of labels ({error}); {REMEDY}") from None
