"""Background and the traces of a camera: exposure, white balance, blur, noise."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from harness.synthesis.noise import noise_tile, to_srgb

Array = np.ndarray


def random_background(rng: np.random.Generator, width: int, height: int) -> Array:
    """(H, W, 3) float32 linear light: a gradient with soft shapes, as of a wall or a room out of focus."""
    small = 64
    y, x = np.mgrid[:small, :small].astype(np.float32) / small
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.clip((x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle) + 0.5, 0, 1)[..., None]
    first, second = _backdrop(rng), _backdrop(rng)
    picture = first + (second - first) * ramp
    for _ in range(rng.choice([0, 3, 9], p=[0.35, 0.35, 0.3])):
        left, top = rng.uniform(-0.3, 1, 2)
        wide, tall = rng.uniform(0.05, 0.7, 2)
        inside = (np.abs(x - left) < wide / 2) & (np.abs(y - top) < tall)
        if rng.random() < 0.3:
            inside = (x - left) ** 2 + (y - top) ** 2 < (wide / 3) ** 2
        picture = np.where(inside[..., None], _backdrop(rng), picture)
    picture = gaussian_filter(picture, (*[rng.uniform(0.8, 5)] * 2, 0), mode="nearest")
    row, column = rng.integers(0, 448, 2)
    cloud = noise_tile(9, 1.6)[row : row + small, column : column + small, None]
    picture = np.maximum(picture * (1 + rng.uniform(0, 0.15) * cloud), 0.003).astype(np.float32)
    bands = [Image.fromarray(picture[..., c]).resize((width, height), Image.Resampling.BICUBIC) for c in range(3)]
    return np.maximum(np.stack([np.asarray(band) for band in bands], -1), 0)


def _backdrop(rng: np.random.Generator) -> Array:
    grey = rng.uniform(0.02, 0.75)
    return grey * np.exp(rng.normal(0, 0.14 if rng.random() < 0.75 else 0.35, 3))


def photograph(rng: np.random.Generator, linear: Array) -> Array:
    """(H, W, 3) linear light -> uint8 picture."""
    exposure = np.exp(rng.normal(-0.14, 0.16))
    balance = np.exp(rng.normal(0, 0.035, 3))
    picture = linear * (exposure * balance).astype(np.float32)
    blur = rng.uniform(0, 0.55) * linear.shape[0] / 256
    if blur > 0.25:
        picture = gaussian_filter(picture, (blur, blur, 0), truncate=2.5)
    display = to_srgb(picture)
    contrast = np.float32(rng.uniform(0.0, 0.35))
    display += contrast * display * (1 - display) * (2 * display - 1)
    noise = rng.standard_normal(display.shape, dtype=np.float32)
    noise *= np.float32(rng.uniform(0.002, 0.014))
    display += noise
    return (np.clip(display, 0, 1) * 255 + 0.5).astype(np.uint8)
