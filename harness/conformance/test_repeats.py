"""The same question gets the same answer, whatever was asked before or beside it."""

from __future__ import annotations

from collections.abc import Callable

from harness.adapter import MethodAdapter
from harness.conformance.asking import Asking
from harness.doctor.answers import SAME_MM, difference
from harness.doctor.exam import Question
from harness.samples import Prediction


def _same(one: Prediction, other: Prediction, when: str) -> None:
    found = difference(one, other)
    assert found.mm <= SAME_MM, f"{when}: {found.what} differ by {found.mm:.3g} mm (same means {SAME_MM:g} mm)"
    assert not found.reordered, f"{when}: the vertex order changes"


def test_is_deterministic(fresh: Callable[[], MethodAdapter], asking: Asking, questions: list[Question]) -> None:
    """Two adapters, one question each. Global random states are set before each call; own generators are yours."""
    one, other = asking.one(questions[0].sample), Asking(fresh()).one(questions[0].sample)
    _same(one, other, "non-determinism: two adapters asked the same")


def test_keeps_no_state(fresh: Callable[[], MethodAdapter], questions: list[Question]) -> None:
    """The first person again, after another one."""
    ask = Asking(fresh())
    first = ask.one(questions[0].sample)
    ask.one(questions[1].sample)
    _same(first, ask.one(questions[0].sample), "state between samples: the same sample again, after another one")


def test_does_not_depend_on_the_batch(fresh: Callable[[], MethodAdapter], questions: list[Question]) -> None:
    """Three samples in one call and one by one."""
    samples = [question.sample for question in questions[:3]]
    together = Asking(fresh())(samples)
    for sample, answer in zip(samples, together, strict=True):
        _same(Asking(fresh()).one(sample), answer, f"dependence on batch size: {sample.id} alone and among three")
