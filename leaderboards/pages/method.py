"""The page of one method: what it is, what its weights have seen, and its runs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit

from harness.leaderboards.boards import format_value
from harness.leaderboards.cards import card_of, hardware_of, readme_of
from harness.leaderboards.choices import choose
from harness.leaderboards.links import link
from harness.leaderboards.names import plain
from harness.leaderboards.runs import Run
from harness.leaderboards.shelf import Shelf, open_shelf
from harness.leaderboards.tables import badge, banner, facts_html, published_badge
from harness.run_folder import condition, in_words

EMPTY = "No finished run in `{root}` yet; the boards say how to make one."


def show_method(shelf: Shelf) -> None:
    """Draws the card of the method that the address names, and its runs."""
    names = sorted({run.method for run in shelf.runs})
    asked = streamlit.query_params.get("method")
    if not names:
        streamlit.title("Methods")
        streamlit.info(EMPTY.format(root=shelf.root))
        return
    if asked and asked not in names:
        streamlit.warning(f"{asked}: no finished run of such a method; another one is shown.")
    title = streamlit.empty()
    name = choose("Method", names, "method", words=plain, few=9)
    runs = [run for run in shelf.runs if run.method == name]
    title.title(plain(name))
    streamlit.html(facts_html({**card_of(runs[0]), "Hardware of its runs": hardware_of(runs)}))
    readme = readme_of(runs[0])
    if readme:
        with streamlit.expander("More about the method: what is exact, what is smaller, how it was trained"):
            streamlit.markdown(readme)
    streamlit.subheader("Its runs", divider="gray")
    for kind in ("real", "mirror"):
        members = [run for run in runs if run.kind == kind]
        if members:
            streamlit.html(banner(kind) if kind == "mirror" else badge(kind))
            streamlit.html(runs_html(members))
    streamlit.html(f'<span class="small">{link("Compare it with another method", "compare", a=runs[0].key)}</span>')


def runs_html(runs: Sequence[Run]) -> str:
    """A row for each run and protocol, with the first number of each."""
    rows = "".join(
        _row(run, name, str(entry["id"])) for run in runs for name, entry in run.manifest["protocols"].items()
    )
    names = ("benchmark", "protocol", "first number", "coverage", "device", "date", "run")
    head = "".join(f"<th>{name}</th>" for name in names)
    return f'<div class="scroll"><table class="board"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _row(run: Run, protocol: str, protocol_id: str) -> str:
    rows = [row for row in run.rows if row["protocol_id"] == protocol_id]
    value = coverage = "–"
    if rows:
        first = rows[0]
        what = ", ".join(filter(None, (str(first["column"]), in_words(condition(first)))))
        number = f"{format_value(first['value'])} {first['unit']}"
        value = f'{escape(number)} <span class="small">{escape(what)}</span>'
        coverage = f"{escape(str(first['evaluated']))}/{escape(str(first['expected']))}"
    cells = (
        escape(f"{run.manifest['bench']}, {run.manifest['data']['version']}"),
        f"{escape(protocol)} <code>{escape(protocol_id)}</code>",
        value,
        coverage,
        escape(str(run.manifest["device"])),
        escape(run.date[:10]),
        link(run.identity[:8], "run", run=run.key) + f" {published_badge(run.published)}",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


show_method(open_shelf())
