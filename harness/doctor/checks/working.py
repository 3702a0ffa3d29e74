"""Whether there are answers at all."""

from __future__ import annotations

from collections import Counter

from harness.doctor.findings import Finding, ok, undecided, warning, wrong
from harness.doctor.reading import Reading

DECLINED = ("no_face", "bad_input")
"""Failures by which a method says that it cannot answer; the others are mistakes."""


def answers(reading: Reading) -> Finding:
    """Loads, answers every question, and neither raises nor dies nor breaks the contract."""
    name, evidence = "crash or invalid answer", reading.evidence
    if evidence.refused:
        return wrong(name, evidence.refused, "mend load(); all else could not be looked at")
    asked = [(q.sample.id, a) for q, a in zip(evidence.questions, evidence.answers, strict=True)]
    asked += [(sample.id, answer) for sample, answer in evidence.own]
    asked += [(f"{len(evidence.batch)} samples in one call", answer) for answer in evidence.batch]
    failed = [(sample, answer) for sample, answer in asked if answer.failure is not None]
    if not failed:
        return ok(name, f"{len(asked)} of {len(asked)} questions answered")
    reasons = ", ".join(f"{count} {reason}" for reason, count in Counter(a.failure for _, a in failed).items())
    first = next(((s, a) for s, a in failed if a.failure not in DECLINED), failed[0])
    words = f"{len(failed)} of {len(asked)} questions failed ({reasons}); {first[0]}: {first[1].detail or 'no detail'}"
    if any(answer.failure not in DECLINED for _, answer in failed):
        return wrong(name, words, "a method that cannot answer returns Prediction.failed(reason) and raises nothing")
    if len(failed) == len(asked):
        return undecided(name, f"{words}. Nothing else can be looked at")
    return warning(name, words, "the pictures show one large face each; look why the method refuses them")
