"""How sure a board's numbers are: intervals, ranks and ties of each column, from the runs' tables per sample."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow.parquet

from harness.errors import HarnessError
from harness.leaderboards.boards import Board, Line
from harness.leaderboards.runs import Run
from harness.samples import Array
from harness.statistics import Standings, standings, subject_means
from harness.statistics.standings import Better

log = logging.getLogger(__name__)

OVER_SUBJECTS = "sample>subject>set"
NO_SUBJECTS = "this protocol's number is no mean over subjects: no intervals, no ranks, no ties"
NO_TABLE = "no table per sample gives the printed values: no intervals, no ranks, no ties"
TOLERANCE = 1e-6  # relative, between a printed value and the mean of its subjects' means
UNUSED = ("protocol", "failure", "detail", "warnings")  # columns of scores.parquet


@dataclass(frozen=True, eq=False)
class Means:
    """Of one column of a board: (subjects, runs) means, or none and the reason. Its runs are named by their keys.

    A class of its own since what is computed from it is remembered, and a frame cannot be looked up.
    """

    frame: pandas.DataFrame
    note: str = ""

    @cached_property
    def values(self) -> dict[str, float]:
        """Run -> mean over its subjects."""
        return dict(zip(self.frame.columns, self.frame.to_numpy(dtype=float).mean(axis=0).tolist(), strict=True))


def board_statistics(board: Board, everyone: Board, columns: Sequence[str] | None = None) -> dict[str, Standings]:
    """The standings of columns, among the newest runs that the board shows.

    Subjects' means are computed once per whole board, and standings once per set of runs.

    Args:
        board: what is shown, perhaps a part.
        everyone: the whole board.
        columns: headings; all of the board if None.
    """
    columns = board.columns if columns is None else columns
    if board.aggregation != OVER_SUBJECTS:
        return dict.fromkeys(columns, Standings(note=NO_SUBJECTS))
    return {heading: _column(board, heading, _means_of(everyone, heading)) for heading in columns}


def _means_of(board: Board, heading: str) -> Means:
    lines = sorted((line for line in board.lines if heading in line.cells), key=lambda line: line.run.key)
    runs = tuple(line.run for line in lines if line.cells[heading].value is not None)
    cell = lines[0].cells[heading]
    everyone = tuple(sorted((line.run for line in board.lines), key=lambda run: run.key))
    return column_means(runs, everyone, board.key.protocol_id, cell.column, cell.condition)


def _column(board: Board, heading: str, means: Means) -> Standings:
    if means.note:
        return Standings(note=means.note)
    values = {line.run.key: line.cells[heading].value for line in board.lines if line.newest and heading in line.cells}
    keys = tuple(key for key in sorted(values) if key in means.values and _agrees(key, values[key], means))
    better: Better = "higher" if any(_larger(line, heading) for line in board.lines) else "lower"
    return _standings(means, keys, better) if keys else Standings(note=NO_TABLE)


def _agrees(key: str, value: float | None, means: Means) -> bool:
    """Whether a run's table gives the printed value; what does not is no ground for statistics."""
    found = means.values[key]
    same = value is not None and abs(found - value) <= TOLERANCE * max(abs(value), 1e-12)
    if not same:
        log.warning("%s: its table per sample gives %s, its summary %s; left out of the statistics", key, found, value)
    return same


@lru_cache(maxsize=1024)
def _standings(means: Means, keys: tuple[str, ...], better: Better) -> Standings:
    return standings(means.frame[list(keys)], better)


def _larger(line: Line, heading: str) -> bool:
    return heading in line.cells and line.cells[heading].larger_is_better


@lru_cache(maxsize=1024)
def column_means(
    runs: tuple[Run, ...],
    everyone: tuple[Run, ...],
    protocol_id: str,
    column: str,
    condition: tuple[tuple[str, Any], ...],
) -> Means:
    """Subjects' means in one column.

    Args:
        runs: those that have a value.
        everyone: all runs of the board, whose tables are read together.
        protocol_id: whose scores.
        column: of the scores.
        condition: which samples.
    """
    tables = _tables(everyone, protocol_id)
    members = {run.key: tables[run].get(column) for run in runs if run in tables}
    found = {key: table for key, table in members.items() if table is not None}
    if not found:
        return Means(pandas.DataFrame(), NO_TABLE)
    try:
        return Means(subject_means(found, column, dict(condition)))
    except HarnessError as error:
        return Means(pandas.DataFrame(), str(error))


@lru_cache(maxsize=1)
def _tables(runs: tuple[Run, ...], protocol_id: str) -> dict[Run, dict[str, pandas.DataFrame]]:
    """Run -> column -> rows of one protocol; a run that cannot be read is left out: its values have no interval."""
    found = {}
    for run in runs:
        path = run.folder.path / "scores.parquet"
        try:
            found[run] = _by_column(_read(path), protocol_id)
        except Exception as error:  # pyarrow and the file system each raise their own
            log.warning("%s: cannot be read (%s); left out of the statistics", path, error)
    return found


def _read(path: Path) -> dict[str, Array]:
    """Columns as arrays; words are objects, which are told apart far faster than pandas' strings."""
    with pyarrow.parquet.ParquetFile(path) as file:
        table = file.read([name for name in file.schema_arrow.names if name not in UNUSED], use_threads=False)
    return {name: _plain(table[name].combine_chunks()) for name in table.column_names}


def _plain(column: Any) -> Array:
    if pyarrow.types.is_string(column.type) or pyarrow.types.is_large_string(column.type):
        column = column.dictionary_encode()
    if pyarrow.types.is_dictionary(column.type):
        words = np.asarray(column.dictionary.to_pylist(), dtype=object)
        return np.asarray(words[column.indices.to_numpy(zero_copy_only=False)])
    return np.asarray(column.to_numpy(zero_copy_only=False))


def _by_column(arrays: dict[str, Array], protocol_id: str) -> dict[str, pandas.DataFrame]:
    of_protocol = arrays["protocol_id"] == protocol_id
    found = {}
    for name in dict.fromkeys(arrays["column"][of_protocol].tolist()):
        rows = of_protocol & (arrays["column"] == name)
        parts = {key: pandas.Series(values[rows], dtype=values.dtype) for key, values in arrays.items()}
        found[name] = pandas.DataFrame(parts, copy=False)
    return found
