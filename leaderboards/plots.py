"""The figures of the plots page: each says what it shows, or why there is nothing to show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas
import streamlit

from harness.errors import HarnessError
from harness.leaderboards.charts import INTERVALS, bar_figure, curve_figure, line_figure
from harness.leaderboards.choices import choose
from harness.leaderboards.curves import ALL, curve_of, regions_of
from harness.leaderboards.drawn import Drawn, say_missing
from harness.leaderboards.names import plain
from harness.leaderboards.runs import Run
from harness.leaderboards.scores import (
    Spread,
    columns_of,
    conditions_of,
    counted,
    larger_is_better,
    spreads,
    unit_of,
)
from harness.leaderboards.time_plot import show_times

ANGLES = {"yaw": "yaw of the view [degrees], positive to the subject's left", "pitch": "pitch of the view [degrees]"}
ANGLE_REMEDY = (
    "This data set does not record the view's angle, so there is no error against it. FaceVerse's grid of views does: "
    "`python -m harness run method=... bench=faceverse bench.views=grid`."
)
POOLED = (
    "The board's own value {how}; here samples are averaged per subject, then subjects, so that they have an interval."
)
OTHER_MEANS = {
    "points": "is over the points of all samples together",
    "sample>set": "is over all samples alike",
    "sample>scan>set": "averages scans",
}


def show_curves(drawn: Drawn, runs: Sequence[Run]) -> None:
    """NoW's cumulative error curve, for one region and condition."""
    del runs
    protocol = drawn.board.key.protocol
    regions = _regions(drawn)
    if not regions:
        streamlit.info("This protocol keeps no distances per scan point, so there is no cumulative curve.")
        return
    left, right = streamlit.columns(2)
    region = choose("Region", regions, "region", left.container())
    group = choose("Samples", _groups(drawn.tables.values()), "group", right.container())
    found, missing, failed = {}, [], 0
    for run in drawn.runs:
        samples = _samples(drawn.tables[run.key], drawn.board.key.protocol_id, group)
        if not samples:
            continue
        try:
            curve, failures = curve_of(run, protocol, region, samples, group)
        except HarnessError as error:
            missing.append(f"{drawn.names[run.key]}: {error}")
            continue
        found[drawn.names[run.key]] = curve
        failed += failures
    if found:
        unit = str(drawn.runs[0].protocol(drawn.board.key.protocol_id)["unit"])
        streamlit.plotly_chart(curve_figure(found, drawn.by_name, unit), key="curve")
        fallback = f" {counted(failed, 'failed sample')} counted with the mean face's distances." if failed else ""
        streamlit.caption(
            f"All scan points of the samples together; bands are {INTERVALS}. Further up is better.{fallback}"
        )
    say_missing(missing)


def show_conditions(drawn: Drawn, runs: Sequence[Run]) -> None:
    """The error against a condition that is a number: the view's angle where it is recorded, the number of views."""
    del runs
    names = [name for name in _conditions(drawn) if _is_number(drawn, name)]
    if not set(names) & set(ANGLES):
        streamlit.info(ANGLE_REMEDY)
    if not names:
        return
    name = choose("Against", names, "against", words=_called)
    lines = {drawn.names[run.key]: _spreads(drawn, run, name) for run in drawn.runs if name in drawn.tables[run.key]}
    axis = ANGLES.get(name, _called(name))
    figure = line_figure(lines, drawn.by_name, axis, drawn.column, drawn.unit)
    if name == "views":
        figure.update_xaxes(dtick=1)
    streamlit.plotly_chart(figure, key="condition")
    _caption(drawn)


