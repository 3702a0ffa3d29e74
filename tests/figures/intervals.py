"""Runs of one benchmark with intervals over subjects, and paired with the first of them.

python -m tests.figures.intervals PROTOCOL COLUMN RUN_FOLDER RUN_FOLDER ... [--samples REGEX]

`--samples '_0[23]_'` on FaceVerse's mirror keeps the scans with an expression: how well expressions are reconstructed.
"""

import argparse
from pathlib import Path

import pandas as pd

from harness.statistics import filled, paired_difference, subject_interval


def main(protocol: str, column: str, folders: list[Path], samples: str) -> None:
    every = {folder.name: pd.read_parquet(folder / "scores.parquet") for folder in folders}
    tables = {n: t[(t.protocol == protocol) & t["sample"].str.contains(samples)] for n, t in every.items()}
    first, *_ = tables
    print(f"{protocol} {column}: mean over subjects [95 %], difference to {first} on the same samples [95 %]")
    for name, table in tables.items():
        rows = filled(table, column)
        line = f"{name:<24} {len(rows)} samples {subject_interval(rows.counted, rows.subject)}"
        if name != first:
            difference = paired_difference(table, tables[first], column)
            line += f"   {difference}" + ("" if difference.excludes_zero else "  a tie")
        print(line)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("protocol")
    parser.add_argument("column")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--samples", default="", metavar="REGEX")
    asked = parser.parse_args()
    main(asked.protocol, asked.column, asked.folders, asked.samples)
