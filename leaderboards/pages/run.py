"""The page of one run: what ran on what, its scores, and for one sample the pictures and the errors in 3D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas
import streamlit

from harness.errors import HarnessError
from harness.leaderboards.choices import choose
from harness.leaderboards.facts import run_facts
from harness.leaderboards.figures import score_bars
from harness.leaderboards.links import link
from harness.leaderboards.names import plain
from harness.leaderboards.runs import Run
from harness.leaderboards.sample_view import show_sample
from harness.leaderboards.scores import columns_of, counted, scores_of, unit_of
from harness.leaderboards.shelf import Shelf, open_shelf
from harness.leaderboards.tables import badge, banner, facts_html, published_badge
from harness.run_folder import condition, in_words

MOST_METRICS = 5  # that stand beside each other
MOST_FAILURES = 50  # of one reason that are listed
NOT_HERE = (
    "A published entry holds scores, but no pictures, scans or meshes: to see these, run the method on this machine "
    "with the options above."
)


def show_page(shelf: Shelf) -> None:
    """Draws the page of the run that the address names, or says why there is none."""
    key = streamlit.query_params.get("run", "")
    run = shelf.run(key)
    if not key:
        streamlit.info("Choose a run on the boards.")
        return
    if run is None:
        reason = next((f"{e.state}. {e.reason}" for e in shelf.unlisted if e.key == key), "there is no such run")
        streamlit.error(f"{key}: {reason}")
        return
    streamlit.title(f"{plain(run.method)} on {plain(str(run.manifest['bench']))}")
    data = badge(run.kind) + published_badge(run.published) + banner(run.kind, run.summary.get("data_label"))
    further = f"{link('The method and its other runs', 'method', method=run.method)} · "
    further += link("Compare with another run", "compare", a=run.key)
    facts = f"run {escape(run.identity)} · {escape(run.date[:10])} · {further}"
    streamlit.html(f'{data}<span class="small">{facts}</span>')
    with streamlit.expander("What ran on what"):
        streamlit.html(facts_html(run_facts(run)))
    try:
        show_scores(run, scores_of(run))
    except HarnessError as error:
        streamlit.error(str(error))


def show_scores(run: Run, table: pandas.DataFrame) -> None:
    """Draws averages, failures, bars and table of one protocol and column, then the chosen sample."""
    left, right = streamlit.columns(2)
    protocols = dict(zip(table["protocol_id"].astype(str), table["protocol"].astype(str), strict=True))
    protocol_id = choose("Protocol", list(protocols), "protocol", left.container(), protocols)
    column = choose("Column", columns_of(table, protocol_id), "column", right.container())
    of_protocol = table[table["protocol_id"] == protocol_id]
    rows = of_protocol[of_protocol["column"] == column]
    units = {name: unit_of(run, protocol_id, name) for name in columns_of(table, protocol_id)}
    streamlit.caption(run.summary["meaning"].get(protocol_id, ""))
    show_averages(run, protocol_id, column, units[column])
    show_failures(run, rows, protocol_id, column)
    samples = [str(name) for name in rows["sample"]]
    asked = streamlit.query_params.get("sample")
    sample = asked if asked in samples else samples[0]
    streamlit.subheader("Scores per sample", divider="gray")
    chart, table_tab = streamlit.tabs(["Chart", "Table"])
    with chart:
        bars = score_bars(rows, units[column], sample)
        streamlit.caption("Click a bar to see its sample below. Hatched grey: failed, at the mean face's score.")
        streamlit.plotly_chart(bars, on_select=_take_bar, selection_mode="points", key="bars")
    with table_tab:
        show_table(of_protocol, units)
    streamlit.subheader("One sample", divider="gray")
    choose("Sample", samples, "sample", few=0)
    if run.local:
        show_sample(run, sample, protocols[protocol_id], column, units[column])
    else:
        streamlit.info(NOT_HERE)


def show_averages(run: Run, protocol_id: str, column: str, unit: str) -> None:
    """The run's numbers on the board, for one column."""
    rows = [row for row in run.rows if row["protocol_id"] == protocol_id and row["column"] == column]
    if len(rows) > MOST_METRICS:
        streamlit.dataframe(averages_table(rows, unit), hide_index=True, height=min(38 + 35 * len(rows), 320))
        return
    for place, row in zip(streamlit.columns(max(4, len(rows))), rows, strict=False):
        value = "not computed" if row["value"] is None else f"{row['value']:.2f} {unit}"
        failed = row["expected"] - row["evaluated"]
        note = f"{row['evaluated']}/{row['expected']} samples"
        if failed:
            rest = row["value_dropping_failures"]
            note += "; failures count as the mean face"
            note += "" if rest is None else f"; {rest:.2f} {unit} without them, as official programs print"
        place.metric(f"{column}, {in_words(condition(row))}".rstrip(", "), value)
        place.caption(note)


