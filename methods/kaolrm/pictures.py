"""What KaoLRM reads of a view: the whole picture, square, its background replaced by white.

There is no crop around the face. The released networks saw heads that fill about half to three quarters of the
picture; how a head is framed is the data set's business.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from harness.images import has_transparency, read_pixels
from harness.methods.regression.crops import Crop, FaceError
from harness.samples import Array, View

WHITE = 1.0


def network_picture(view: View, size: int) -> Crop:
    """The square picture on white, as the official program makes it, and where it came from.

    The background is what the view's mask says, or else what is transparent in its image file. A picture that is not
    square is put in the middle of a white square. Resizing is cubic, without smoothing before, from corner pixel to
    corner pixel (`align_corners`), and cut to 0..1.

    Args:
        view: with a mask, or of an image file with transparency.
        size: side of the network's picture in pixels.

    Raises:
        FaceError: nothing says what the background is, nothing is background, or the mask is of another size
            (`bad_input`); nothing is subject (`no_face`).
        DataError: the image or the mask cannot be read.
    """
    image = view.read_image()
    matte = read_matte(view)
    if matte.shape != image.shape[:2]:
        raise FaceError(
            "bad_input",
            f"mask of {matte.shape[1]}x{matte.shape[0]} pixels on an image of {image.shape[1]}x{image.shape[0]}: they "
            "must be of one size; correct the data set's mask",
        )
    check_matte(matte)
    pixels, corner = squared(on_white(image, matte))
    scale = (size - 1) / max(len(pixels) - 1, 1)
    matrix = np.array([[scale, 0, scale * corner[0]], [0, scale, scale * corner[1]], [0, 0, 1]])
    return Crop(resized(pixels, size), matrix)


def has_matte(view: View) -> bool:
    """Whether something says what the view's background is. Raises DataError if its image cannot be read."""
    return view.mask is not None or (isinstance(view.image, Path) and has_transparency(view.image))


def read_matte(view: View) -> NDArray[np.float32]:
    """(H, W) how much of each pixel is subject, 0..1, with soft edges where a file has them.

    Raises:
        FaceError: the view has no mask, and its image no transparency (`bad_input`).
        DataError: the mask cannot be read.
    """
    source = view.mask if view.mask is not None else view.image
    if not has_matte(view):
        what = f"{view.image}: the image has" if isinstance(view.image, Path) else "the view has"
        raise FaceError(
            "bad_input",
            f"{what} neither transparency nor a mask, and KaoLRM reads a subject without background. Save it as PNG "
            "with the background transparent (a matting program such as rembg makes that), give the view a mask, or "
            "let method.options.matting=grabcut find the background",
        )
    matte = read_pixels(source, "L") / np.float32(255) if isinstance(source, Path) else source
    return np.asarray(matte, np.float32)


def check_matte(matte: Array) -> None:
    """Raises FaceError where there is no subject (`no_face`) or no background (`bad_input`)."""
    if not (matte > 0.5).any():
        raise FaceError("no_face", "the mask or transparency leaves nothing of the image: there is no subject in it")
    if matte.min() > 0.5:
        raise FaceError(
            "bad_input",
            "the mask or transparency covers the whole image: its background was not removed. Remove it with a matting "
            "program such as rembg",
        )


def on_white(image: Array, matte: Array) -> NDArray[np.float32]:
    """(H, W, 3) uint8 and (H, W) in 0..1 -> (H, W, 3) float32 in 0..1."""
    opaque = matte[..., None].astype(np.float32)
    return image.astype(np.float32) / np.float32(255) * opaque + np.float32(WHITE) * (1 - opaque)


def squared(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """(H, W, 3) -> (S, S, 3) with white around, and the column and row at which the picture begins in it."""
    height, width = pixels.shape[:2]
    side = max(height, width)
    left, top = (side - width) // 2, (side - height) // 2
    around = ((top, side - height - top), (left, side - width - left), (0, 0))
    return np.pad(pixels, around, constant_values=WHITE), (left, top)


def resized(pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """(S, S, 3) -> (size, size, 3), in 0..1."""
    planes = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))[None]
    read = functional.interpolate(planes, (size, size), mode="bicubic", align_corners=True)
    return np.asarray(read[0].clamp(0, 1).permute(1, 2, 0).numpy())
