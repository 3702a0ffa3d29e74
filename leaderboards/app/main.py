"""The leaderboard, `python -m harness leaderboard`: a script that runs at each visit and hands over to a page."""

from pathlib import Path

import streamlit

from harness.leaderboards.tables import STYLE

PAGES = Path(__file__).parents[1] / "pages"
# Every page by its address; the first one opens. (Streamlit would print a string that stands here.)
TITLES = {
    "boards": "Boards",
    "papers": "Papers' tables",
    "plots": "Plots",
    "compare": "Compare",
    "method": "Methods",
    "run": "Run",
}

streamlit.set_page_config("3D face reconstruction leaderboard", page_icon="📐", layout="wide")
streamlit.html(STYLE)
first = next(iter(TITLES))
streamlit.navigation(
    [streamlit.Page(PAGES / f"{name}.py", title=title, default=name == first) for name, title in TITLES.items()],
    position="top",
).run()
