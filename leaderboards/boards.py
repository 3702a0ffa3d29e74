"""Runs as tables. A board holds one benchmark, one kind of data and one protocol: code refuses anything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from harness.errors import HarnessError
from harness.leaderboards.runs import Run
from harness.run_folder import condition, in_words, larger_is_better


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
        best: whether no other newest run of the board has a better value.
        larger_is_better: of two values; the smaller one otherwise.
        column: of the scores.
        condition: which samples the number is about, as in the run's table of samples.
    """

    value: float | None
    dropping: float | None
    evaluated: int
    expected: int
    deviation: float | None
    best: bool = False
    larger_is_better: bool = False
    column: str = ""
    condition: tuple[tuple[str, Any], ...] = ()

    @property
    def rank(self) -> float | None:
        """The smaller, the better; None where there is no value."""
        return None if self.value is None else -self.value if self.larger_is_better else self.value


@dataclass(frozen=True)
class Line:
    """One run's row: `cells` by column heading; `newest` among the runs of its method with the same options."""

    run: Run
    cells: dict[str, Cell]
    newest: bool

    @property
    def coverage(self) -> tuple[int, int]:
        """Samples that worked and all samples, over the conditions of the first region."""
        region = next(iter(self.cells)).split(" · ")[0]
        split = {heading: heading.split(" · ") for heading in self.cells}
        here = [h for h, parts in split.items() if parts[0] == region]
        cells = [self.cells[h] for h in [h for h in here if h.endswith(" all")] or here]  # it has every sample
        return sum(cell.evaluated for cell in cells), sum(cell.expected for cell in cells)


@dataclass(frozen=True)
class Board:
    """A table of comparable numbers, best method first.

    Attributes:
        key: what its runs have in common.
        meaning: the protocol in words.
        official: whether the protocol equals the benchmark's official program.
        aggregation: how the protocol makes one number of many, a key of harness.protocols.words.
        columns: headings, "region · condition".
        lines: one per run.
    """

    key: BoardKey
    meaning: str
    official: bool
    aggregation: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def direction(self) -> str:
        """Which values are better, in words."""
        cells = {heading: cell for line in self.lines for heading, cell in line.cells.items()}
        larger = list(dict.fromkeys(cell.column for cell in cells.values() if cell.larger_is_better))
        if not larger:
            return "lower is better"
        every = all(cell.larger_is_better for cell in cells.values())
        return "larger is better" if every else f"lower is better, but larger for {', '.join(larger)}"

    @property
    def has_failures(self) -> bool:
        """Whether some run of the board failed on some sample."""
        return any(cell.evaluated < cell.expected for line in self.lines for cell in line.cells.values())


def make_boards(runs: Sequence[Run]) -> list[Board]:
    """One board per benchmark, data kind and version, and protocol; real data first, official protocols first.

    Runs about different people or files, e.g. a subset chosen by a tag, get boards of their own. The boards of the
    same runs are made once.
    """
    return list(_boards(tuple(runs)))


@lru_cache(maxsize=64)
def _boards(runs: tuple[Run, ...]) -> tuple[Board, ...]:
    groups: dict[BoardKey, list[list[Run]]] = {}
    alike: dict[tuple[Any, ...], list[Run]] = {}
    for run in runs:
        for key in keys_of(run):
            group = alike.get(what := _comparable(run, key))
            if group is None:
                group = alike[what] = _group_for(run, key, groups.setdefault(key, []))
            group.append(run)
    boards = [make_board(group, key) for key, members in groups.items() for group in members]

    def place(board: Board) -> tuple[Any, ...]:
        key = board.key  # units stay in the order of the run's rows
        return key.bench, key.kind != "real", key.version, not board.official, key.protocol, key.protocol_id

    return tuple(sorted(boards, key=place))


def _comparable(run: Run, key: BoardKey) -> tuple[Any, ...]:
    """Runs for which this is equal may share a table: what `why_not` looks at, in short."""
    samples = run.summary.get("samples_digest") or run.samples
    counts = tuple((heading, cell.expected) for heading, cell in cells_of(run, key).items())
    return key, samples, run.manifest["data_digest"], counts


def _group_for(run: Run, key: BoardKey, groups: list[list[Run]]) -> list[Run]:
    """The first group that the run fits into, or a new one."""
    fitting = (group for group in groups if all(why_not(run, other, key) is None for other in _different(group, key)))
    group = next(fitting, None)
    if group is None:
        groups.append(group := [])
    return group


