"""What the pages show: published entries, and the runs below the folder that the leaderboard was started with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from harness.leaderboards.published import find_published
from harness.leaderboards.runs import Run, Unlisted, find_runs

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, eq=False)
class Shelf:
    """Everything that has been measured.

    Attributes:
        root: the folder of runs.
        runs: complete ones, newest first; one that is published and on this machine stands once.
        unlisted: folders that are in no table.
        results: the folder of published entries.
    """

    root: Path
    runs: Sequence[Run]
    unlisted: Sequence[Unlisted]
    results: Path = RESULTS

    def run(self, key: str) -> Run | None:
        """The run of an address; publishing moves a run, but not the name of its folder."""
        named = (run for run in self.runs if run.key.rpartition("/")[2] == key.rpartition("/")[2])
        return next((run for run in self.runs if run.key == key), None) or next(named, None)


def open_shelf() -> Shelf:
    """Reads what is new in the folders that the command line names."""
    parser = argparse.ArgumentParser()
    add_folders(parser)
    options = parser.parse_args()
    return read_shelf(Path(options.runs), Path(options.results))


def add_folders(parser: argparse.ArgumentParser) -> None:
    """The two options that say where results stand."""
    parser.add_argument("--runs", default="runs", help="folder of all runs (default: runs)")
    parser.add_argument("--results", default=str(RESULTS), help="folder of published entries (default: the package's)")


def read_shelf(root: Path, results: Path) -> Shelf:
    """Runs below `root` and entries below `results`, each read once for as long as its files stay the same."""
    (local, problems), (published, damaged) = find_runs(root), find_published(results)
    return _shelf(root, results, tuple(local), tuple(published), (*problems, *damaged))


@lru_cache(maxsize=4)
def _shelf(
    root: Path, results: Path, local: tuple[Run, ...], published: tuple[Run, ...], unlisted: tuple[Unlisted, ...]
) -> Shelf:
    entries = {run.identity: run for run in published}
    runs, others = dict(entries), []
    for run in local:
        entry = entries.get(run.identity)
        if entry is None:
            others.append(run)
        elif entry.summary == run.summary:
            runs[run.identity] = replace(run, key=entry.key, published=True, publication=entry.publication)
        else:
            words = f"its numbers differ from those of the published entry {entry.key} of the same identity"
            unlisted = (*unlisted, Unlisted(run.key, "unreadable", words))
    return Shelf(root, sorted([*runs.values(), *others], key=lambda run: run.date, reverse=True), unlisted, results)
