"""Runs as tables. A board holds one benchmark, one kind of data and one protocol: code refuses anything else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.errors import HarnessError
from harness.leaderboards.runs import Run
from harness.run_folder import condition, in_words


@dataclass(frozen=True, order=True)
class BoardKey:
    """What all rows of a board have in common; `kind` is "real" or "mirror"."""

    bench: str
    kind: str
    version: str
    protocol: str
    protocol_id: str
    unit: str


@dataclass(frozen=True)
class Cell:
    """One number of a board.

    Attributes:
        value: with the mean face in place of failed samples; None where that could not be computed.
        dropping: the value that leaves failed samples out, as official programs do; None if none worked.
        evaluated, expected: samples that worked, and all samples.
        deviation: standard deviation between subjects, None below two.
        best: whether no other run of the board has a smaller value.
    """

    value: float | None
    dropping: float | None
    evaluated: int
    expected: int
    deviation: float | None
    best: bool = False


@dataclass(frozen=True)
class Line:
    """One run's row: `cells` by column heading; `newest` among the runs of its method."""

    run: Run
    cells: dict[str, Cell]
    newest: bool

    @property
    def coverage(self) -> tuple[int, int]:
        """Samples that worked and all samples, over the conditions of the first region."""
        region = next(iter(self.cells)).split(" · ")[0]
        split = {heading: heading.split(" · ") for heading in self.cells}
        cells = [self.cells[h] for h, parts in split.items() if parts[0] == region and not parts[-1].endswith(" all")]
        return sum(cell.evaluated for cell in cells), sum(cell.expected for cell in cells)


@dataclass(frozen=True)
class Board:
    """A table of comparable numbers, best method first.

    Attributes:
        key: what its runs have in common.
        meaning: the protocol in words.
        official: whether the protocol equals the benchmark's official program.
        columns: headings, "region · condition".
        lines: one per run.
    """

    key: BoardKey
    meaning: str
    official: bool
    columns: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def has_failures(self) -> bool:
        """Whether some run of the board failed on some sample."""
        return any(cell.evaluated < cell.expected for line in self.lines for cell in line.cells.values())


def make_boards(runs: Sequence[Run]) -> list[Board]:
    """One board per benchmark, data kind and version, and protocol; real data first, official protocols first.

    Runs about different people or files, e.g. a subset chosen by a tag, get boards of their own.
    """
    groups: dict[BoardKey, list[list[Run]]] = {}
    for run in runs:
        for key in keys_of(run):
            alike = groups.setdefault(key, [])
            fitting = (group for group in alike if all(why_not(run, other, key) is None for other in group))
            group = next(fitting, None)
            if group is None:
                alike.append([run])
            else:
                group.append(run)
    boards = [make_board(group, key) for key, alike in groups.items() for group in alike]
    return sorted(boards, key=lambda b: (b.key.bench, b.key.kind != "real", b.key.version, not b.official, b.key))


def keys_of(run: Run) -> list[BoardKey]:
    """The boards on which a run has a row."""
    keys = [
        BoardKey(
            run.summary["bench"],
            run.kind,
            str(run.summary["dataset_version"]),
            row["protocol"],
            row["protocol_id"],
            row["unit"],
        )
        for row in run.rows
    ]
    return list(dict.fromkeys(keys))


def make_board(runs: Sequence[Run], key: BoardKey) -> Board:
    """Builds one board.

    Raises:
        HarnessError: a run is of another benchmark, data kind, data version or protocol, or answered other samples
            than the first.
    """
    for run in runs:
        check_belongs(run, key)
        if reason := why_not(runs[0], run, key):
            raise HarnessError(f"{run.key}: {reason} than in {runs[0].key}: not comparable")
    rows = {run.key: cells_of(run, key) for run in runs}
    columns = tuple(dict.fromkeys(heading for cells in rows.values() for heading in cells))
    lines = [Line(run, _mark_best(rows[run.key], list(rows.values())), newest=False) for run in runs]
    official = bool(runs[0].protocol(key.protocol_id)["official"])
    return Board(key, runs[0].summary["meaning"][key.protocol_id], official, columns, _ranked(lines, columns[0]))


def check_belongs(run: Run, key: BoardKey) -> None:
    """Raises HarnessError unless the run has a row on the board of this key."""
    found = keys_of(run)
    if key not in found:
        have = "; ".join(f"{k.bench} {k.version} ({k.kind}), protocol {k.protocol_id}" for k in found)
        raise HarnessError(
            f"{run.key}: cannot stand in the table of {key.bench} {key.version} ({key.kind}), protocol "
            f"{key.protocol_id}: it has {have}. Numbers of different protocols or data are never mixed"
        )


def why_not(one: Run, other: Run, key: BoardKey) -> str | None:
    """What keeps two runs of one key from standing in one table; None if nothing does.

    Runs that differ in their conditions only (one over 3 views, one over 1 and 3) may share a table.
    """
    mine, theirs = cells_of(one, key), cells_of(other, key)
    if any(mine[heading].expected != theirs[heading].expected for heading in mine.keys() & theirs.keys()):
        return "another number of samples"
    ours, others = set(one.manifest["samples"]), set(other.manifest["samples"])
    if (mine.keys() <= theirs.keys() and not ours <= others) or (mine.keys() >= theirs.keys() and not ours >= others):
        return "other samples"
    if ours == others and one.manifest["data_digest"] != other.manifest["data_digest"]:
        return "other file contents under the same data version"
    return None


def cells_of(run: Run, key: BoardKey) -> dict[str, Cell]:
    """A run's numbers on a board, by column heading."""
    return {
        heading_of(row): Cell(
            row["value"], row["value_dropping_failures"], row["evaluated"], row["expected"], row["std_subjects"]
        )
        for row in run.rows
        if row["protocol_id"] == key.protocol_id
    }


def heading_of(row: Mapping[str, Any]) -> str:
    """The heading of a summary row's column: "region · condition"."""
    return " · ".join(filter(None, (row["column"], in_words(condition(row)))))


def _mark_best(cells: dict[str, Cell], rows: Sequence[dict[str, Cell]]) -> dict[str, Cell]:
    """Marks what prints the same as the smallest value of its column: finer differences are not shown."""

    def is_best(heading: str, cell: Cell) -> bool:
        values = [row[heading].value for row in rows if heading in row]
        smallest = min((value for value in values if value is not None), default=None)
        return cell.value is not None and format_value(cell.value) == format_value(smallest)

    return {heading: replace(cell, best=is_best(heading, cell)) for heading, cell in cells.items()}


def _ranked(lines: Sequence[Line], column: str) -> tuple[Line, ...]:
    """Methods by their newest run's value in `column`, each method's runs newest first."""

    def order(line: Line) -> tuple[float, str]:
        cell = line.cells.get(column)
        return (float("inf") if cell is None or cell.value is None else cell.value), line.run.method

    by_method: dict[str, list[Line]] = {}
    for line in sorted(lines, key=lambda line: line.run.date, reverse=True):
        by_method.setdefault(line.run.method, []).append(line)
    ranked = sorted(by_method.values(), key=lambda members: order(members[0]))
    return tuple(Line(line.run, line.cells, newest=line is members[0]) for members in ranked for line in members)


def format_value(value: float | None) -> str:
    """Millimetres with two decimals, or words where there is no number."""
    return "not computed" if value is None else f"{value:.2f}"
