"""The page of one run: what ran on what, its scores, and for one sample the pictures and the errors in 3D."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas
import streamlit

from harness.errors import HarnessError
from harness.leaderboards.facts import run_facts
from harness.leaderboards.figures import score_bars
from harness.leaderboards.runs import Run, sample_table
from harness.leaderboards.sample_view import show_sample
from harness.leaderboards.shelf import Shelf, open_shelf
from harness.leaderboards.tables import badge, banner, facts_html, published_badge
from harness.run_folder import condition, in_words

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
    streamlit.title(f"{run.method} on {run.manifest['bench']}")
    data = badge(run.kind) + published_badge(run.published) + banner(run.kind, run.summary.get("data_label"))
    streamlit.html(f"{data}<span class='small'>run {run.identity} · {run.date[:10]}</span>")
    with streamlit.expander("What ran on what"):
        streamlit.html(facts_html(run_facts(run)))
    try:
        show_scores(run, sample_table(run))
    except HarnessError as error:
        streamlit.error(str(error))


def show_scores(run: Run, table: pandas.DataFrame) -> None:
    """Draws bars and table of one protocol and column, then the chosen sample."""
    left, right = streamlit.columns(2)
    protocols = list(dict.fromkeys(table["protocol"]))
    protocol = left.segmented_control("Protocol", protocols, default=protocols[0]) or protocols[0]
    of_protocol = table[table["protocol"] == protocol]
    columns = list(dict.fromkeys(of_protocol["column"]))
    column = right.segmented_control("Column", columns, default=columns[0]) or columns[0]
    rows = of_protocol[of_protocol["column"] == column]
    protocol_id = str(rows["protocol_id"].iloc[0])
    units = {str(row["column"]): str(row["unit"]) for row in run.rows if row["protocol_id"] == protocol_id}
    unit = units.get(column, str(run.protocol(protocol_id)["unit"]))
    streamlit.caption(run.summary["meaning"][protocol_id])
    show_averages(run, protocol_id, column, unit)
    samples = list(rows["sample"])
    sample = chosen_sample(samples)
    streamlit.subheader("Scores per sample", divider="gray")
    chart, table_tab = streamlit.tabs(["Chart", "Table"])
    with chart:
        bars = score_bars(rows, unit, sample)
        streamlit.caption("Click a bar to see its sample below. Hatched grey: failed, at the mean face's score.")
        streamlit.plotly_chart(bars, on_select=_take_bar, selection_mode="points", key="bars")
    with table_tab:
        show_table(of_protocol, units)
    streamlit.subheader("One sample", divider="gray")
    streamlit.selectbox("Sample", samples, key="sample", on_change=_to_address)
    if run.local:
        show_sample(run, sample, protocol, column, unit)
    else:
        streamlit.info(NOT_HERE)


def show_averages(run: Run, protocol_id: str, column: str, unit: str) -> None:
    """The run's numbers on the board, for one column."""
    rows = [row for row in run.rows if row["protocol_id"] == protocol_id and row["column"] == column]
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


def show_table(rows: pandas.DataFrame, units: Mapping[str, str]) -> None:
    """One line per sample with the values of all columns, failures with their reason."""
    lines = wide_table(rows, units)
    streamlit.dataframe(lines, hide_index=True, height=min(38 + 35 * len(lines), 320))


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


def chosen_sample(samples: Sequence[str]) -> str:
    """The sample of the address on the first visit, then the one that was picked last."""
    if streamlit.session_state.get("sample") not in samples:
        asked = streamlit.query_params.get("sample")
        streamlit.session_state["sample"] = asked if asked in samples else samples[0]
    return str(streamlit.session_state["sample"])


def _take_bar() -> None:
    points = streamlit.session_state["bars"]["selection"]["points"]
    if points:
        streamlit.session_state["sample"] = str(points[0]["x"])
        _to_address()


def _to_address() -> None:
    streamlit.query_params["sample"] = streamlit.session_state["sample"]


show_page(open_shelf())
