"""How often what the harness says of a board is right: `python -m tests.figures.statistics_table [--file FILE]`.

Simulated, from tests/statistics/simulations.py; docs/statistics.md is its output.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from harness.statistics import detectable_difference
from harness.statistics.pairs import power_of
from tests.statistics import simulations

TRIALS = 20_000
BATCHES = 20
BOARDS = 2000
LADDER = np.array([0, 0, 0, 1, 1, 1.5, 2, 3, 3, 4.0])

HEADER = """\
# How far the statistics can be trusted

What `harness.statistics` says of made-up boards whose truth is known. Made by
`python -m tests.figures.statistics_table --file docs/statistics.md` (seeded; under two minutes on one core);
tests/statistics holds shorter runs of the same simulations to their bounds.

Subjects are the units everywhere: each enters with the mean of its samples.

- The **interval of a value** is a bootstrap-t over subjects. It says where the mean over all people like these
  lies, for this method alone. Two methods' intervals may overlap although the methods can be told apart.
- The **comparison of two methods** is a paired t-test on the same subjects, with its own interval. Only it says
  whether two methods differ.
- **p-values** of a board are corrected for all its pairs (Holm); **ties** and **rank intervals** follow from
  them.
- **Detectable** is the smallest true difference that the test finds in four of five such data sets.

"""

FALSE_ALARMS = """\
## Two equal methods

{subjects} subjects; a subject's own difference between the methods has a deviation of {between} mm, its images
scatter by {within} mm about that, so that images of one subject correlate with {correlation:.1f}. The share of
{trials:,} data sets in which two methods that do not differ were called different; 5 % is promised.

"""

POWER = """
## Two methods that differ

As above, {images} images a subject. The share of data sets in which the difference was found, and the closed
form (non-central t). The true difference is in deviations of the subjects' differences; the last line is what
`detectable_difference` gives for 80 %.

"""

COVERAGE = """
## Intervals of one value

The share of {trials:,} data sets whose 95 % interval holds the true mean. On the mirrors of H3DS and NoW the errors
of subjects have logarithms with a deviation (sigma) of 0.11 to 0.25. The harness uses the bootstrap-t (Student's t with
fewer than eight subjects); the others are why. With very skewed errors (sigma 1) and few subjects no method holds
its 95 %.

"""

BOARD = """
## Boards of ten methods

{subjects} subjects, {boards:,} boards; 5 % at most is promised in the first two columns. Equal: all ten methods
are. Ladder: true means of {ladder}, a pair's differences having a deviation of 1.4 between subjects.

- a best method not tied: some method that is as good as the best is called worse than the best;
- a rank wrong: some method's rank interval misses a rank that it truly has;
- worst single rank: the same for the method that it happens to most;
- corrected for the best only: the first column, were p-values corrected for the nine comparisons with the best
  run alone. The best run is chosen from the same data, so that this correction is not enough.

"""

DETECTABLE = """
## What a benchmark can see

The smallest true difference found in four of five data sets, in deviations of the subjects' differences: for
two methods named beforehand, and for any two of a board of ten or two hundred methods, after the correction for
all pairs.

"""


def main(arguments: list[str] | None = None) -> None:
    """Prints the tables, or writes them into a file."""
    parser = argparse.ArgumentParser(description="How often what the harness says of a board is right")
    parser.add_argument("--file", type=Path)
    options = parser.parse_args(arguments)
    text = "".join(sections())
    if options.file:
        options.file.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def sections() -> Iterator[str]:
    """The document, part by part."""
    between, within, subjects = simulations.BETWEEN, simulations.WITHIN, simulations.SUBJECTS
    correlation = between**2 / (between**2 + within**2)
    yield HEADER
    yield FALSE_ALARMS.format(subjects=subjects, between=between, within=within, correlation=correlation, trials=TRIALS)
    yield table(["test", "images of a subject", "called different"], false_alarms())
    yield POWER.format(images=simulations.IMAGES)
    yield table(["true difference", "found", "closed form"], power())
    yield COVERAGE.format(trials=500 * BATCHES)
    yield table(["errors of subjects", "subjects", "bootstrap-t", "percentile bootstrap", "Student's t"], coverage())
    yield BOARD.format(subjects=subjects, boards=BOARDS, ladder=", ".join(f"{value:g}" for value in LADDER))
    names = ["a best method not tied", "a rank wrong", "worst single rank", "corrected for the best only"]
    yield table(["board", *names], boards())
    yield DETECTABLE
    yield table(["subjects", "two methods", "board of 10", "board of 200"], detectable())


def table(headings: Sequence[str], rows: Iterator[list[str]]) -> str:
    """Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace("| --- ", "|---") + "\n"


def false_alarms() -> Iterator[list[str]]:
    """Type-I errors, ours and of images taken as independent."""
    images = str(simulations.IMAGES)
    yield ["paired t over subjects (the harness)", images, percent(simulations.found_by_subjects(TRIALS))]
    uneven = simulations.found_by_subjects(TRIALS, seed=1, uneven=True)
    yield ["paired t over subjects (the harness)", "1 to 33", percent(uneven)]
    yield ["paired t over images", images, percent(simulations.found_by_images(TRIALS))]


def power() -> Iterator[list[str]]:
    """Simulated power against the closed form."""
    sizes = (0.2, 0.4, 0.6, 0.8, 1.0, detectable_difference(1.0, simulations.SUBJECTS))
    for seed, size in enumerate(sizes, start=2):
        found = simulations.found_by_subjects(TRIALS, size * simulations.deviation_of_subjects(), seed)
        yield [f"{size:.2f}", percent(found), percent(power_of(size, simulations.SUBJECTS))]


def coverage() -> Iterator[list[str]]:
    """Coverage of three kinds of interval."""
    methods = (simulations.bootstrap_t_intervals, simulations.percentile_intervals, simulations.student_intervals)
    for name, (draw, true) in simulations.shapes().items():
        for subjects in (8, 20, 100):
            rates = [simulations.coverage(draw, true, subjects, BATCHES, method) for method in methods]
            yield [name, str(subjects), *(percent(rate) for rate in rates)]


def boards() -> Iterator[list[str]]:
    """Errors of whole boards."""
    for name, true in (("equal", np.zeros(10)), ("ladder", LADDER)):
        found = simulations.boards(true, BOARDS)
        shares = (found.false_ties, found.false_ranks, found.worst_rank, found.false_against_best)
        yield [name, *(percent(share) for share in shares)]


def detectable() -> Iterator[list[str]]:
    """Closed form, for numbers of subjects that benchmarks have."""
    for subjects in (12, 20, 59, 100, 2000):
        levels = [0.05 / (methods * (methods - 1) // 2) for methods in (2, 10, 200)]
        yield [str(subjects), *(f"{detectable_difference(1.0, subjects, level):.2f}" for level in levels)]


def percent(share: float) -> str:
    """With one decimal."""
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    main()
