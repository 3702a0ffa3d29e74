"""Two runs on one sample or on all of them: the scatter, and four linked 3D views."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
import pandas
import plotly.graph_objects as go

from harness.inspection import Surface
from harness.leaderboards.figures import (
    BAR_COLOUR,
    CHOSEN_COLOUR,
    FALLBACK_COLOUR,
    PREDICTION_COLOUR,
    Frame,
    error_traces,
    plain_trace,
)
from harness.leaderboards.geometry import lighter

MOST_FACES = 25_000  # of one of four views
ROW_HEIGHT = 400


def scatter_figure(pairs: pandas.DataFrame, names: Sequence[str], unit: str, chosen: str | None) -> go.Figure:
    """A point per sample, A's score across and B's up; on the diagonal both are equal.

    Args:
        pairs: as `comparison.pairs_of` gives them.
        names: of A and B.
        unit: of the scores.
        chosen: the sample to bring out.
    """
    points = pairs.dropna(subset=["a", "b"])
    failed = points["failure_a"].notna() | points["failure_b"].notna()
    colours = np.where(points["sample"] == chosen, CHOSEN_COLOUR, np.where(failed, FALLBACK_COLOUR, BAR_COLOUR))
    top = float(points[["a", "b"]].to_numpy().max()) if len(points) else 1.0
    bottom = float(points[["a", "b"]].to_numpy().min()) if len(points) else 0.0
    room = 0.05 * (top - bottom) or 0.05 * top or 1.0
    ends = [bottom - room, top + room]
    words = [
        " · ".join(filter(None, (str(p.group), f"A failed: {p.failure_a}" if isinstance(p.failure_a, str) else "",
                                 f"B failed: {p.failure_b}" if isinstance(p.failure_b, str) else "")))
        for p in points.itertuples()
    ]  # fmt: skip
    figure = go.Figure()
    figure.add_scatter(x=ends, y=ends, mode="lines", line={"color": FALLBACK_COLOUR, "dash": "dash"}, hoverinfo="skip")
    figure.add_scatter(
        x=points["a"],
        y=points["b"],
        mode="markers",
        marker={
            "color": colours,
            "size": np.where(points["sample"] == chosen, 13, 8),
            "symbol": np.where(failed, "x", "circle"),
            "opacity": 0.85,
        },
        customdata=[
            [sample, escape(sample), escape(word)] for sample, word in zip(points["sample"], words, strict=True)
        ],
        hovertemplate=f"<b>%{{customdata[1]}}</b><br>A %{{x:.3f}} {escape(unit)}<br>B %{{y:.3f}} {escape(unit)}"
        "<br>%{customdata[2]}<extra></extra>",
    )
    figure.update_xaxes(title=f"A: {escape(names[0])} [{escape(unit)}]", range=ends, constrain="domain")
    figure.update_yaxes(
        title=f"B: {escape(names[1])} [{escape(unit)}]", range=ends, scaleanchor="x", constrain="domain"
    )
    figure.update_layout(
        height=430, margin={"l": 10, "r": 10, "t": 10, "b": 10}, showlegend=False, clickmode="event+select"
    )
    return figure


def linked_figure(
    predictions: Sequence[Surface | None],
    scans: Sequence[Surface | None],
    names: Sequence[str],
    limit: float,
    unit: str,
) -> go.Figure:
    """Both predictions above, the scan coloured by its distance to each below; all in one frame and one colour range.

    Args:
        predictions: of A and B in the scan's frame; None where there is no mesh.
        scans: with the errors of A and B; None where the data is out of reach or has no scans.
        names: of A and B.
        limit: where the colours end.
        unit: of the errors.

    Returns:
        A figure with a scene for each surface that is there.
    """
    surfaces = [*predictions, *scans]
    first = next((s for s in [*scans, *predictions] if s is not None), None)
    if first is None:
        raise ValueError("linked_figure: expected at least one surface")
    scene, rows = Frame.around(first).scene(), 2 if any(s is not None for s in scans) else 1
    figure = go.Figure()
    for place, surface in enumerate(surfaces[: 2 * rows]):
        row, side = divmod(place, 2)
        domain = {
            "x": [0.0, 0.46] if side == 0 else [0.47, 0.93],
            "y": [1 - (row + 1) / rows, 1 - row / rows - 0.06 / rows],
        }
        what = "prediction" if row == 0 else "scan, coloured by its distance to the prediction"
        title = f"<b>{'AB'[side]}: {escape(names[side])}</b>, {what}" + ("" if surface else ": there is none")
        figure.add_annotation(
            text=title, x=domain["x"][0], y=domain["y"][1], xref="paper", yref="paper", showarrow=False, xanchor="left",
            yanchor="bottom",
        )  # fmt: skip
        if surface is None:
            continue
        name = "scene" if place == 0 else f"scene{place + 1}"
        for trace in _traces(surface, row, limit, unit, figure):
            figure.add_trace(trace.update(scene=name))
        figure.update_layout({name: {**scene, "domain": domain}})
    figure.update_layout(
        height=rows * ROW_HEIGHT,
        margin={"l": 0, "r": 0, "t": 8, "b": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        showlegend=False,
    )
    return figure


def _traces(surface: Surface, row: int, limit: float, unit: str, figure: go.Figure) -> list[Any]:
    part = lighter(surface, MOST_FACES)
    if row == 0:
        return [plain_trace(part, PREDICTION_COLOUR, "prediction")]
    traces = error_traces(part, limit, unit)
    shown = any(trace.showscale is not False and trace.intensity is not None for trace in figure.data)
    for trace in traces:
        if trace.intensity is not None:
            trace.update(showscale=not shown, colorbar={"x": 0.94, "y": 0.23, "len": 0.46})
    return traces
