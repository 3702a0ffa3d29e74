"""The same question asked again: at once, after another one, in a batch, in another process."""

from __future__ import annotations

import numpy as np

from harness.doctor.answers import SAME_MM, Difference, difference
from harness.doctor.findings import Finding, ok, undecided, warning, wrong
from harness.doctor.reading import Reading
from harness.errors import AlignmentError
from harness.geometry.alignment import fit_similarity
from harness.samples import Array, Prediction

ORDER, RANDOM, BATCH, STATE = "vertex order", "non-determinism", "dependence on batch size", "state between samples"
SHUFFLED = 0.2
"""RMS distance of corresponding vertices of two people, over the RMS radius of a head: below 0.1 for one topology,
above 0.5 where vertices of one number are not at one place of the head."""


def vertex_order(reading: Reading) -> Finding:
    """Whether a vertex stands for one place of the head in all answers."""
    meshes = [answer for answer, _ in reading.pairs]
    if len(meshes) < 2:
        return undecided(ORDER, "fewer than two answers hold a mesh")
    evidence = reading.evidence
    repeats = [a for a in (evidence.again, evidence.after, evidence.fresh) if a is not None]
    remedy = "build faces and the order of vertices once, in load()"
    if any(difference(evidence.answers[0], again).reordered for again in repeats):
        return wrong(ORDER, "the same sample gives the same vertices in another order", remedy)
    counts = sorted({len(m.vertices) for m in meshes if m.vertices is not None})
    if len(counts) > 1:
        return warning(
            ORDER,
            f"meshes of {counts[0]} to {counts[-1]} vertices: each answer has a topology of its own",
            "allowed; scores go by surfaces. Comparisons vertex by vertex do not apply",
        )
    first = meshes[0]
    others = [m for m in meshes[1:] if not _equal(m.faces, first.faces)]
    if others:
        words = f"{counts[0]} vertices in each, but {len(others)} of {len(meshes) - 1} answers have other triangles"
        return wrong(ORDER, words, remedy)
    apart = max(_apart(first.vertices, other.vertices) for other in meshes[1:])
    words = f"{counts[0]} vertices and the same triangles in {len(meshes)} answers; corresponding vertices of two "
    words += f"people are {100 * apart:.0f} % of a head's radius apart"
    return wrong(ORDER, words, remedy) if apart > SHUFFLED else ok(ORDER, words)


def _equal(one: Array | None, other: Array | None) -> bool:
    return one is not None and other is not None and np.array_equal(one, other)


def _apart(one: Array | None, other: Array | None) -> float:
    """RMS distance after a similarity, over the RMS radius."""
    assert one is not None and other is not None
    try:
        moved = fit_similarity(other, one).apply(other)
    except AlignmentError:
        return 1.0
    radius = np.sqrt(np.square(one - one.mean(0)).sum(1).mean())
    return float(np.sqrt(np.square(moved - one).sum(1).mean()) / radius)


def randomness(reading: Reading) -> Finding:
    """The first question in two fresh processes: nothing went before it in either."""
    between = _between(reading, reading.evidence.fresh)
    if between is None:
        return undecided(RANDOM, "the question was not answered")
    words = f"the same sample asked in two processes: {_words(between)}"
    if between.same:
        return ok(RANDOM, words)
    remedy = (
        "Python's, numpy's and torch's global random states are set before each call; seed generators of your own, "
        "call net.eval(), and do not depend on time or on the order of sets"
    )
    return wrong(RANDOM, words, remedy)


def memory(reading: Reading) -> Finding:
    """The first question asked again at once, and after another person, in one process."""
    evidence = reading.evidence
    if not _answered(reading) or evidence.again is None or evidence.after is None:
        return undecided(STATE, "the question was not answered")
    at_once, later = (difference(evidence.answers[0], a) for a in (evidence.again, evidence.after))
    words = f"asked again at once: {_words(at_once)}; after another person: {_words(later)}"
    if at_once.same and later.same:
        return ok(STATE, words)
    if not _same(reading, evidence.fresh):
        return undecided(STATE, f"{words}; the answers differ by chance anyway")
    return wrong(STATE, words, "keep nothing of a sample in self, in the module or in batch statistics (net.eval())")


def batch_size(reading: Reading) -> Finding:
    """Questions asked alone and in one call."""
    evidence = reading.evidence
    pairs = list(zip(evidence.answers, evidence.batch, strict=False))
    if not pairs or not _answered(reading):
        return undecided(BATCH, "the questions were not answered alone")
    worst = max((difference(alone, together) for alone, together in pairs), key=_severity)
    words = f"{len(evidence.batch)} samples in one call: {_words(worst)}"
    if worst.same:
        return ok(BATCH, words)
    if not _same(reading, evidence.fresh):
        return undecided(BATCH, f"{words}; the answers differ by chance anyway")
    if memory(reading).remedy and difference(*pairs[0]).same:
        return undecided(BATCH, f"{words}; explained by state between samples, the first of the batch is the same")
    remedy = (
        "treat each sample by itself: net.eval() for batch normalisation, no mean over the batch, no shared padding"
    )
    return wrong(BATCH, words, remedy)


def _between(reading: Reading, other: Prediction | None) -> Difference | None:
    return difference(reading.evidence.answers[0], other) if _answered(reading) and other is not None else None


def _answered(reading: Reading) -> bool:
    """Whether the first question has an answer that others can be compared with."""
    return bool(reading.evidence.answers) and reading.evidence.answers[0].failure is None


def _same(reading: Reading, other: Prediction | None) -> bool:
    between = _between(reading, other)
    return between is not None and between.same


def _severity(between: Difference) -> float:
    return -1.0 if between.same else between.mm


def _words(between: Difference) -> str:
    if between.reordered:
        return "the same but for the order of the vertices"
    if np.isinf(between.mm):
        return between.what if "answer" in between.what else f"{between.what} do not correspond"
    if between.mm <= SAME_MM:
        return f"the same within {between.mm:.2g} mm" if between.mm else "the same"
    return f"{between.what} differ by up to {between.mm:.3g} mm (same means {SAME_MM:g} mm)"
