"""Figures of a board and of a pair: the numbers drawn are those given, in the right units, and names are text."""

import numpy as np
import pandas
import pytest
import trimesh

from harness.inspection import Surface, with_errors
from harness.leaderboards.charts import COLOURS, bar_figure, curve_figure, front_figure, line_figure, style
from harness.leaderboards.curves import EDGES, Curve
from harness.leaderboards.figures import CHOSEN_COLOUR, FALLBACK_COLOUR
from harness.leaderboards.fronts import TimedRun
from harness.leaderboards.pair_figures import MOST_FACES, linked_figure, scatter_figure
from harness.leaderboards.scores import Spread
from tests.leaderboards.balls import FRONT, SCAN, memory_run

EVIL = "<script>alert(1)</script>"
BALL = Surface(SCAN.vertices, SCAN.faces)


def spread(value, low=None, high=None):
    return Spread(value, low, high, 10, 0, 5)


def test_methods_keep_their_colour_and_forty_differ():
    assert len({style(n) for n in range(40)}) == 40
    curve = Curve(np.linspace(0, 100, len(EDGES)), None, None)
    both, one = (curve_figure(dict.fromkeys(names, curve), {"a": 0, "b": 1}, "mm") for names in (["a", "b"], ["b"]))
    assert both.data[1].line.color == one.data[0].line.color == COLOURS[1]


def test_curve_has_its_band_units_and_an_end_where_nearly_all_points_are():
    percent = np.clip(EDGES * 25, 0, 100)
    figure = curve_figure({EVIL: Curve(percent, percent - 1, percent + 1)}, {EVIL: 0}, "mm")
    band, line = figure.data
    np.testing.assert_array_equal(line.y, percent)
    np.testing.assert_allclose(band.y[: len(EDGES)] - band.y[len(EDGES) :][::-1], 2)
    assert "[mm]" in figure.layout.xaxis.title.text
    assert "[%]" in figure.layout.yaxis.title.text
    assert figure.layout.xaxis.range[1] == pytest.approx(4.0, abs=0.051)
    assert "<script" not in figure.to_json().replace("\\u003c", "<")


@pytest.mark.parametrize("draw", [line_figure, bar_figure])
def test_error_bars_reach_to_the_interval(draw):
    groups = [("1", spread(2.0, 1.5, 2.7)), ("2", spread(None)), ("3", spread(4.0))]
    (trace,) = draw({EVIL: groups}, {EVIL: 0}, "yaw", "face", "mm").data
    assert list(trace.y) == [2.0, 4.0], "what was not computed is not drawn"
    np.testing.assert_allclose(trace.error_y.array, [0.7, 0])
    np.testing.assert_allclose(trace.error_y.arrayminus, [0.5, 0])
    assert "<script" not in str(trace.name) + str(trace.hovertemplate)
    assert "no interval with one subject" in trace.customdata[1]


def test_front_joins_the_unbeaten_points_and_fills_them():
    points = [TimedRun(memory_run(), memory_run(), error, time) for error, time in [(3, 1), (2, 10), (2.5, 20)]]
    spreads = [spread(3.0, 2.9, 3.3), None, None]
    figure = front_figure(points, ["a", "b", EVIL], {"a": 0, "b": 1, EVIL: 2}, spreads, "face [mm]")
    line, *dots = figure.data
    assert (list(line.x), list(line.y)) == ([1, 10], [3, 2])
    assert [dot.marker.symbol for dot in dots] == ["circle", "circle", "circle-open"]
    np.testing.assert_allclose([dots[0].error_y.array[0], dots[0].error_y.arrayminus[0]], [0.3, 0.1])
    assert dots[1].error_y.array is None
    assert "<script" not in dots[2].name
    assert "[ms]" in figure.layout.xaxis.title.text
    low, high = figure.layout.xaxis.range
    assert 10**low < 1 < 20 < 10**high


