"""Runs of one benchmark with intervals over subjects, and paired with the first of them.

python -m tests.figures.intervals PROTOCOL COLUMN RUN_FOLDER RUN_FOLDER ...
"""

import sys
from pathlib import Path

import pandas as pd

from harness.statistics import filled, paired_difference, subject_interval


def main(protocol: str, column: str, folders: list[Path]) -> None:
    every = {folder.name: pd.read_parquet(folder / "scores.parquet") for folder in folders}
    tables = {name: table[table.protocol == protocol] for name, table in every.items()}
    first, *_ = tables
    print(f"{protocol} {column}, mm: mean over subjects [95 %], difference to {first} on the same samples [95 %]")
    for name, table in tables.items():
        rows = filled(table, column)
        line = f"{name:<24} {subject_interval(rows.counted, rows.subject)}"
        if name != first:
            difference = paired_difference(table, tables[first], column)
            line += f"   {difference}" + ("" if difference.excludes_zero else "  a tie")
        print(line)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [Path(folder) for folder in sys.argv[3:]])
