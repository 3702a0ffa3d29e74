"""What each protocol makes of known faults: `python -m tests.figures.calibration [--people 3] [--file FILE]`.

Scores on the mirrors, where the true head is known. The table in docs/calibration.md is its output.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir

from harness import catalogue, config
from harness.benchmark import Benchmark
from harness.datasets import faceverse_mirror, h3ds_mirror, now_mirror, realy_mirror, threedfaw_mirror
from harness.protocols.base import Protocol
from harness.samples import Sample
from harness.scoring import score
from harness.synthesis.subject import Subject, random_subject
from tests.figures.deformations import DEFORMATIONS

HEADER = """\
# What each protocol answers to known faults

Every line is the true head of a mirror's subjects with one fault, scored by every protocol: the mean over {people}
subjects, in the column's unit. What is left for the true head is scanner noise, and hair and clothes, which no head
model has. A dash: the protocol refuses the prediction rather than give a number. Made by
`python -m tests.figures.calibration --people {people} --file docs/calibration.md` on synthetic data: it says how the
protocols differ, not how good a method is.

"""

SEEDS = {
    "h3ds": lambda n: (h3ds_mirror.subject_id(h3ds_mirror.FIRST_SEED + n), h3ds_mirror.FIRST_SEED + n),
    "now": lambda n: (now_mirror.subject_name(now_mirror.FIRST_SEED + n), now_mirror.FIRST_SEED + n),
    "faceverse": lambda n: (
        faceverse_mirror.scan_name(faceverse_mirror.FIRST_SEED + n, 0),
        faceverse_mirror.FIRST_SEED + n,
    ),
    "3dfaw": lambda n: (threedfaw_mirror.subject_id(n), threedfaw_mirror.FIRST_SEED + n),
    "realy": lambda n: (str(n + 1), realy_mirror.FIRST_SEED + n + 1),
}
"""bench -> (name of its n-th neutral subject or scan, that person's seed)."""


def main(arguments: list[str] | None = None) -> None:
    """Prints the table, or writes it into a file."""
    parser = argparse.ArgumentParser(description="What each protocol makes of known faults")
    parser.add_argument("--people", type=int, default=3)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args(arguments)
    text = HEADER.format(people=options.people) + table(options.people)
    if options.file:
        options.file.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)


def table(people: int) -> str:
    """One line per protocol and column, one column per fault, as Markdown."""
    rows = ["| bench | protocol | column | " + " | ".join(DEFORMATIONS) + " |", "|---" * (3 + len(DEFORMATIONS)) + "|"]
    for bench in SEEDS:
        rows += [f"| {' | '.join(line)} |" for line in lines(bench, people)]
    return "\n".join(rows) + "\n"


def lines(bench: str, people: int) -> Iterator[list[str]]:
    """The cells of one benchmark's lines."""
    benchmark = open_mirror(bench)
    cases = list(islice(neutral_people(bench, benchmark), people))
    for protocol in benchmark.protocols:
        answers = {name: responses(protocol, benchmark, cases, name) for name in DEFORMATIONS}
        for column in protocol.columns:
            label = f"{column} [{protocol.unit_of(column)}]"
            yield [bench, protocol.name, label, *(answer.get(column, "–") for answer in answers.values())]


def open_mirror(bench: str) -> Benchmark:
    """The benchmark on its mirror, as configured."""
    config.register()
    with initialize_config_dir(str(catalogue.CONFIGS), version_base="1.3"):
        return config.benchmark(compose("run", [f"bench={bench}", "method=mean_face", "data=mirror"]))


def neutral_people(bench: str, benchmark: Benchmark) -> Iterator[tuple[Sample, Subject]]:
    """One sample of each subject whose truth is neutral, and that subject."""
    seen = dict(SEEDS[bench](n) for n in range(100))
    for sample in benchmark.samples():
        name = sample.group if bench == "faceverse" else sample.subject
        if name in seen:
            yield sample, random_subject(seen.pop(name), expression=False)


def responses(
    protocol: Protocol, benchmark: Benchmark, cases: list[tuple[Sample, Subject]], fault: str
) -> dict[str, str]:
    """Column -> mean score as text; empty if a prediction with this fault is refused."""
    scores = [score(protocol, DEFORMATIONS[fault](person), benchmark.truth(sample)) for sample, person in cases]
    if any(one.failure is not None for one in scores):
        return {}
    return {column: f"{np.mean([one.values[column] for one in scores]):.2f}" for column in protocol.columns}


if __name__ == "__main__":
    main()