def averages_table(rows: Sequence[Mapping[str, Any]], unit: str) -> pandas.DataFrame:
    """One line per condition: the value, the value without failed samples, and how many samples worked."""
    values = {
        name: [None if row[key] is None else round(row[key], 3) for row in rows]
        for name, key in ((f"value [{unit}]", "value"), (f"without failures [{unit}]", "value_dropping_failures"))
    }
    lines = pandas.DataFrame(
        {
            "condition": [in_words(condition(row)) for row in rows],
            **values,
            "samples that worked": [f"{row['evaluated']}/{row['expected']}" for row in rows],
        }
    )
    if all(row["evaluated"] == row["expected"] for row in rows):
        return lines.drop(columns=f"without failures [{unit}]")
    return lines


def show_failures(run: Run, rows: pandas.DataFrame, protocol_id: str, column: str) -> None:
    """How many samples failed for which reason, and which; nothing where none did."""
    failed = rows[rows["failure"].notna()]
    if failed.empty:
        return
    counts = failed["failure"].value_counts(sort=True)
    reasons = ", ".join(f"{reason} {count}" for reason, count in counts.items())
    with streamlit.expander(f"{len(failed)} of {counted(len(rows), 'sample')} failed: {plain(reasons)}"):
        state = {"run": run.key, "protocol": protocol_id, "column": column}
        body = "".join(
            f"<tr><td>{link(str(row.sample), 'run', **state, sample=str(row.sample))}</td>"
            f"<td>{escape(str(row.failure))}</td><td>{escape(str(row.detail or ''))}</td></tr>"
            for reason in counts.index
            for row in failed[failed["failure"] == reason].head(MOST_FAILURES).itertuples()
        )
        head = "<thead><tr><th>sample</th><th>reason</th><th>what happened</th></tr></thead>"
        streamlit.html(f'<div class="scroll"><table class="board">{head}<tbody>{body}</tbody></table></div>')
        if counts.max() > MOST_FAILURES:
            streamlit.caption(f"The first {MOST_FAILURES} of each reason; the table below has all.")


def show_table(rows: pandas.DataFrame, units: Mapping[str, str]) -> None:
    """One line per sample with the values of all columns, failures with their reason; a line can be chosen."""
    lines = wide_table(rows, units)
    streamlit.session_state["lines of the table"] = [str(name) for name in lines["sample"]]
    streamlit.caption("Click the left edge of a row to see its sample below.")
    streamlit.dataframe(
        lines,
        hide_index=True,
        height=min(38 + 35 * len(lines), 320),
        on_select=_take_line,
        selection_mode="single-row",
        key="table",
    )


def wide_table(rows: pandas.DataFrame, units: Mapping[str, str]) -> pandas.DataFrame:
    """The rows of one protocol with one column of values each; a failed sample has no value, but the mean face's."""
    columns = list(dict.fromkeys(rows["column"]))
    first = rows[rows["column"] == columns[0]].set_index("sample")
    lines = first.drop(
        columns=["protocol", "protocol_id", "column", "value", "fallback", "failure", "detail", "warnings"]
    )
    for column in columns:
        one = rows[rows["column"] == column].set_index("sample")
        unit = units.get(column, "")
        lines[f"{column} [{unit}]"] = one["value"].astype(float).round(3)
        if first["failure"].notna().any():
            lines[f"{column}, mean face instead [{unit}]"] = one["fallback"].astype(float).round(3)
    for name in ("failure", "detail", "warnings"):
        if first[name].fillna("").ne("").any():
            lines[name] = first[name].fillna("")
    return lines.reset_index()


def _take_bar() -> None:
    points = streamlit.session_state["bars"]["selection"]["points"]
    if points:
        streamlit.query_params["sample"] = str(points[0]["x"])


def _take_line() -> None:
    rows = streamlit.session_state["table"]["selection"]["rows"]
    samples = streamlit.session_state.get("lines of the table", [])
    if rows and rows[0] < len(samples):
        streamlit.query_params["sample"] = samples[rows[0]]


show_page(open_shelf())
