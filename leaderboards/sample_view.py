"""One sample of a run: its pictures, the predicted mesh, the scan coloured by error."""

from __future__ import annotations

import streamlit

from harness.errors import HarnessError
from harness.inspection import InspectedSample, Inspection, Surface, predicted_surface
from harness.leaderboards.figures import Frame, error_figure, prediction_figure
from harness.leaderboards.geometry import LIMITS, colour_limit
from harness.leaderboards.runs import Run
from harness.run_folder import RunFolder

MOST_PICTURES = 9
PICTURE_SIZE, SMALL_PICTURE_SIZE = 640, 200
PLOT = {"displaylogo": False, "modeBarButtonsToRemove": ["tableRotation", "resetCameraLastSave3d"]}


@streamlit.cache_resource(max_entries=8, show_spinner="Opening the data set")
def cached_inspection(identity: str, _run: RunFolder) -> Inspection:
    """The run with its data. Raises HarnessError (not cached) where that cannot be opened."""
    return Inspection(_run)


def show_sample(run: Run, sample_id: str, protocol: str, column: str, unit: str) -> None:
    """Draws what there is of one sample; what cannot be reached is said, and the rest shown."""
    result = run.folder.score(sample_id)["protocols"][protocol]
    if result["failure"]:
        streamlit.error(f"Failed: {result['failure']}. {result['detail']}")
    if result["warnings"]:
        streamlit.warning("  \n".join(result["warnings"]))
    pictures, scene = streamlit.columns([1, 3])
    sample = None
    with pictures:
        try:
            sample = cached_inspection(run.identity, run.folder).sample(sample_id)
            show_pictures(sample)
        except HarnessError as error:
            streamlit.info(f"Pictures and scan cannot be shown: {error}")
    with scene:
        show_meshes(run, sample_id, sample, protocol, column, unit)


def show_pictures(sample: InspectedSample) -> None:
    """The first view large, the others small beneath it."""
    try:
        streamlit.image(sample.picture(0, PICTURE_SIZE), caption="view 1", width="stretch")
        others = range(1, min(sample.views, MOST_PICTURES))
        columns = streamlit.columns(3) if others else []
        for number in others:
            picture = sample.picture(number, SMALL_PICTURE_SIZE)
            columns[(number - 1) % 3].image(picture, caption=f"view {number + 1}", width="stretch")
    except HarnessError as error:
        streamlit.warning(str(error))
    if sample.views > MOST_PICTURES:
        streamlit.caption(f"and {sample.views - MOST_PICTURES} more views")


def show_meshes(
    run: Run, sample_id: str, sample: InspectedSample | None, protocol: str, column: str, unit: str
) -> None:
    """Prediction and scan side by side, or one over the other."""
    try:
        predicted = predicted_surface(run.folder, sample_id, protocol)
        scan = sample.scan(protocol, column) if sample else None
    except HarnessError as error:
        streamlit.warning(str(error))
        return
    if scan is None:
        show_prediction(predicted, None)
        return
    limit, overlay = controls(run, protocol, column, unit)
    frame = Frame.around(scan)
    if overlay:
        show_scan(scan, limit, unit, frame, predicted)
        return
    left, right = streamlit.columns(2)
    with left:
        show_prediction(predicted, frame)
    with right:
        show_scan(scan, limit, unit, frame, None)


def controls(run: Run, protocol: str, column: str, unit: str) -> tuple[float, bool]:
    """The colour bar's upper end, the same for all samples of a run until it is changed, and whether to overlay."""
    means = [r["value"] for r in run.rows if (r["protocol"], r["column"]) == (protocol, column) and r["value"]]
    usual = colour_limit(sum(means) / len(means)) if means else LIMITS[4]
    left, right = streamlit.columns([3, 2])
    key = f"limit {run.identity} {protocol} {column}"
    limit = left.select_slider(f"Colours end at [{unit}]", LIMITS, value=usual, key=key)
    overlay = right.toggle("Prediction over scan", key="overlay")
    return float(limit), overlay


def show_prediction(predicted: Surface | None, frame: Frame | None) -> None:
    """The predicted mesh alone."""
    streamlit.markdown("**Prediction**")
    if predicted is None:
        streamlit.info("There is no predicted mesh for this sample.")
        return
    streamlit.plotly_chart(prediction_figure(predicted, frame), config=PLOT, key="prediction")
    streamlit.caption(f"{len(predicted.vertices):,} vertices, {len(predicted.faces):,} triangles")


def show_scan(scan: Surface, limit: float, unit: str, frame: Frame, overlay: Surface | None) -> None:
    """The scan coloured by its distance to the prediction."""
    covered = "; the prediction over it, translucent" if overlay else ""
    streamlit.markdown(f"**Scan, coloured by its distance to the prediction** (grey: not scored{covered})")
    streamlit.plotly_chart(error_figure(scan, limit, unit, frame, overlay), config=PLOT, key="scan")
    scored = 0 if scan.errors is None else int((scan.errors == scan.errors).sum())
    streamlit.caption(f"{len(scan.vertices):,} vertices, {scored:,} of them scored. Drag to turn, scroll to zoom.")