def _different(runs: Iterable[Run], key: BoardKey) -> Iterable[Run]:
    """One run of each sort."""
    return {_comparable(run, key): run for run in runs}.values()


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
    for run in _different(runs, key):
        if reason := why_not(runs[0], run, key):
            raise HarnessError(f"{run.key}: {reason} than in {runs[0].key}: not comparable")
    lines = with_newest([Line(run, cells_of(run, key), newest=False) for run in runs])
    columns = tuple(dict.fromkeys(heading for line in lines for heading in line.cells))
    protocol = runs[0].protocol(key.protocol_id)
    meaning = runs[0].summary["meaning"][key.protocol_id]
    aggregation = str(protocol.get("aggregation", ""))
    board = Board(key, meaning, bool(protocol["official"]), aggregation, columns, ())
    return replace(board, lines=sorted_lines(marked(lines), columns[0]))


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
    same = "samples_digest" in one.summary and one.summary["samples_digest"] == other.summary.get("samples_digest")
    if not same:
        ours, others = set(one.samples), set(other.samples)
        fewer, more = mine.keys() <= theirs.keys(), mine.keys() >= theirs.keys()
        if (fewer and not ours <= others) or (more and not ours >= others):
            return "other samples"
        same = ours == others
    if same and one.manifest["data_digest"] != other.manifest["data_digest"]:
        return "other file contents under the same data version"
    return None


def cells_of(run: Run, key: BoardKey) -> dict[str, Cell]:
    """A run's numbers on a board, by column heading."""
    return {
        heading_of(row): Cell(
            *(row["value"], row["value_dropping_failures"], row["evaluated"], row["expected"], row["std_subjects"]),
            larger_is_better=larger_is_better(row),
            column=str(row["column"]),
            condition=tuple(condition(row).items()),
        )
        for row in run.rows
        if (row["protocol_id"], row["unit"]) == (key.protocol_id, key.unit)
    }


def heading_of(row: Mapping[str, Any]) -> str:
    """The heading of a summary row's column: "region · condition"."""
    return " · ".join(filter(None, (row["column"], in_words(condition(row)))))


def with_newest(lines: Sequence[Line]) -> list[Line]:
    """Marks the newest run of each method and its options."""
    newest = {line.run.variant: line.run for line in sorted(lines, key=lambda line: line.run.date)}
    return [replace(line, newest=newest[line.run.variant] is line.run) for line in lines]


def marked(lines: Sequence[Line]) -> list[Line]:
    """Marks what prints the same as the best value of its column: finer differences are not shown.

    Runs that a newer one has replaced take no part.
    """
    first: dict[str, float] = {}
    for line in lines:
        for heading, cell in line.cells.items():
            if line.newest and cell.rank is not None:
                first[heading] = min(cell.rank, first.get(heading, cell.rank))

    def is_best(heading: str, cell: Cell) -> bool:
        return cell.rank is not None and format_value(cell.rank) == format_value(first.get(heading))

    return [
        replace(line, cells={h: replace(cell, best=line.newest and is_best(h, cell)) for h, cell in line.cells.items()})
        for line in lines
    ]


NAMES = ("method", "coverage", "hardware", "date")


def sorted_lines(lines: Sequence[Line], by: str, descending: bool = False) -> tuple[Line, ...]:
    """Newest runs, best of a column first or by one of NAMES; what has no value last, older runs after the newest."""

    def value(line: Line) -> tuple[Any, ...]:
        cell = line.cells.get(by)
        if by in NAMES:
            share = line.coverage[0] / max(line.coverage[1], 1)
            return ({"coverage": share, "hardware": line.run.hardware, "date": line.run.date}.get(by, ""),)
        return () if cell is None or cell.rank is None else (cell.rank,)

    newest = sorted((line for line in lines if line.newest), key=lambda line: (line.run.method, line.run.variant))
    if by == "method":
        newest.sort(key=lambda line: line.run.method, reverse=descending)
    else:
        newest.sort(key=value, reverse=descending)
        newest.sort(key=lambda line: not value(line))
    older: dict[str, list[Line]] = {}
    for line in sorted(lines, key=lambda line: line.run.date, reverse=True):
        if not line.newest:
            older.setdefault(line.run.variant, []).append(line)
    return tuple(member for line in newest for member in (line, *older.get(line.run.variant, ())))


def format_value(value: float | None) -> str:
    """Millimetres with two decimals, or words where there is no number."""
    return "not computed" if value is None else f"{value:.2f}"
