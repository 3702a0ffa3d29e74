"""FaceVerse runs on the views that all of them answered: distances, and variances of shapes, paired with the first run.

python -m tests.figures.common_views RUN_FOLDER RUN_FOLDER ...

A detector that finds a face in some of the views only leaves a method the easy ones; here all have the same to do.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from harness.statistics import filled, paired_difference, subject_interval

PROTOCOL, COLUMN = "faceverse", "normalised"


def answered(scores: pd.DataFrame) -> set[str]:
    """Samples without a failure."""
    return set(scores[scores.failure.isna()]["sample"])


def coefficients(run: Path, samples: list[str], part: str = "shape") -> dict[str, np.ndarray]:
    """Coefficients of shape or expression by sample, of a method that has such."""
    found = {}
    for sample in samples:
        with np.load(run / "predictions" / f"{sample}.npz") as stored:
            if f"parameters/{part}" in stored:
                found[sample] = stored[f"parameters/{part}"]
    return found


def variances(found: dict[str, np.ndarray], people: dict[str, str]) -> tuple[pd.DataFrame, float]:
    """By scan the variance over its views, and the variance over people of their mean coefficients."""
    rows = pd.DataFrame({"sample": list(found), "subject": [people[s] for s in found], "protocol": "views"})
    rows["scan"] = [sample.rsplit("_", 1)[0] for sample in found]
    kept = []
    for scan, group in rows.groupby("scan"):
        if len(group) > 1:
            within = np.stack([found[s] for s in group["sample"]]).var(axis=0).sum()
            kept.append({"sample": scan, "subject": group.subject.iloc[0], "protocol": "views", "value": within})
    table = pd.DataFrame(kept)
    chosen = rows[rows.subject.isin(table.subject)].groupby("subject")["sample"]
    means = np.stack([np.mean([found[s] for s in group], axis=0) for _, group in chosen])
    return table, float(means.var(axis=0).sum())


def paired(one: pd.DataFrame, other: pd.DataFrame) -> str:
    """Mean over people of the difference of scans' variances [95 %]."""
    both = one.merge(other, on=["sample", "subject"])
    return str(subject_interval(both.value_x - both.value_y, both.subject))


def main(runs: list[Path]) -> None:
    """Prints both tables."""
    every = {run.name: pd.read_parquet(run / "scores.parquet") for run in runs}
    tables = {name: table[table.protocol == PROTOCOL] for name, table in every.items()}
    common = set.intersection(*map(answered, tables.values()))
    first, *_ = (table[table["sample"].isin(common)] for table in tables.values())
    people = dict(zip(first["sample"], first.subject, strict=True))
    print(f"{len(common)} views that all answered: {PROTOCOL} {COLUMN}; the first run less each")
    for name, table in tables.items():
        own = table[table["sample"].isin(common)]
        print(f"{name:<24} {filled(own, COLUMN).counted.mean():.3f}   {paired_difference(first, own, COLUMN)}")
    print("variance of a scan's shape coefficients over these views; within / between people; the first run less each")
    reference: pd.DataFrame | None = None
    for run in runs:
        found = coefficients(run, sorted(common))
        if found:
            table, between = variances(found, people)
            reference = table if reference is None else reference
            mean = table.groupby("subject").value.mean().mean()
            print(f"{run.name:<24} {mean:.3f}   {mean / between:.2f}   {paired(reference, table)}")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
