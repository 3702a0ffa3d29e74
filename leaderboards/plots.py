"""The four figures of the plots page: each says what it shows, or why there is nothing to show."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas
import streamlit

from harness.errors import HarnessError
from harness.leaderboards.boards import Board, heading_of
from harness.leaderboards.charts import INTERVALS, bar_figure, curve_figure, front_figure, line_figure
from harness.leaderboards.choices import choose
from harness.leaderboards.curves import ALL, curve_of, regions_of
from harness.leaderboards.fronts import TimedCondition, TimedRun, timed_conditions, timed_runs
from harness.leaderboards.names import names_of, plain
from harness.leaderboards.runs import Run
from harness.leaderboards.scores import (
    Spread,
    column_rows,
    columns_of,
    conditions_of,
    counted,
    spread_of,
    spreads,
    stamp,
    unit_of,
)
from harness.run_folder import condition

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
    _say_missing(missing)


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


def show_times(drawn: Drawn, runs: Sequence[Run]) -> None:
    """The board's values against the median time of a call, on one hardware."""
    conditions = timed_conditions(runs, drawn.board.key.kind)
    if not conditions:
        streamlit.info(
            f"No method was timed on {drawn.board.key.kind} data. Time all of them together: "
            "`python -m harness run -m method=deca,mica bench=timing`."
        )
        return
    places = streamlit.columns([2, 2, 1])
    heading = choose("Error", drawn.board.columns, "heading", places[0].container(), few=2)
    machines = list(dict.fromkeys(c.hardware for c in conditions))
    hardware = choose("Hardware", machines, "hardware", places[1].container(), few=1)
    calls = [c.call for c in conditions if c.hardware == hardware]
    call = choose("A call has", calls, "call", places[2].container(), words=lambda name: name or "one sample", few=3)
    shown = {run.key for run in drawn.runs}
    points, without = timed_runs(drawn.board, heading, runs, TimedCondition(hardware, call, drawn.board.key.kind))
    points = [point for point in points if point.run.key in shown]
    if points:
        names = [drawn.names[point.run.key] for point in points]
        errors = [_interval_of(drawn, point, heading) for point in points]
        figure = front_figure(points, names, drawn.by_name, errors, f"{heading} [{drawn.board.key.unit}]")
        streamlit.plotly_chart(figure, key="front")
        without_interval = " Some values have no interval over subjects." if None in errors else ""
        streamlit.caption(
            f"Left and low is better; bars are {INTERVALS}.{without_interval} Times: median of single calls on "
            f"{hardware}, of the timing benchmark's runs with the same options except for weights, which do not change "
            "the time. Filled: no other method is as good in both and better in one."
        )
    _say_missing([f"{drawn.names[run.key]}: not timed there with its options" for run in without if run.key in shown])


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


def _interval_of(drawn: Drawn, point: TimedRun, heading: str) -> Spread | None:
    """The spread behind a value of the board; None where the board's value is another mean, or of one subject."""
    key = drawn.board.key
    for row in point.run.rows:
        if row["protocol_id"] == key.protocol_id and heading_of(row) == heading:
            table = drawn.tables[point.run.key]
            for name, value in condition(row).items():
                table = table[table[name] == value] if name in table and value != "all" else table
            rows = column_rows(table, key.protocol_id, str(row["column"]))
            found = spread_of(stamp(point.run), key.protocol_id, str(row["column"]), f"row {heading}", rows)
            same = found.value is not None and math.isclose(found.value, point.error, rel_tol=1e-6)
            return found if same and found.low is not None else None
    return None


def _caption(drawn: Drawn) -> None:
    protocol = drawn.runs[0].protocol(drawn.board.key.protocol_id)
    how = OTHER_MEANS.get(str(protocol.get("aggregation")))
    failures = "Failed samples count as the mean face."
    other = " " + POOLED.format(how=how) if how else ""
    streamlit.caption(f"Mean over subjects with {INTERVALS}. Lower is better. {failures}{other}")


def _say_missing(reasons: Sequence[str]) -> None:
    if reasons:
        with streamlit.expander(f"{counted(len(reasons), 'method')} not drawn"):
            for reason in reasons:
                streamlit.text(reason)


def names_and_places(board: Board) -> tuple[dict[str, str], dict[str, int]]:
    """What the runs of a board are called, and their places on it, by key."""
    runs = [line.run for line in board.lines]
    return names_of(runs), {run.key: place for place, run in enumerate(runs)}
