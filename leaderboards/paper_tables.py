"""The tables of papers, rebuilt from reported numbers: nothing in them was measured here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from pathlib import Path
from string import ascii_lowercase

from pydantic import ValidationError

from harness.errors import DataError
from harness.leaderboards.paper_specs import ColumnSpec, Measure, TableSpec, read_groups
from harness.leaderboards.reported_numbers import FOLDER, Reported, ReportedNumber, Source

ALL_ROWS = "all rows"


@dataclass(frozen=True)
class PaperColumn:
    """One column: headings, unit, which direction is better, and what measures the same here, if anything."""

    group: str
    heading: str
    unit: str
    direction: str
    measure: Measure | None

    @property
    def title(self) -> str:
        """Both headings and the unit."""
        return " ".join(filter(None, (self.group, self.heading, f"[{self.unit}]")))


@dataclass(frozen=True)
class PaperRow:
    """One method of one source: a number for each column, None where none is printed.

    `place` says where in the source it stands, where the rows of the table come from several places of one source.
    """

    method: str
    source: str
    place: str
    cells: tuple[ReportedNumber | None, ...]

    @property
    def label(self) -> str:
        """The method, with its place if that is needed."""
        return f"{self.method}, {self.place}" if self.place else self.method


@dataclass(frozen=True)
class PaperTable:
    """One table as printed.

    Attributes:
        key: its address.
        group, name: under which it is chosen.
        title: stands above it.
        sources: key -> source, of all rows.
        columns, rows: from left to right and top to bottom, as printed.
        flag_words: flag -> what it means, of the flags in the table, in the order in which they appear.
        notes: sentences about the whole table.
        marks_best: whether the rows compare, so that a column has a best number.
        hidden: the bench whose owners alone can score this; None for others.
        also: addresses of tables to be shown below.
    """

    key: str
    group: str
    name: str
    title: str
    sources: dict[str, Source]
    columns: tuple[PaperColumn, ...]
    rows: tuple[PaperRow, ...]
    flag_words: dict[str, str]
    notes: tuple[str, ...]
    marks_best: bool
    hidden: str | None
    also: tuple[str, ...]

    @property
    def measurable(self) -> bool:
        """Whether some benchmark of this harness scores what the table reports, here or at the owners of the data."""
        return self.hidden is not None or any(column.measure for column in self.columns)

    @cached_property
    def best(self) -> frozenset[tuple[int, int]]:
        """(row, column) of the best printed number of each column; empty where rows do not compare."""
        return frozenset(self._best_places()) if self.marks_best else frozenset()

    def _best_places(self) -> Iterator[tuple[int, int]]:
        for c, column in enumerate(self.columns):
            cells = ((r, row.cells[c]) for r, row in enumerate(self.rows))
            known = {r: cell.bound for r, cell in cells if cell is not None and cell.bound is not None}
            if len(known) > 1:
                top = (min if column.direction == "lower" else max)(known.values())
                yield from ((r, c) for r, bound in known.items() if bound == top)

    @cached_property
    def letters(self) -> dict[str, str]:
        """Flag -> the letter that marks its cells; flags of all rows need none."""
        return dict(zip((f for f in self.flag_words if self.flagged(f) != ALL_ROWS), ascii_lowercase, strict=False))

    def flagged(self, flag: str) -> str:
        """Which cells have a flag, in words: whole rows or columns where it is these, else rows with their columns."""
        cells = {(r, c): cell for r, row in enumerate(self.rows) for c, cell in enumerate(row.cells) if cell}
        places = {place for place, cell in cells.items() if flag in cell.flags}
        rows = [r for r in range(len(self.rows)) if {p for p in cells if p[0] == r} <= places]
        columns = [c for c in range(len(self.columns)) if {p for p in cells if p[1] == c} <= places]
        if len(rows) == len(self.rows):
            return ALL_ROWS
        if all(r in rows for r, _ in places):
            return ", ".join(dict.fromkeys(self.rows[r].label for r in rows))
        if all(c in columns for _, c in places):
            return ", ".join(self.columns[c].title for c in columns)
        by_row: dict[str, list[str]] = {}
        for r, c in sorted(places):
            by_row.setdefault(self.rows[r].label, []).append(self.columns[c].title)
        return "; ".join(f"{row} ({', '.join(titles)})" for row, titles in by_row.items())


def read_paper_tables(reported: Reported, folder: Path = FOLDER) -> dict[str, PaperTable]:
    """All tables by address, group by group.

    Raises:
        DataError: the folder's files break their form or do not fit the numbers; names the table and the column.
    """
    groups = read_groups(folder)
    tables = {key: build(key, g.group, spec, reported) for g in groups for key, spec in g.tables.items()}
    for key, table in tables.items():
        if unknown := sorted(set(table.also) - tables.keys()):
            raise DataError(f"table {key}, also: {unknown}, expected addresses of other tables")
    return tables


def build(key: str, group: str, spec: TableSpec, reported: Reported) -> PaperTable:
    """Puts every number where the table's description says.

    Raises:
        DataError: a source or table does not exist, two sources must not be compared, a column has no number or several
            units, or a cell has two numbers.
    """
    for one, other in permutations(spec.from_, 2):
        if one in reported.sources and other in reported.sources[one].not_beside:
            why = reported.sources[one].not_beside[other]
            raise DataError(f"table {key}, from: {other} must not stand beside {one}: {why}. Make two tables")
    numbers = list(_numbers(key, spec, reported))
    columns = tuple(_column(key, spec, column, numbers) for column in spec.columns)
    cells: dict[tuple[str, str, str], list[ReportedNumber | None]] = {}
    for number in numbers:
        for c, column in enumerate(spec.columns):
            if spec.takes(column, number):
                row = cells.setdefault((number.method, number.source, number.table), [None] * len(columns))
                if row[c] is not None:
                    raise DataError(f"table {key}, {columns[c].title}, {number.method}: two numbers; narrow the column")
                row[c] = number
    rows = tuple(
        PaperRow(method, source, table if table != spec.from_[source][0] else "", tuple(row))
        for (method, source, table), row in cells.items()
    )
    flags = [flag for row in rows for cell in row.cells if cell for flag in cell.flags]
    return PaperTable(
        key,
        group,
        spec.name,
        spec.title,
        {row.source: reported.sources[row.source] for row in rows},
        columns,
        rows,
        {flag: reported.flags[flag] for flag in dict.fromkeys(flags)},
        spec.notes,
        spec.best,
        spec.hidden,
        spec.also,
    )


def _numbers(key: str, spec: TableSpec, reported: Reported) -> Iterator[ReportedNumber]:
    for source, names in spec.from_.items():
        for name in names:
            found = reported.table(source, name)
            if not found:
                raise DataError(f"table {key}, from: {source} has no table {name!r}; see {source}.csv")
            yield from found


def _column(key: str, spec: TableSpec, column: ColumnSpec, numbers: Sequence[ReportedNumber]) -> PaperColumn:
    taken = [number for number in numbers if spec.takes(column, number)]
    heading = column.heading or str(column.region)
    kinds = {(number.unit, number.direction) for number in taken}
    if len(kinds) != 1:
        found = f"units {sorted(kinds)}" if kinds else "no number"
        raise DataError(f"table {key}, column {heading}: {found}, expected numbers of one unit and direction")
    try:
        return PaperColumn(column.group, heading, *kinds.pop(), spec.measure(column))
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"table {key}, column {heading}, measured: {first['loc']}: {first['msg']}") from None


def citation(source: Source) -> str:
    """A source in one line."""
    authors = f"{source.authors}: " if source.authors else ""
    when = str(source.year or "")
    return authors + ", ".join(
        filter(None, (source.title, source.state, when * (when not in source.state), source.link))
    )
