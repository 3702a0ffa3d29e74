"""A paper's table as text, for downloads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.leaderboards.paper_measured import Found, check_real
from harness.leaderboards.paper_tables import PaperRow, PaperTable, citation
from harness.leaderboards.sheet import Sheet


def paper_sheet(table: PaperTable, found: Found | None = None, names: Mapping[str, str] | None = None) -> Sheet:
    """The reported numbers as printed; flags, and the cells that have them, are in the notes.

    Args:
        table: the reported numbers.
        found: column -> method's name here -> what was measured on real data: columns of their own, named so.
        names: method as printed -> its name here.

    Raises:
        HarnessError: something in `found` was measured on a mirror.
    """
    found, names = found or {}, names or {}
    check_real(found)
    several = len(table.sources) > 1
    head = ["method", *(["source"] if several else []), *(title for _, title in _columns(table, found))]
    rows = tuple(
        (row.label, *([table.sources[row.source].short] if several else []), *_cells(row, table, found, names))
        for row in table.rows
    )
    places = [c for c, _ in _columns(table, found)]
    shift = len(head) - len(places)
    best = frozenset((r, places.index(c) + shift) for r, c in table.best)
    return Sheet(table.title, tuple(head), rows, best, frozenset(), tuple(_notes(table, found)))


def _columns(table: PaperTable, found: Found) -> Iterator[tuple[int, str]]:
    """Column of the table and heading: the reported numbers' first, then that of what was measured."""
    for c, column in enumerate(table.columns):
        yield c, f"{column.title} reported" if found else column.title
        if c in found:
            row = next(iter(found[c].values())).row
            heading = " ".join(filter(None, (column.group, column.heading)))
            yield c, f"{heading} [{row['unit']}] measured, REAL, {row['protocol']} {row['protocol_id']}"


def _cells(row: PaperRow, table: PaperTable, found: Found, names: Mapping[str, str]) -> Iterator[str]:
    for c in range(len(table.columns)):
        cell = row.cells[c]
        yield "" if cell is None else cell.printed
        if c in found:
            measured = found[c].get(names.get(row.method, ""))
            yield measured.text if measured else ""


def _notes(table: PaperTable, found: Found) -> Iterator[str]:
    yield f"Reported by others, not measured here{' but where a column says so' if found else ''}: " + "; ".join(
        citation(source) for source in table.sources.values()
    )
    yield from table.notes
    for flag, words in table.flag_words.items():
        yield f"{table.flagged(flag)}: {words}"
