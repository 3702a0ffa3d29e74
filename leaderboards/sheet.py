"""A table as text, apart from how it is shown or written: what the downloads are made of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sheet:
    """Cells as they are printed.

    Attributes:
        title: what the table is about.
        columns: headings, unit included.
        rows: text cells, the method first.
        best: (row, column) of the cells that are printed bold.
        ties: (row, column) of cells that cannot be separated from the best.
        notes: sentences beneath the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    best: frozenset[tuple[int, int]]
    ties: frozenset[tuple[int, int]]
    notes: tuple[str, ...]
