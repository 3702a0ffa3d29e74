"""One sample of a run: its pictures, the predicted mesh, the scan coloured by error."""

from __future__ import annotations

from typing import Any

import streamlit

from harness.benchmark import Benchmark
from harness.errors import HarnessError
from harness.leaderboards.figures import Frame, error_figure, prediction_figure
from harness.leaderboards.geometry import LIMITS, Surface, colour_limit
from harness.leaderboards.material import aligned_surface, open_benchmark, picture, scan_surface
from harness.leaderboards.runs import Run
from harness.samples import Sample

MOST_PICTURES = 9
PLOT = {"displaylogo": False, "modeBarButtonsToRemove": ["tableRotation", "resetCameraLastSave3d"]}


@streamlit.cache_resource(max_entries=8, show_spinner="Opening the data set")
def cached_benchmark(identity: str, _manifest: dict[str, Any]) -> tuple[Benchmark, dict[str, Sample]]:
    """The run's benchmark with its samples by id. Raises HarnessError (not cached) where it cannot be opened."""
    benchmark = open_benchmark(_manifest)
    return benchmark, {sample.id: sample for sample in benchmark.samples()}


def show_sample(run: Run, sample_id: str, protocol: str, column: str, unit: str) -> None:
    """Draws what there is of one sample; what cannot be reached is said, and the rest shown."""
    result = run.folder.score(sample_id)["protocols"][protocol]
    if result["failure"]:
        streamlit.error(f"Failed: {result['failure']}. {result['detail']}")
    if result["warnings"]:
        streamlit.warning("  \n".join(result["warnings"]))
    pictures, scene = streamlit.columns([1, 3])
    benchmark, sample = None, None
    with pictures:
        try:
            benchmark, samples = cached_benchmark(run.identity, run.manifest)
            sample = samples[sample_id]
            show_pictures(sample)
        except (HarnessError, KeyError) as error:
            streamlit.info(f"Pictures and scan cannot be shown: {error}")
    with scene:
        show_meshes(run, sample_id, benchmark, sample, protocol, column, unit)


def show_pictures(sample: Sample) -> None:
    """The first view large, the others small beneath it."""
    try:
        streamlit.image(picture(sample.views[0]), caption="view 1", width="stretch")
        others = sample.views[1:MOST_PICTURES]
        columns = streamlit.columns(3) if others else []
        for number, view in enumerate(others):
            columns[number % 3].image(picture(view, 200), caption=f"view {number + 2}", width="stretch")
    except HarnessError as error:
        streamlit.warning(str(error))
    if len(sample.views) > MOST_PICTURES:
        streamlit.caption(f"and {len(sample.views) - MOST_PICTURES} more views")


def show_meshes(
    run: Run, sample_id: str, benchmark: Benchmark | None, sample: Sample | None, protocol: str, column: str, unit: str
) -> None:
    """Prediction and scan side by side, or one over the other."""
    try:
        predicted = aligned_surface(run, sample_id, protocol)
        scan = scan_surface(benchmark, run, sample, protocol, column) if benchmark and sample else None
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
