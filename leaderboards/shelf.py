"""What the pages show: the runs below the folder that the leaderboard was started with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.leaderboards.runs import Run, Unlisted, find_runs


@dataclass(frozen=True)
class Shelf:
    """Everything that has been measured.

    Attributes:
        root: the folder of runs.
        runs: complete ones, newest first.
        unlisted: folders that are in no table.
    """

    root: Path
    runs: Sequence[Run]
    unlisted: Sequence[Unlisted]


def open_shelf() -> Shelf:
    """Reads the runs anew, from the folder that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", default="runs", help="folder of all runs")
    root = Path(parser.parse_args().runs)
    return Shelf(root, *find_runs(root))
