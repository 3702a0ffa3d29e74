"""The unit of the answers."""

from __future__ import annotations

import numpy as np

from harness.doctor.findings import Finding, ok, undecided, warning, wrong
from harness.doctor.reading import Reading
from harness.samples import MILLIMETRES_PER

NAME = "wrong unit"
BY_POINTS, BY_EXTENT = "by the landmarks", "by the extent of the mesh"
CLOSE = 1.25
"""Faces of adults differ in size by 10 % (2 standard deviations), and one picture does not tell how much: a factor
within this says nothing of the unit."""
POWER = 1.6
"""A method whose scale is a guess is off by less than this; a wrong unit is off by 10, 100 or 1000 times as much."""


def unit(reading: Reading) -> Finding:
    """Compares sizes, by the landmarks where these are in a known order, else by the extent of the mesh."""
    if not reading.pairs:
        return undecided(NAME, "no answer holds a mesh")
    declared = reading.evidence.unit
    factors = [1 / fit.scale for a, t in reading.pointed if (fit := reading.fit(a, t)) is not None]
    by = BY_POINTS
    if not factors:
        factors = [_extent(a.vertices) / _extent(t.vertices) for a, t in reading.pairs if a.vertices is not None]
        by = BY_EXTENT
    factor = float(np.median(factors))
    words = f"unit = {declared!r} makes the faces {factor:.3g} times as large as they are ({by})"
    power = round(float(np.log10(factor)))
    slack = POWER if by == BY_POINTS else np.sqrt(10.0)
    if power and 1 / slack < factor / 10.0**power < slack:
        meant = [u for u, mm in MILLIMETRES_PER.items() if np.isclose(mm, MILLIMETRES_PER[declared] / 10.0**power)]
        remedy = f"unit = {meant[0]!r}" if meant else f"scale vertices and landmarks by {10.0**-power:g}"
        return wrong(NAME, words, f"{remedy}; the factor is then to come out near 1")
    if by == BY_EXTENT:
        return ok(NAME, f"{words}; a mesh may show more or less of the head")
    if 1 / CLOSE < factor < CLOSE:
        return ok(NAME, words)
    if 0.5 < factor < 2:
        return warning(
            NAME,
            f"{words}; adults differ by 10 %",
            "protocols with a free scale (h3ds, now) forgive it, h3ds_surface and now_metrical do not",
        )
    return wrong(NAME, words, "scale the answers to m, cm or mm, or say in the method's README that its size is free")


def _extent(points: np.ndarray) -> float:
    return float(np.linalg.norm(points.max(0) - points.min(0)))
