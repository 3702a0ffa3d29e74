"""KaoLRM's ablation (Table 3 of its paper) on FaceVerse: rows of runs, paired with the first row, the full method.

python -m tests.figures.kaolrm_ablation FULL[,FULL ...] ROW[,ROW ...] ...

A row is one run folder, or several of trainings that differ in their seeds only, separated by commas: their values
are averaged view by view, and behind the interval over people stands each training's own difference to the full
method's training at the same place. A row differs from the full method if the interval leaves zero out and all its
trainings agree in sign.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from harness.statistics import Interval, filled, subject_interval
from tests.figures.common_views import COLUMN, PROTOCOL, coefficients, variances

PARTS = ("shape", "expression")


@dataclass(frozen=True, eq=False)
class Training:
    """What one run says.

    Attributes:
        distances: by view.
        spread: part of the code -> variance over views, by scan.
        between: variance of shapes between people.
        heads: (views, V, 3) millimetres, without expression and pose.
    """

    distances: pd.Series
    spread: dict[str, pd.Series]
    between: float
    heads: np.ndarray


def read(run: Path) -> Training:
    """Reads a run. Raises HarnessError if a value is missing."""
    scores = pd.read_parquet(run / "scores.parquet")
    rows = filled(scores[scores.protocol == PROTOCOL], COLUMN)
    people = dict(zip(rows["sample"], rows.subject, strict=True))
    spread, between = {}, 0.0
    for part in PARTS:
        table, apart = variances(coefficients(run, sorted(people), part), people)
        spread[part] = table.set_index(["subject", "sample"]).value
        between = apart if part == "shape" else between
    heads = np.stack([np.load(run / "predictions" / f"{sample}.npz")["neutral_vertices"] for sample in sorted(people)])
    return Training(rows.set_index(["subject", "sample"]).counted, spread, between, heads)


def over_people(values: pd.Series) -> Interval:
    """Mean and 95 % interval."""
    return subject_interval(values, values.index.get_level_values("subject").to_series())


def difference(ours: list[pd.Series], full: list[pd.Series]) -> str:
    """Ours less the full method's, over people [95 %], and of each training."""
    apart = [one - other for one, other in zip(ours, full, strict=True)]
    whole = over_people(pd.concat(apart, axis=1).mean(axis=1))
    each = [over_people(one).value for one in apart]
    differs = whole.excludes_zero and len(np.unique(np.sign(each))) == 1
    interval = f"{whole.value:.4f} [{whole.low:.4f}, {whole.high:.4f}]"
    return f"{interval} ({', '.join(f'{x:.4f}' for x in each)}){'' if differs else '  a tie'}"


def describe(trainings: list[Training]) -> None:
    """Prints the values of a row."""
    views = pd.concat([one.distances for one in trainings], axis=1)
    mean, median, std = (getattr(views, name)().mean() for name in ("mean", "median", "std"))
    print(f"  {PROTOCOL} {COLUMN}: mean {mean:.3f}, median {median:.3f}, std {std:.3f}")
    for part in PARTS:
        values = [over_people(one.spread[part]).value for one in trainings]
        print(f"  {part} variance {np.mean(values):.4f} ({', '.join(f'{x:.4f}' for x in values)})")
    ratios = [over_people(one.spread["shape"]).value / one.between for one in trainings]
    print(f"  shape within / between {np.mean(ratios):.2f} ({', '.join(f'{x:.2f}' for x in ratios)})")


def main(rows: list[str]) -> None:
    """Prints the values of each row, and how it differs from the first."""
    full: list[Training] = []
    for row in rows:
        ours = [read(Path(folder)) for folder in row.split(",")]
        print(row)
        describe(ours)
        if full:
            others = full[: len(ours)]
            print(f"  less full: distance {difference([x.distances for x in ours], [x.distances for x in others])}")
            for part in PARTS:
                apart = difference([x.spread[part] for x in ours], [x.spread[part] for x in others])
                print(f"  less full: {part} {apart}")
            moved = [np.linalg.norm(x.heads - y.heads, axis=2).mean() for x, y in zip(ours, others, strict=True)]
            print(f"  neutral heads are {', '.join(f'{x:.3f}' for x in moved)} mm from the full method's")
        full = full or ours


if __name__ == "__main__":
    main(sys.argv[1:])
