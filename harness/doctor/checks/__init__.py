"""The checks, in the order in which they are reported. Each takes a Reading and returns one Finding."""

from __future__ import annotations

from collections.abc import Callable

from harness.doctor.checks import conduct, coverage, expression, frame, landmarks, repeats, size, working
from harness.doctor.findings import Finding
from harness.doctor.reading import Reading

CHECKS: tuple[Callable[[Reading], Finding], ...] = (
    working.answers,
    size.unit,
    frame.mirrored,
    frame.rotated,
    landmarks.order,
    landmarks.sides,
    landmarks.on_the_mesh,
    landmarks.in_the_picture,
    expression.left_on,
    coverage.chin,
    coverage.forehead,
    repeats.vertex_order,
    repeats.randomness,
    repeats.batch_size,
    repeats.memory,
    conduct.first_call,
    conduct.network,
    conduct.files,
    conduct.programs,
)
