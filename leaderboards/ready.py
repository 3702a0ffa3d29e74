"""What the first visitor of the leaderboard would have to wait for."""

from __future__ import annotations

import importlib
from pathlib import Path

from harness.leaderboards.shelf import RESULTS, read_shelf

PARTS = ("board_statistics", "board_table", "exports", "overview", "figures", "sample_view")


def prepare(runs: str, results: str | None) -> None:
    """Imports what pages are made of and reads all results, both of which this process then keeps.

    Args:
        runs: the folder of runs.
        results: the folder of published entries; None for the package's own.
    """
    for name in PARTS:
        importlib.import_module(f"harness.leaderboards.{name}")
    read_shelf(Path(runs), Path(results or RESULTS))
