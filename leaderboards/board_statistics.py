"""How sure a board's numbers are: intervals, ranks and ties of each column, from the runs' tables per sample."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pandas
import pyarrow.parquet

from harness.errors import HarnessError
from harness.leaderboards.boards import Board
from harness.leaderboards.runs import Run
from harness.statistics import Standings, standings, subject_means

log = logging.getLogger(__name__)

OVER_SUBJECTS = "sample>subject>set"
NO_SUBJECTS = "this protocol's number is no mean over subjects: no intervals, no ranks, no ties"
NO_TABLE = "no table per sample gives the printed values: no intervals, no ranks, no ties"
TOLERANCE = 1e-6  # relative, between a printed value and the mean of its subjects' means
UNUSED = ("protocol", "detail", "warnings")  # columns of scores.parquet
Wanted = tuple[str, tuple[tuple[str, Any], ...], tuple[Run, ...]]  # column, condition, runs that have a value


@dataclass(frozen=True, eq=False)
class Means:
    """Of one column of a board: (subjects, runs) means, or none and the reason. Its runs are named by their keys.

    A class of its own since what is computed from it is remembered, and a frame cannot be looked up.
    """

    frame: pandas.DataFrame
    note: str = ""


def board_statistics(board: Board, everyone: Board) -> dict[str, Standings]:
    """The standings of each column, among the newest runs that the board shows.

    Runs are read once per whole board, and standings computed once per set of runs.

    Args:
        board: what is shown, perhaps a part.
        everyone: the whole board.
    """
    if board.aggregation != OVER_SUBJECTS:
        return dict.fromkeys(board.columns, Standings(note=NO_SUBJECTS))
    means = board_means(tuple(_wanted(everyone, heading) for heading in everyone.columns), board.key.protocol_id)
    by_heading = dict(zip(everyone.columns, means, strict=True))
    return {heading: _column(board, heading, by_heading[heading]) for heading in board.columns}


def _wanted(board: Board, heading: str) -> Wanted:
    lines = [line for line in sorted(board.lines, key=lambda line: line.run.key) if heading in line.cells]
    cell = lines[0].cells[heading]
    return cell.column, cell.condition, tuple(line.run for line in lines if line.cells[heading].value is not None)


def _column(board: Board, heading: str, means: Means) -> Standings:
    if means.note:
        return Standings(note=means.note)
    values = {line.run.key: line.cells[heading].value for line in board.lines if line.newest and heading in line.cells}
    keys = tuple(key for key in sorted(values) if key in means.frame and _agrees(key, values[key], means))
    return _standings(means, keys) if keys else Standings(note=NO_TABLE)


def _agrees(key: str, value: float | None, means: Means) -> bool:
    """Whether a run's table gives the printed value; what does not is no ground for statistics."""
    found = float(means.frame[key].mean())
    same = value is not None and abs(found - value) <= TOLERANCE * max(abs(value), 1e-12)
    if not same:
        log.warning("%s: its table per sample gives %s, its summary %s; left out of the statistics", key, found, value)
    return same


@lru_cache(maxsize=1024)
def _standings(means: Means, keys: tuple[str, ...]) -> Standings:
    return standings(means.frame[list(keys)])


@lru_cache(maxsize=64)
def board_means(wanted: tuple[Wanted, ...], protocol_id: str) -> tuple[Means, ...]:
    """Subjects' means of each column; every run's table is read once.

    Args:
        wanted: one per column.
        protocol_id: whose scores.
    """
    runs = dict.fromkeys(run for _, _, members in wanted for run in members)
    tables = {run: table for run in runs if (table := _scores(run, protocol_id)) is not None}
    return tuple(
        _means({run.key: tables[run] for run in members if run in tables}, column, condition)
        for column, condition, members in wanted
    )


def _means(tables: dict[str, pandas.DataFrame], column: str, condition: tuple[tuple[str, Any], ...]) -> Means:
    if not tables:
        return Means(pandas.DataFrame(), NO_TABLE)
    try:
        return Means(subject_means(tables, column, dict(condition)))
    except HarnessError as error:
        return Means(pandas.DataFrame(), str(error))


def _scores(run: Run, protocol_id: str) -> pandas.DataFrame | None:
    """The rows of one protocol, None where they cannot be read: the run then has a value without an interval."""
    path = run.folder.path / "scores.parquet"
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = [name for name in file.schema_arrow.names if name not in UNUSED]
        table = pyarrow.parquet.read_table(path, columns=names, filters=[("protocol_id", "=", protocol_id)])
        return table.to_pandas()
    except Exception as error:  # pyarrow and the file system each raise their own
        log.warning("%s: cannot be read (%s); left out of the statistics", path, error)
        return None
