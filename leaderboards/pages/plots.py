"""Figures of one board: cumulative error, error by condition and region, accuracy against time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import streamlit

from harness.errors import HarnessError
from harness.leaderboards.boards import Board, make_boards
from harness.leaderboards.choices import choose, choose_several
from harness.leaderboards.drawn import Drawn, names_and_places
from harness.leaderboards.plots import BY_COLUMN, PLOTS
from harness.leaderboards.runs import Run
from harness.leaderboards.scores import columns_of, counted, scores_of, unit_of
from harness.leaderboards.shelf import Shelf, open_shelf
from harness.leaderboards.tables import banner, board_title

MOST = 8  # methods that are shown at first
EMPTY = "No finished run in `{root}` yet; the boards say how to make one."


def show_plots(shelf: Shelf) -> None:
    """Draws the figure that the address asks for."""
    streamlit.title("Plots")
    if not shelf.runs:
        streamlit.info(EMPTY.format(root=shelf.root))
        return
    board = choose_board(shelf.runs)
    if board is None:
        streamlit.info("There is no number of this benchmark yet.")
        return
    streamlit.html(banner(board.key.kind, board.lines[0].run.summary.get("data_label")) + board_title(board))
    name = choose("Plot", list(PLOTS), "plot", words={key: title for key, (title, _) in PLOTS.items()})
    drawn = choose_drawn(board, name in BY_COLUMN)
    if drawn is not None:
        PLOTS[name][1](drawn, shelf.runs)
        streamlit.caption(board.meaning)


def choose_board(runs: Sequence[Run]) -> Board | None:
    """One board by benchmark, kind of data, protocol and, where these leave several, unit and samples."""
    places = streamlit.columns([2, 1, 2])
    bench = choose("Benchmark", sorted({r.manifest["bench"] for r in runs}), "bench", places[0].container())
    runs = [r for r in runs if r.manifest["bench"] == bench]
    kind = choose("Data", sorted({r.kind for r in runs}, reverse=True), "data", places[1].container())
    boards = make_boards([r for r in runs if r.kind == kind])
    if not boards:
        return None
    titles = {b.key.protocol_id: f"{b.key.protocol} {b.key.protocol_id}" for b in boards}
    protocol = choose("Protocol", list(titles), "protocol", places[2].container(), words=titles, few=3)
    boards = [b for b in boards if b.key.protocol_id == protocol]
    units = _distinct(b.key.unit for b in boards)
    unit = choose("Unit", units, "unit") if len(units) > 1 else units[0]
    boards = [b for b in boards if b.key.unit == unit]
    if len(boards) == 1:
        return boards[0]
    words = {str(number): _samples_in_words(board) for number, board in enumerate(boards, start=1)}
    return boards[int(choose("Samples", list(words), "set", words=words, few=2)) - 1]


def choose_drawn(board: Board, by_column: bool) -> Drawn | None:
    """Column, where the figure is of one, and methods; None, with a message, where no run's table can be read."""
    names, places = names_and_places(board)
    tables = {}
    for line in board.lines:
        try:
            tables[line.run.key] = scores_of(line.run)
        except HarnessError as error:
            streamlit.warning(f"{names[line.run.key]} is not drawn: {error}")
    readable = [line for line in board.lines if line.run.key in tables]
    columns = _distinct(
        column
        for line in readable
        for column in columns_of(tables[line.run.key], board.key.protocol_id)
        if unit_of(line.run, board.key.protocol_id, column) == board.key.unit
    )
    if not columns:
        streamlit.info("There are no scores per sample to draw.")
        return None
    column = choose("Column", columns, "column", few=5) if by_column else columns[0]
    having = [line for line in readable if column in columns_of(tables[line.run.key], board.key.protocol_id)]
    usual = [line.run.key for line in having if line.newest][:MOST] or [having[0].run.key]
    chosen = choose_several("Methods", [line.run.key for line in having], "run", usual, names)
    runs = [line.run for line in having if line.run.key in chosen]
    return Drawn(board, column, runs, {run.key: tables[run.key] for run in runs}, names, places)


def _samples_in_words(board: Board) -> str:
    run = board.lines[0].run
    return f"{counted(len(run.samples), 'sample')}, data version {board.key.version}, as {run.key}"


def _distinct(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))


show_plots(open_shelf())
