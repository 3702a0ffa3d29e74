"""All boards: what opens first."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit

from harness.leaderboards.boards import Board, make_boards
from harness.leaderboards.shelf import Shelf, open_shelf
from harness.leaderboards.tables import banner, board_html, board_title, failure_note, unlisted_html

ABOUT = (
    "How far 3D faces reconstructed from photographs are from a scan of the same person, how well a method's answers "
    "agree, and how long it takes: a table of its own for each way of measuring. Lower is better, the best value of a "
    "column is bold. Click a method to see its errors on the face."
)
EMPTY = """No finished run in `{root}` yet. Make one:

    python -m harness run method=mean_face bench=h3ds

and reload this page. Another folder of runs: `python -m harness leaderboard --runs DIR`."""


def show_boards(shelf: Shelf) -> None:
    """Draws every board, real data before mirrors, and the folders that are in none."""
    streamlit.title("3D face reconstruction leaderboard")
    streamlit.markdown(ABOUT)
    boards = make_boards(shelf.runs)
    if not boards:
        streamlit.info(EMPTY.format(root=shelf.root))
    names = list(dict.fromkeys(board.key.bench for board in boards))
    chosen = streamlit.pills("Benchmark", names, selection_mode="multi") if len(names) > 1 else []
    for name in chosen or names:
        streamlit.header(name, divider="gray")
        show_bench([board for board in boards if board.key.bench == name])
    if shelf.unlisted:
        count = f"{len(shelf.unlisted)} folder{'' if len(shelf.unlisted) == 1 else 's'}"
        with streamlit.expander(f"{count} not in the tables: unfinished or unreadable runs"):
            streamlit.html(unlisted_html(shelf.unlisted))


def show_bench(boards: Sequence[Board]) -> None:
    """Draws the boards of one benchmark; a mirror's stand apart, under their banner."""
    for kind in ("real", "mirror"):
        members = [board for board in boards if board.key.kind == kind]
        if members and kind == "mirror":
            streamlit.html(banner(kind, members[0].lines[0].run.summary.get("data_label")))
        for board in members:
            streamlit.html(board_title(board) + board_html(board))
            streamlit.caption(" ".join(filter(None, (board.meaning, failure_note(board)))))


show_boards(open_shelf())