def test_front_of_scores_that_are_better_when_larger():
    points = [TimedRun(memory_run(), memory_run(), value, time) for value, time in [(3, 1), (2, 10), (4, 20)]]
    figure = front_figure(points, list("abc"), {"a": 0, "b": 1, "c": 2}, [None] * 3, "face [%]", larger_is_better=True)
    assert (list(figure.data[0].x), list(figure.data[0].y)) == ([1, 20], [3, 4])


def pairs(**changes):
    fields = {
        "sample": ["s0", EVIL],
        "group": ["", "3 views"],
        "a": [1.0, 2.0],
        "b": [1.5, 1.0],
        "failure_a": [None, "no_face"],
        "failure_b": [None, None],
    }
    return pandas.DataFrame({**fields, **changes})


def test_scatter_has_a_over_b_the_diagonal_and_the_chosen_sample():
    diagonal, points = scatter_figure(pairs(), [EVIL, "b"], "mm", "s0").data
    assert list(diagonal.x) == list(diagonal.y)
    assert (list(points.x), list(points.y)) == ([1, 2], [1.5, 1])
    assert list(points.marker.color) == [CHOSEN_COLOUR, FALLBACK_COLOUR]
    assert points.customdata[1][0] == EVIL, "the click needs the very name"
    assert "<script" not in points.customdata[1][1]
    assert "A failed: no_face" in points.customdata[1][2]


def test_scatter_without_a_number_is_empty():
    figure = scatter_figure(pairs(a=[np.nan, np.nan]), ["a", "b"], "mm", None)
    assert len(figure.data[1].x) == 0


def test_four_views_have_one_frame_one_colour_range_and_one_bar():
    scans = [with_errors(SCAN.vertices, SCAN.faces, FRONT, np.full(len(FRONT), error)) for error in (1.0, 4.0)]
    figure = linked_figure([BALL, BALL], scans, [EVIL, "b"], 5.0, "mm")
    scenes = [figure.layout[name] for name in ("scene", "scene2", "scene3", "scene4")]
    assert len({str(scene.camera) for scene in scenes}) == 1
    assert len({str(scene.xaxis.range) for scene in scenes}) == 1
    boxes = [(*s.domain.x, *s.domain.y) for s in scenes]
    assert all(a[1] <= b[0] or b[1] <= a[0] or a[3] <= b[2] or b[3] <= a[2] for a in boxes for b in boxes if a != b)
    coloured = [trace for trace in figure.data if trace.intensity is not None]
    assert [float(trace.intensity[0]) for trace in coloured] == [1.0, 4.0]
    assert {(trace.cmin, trace.cmax) for trace in coloured} == {(0.0, 5.0)}
    assert [trace.showscale for trace in coloured] == [True, False]
    assert "[mm]" in coloured[0].colorbar.title.text
    assert "<script" not in "".join(a.text for a in figure.layout.annotations)


@pytest.mark.parametrize(
    ("predictions", "scans", "scenes"),
    [([BALL, None], [None, None], 1), ([None, None], [None, BALL], 1), ([BALL, BALL], [BALL, None], 3)],
)
def test_what_is_missing_is_said_in_its_place(predictions, scans, scenes):
    figure = linked_figure(predictions, scans, ["a", "b"], 5.0, "mm")
    assert len({trace.scene for trace in figure.data}) == scenes
    texts = [annotation.text for annotation in figure.layout.annotations]
    assert sum("there is none" in text for text in texts) == len(texts) - scenes


def test_large_meshes_are_drawn_coarser():
    ball = trimesh.creation.icosphere(subdivisions=6, radius=80.0)
    surface = Surface(np.asarray(ball.vertices), np.asarray(ball.faces))
    assert len(surface.faces) > MOST_FACES
    (trace,) = linked_figure([surface, None], [None, None], ["a", "b"], 5.0, "mm").data
    assert len(trace.i) <= MOST_FACES
