"""What the figures of the plots page are drawn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas
import streamlit

from harness.leaderboards.boards import Board
from harness.leaderboards.names import names_of
from harness.leaderboards.runs import Run
from harness.leaderboards.scores import counted


@dataclass(frozen=True)
class Drawn:
    """What the figures are about.

    Attributes:
        board: benchmark, data and protocol.
        column: of the scores; empty where no run has any.
        runs: those chosen, best first.
        tables: scores per sample, by key of the run.
        names, places: of the runs in legends and on the board, by key.
    """

    board: Board
    column: str
    runs: Sequence[Run]
    tables: dict[str, pandas.DataFrame]
    names: dict[str, str]
    places: dict[str, int]

    @property
    def unit(self) -> str:
        """The unit of the board's values, the column's among them."""
        return self.board.key.unit

    @property
    def by_name(self) -> dict[str, int]:
        """Places by the names in the legend."""
        return {self.names[key]: place for key, place in self.places.items()}


def names_and_places(board: Board) -> tuple[dict[str, str], dict[str, int]]:
    """What the runs of a board are called, and their places on it, by key."""
    runs = [line.run for line in board.lines]
    return names_of(runs), {run.key: place for place, run in enumerate(runs)}


def say_missing(reasons: Sequence[str]) -> None:
    """Lists what is not in a figure, folded."""
    if reasons:
        with streamlit.expander(f"{counted(len(reasons), 'method')} not drawn"):
            for reason in reasons:
                streamlit.text(reason)
