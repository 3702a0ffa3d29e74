"""Expression in answers that should have none."""

from __future__ import annotations

import numpy as np

from harness.doctor.exam import Truth
from harness.doctor.findings import Finding, ok, undecided, warning, wrong
from harness.doctor.reading import Reading, known
from harness.errors import AlignmentError
from harness.geometry.alignment import Similarity, fit_similarity
from harness.samples import Array, Prediction

NAME = "expression left on"
STABLE = [27, 28, 29, 30, 36, 39, 42, 45]
"""Points that no expression moves much: by these two faces of one person are laid on each other."""
LEFT, SOME = 0.5, 0.3
"""Share of the true movement (an open, smiling mouth: up to 30 mm) that the answers follow. A method that removes
expressions follows none, one that forgets to follows 0.7 to 1. In between, identity and expression are confused."""


def left_on(reading: Reading) -> Finding:
    """Compares answers to one person's neutral and expressive face with how the face truly moved."""
    if reading.no_landmarks:
        return undecided(NAME, reading.no_landmarks)
    protocols = reading.evidence.protocols
    wants_neutral = any(p.expression == "neutral" for p in protocols)
    for neutral in (True, False):
        shares = _shares(reading, neutral)
        if not shares:
            continue
        share = float(np.median(shares))
        which = "neutral_vertices" if neutral else "vertices (there are no neutral_vertices)"
        words = f"{which} follow {100 * share:.0f} % of the movement from a neutral to an open, smiling mouth"
        if share < SOME:
            return ok(NAME, words)
        remedy = "decode neutral_vertices and neutral_landmarks with zero expression, jaw and pose"
        if share < LEFT:
            return warning(NAME, words, "part of the expression is taken for identity; NoW scores it as an error")
        if neutral or wants_neutral:
            return wrong(NAME, words, remedy)
        if protocols:
            names = ", ".join(p.name for p in protocols)
            return ok(NAME, f"{words}; {names} score faces as they are predicted. NoW would score the expression")
        return warning(NAME, f"{words}; shape benchmarks (NoW) would score the expression", remedy)
    return undecided(NAME, "no person was answered with both faces and the landmarks that this needs")


def _shares(reading: Reading, neutral: bool) -> list[float]:
    """Per person, the share of the true movement that is in the answers."""
    evidence = reading.evidence
    asked = list(zip(evidence.questions, evidence.answers, strict=False))
    half = len(evidence.questions) // 2
    shares = []
    for (question, plain), (other, moved) in zip(asked[:half], asked[half:], strict=False):
        before, after = _points(plain, neutral), _points(moved, neutral)
        if before is None or after is None:
            continue
        index = reading.order.index
        share = _share(before[index], after[index], question.truth, other.truth)
        shares += [] if share is None else [share]
    return shares


def _points(answer: Prediction, neutral: bool) -> Array | None:
    return answer.neutral_landmarks if neutral else answer.landmarks


def _share(plain: Array, moved: Array, truth: Truth, other: Truth) -> float | None:
    """<predicted movement, true movement> / <true movement, true movement>, in the frame of the true neutral face."""
    there = known(plain) & known(moved)
    if not there[STABLE].all():
        return None
    try:
        to_truth = fit_similarity(plain[there], truth.landmarks[there])
        onto = _stable(moved, plain)
    except AlignmentError:
        return None
    predicted = to_truth.apply(onto.apply(moved[there])) - to_truth.apply(plain[there])
    true = _stable(other.landmarks, truth.landmarks).apply(other.landmarks[there]) - truth.landmarks[there]
    return float((predicted * true).sum() / np.square(true).sum())


def _stable(source: Array, target: Array) -> Similarity:
    return fit_similarity(source[STABLE], target[STABLE], scale="none")
