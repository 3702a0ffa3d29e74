"""Small numeric tools of procedural pictures: tileable noise, soft steps, colour conversion."""

from __future__ import annotations

import functools

import numpy as np

Array = np.ndarray

TILE = 512


@functools.cache
def noise_tile(seed: int, exponent: float, low: float = 1.0) -> Array:
    """(TILE, TILE) float32 tileable noise with spectrum 1/f^exponent above `low` cycles per tile, mean 0, std 1."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(TILE) * TILE, np.fft.rfftfreq(TILE) * TILE, indexing="ij"))
    spectrum = np.fft.rfft2(rng.standard_normal((TILE, TILE)))
    spectrum *= np.where(frequency >= low, np.maximum(frequency, 1.0) ** -exponent, 0.0)
    values = np.fft.irfft2(spectrum, s=(TILE, TILE))
    return (values / values.std()).astype(np.float32)


def sample_tile(tile: Array, u: Array, v: Array) -> Array:
    """(N,) bilinear values of a tile that repeats each unit of u (columns) and v (rows)."""
    column, row = u * np.float32(TILE), v * np.float32(TILE)
    left, top = np.floor(column), np.floor(row)
    a, b = column - left, row - top
    i, j = left.astype(np.int32) & (TILE - 1), top.astype(np.int32) & (TILE - 1)
    right, below = (i + 1) & (TILE - 1), (j + 1) & (TILE - 1)
    flat = tile.reshape(-1)
    upper = flat[j * TILE + i] * (1 - a) + flat[j * TILE + right] * a
    lower = flat[below * TILE + i] * (1 - a) + flat[below * TILE + right] * a
    return upper * (1 - b) + lower * b


def smooth_step(low: float | Array, high: float | Array, value: Array) -> Array:
    """0 below `low`, 1 above `high`, a cubic between; with low > high it falls."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def mix(first: Array, second: Array | np.floating, weight: Array) -> Array:
    """(N, 3) colours between two colours, (N,) weight of the second."""
    return first + (second - first) * weight[:, None]


def to_linear(srgb: Array | tuple[float, ...]) -> Array:
    """SRGB values 0..255 -> linear light 0..1 (IEC 61966-2-1)."""
    value = np.asarray(srgb, np.float64) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4).astype(np.float32)


@functools.cache
def _srgb_table() -> Array:
    linear = np.arange(4096) / 4095
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


def to_srgb(linear: Array) -> Array:
    """Linear light (highlights above 0.8 are rolled off) -> display values 0..1, float32."""
    place = np.clip(linear, 0, 5)
    bright = place > 0.8
    place[bright] = 1 - 0.2 * np.exp(4 - 5 * place[bright])
    place *= np.float32(4094)
    below = place.astype(np.int32)
    place -= below
    table = _srgb_table()
    return table[below] + np.diff(table)[below] * place
