"""One sample of two runs: the picture, both predictions and their errors on the scan, turned together."""

from __future__ import annotations

import streamlit

from harness.errors import HarnessError
from harness.inspection import Surface, predicted_surface
from harness.leaderboards.geometry import LIMITS, colour_limit
from harness.leaderboards.linked_view import linked_chart
from harness.leaderboards.links import link
from harness.leaderboards.pair_figures import linked_figure
from harness.leaderboards.runs import Run
from harness.leaderboards.sample_view import cached_inspection, show_pictures

REMEDY = (
    "3D views need both runs' own folders with their predictions: make them here with `python -m harness run "
    "method=... bench={bench}`. The scan with its errors also needs the data: `python -m harness data status`."
)


def show_pair(
    runs: tuple[Run, Run],
    names: tuple[str, str],
    sample_id: str,
    protocol_id: str,
    protocol: str,
    column: str,
    unit: str,
) -> None:
    """Draws what there is of one sample; what cannot be reached is said, and the rest shown.

    Args:
        runs: A and B.
        names: of the runs.
        sample_id: a sample of both.
        protocol_id: of a protocol of both.
        protocol: its name in A.
        column: of the scores.
        unit: of the column.
    """
    inside = [protocol, _name_in(runs[1], protocol_id)]
    links = " · ".join(
        link(f"{side}: {name}", "run", run=run.key, sample=sample_id, protocol=protocol_id, column=column)
        for side, name, run in zip("AB", names, runs, strict=True)
    )
    streamlit.html(f'<span class="small">This sample in the run of {links}</span>')
    predictions: list[Surface | None] = []
    scans: list[Surface | None] = []
    for side, run, name in zip("AB", runs, inside, strict=True):
        prediction, scan = surfaces_of(side, run, sample_id, name, column)
        predictions.append(prediction)
        scans.append(scan)
    pictures, scene = streamlit.columns([1, 4])
    with pictures:
        here = next((run for run in runs if run.local), None)
        try:
            if here is not None:
                show_pictures(cached_inspection(here.identity, here.folder).sample(sample_id))
        except HarnessError as error:
            streamlit.info(f"The picture cannot be shown: {error}")
    with scene:
        if not any(surface is not None for surface in [*predictions, *scans]):
            streamlit.info(f"There is no mesh to show. {REMEDY.format(bench=runs[0].manifest['bench'])}")
            return
        limit = colours_end(runs, protocol_id, column, unit) if any(scan is not None for scan in scans) else LIMITS[4]
        linked_chart(linked_figure(predictions, scans, names, limit, unit), key="linked")
        streamlit.caption(
            "Drag to turn all views together, scroll to zoom. Grey: not scored. Meshes are drawn coarser than they are "
            "where they have many triangles."
        )


def surfaces_of(
    side: str, run: Run, sample_id: str, protocol: str, column: str
) -> tuple[Surface | None, Surface | None]:
    """The prediction and the scan with its errors; what is missing is said and None."""
    prediction = scan = None
    if not run.local:
        streamlit.info(f"{side} is a published entry, which holds scores but no meshes.")
        return None, None
    try:
        failure = run.folder.score(sample_id)["protocols"][protocol]["failure"]
        if failure:
            streamlit.warning(f"{side} failed on this sample: {failure}.")
        prediction = predicted_surface(run.folder, sample_id, protocol)
        scan = cached_inspection(run.identity, run.folder).sample(sample_id).scan(protocol, column)
    except HarnessError as error:
        streamlit.info(f"{side}: not everything can be shown. {error}")
    except (KeyError, TypeError) as error:
        streamlit.info(f"{side}: the sample's score is not in this version's form ({type(error).__name__}: {error})")
    return prediction, scan


def colours_end(runs: tuple[Run, Run], protocol_id: str, column: str, unit: str) -> float:
    """Where the colours end, for all samples of both runs alike until it is changed."""
    rows = [row for run in runs for row in run.rows]
    values = [row["value"] for row in rows if (row["protocol_id"], row["column"]) == (protocol_id, column)]
    numbers = [value for value in values if value]
    usual = colour_limit(sum(numbers) / len(numbers)) if numbers else LIMITS[4]
    key = f"limit {runs[0].identity} {runs[1].identity} {protocol_id} {column}"
    return float(streamlit.select_slider(f"Colours end at [{unit}]", LIMITS, value=usual, key=key))


def _name_in(run: Run, protocol_id: str) -> str:
    return next(str(name) for name, protocol in run.manifest["protocols"].items() if protocol["id"] == protocol_id)
