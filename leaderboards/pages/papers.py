"""The tables of papers and project pages, as printed, and what was measured of the same here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import streamlit

from harness.errors import HarnessError
from harness.leaderboards.exports import to_csv, to_json, to_latex, to_markdown
from harness.leaderboards.paper_html import STYLE, mirror_html, notes_html, source_html, table_html
from harness.leaderboards.paper_measured import measured_columns, why_not_measured
from harness.leaderboards.paper_sheet import paper_sheet
from harness.leaderboards.paper_specs import read_method_names
from harness.leaderboards.paper_tables import PaperTable, read_paper_tables
from harness.leaderboards.reported_numbers import Reported, read_reported
from harness.leaderboards.sheet import Sheet
from harness.leaderboards.shelf import Shelf, open_shelf

ABOUT = (
    "What papers, project pages and logs print, as they print it. None of it was measured here, except what stands in "
    "a column marked REAL; it enters no board. Red letters mark doubtful numbers: point at one, or read the notes."
)
FORMATS = {
    "CSV": (to_csv, "csv", "text/csv"),
    "LaTeX": (to_latex, "tex", "application/x-tex"),
    "Markdown": (to_markdown, "md", "text/markdown"),
    "JSON": (to_json, "json", "application/json"),
}


@lru_cache(maxsize=1)
def open_papers() -> tuple[Reported, dict[str, PaperTable], Mapping[str, str]]:
    """Reported numbers, tables by address, and methods' names: files of the project, read once."""
    reported = read_reported()
    return reported, read_paper_tables(reported), read_method_names()


def show_papers(shelf: Shelf) -> None:
    """Draws the table that the address names, and those that belong to it."""
    streamlit.html(STYLE)
    streamlit.title("Papers' tables")
    streamlit.markdown(ABOUT)
    try:
        reported, tables, names = open_papers()
    except HarnessError as error:
        streamlit.error(str(error))
        return
    table = tables[choose(tables)]
    show_table(table, shelf, names)
    for key in table.also:
        show_table(tables[key], shelf, names)
    streamlit.subheader("Sources", divider="gray")
    streamlit.html("".join(source_html(source, reported.sources) for source in table.sources.values()))


def choose(tables: Mapping[str, PaperTable]) -> str:
    """The table of the address, which both controls change; the first one where it names none."""
    first = next(iter(tables))
    asked = streamlit.query_params.get("table", first)
    if asked not in tables:
        streamlit.error(f"There is no table {asked!r}; choose one here.")
        asked = first
    groups: dict[str, dict[str, str]] = {}
    for key, table in tables.items():
        groups.setdefault(table.group, {})[table.name] = key

    def to_group() -> None:
        if group := streamlit.session_state["papers_group"]:
            streamlit.query_params["table"] = next(iter(groups[group].values()))

    def to_table() -> None:
        if name := streamlit.session_state["papers_table"]:
            streamlit.query_params["table"] = groups[tables[asked].group][name]

    streamlit.session_state["papers_group"] = tables[asked].group
    streamlit.session_state["papers_table"] = tables[asked].name
    streamlit.segmented_control("From", list(groups), key="papers_group", on_change=to_group)
    streamlit.segmented_control("Table", list(groups[tables[asked].group]), key="papers_table", on_change=to_table)
    return asked


def show_table(table: PaperTable, shelf: Shelf, names: Mapping[str, str]) -> None:
    """Draws one table with its notes and downloads, and below it what was measured on mirrors."""
    streamlit.subheader(table.title, divider="gray")
    real = measured_columns(table, shelf.runs, names, "real")
    why = why_not_measured(table, real, shelf.runs)
    streamlit.html(table_html(table, real, names, why) + notes_html(table))
    if real or not table.measurable:
        streamlit.caption(" ".join(why))
    show_downloads(table.key, paper_sheet(table, real, names))
    if mirror := mirror_html(table, measured_columns(table, shelf.runs, names, "mirror")):
        streamlit.markdown("**The same columns measured on the mirror**")
        streamlit.html(mirror)


def show_downloads(key: str, sheet: Sheet) -> None:
    """Buttons for a sheet as a file."""
    with streamlit.container(horizontal=True):
        for name, (write, suffix, kind) in FORMATS.items():
            streamlit.download_button(name, write(sheet), f"{key}.{suffix}", kind, key=f"{key} {suffix}")


show_papers(open_shelf())