def show_bars(drawn: Drawn, runs: Sequence[Run]) -> None:
    """The error by each condition (challenge, ...), and all columns or regions beside each other."""
    del runs
    for name in _conditions(drawn):
        if name in ANGLES:
            continue
        groups = {drawn.names[r.key]: _spreads(drawn, r, name) for r in drawn.runs if name in drawn.tables[r.key]}
        bars = {method: [(str(value), spread) for value, spread in found] for method, found in groups.items()}
        streamlit.markdown(f"**By {plain(_called(name))}**")
        figure = bar_figure(bars, drawn.by_name, _called(name), drawn.column, drawn.unit)
        streamlit.plotly_chart(figure, key=f"bars {name}")
    protocol_id = drawn.board.key.protocol_id
    columns = dict.fromkeys(
        column
        for run in drawn.runs
        for column in columns_of(drawn.tables[run.key], protocol_id)
        if unit_of(run, protocol_id, column) == drawn.unit
    )
    regions = set(drawn.runs[0].protocol(protocol_id)["regions"])
    kind = "region" if set(columns) <= regions else "column"
    bars = {drawn.names[run.key]: _by_column(drawn, run, list(columns)) for run in drawn.runs}
    streamlit.markdown(f"**By {kind}**")
    streamlit.plotly_chart(bar_figure(bars, drawn.by_name, kind, "error", drawn.unit), key="columns")
    _caption(drawn)


PLOTS: dict[str, tuple[str, Callable[[Drawn, Sequence[Run]], None]]] = {
    "curve": ("Cumulative error", show_curves),
    "condition": ("Error against view angle", show_conditions),
    "bars": ("By challenge and region", show_bars),
    "time": ("Accuracy against time", show_times),
}


BY_COLUMN = {"condition", "bars"}
"""Figures of one column of the scores."""


def _regions(drawn: Drawn) -> list[str]:
    """Regions with distances per point in some run."""
    regions: dict[str, None] = {}
    for run in drawn.runs:
        samples = [str(name) for name in drawn.tables[run.key]["sample"].unique()[:50]]
        try:
            regions |= dict.fromkeys(regions_of(run, drawn.board.key.protocol, samples))
        except HarnessError:
            continue  # said where its curve is missing
    return list(regions)


def _groups(tables: Iterable[pandas.DataFrame]) -> list[str]:
    """ALL, and each value of each condition as "name value"."""
    found = {
        f"{name} {value}": None
        for table in tables
        for name in conditions_of(table)
        for value in sorted(table[name].dropna().unique())
    }
    return [ALL, *found]


def _samples(table: pandas.DataFrame, protocol_id: str, group: str) -> tuple[tuple[str, str], ...]:
    """(id, subject) of the samples of a group, each once."""
    rows = table[table["protocol_id"] == protocol_id]
    for name in conditions_of(table):
        if group.startswith(f"{name} "):
            rows = rows[(name + " " + rows[name].astype(str)) == group]
    once = rows.drop_duplicates("sample")
    return tuple(zip(once["sample"].astype(str), once["subject"].astype(str), strict=True))


def _conditions(drawn: Drawn) -> list[str]:
    return list(dict.fromkeys(name for table in drawn.tables.values() for name in conditions_of(table)))


def _called(name: str) -> str:
    """A condition's name for a reader."""
    return "number of views" if name == "views" else name


def _is_number(drawn: Drawn, name: str) -> bool:
    tables = [table for table in drawn.tables.values() if name in table]
    return all(pandas.api.types.is_numeric_dtype(table[name]) for table in tables)


def _spreads(drawn: Drawn, run: Run, name: str | None) -> list[tuple[Any, Spread]]:
    return spreads(run, drawn.tables[run.key], drawn.board.key.protocol_id, drawn.column, name)


def _by_column(drawn: Drawn, run: Run, columns: Sequence[str]) -> list[tuple[str, Spread]]:
    table, protocol_id = drawn.tables[run.key], drawn.board.key.protocol_id
    there = [column for column in columns if column in columns_of(table, protocol_id)]
    return [(column, spreads(run, table, protocol_id, column, None)[0][1]) for column in there]


def _caption(drawn: Drawn) -> None:
    protocol = drawn.runs[0].protocol(drawn.board.key.protocol_id)
    how = OTHER_MEANS.get(str(protocol.get("aggregation")))
    larger = larger_is_better(drawn.runs[0], drawn.board.key.protocol_id, drawn.column)
    better = "Higher is better." if larger else "Lower is better."
    failures = "Failed samples count as the mean face."
    other = " " + POOLED.format(how=how) if how else ""
    streamlit.caption(f"Mean over subjects with {INTERVALS}. {better} {failures}{other}")
