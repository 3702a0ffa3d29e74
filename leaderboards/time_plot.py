"""Accuracy against time: the board's values with the timing benchmark's medians."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit

from harness.leaderboards.boards import heading_of
from harness.leaderboards.charts import INTERVALS, front_figure
from harness.leaderboards.choices import choose
from harness.leaderboards.drawn import Drawn, say_missing
from harness.leaderboards.fronts import TimedCondition, TimedRun, timed_conditions, timed_runs
from harness.leaderboards.runs import Run
from harness.leaderboards.scores import Spread, column_rows, larger_is_better, spread_of, stamp
from harness.run_folder import condition


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
        show_front(drawn, points, heading, hardware)
    say_missing([f"{drawn.names[run.key]}: not timed there with its options" for run in without if run.key in shown])


def show_front(drawn: Drawn, points: Sequence[TimedRun], heading: str, hardware: str) -> None:
    """Draws the timed runs, at least one."""
    key = drawn.board.key
    names = [drawn.names[point.run.key] for point in points]
    spreads = [interval_of(drawn, point, heading) for point in points]
    column = next((str(row["column"]) for row in points[0].run.rows if heading_of(row) == heading), "")
    larger = larger_is_better(points[0].run, key.protocol_id, column)
    figure = front_figure(points, names, drawn.by_name, spreads, f"{heading} [{key.unit}]", larger)
    streamlit.plotly_chart(figure, key="front")
    without_interval = " Some values have no interval over subjects." if None in spreads else ""
    streamlit.caption(
        f"Left and {'high' if larger else 'low'} is better; bars are {INTERVALS}.{without_interval} Times: median of "
        f"single calls on {hardware}, of the timing benchmark's runs with the same options except for weights, which "
        "do not change the time. Filled: no other method is as good in both and better in one."
    )


def interval_of(drawn: Drawn, point: TimedRun, heading: str) -> Spread | None:
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
