"""Plotly figures of a board: cumulative curves, errors by condition and region, accuracy against time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.colors import hex_to_rgb

from harness.leaderboards.curves import EDGES, Curve
from harness.leaderboards.fronts import TimedRun, pareto_front
from harness.leaderboards.scores import Spread

COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#9d755d", "#ff9da6", "#bab0ac", "#eeca3b")
"""Readable on light and dark ground; a method keeps its colour in all figures of a board."""
DASHES = ("solid", "dash", "dot", "dashdot")
GREY = "#8f959c"
INTERVALS = "95 % intervals over subjects"


def style(index: int) -> tuple[str, str]:
    """Colour and dash of the method at a place of the board: 40 can be told apart."""
    return COLOURS[index % len(COLOURS)], DASHES[index // len(COLOURS) % len(DASHES)]


def curve_figure(curves: Mapping[str, Curve], places: Mapping[str, int], unit: str) -> go.Figure:
    """Percent of scan points closer than x, for each method (name -> curve), with bands where there are intervals."""
    figure = go.Figure()
    for name, curve in curves.items():
        if curve.low is not None and curve.high is not None:
            figure.add_scatter(
                x=np.concatenate([EDGES, EDGES[::-1]]),
                y=np.concatenate([curve.high, curve.low[::-1]]),
                fill="toself",
                fillcolor=_faint(style(places[name])[0]),
                line={"width": 0},
                hoverinfo="skip",
                showlegend=False,
                legendgroup=escape(name),
                name=f"{escape(name)}, interval",
            )
    for name, curve in curves.items():  # after all bands, which would cover them
        colour, dash = style(places[name])
        figure.add_scatter(
            x=EDGES,
            y=curve.percent,
            mode="lines",
            line={"color": colour, "dash": dash, "width": 2},
            name=escape(name),
            legendgroup=escape(name),
            hovertemplate=f"%{{y:.1f}} % below %{{x:.2f}} {escape(unit)}",
        )
    reach = max((curve.at(99.0) for curve in curves.values()), default=1.0)
    figure.update_xaxes(title=f"distance x from the scan to the prediction [{escape(unit)}]", range=[0, reach])
    figure.update_yaxes(title="scan points closer than x [%]", range=[0, 101])
    return _finished(figure, hovermode="x unified")


def line_figure(
    lines: Mapping[str, Sequence[tuple[Any, Spread]]], places: Mapping[str, int], axis: str, what: str, unit: str
) -> go.Figure:
    """The mean error of each method (name -> groups) against a number, with error bars.

    Args:
        lines: values of the condition with the spread of the samples that have it.
        places: of the methods on the board.
        axis: what the condition is, with its unit.
        what: is drawn, e.g. the column's name.
        unit: of the errors.
    """
    figure = go.Figure()
    for name, groups in lines.items():
        colour, dash = style(places[name])
        shown = [(x, spread) for x, spread in groups if spread.value is not None]
        figure.add_scatter(
            x=[x for x, _ in shown],
            y=[spread.value for _, spread in shown],
            error_y=_error_bars([spread for _, spread in shown]),
            mode="lines+markers",
            line={"color": colour, "dash": dash, "width": 2},
            name=escape(name),
            customdata=[escape(spread.in_words(unit)) for _, spread in shown],
            hovertemplate=f"<b>{escape(name)}</b><br>{escape(axis)} %{{x}}<br>%{{customdata}}<extra></extra>",
        )
    figure.update_xaxes(title=escape(axis))
    figure.update_yaxes(title=escape(f"{what} [{unit}]"), rangemode="tozero")
    return _finished(figure)


def bar_figure(
    bars: Mapping[str, Sequence[tuple[str, Spread]]], places: Mapping[str, int], axis: str, what: str, unit: str
) -> go.Figure:
    """Bars of each method (name -> groups) side by side for each group, with error bars."""
    figure = go.Figure()
    for name, groups in bars.items():
        colour, dash = style(places[name])
        shown = [(group, spread) for group, spread in groups if spread.value is not None]
        figure.add_bar(
            x=[escape(group) for group, _ in shown],
            y=[spread.value for _, spread in shown],
            error_y={**_error_bars([spread for _, spread in shown]), "color": GREY},
            marker={"color": colour, "pattern": {"shape": "" if dash == "solid" else "/"}},
            name=escape(name),
            customdata=[escape(spread.in_words(unit)) for _, spread in shown],
            hovertemplate=f"<b>{escape(name)}</b><br>%{{x}}<br>%{{customdata}}<extra></extra>",
        )
    figure.update_xaxes(title=escape(axis), type="category")
    figure.update_yaxes(title=escape(f"{what} [{unit}]"), rangemode="tozero")
    figure.update_layout(barmode="group")
    return _finished(figure)


def front_figure(
    points: Sequence[TimedRun],
    names: Sequence[str],
    places: Mapping[str, int],
    spreads: Sequence[Spread | None],
    label: str,
    larger_is_better: bool = False,
) -> go.Figure:
    """Error against time; the front joins the points that nothing beats in both.

    Args:
        points: at least one.
        names: of the points.
        places: of the methods on the board, by name.
        spreads: behind the errors, for their intervals.
        label: of the error axis, with its unit.
        larger_is_better: of two values.
    """
    times, errors = [point.time for point in points], [point.error for point in points]
    front = pareto_front(times, [-error for error in errors] if larger_is_better else errors)
    figure = go.Figure()
    figure.add_scatter(
        x=[times[i] for i in front],
        y=[errors[i] for i in front],
        mode="lines",
        line={"color": GREY, "width": 1.5, "dash": "dash", "shape": "hv"},
        name="not beaten in both",
        hoverinfo="skip",
    )
    for i, (name, spread) in enumerate(zip(names, spreads, strict=True)):
        colour, _ = style(places[name])
        figure.add_scatter(
            x=[times[i]],
            y=[errors[i]],
            error_y=_error_bars([spread]) if spread else None,
            mode="markers",
            marker={
                "size": 13,
                "color": colour,
                "symbol": "circle" if i in front else "circle-open",
                "line": {"width": 2, "color": colour},
            },
            name=escape(name),
            hovertemplate=f"<b>{escape(name)}</b><br>%{{x:.3g}} ms<br>{escape(label)} %{{y:.3f}}<extra></extra>",
        )
    figure.update_xaxes(title="median time of one call [ms], logarithmic", type="log", **_decades(times))
    figure.update_yaxes(title=escape(label))
    return _finished(figure)


def _decades(times: Sequence[float]) -> dict[str, Any]:
    """A logarithmic axis with some room, and figures at 1, 2 and 5."""
    low, high = np.log10(min(times)) - 0.25, np.log10(max(times)) + 0.25
    ticks = [d * 10.0**k for k in range(int(np.floor(low)), int(np.ceil(high)) + 1) for d in (1, 2, 5)]
    return {"range": [low, high], "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def _error_bars(groups: Sequence[Spread]) -> dict[str, Any]:
    values = [(s.value, s.low, s.high) for s in groups]
    up = [0.0 if v is None or high is None else high - v for v, _, high in values]
    down = [0.0 if v is None or low is None else v - low for v, low, _ in values]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.2, "width": 3}


def _faint(colour: str) -> str:
    red, green, blue = hex_to_rgb(colour)
    return f"rgba({red},{green},{blue},0.09)"


def _finished(figure: go.Figure, **layout: Any) -> go.Figure:
    figure.update_layout(
        height=480,
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        **layout,
    )
    return figure
