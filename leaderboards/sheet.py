"""A table as text, ready to be written in any format."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sheet:
    """What is printed, and what is brought out.

    Attributes:
        title: what the table is about, the kind of data and the protocol's id included.
        columns: headings, unit included.
        rows: cells; the first one is the method.
        best: (row, column) printed bold.
        ties: (row, column) not separable from the best.
        notes: sentences below the table.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    best: frozenset[tuple[int, int]]
    ties: frozenset[tuple[int, int]]
    notes: tuple[str, ...]
