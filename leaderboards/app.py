"""The leaderboard: `python -m harness leaderboard`. One page with all boards; `?run=...` is the page of a run."""

from __future__ import annotations

import argparse
from pathlib import Path

import streamlit

from harness.leaderboards.board_page import show_boards
from harness.leaderboards.run_page import show_run
from harness.leaderboards.runs import find_runs
from harness.leaderboards.tables import STYLE


def main() -> None:
    """Reads the runs anew at each visit and shows the page that the address asks for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", default="runs", help="folder of all runs")
    root = Path(parser.parse_args().runs)
    streamlit.set_page_config("3D face reconstruction leaderboard", page_icon="📐", layout="wide")
    streamlit.html(STYLE)
    runs, unlisted = find_runs(root)
    key = streamlit.query_params.get("run")
    if key is None:
        show_boards(runs, unlisted, root)
    else:
        show_run(key, runs, unlisted)


main()
