"""The parts of `predict` that bench=timing tells apart."""

from __future__ import annotations

import time

from harness.adapter import MethodAdapter
from harness.conformance.asking import Asking
from harness.doctor.exam import Question
from harness.stages import STAGES, StageClock


def test_stages_follow_one_another(adapter: MethodAdapter, questions: list[Question]) -> None:
    """While timed, stages have known names, none is inside another, and together they take no longer than the call."""
    clock = StageClock(lambda: None)
    adapter.stage_clock = clock
    try:
        start = time.perf_counter()
        Asking(adapter).one(questions[0].sample)
        whole = time.perf_counter() - start
    finally:
        adapter.stage_clock = None
    assert set(clock.seconds) <= set(STAGES)
    assert sum(clock.seconds.values()) <= whole
