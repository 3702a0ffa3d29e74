"""What a reader has chosen to see of a board: filters and order. Nothing here draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.leaderboards.boards import NAMES, Board, marked, sorted_lines, with_newest
from harness.leaderboards.runs import Run

FILTERS: dict[str, tuple[str, Callable[[Run], str]]] = {
    "family": ("Family of methods", lambda run: run.family),
    "track": ("Who finds the face", lambda run: run.track),
    "hardware": ("Hardware", lambda run: run.hardware),
    "origin": ("Published or local", lambda run: "published" if run.published else "local"),
}
"""By its name in the address: the label, and what a run is filtered by."""


@dataclass(frozen=True)
class Choice:
    """Filters and order of a board.

    Attributes:
        filters: name of FILTERS -> values to keep; a name without values keeps all.
        older: whether runs that a newer one of the same method and options has replaced are shown.
        sort: a column's heading or one of NAMES; the first column if empty or not on the board.
        descending: the best last.
    """

    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    older: bool = False
    sort: str = ""
    descending: bool = False


def values_of(runs: Sequence[Run], name: str) -> list[str]:
    """The values that a filter can be set to, in alphabetical order."""
    return sorted({FILTERS[name][1](run) for run in runs})


def sort_column(board: Board, choice: Choice) -> str:
    """What the board is sorted by."""
    return choice.sort if choice.sort in (*board.columns, *NAMES) else board.columns[0]


def ranked_by(board: Board, choice: Choice) -> str:
    """The column that ranks are about: the one that the board is sorted by, else the first."""
    return choice.sort if choice.sort in board.columns else board.columns[0]


def narrowed(board: Board, choice: Choice) -> Board:
    """The board with the chosen lines only, in the chosen order; the best values are those of what is left."""
    kept = with_newest(
        [
            line
            for line in board.lines
            if all(not values or FILTERS[name][1](line.run) in values for name, values in choice.filters)
        ]
    )
    if not choice.older:
        kept = [line for line in kept if line.newest]
    lines = sorted_lines(marked(kept), sort_column(board, choice), choice.descending)
    columns = tuple(heading for heading in board.columns if any(heading in line.cells for line in lines))
    return replace(board, lines=lines, columns=columns or board.columns)
