"""Plotly figures of a run: scores per sample, and the meshes behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas
import plotly.graph_objects as go
from numpy.typing import NDArray

from harness.inspection import Surface
from harness.leaderboards.geometry import lighter

Array = NDArray[Any]

ERROR_COLOURS = "Turbo"
SCAN_GREY = "#8f959c"
PREDICTION_COLOUR = "#c9ad93"
BAR_COLOUR = "#4c78a8"
FALLBACK_COLOUR = "#9a9a9a"
CHOSEN_COLOUR = "#f58518"
LIGHTING = {"ambient": 0.5, "diffuse": 0.65, "specular": 0.12, "roughness": 0.7, "fresnel": 0.05}
DISTANCE = 2.1  # of the camera, in sizes of what it looks at: Plotly sees 0.83 of the distance in height


@dataclass(frozen=True, eq=False)
class Frame:
    """What a scene shows: `bounds` (2, 3) are the corners of its box, `focus` (2, 3) of what the camera faces, mm."""

    bounds: Array
    focus: Array

    @classmethod
    def around(cls, surface: Surface, margin: float = 0.1) -> Frame:
        """The whole surface with some room, the camera on its scored part if it has one."""
        whole = _corners(surface.vertices)
        room = margin * float((whole[1] - whole[0]).max())
        scored = np.zeros(0, bool) if surface.errors is None else np.isfinite(surface.errors)
        focus = _corners(surface.vertices[scored]) if scored.any() else whole
        return cls(whole + np.array([[-room], [room]]), focus)

    def scene(self) -> dict[str, object]:
        """Plotly's scene: true proportions, the camera in front (+z) with y up."""
        extent = self.bounds[1] - self.bounds[0]
        unit = float(np.cbrt(extent.prod()))
        # with ranges of its own, Plotly's aspectmode "data" would stretch a mesh to fill them
        ratio = dict(zip("xyz", (extent / unit).tolist(), strict=True))
        x, y, z = ((self.focus.mean(axis=0) - self.bounds.mean(axis=0)) / unit).tolist()
        away = DISTANCE * float((self.focus[1] - self.focus[0])[:2].max()) / unit
        return {
            "aspectmode": "manual",
            "aspectratio": ratio,
            "camera": {
                "eye": {"x": x, "y": y, "z": z + away},
                "center": {"x": x, "y": y, "z": z},
                "up": {"x": 0, "y": 1, "z": 0},
            },
            "dragmode": "orbit",
            "bgcolor": "rgba(0,0,0,0)",
            **{f"{name}axis": {"visible": False, "range": self.bounds[:, k].tolist()} for k, name in enumerate("xyz")},
        }


def _corners(points: Array) -> Array:
    return np.stack([points.min(axis=0), points.max(axis=0)])


def score_bars(rows: pandas.DataFrame, unit: str, chosen: str | None = None) -> go.Figure:
    """One bar per sample, in the benchmark's order; failed samples stand hatched at the mean face's score.

    Args:
        rows: rows of `scores.parquet` of one protocol and region.
        unit: of the values.
        chosen: the sample to bring out.
    """
    failed = rows["failure"].notna()
    heights = rows["value"].where(~failed, rows["fallback"]).astype(float)
    colours = np.where(rows["sample"] == chosen, CHOSEN_COLOUR, np.where(failed, FALLBACK_COLOUR, BAR_COLOUR))
    words = [
        f"failed: {failure}; the bar is the mean face's score" if isinstance(failure, str) else ""
        for failure in rows["failure"]
    ]
    figure = go.Figure(
        go.Bar(
            x=rows["sample"],
            y=heights,
            width=min(0.8, 0.06 * len(rows)),  # a run of two samples shall not look like a wall
            customdata=np.stack([rows["sample"], words], axis=1),
            marker={"color": colours, "pattern": {"shape": ["/" if f else "" for f in failed]}},
            hovertemplate=f"<b>%{{x}}</b><br>%{{y:.2f}} {unit}<br>%{{customdata[1]}}<extra></extra>",
        )
    )
    figure.update_layout(height=280, margin={"l": 10, "r": 10, "t": 10, "b": 10}, yaxis_title=f"error [{unit}]")
    figure.update_xaxes(type="category", tickangle=0 if len(rows) <= 12 else None, showticklabels=len(rows) <= 60)
    return figure


def prediction_figure(surface: Surface, frame: Frame | None = None) -> go.Figure:
    """The predicted mesh, looked at from the front."""
    return _figure([plain_trace(lighter(surface), PREDICTION_COLOUR, "prediction")], frame or Frame.around(surface))


def error_figure(
    scan: Surface, limit: float, unit: str, frame: Frame | None = None, overlay: Surface | None = None
) -> go.Figure:
    """The scan coloured by error, unscored parts in grey; optionally with the prediction over it, translucent.

    Args:
        scan: with errors.
        limit: upper end of the colour bar; larger errors have its last colour.
        unit: of the errors.
        frame: what is shown, the same for all views of a sample; around the scan by default.
        overlay: the prediction in the scan's frame.
    """
    traces = error_traces(lighter(scan), limit, unit)
    if overlay is not None:
        traces.append(plain_trace(lighter(overlay), PREDICTION_COLOUR, "prediction", opacity=0.45))
    return _figure(traces, frame or Frame.around(scan))


def error_traces(scan: Surface, limit: float, unit: str) -> list[go.Mesh3d]:
    """Scored triangles with a colour bar, and the others in grey; a kind that has none is left out."""
    scored = scan.scored_faces
    traces = []
    if not scored.all():
        traces.append(plain_trace(Surface(scan.vertices, scan.faces[~scored]), SCAN_GREY, "not scored"))
    if scored.any() and scan.errors is not None:
        part, used = _used(scan.vertices, scan.faces[scored])
        traces.append(
            _mesh(
                part,
                "scan",
                intensity=scan.errors[used].astype(np.float32),
                colorscale=ERROR_COLOURS,
                cmin=0.0,
                cmax=limit,
                colorbar={"title": {"text": f"error [{unit}]"}, "thickness": 14, "len": 0.8, "x": 1.0},
                hovertemplate=f"%{{intensity:.2f}} {unit}<extra></extra>",
            )
        )
    return traces


def plain_trace(surface: Surface, colour: str, name: str, opacity: float = 1.0) -> go.Mesh3d:
    """A mesh in one colour."""
    part, _ = _used(surface.vertices, surface.faces)
    return _mesh(part, name, color=colour, opacity=opacity, hoverinfo="name")


def _used(vertices: Array, faces: Array) -> tuple[Surface, Array]:
    """The mesh of `faces` with only the vertices it uses, and their indices."""
    used, renumbered = np.unique(faces, return_inverse=True)
    return Surface(vertices[used], renumbered.reshape(faces.shape)), used


def _mesh(surface: Surface, name: str, **style: object) -> go.Mesh3d:
    x, y, z = np.asarray(surface.vertices, dtype=np.float32).T
    i, j, k = np.asarray(surface.faces, dtype=np.int32).T
    light = {"x": 2000.0, "y": 6000.0, "z": 12000.0}
    return go.Mesh3d(
        x=x, y=y, z=z, i=i, j=j, k=k, name=name, flatshading=False, lighting=LIGHTING, lightposition=light, **style
    )


def _figure(traces: Sequence[go.Mesh3d], frame: Frame) -> go.Figure:
    figure = go.Figure(list(traces))
    figure.update_layout(
        height=520,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        paper_bgcolor="rgba(0,0,0,0)",
        scene=frame.scene(),
        uirevision="keep",
    )
    return figure
