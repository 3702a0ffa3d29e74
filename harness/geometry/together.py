"""Fits of surfaces to points that go on side by side: what all of them want measured next is measured in one launch."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TypeAlias, TypeVar

from harness.geometry.moving_points import MovingPoints
from harness.geometry.moving_sums import Launch, Pose, Sums

Result = TypeVar("Result")
Fit: TypeAlias = Generator[tuple[MovingPoints, Pose], Sums, Result]
"""Yields points and the pose in which it wants them measured, is sent the sums, and returns its result."""


def together(fits: Sequence[Fit[Result]]) -> list[Result]:
    """The results of several fits; on a GPU, one that a single fit leaves idle, they take hardly longer than one."""
    results: dict[int, Result] = {}
    answers: dict[int, Sums | None] = dict.fromkeys(range(len(fits)))
    launch: Launch | None = None
    while answers:
        asked: dict[int, tuple[MovingPoints, Pose]] = {}
        for index, answer in answers.items():
            try:
                asked[index] = next(fits[index]) if answer is None else fits[index].send(answer)
            except StopIteration as stop:
                results[index] = stop.value
        sets = [points for points, _ in asked.values()]
        if not sets:
            break
        if launch is None or launch.sets != sets:
            launch = Launch(sets)
        answers = dict(zip(asked, launch.sums([pose for _, pose in asked.values()]), strict=True))
    return [results[index] for index in range(len(fits))]


def alone(fit: Fit[Result]) -> Result:
    """The result of one fit."""
    return together([fit])[0]
