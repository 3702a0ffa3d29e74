"""Figures: the right triangles in the right colours, and nothing drawn that was not measured."""

import numpy as np
import pandas
import pytest
import trimesh

from harness.inspection import Surface, with_errors
from harness.leaderboards.figures import (
    CHOSEN_COLOUR,
    FALLBACK_COLOUR,
    SCAN_GREY,
    Frame,
    error_figure,
    error_traces,
    prediction_figure,
    score_bars,
)
from harness.leaderboards.geometry import LIMITS, colour_limit, lighter
from tests.leaderboards.balls import FRONT, SCAN


def scored_ball():
    return with_errors(SCAN.vertices, SCAN.faces, FRONT, SCAN.vertices[FRONT, 2] / 10)


def triangles(trace):
    corners = np.stack([trace.x, trace.y, trace.z], axis=1)
    return corners[np.stack([trace.i, trace.j, trace.k], axis=1)]


def test_scan_is_split_into_scored_and_grey_triangles():
    grey, coloured = error_traces(scored_ball(), 5.0, "mm")
    by_hand = np.isin(SCAN.faces, FRONT).all(axis=1)
    assert (len(grey.i), len(coloured.i)) == (int((~by_hand).sum()), int(by_hand.sum()))
    assert grey.color == SCAN_GREY
    assert grey.intensity is None
    np.testing.assert_allclose(triangles(coloured), SCAN.vertices[SCAN.faces[by_hand]], atol=1e-4)
    np.testing.assert_allclose(triangles(grey), SCAN.vertices[SCAN.faces[~by_hand]], atol=1e-4)


def test_colour_is_the_distance_in_a_fixed_range():
    _, coloured = error_traces(scored_ball(), 5.0, "mm")
    np.testing.assert_allclose(coloured.intensity, np.asarray(coloured.z) / 10, atol=1e-5)
    assert (coloured.cmin, coloured.cmax) == (0.0, 5.0)
    assert "mm" in coloured.colorbar.title.text


def test_unscored_scan_is_all_grey_and_scored_one_has_none():
    nothing = with_errors(SCAN.vertices, SCAN.faces, np.zeros(0, int), np.zeros(0))
    assert [trace.color for trace in error_traces(nothing, 5.0, "mm")] == [SCAN_GREY]
    everything = with_errors(SCAN.vertices, SCAN.faces, np.arange(len(SCAN.vertices)), np.ones(len(SCAN.vertices)))
    (trace,) = error_traces(everything, 5.0, "mm")
    assert len(trace.x) == len(SCAN.vertices)


def test_scores_of_a_larger_scan_are_refused():
    with pytest.raises(IndexError):
        with_errors(SCAN.vertices, SCAN.faces, np.array([len(SCAN.vertices)]), np.ones(1))


def test_overlay_adds_the_prediction():
    ball = Surface(SCAN.vertices * 1.1, SCAN.faces)
    alone, both = (error_figure(scored_ball(), 5.0, "mm", overlay=overlay) for overlay in (None, ball))
    assert len(both.data) == len(alone.data) + 1
    assert both.data[-1].opacity < 1
    np.testing.assert_allclose(np.abs(both.data[-1].x).max(), 88, atol=0.1)


def to_scene(scene, point):
    """Where Plotly puts a point: the box of all ranges is centred and has the sides `aspectratio`."""
    ratio, ranges = scene.aspectratio, np.array([scene.xaxis.range, scene.yaxis.range, scene.zaxis.range])
    share = (np.asarray(point) - ranges.mean(axis=1)) / (ranges[:, 1] - ranges[:, 0])
    return share * [ratio.x, ratio.y, ratio.z]


def test_camera_faces_the_middle_of_the_scored_part_with_y_up():
    figure = prediction_figure(Surface(SCAN.vertices, SCAN.faces), Frame.around(scored_ball()))
    camera = figure.layout.scene.camera
    front = SCAN.vertices[FRONT]
    middle = to_scene(figure.layout.scene, (front.min(axis=0) + front.max(axis=0)) / 2)
    np.testing.assert_allclose([camera.center.x, camera.center.y, camera.center.z], middle, atol=1e-9)
    assert (camera.eye.x, camera.eye.y) == (camera.center.x, camera.center.y)
    assert camera.eye.z > to_scene(figure.layout.scene, (0, 0, 80))[2], "in front of the nose"
    assert (camera.up.x, camera.up.y, camera.up.z) == (0, 1, 0)


def test_meshes_are_not_stretched():
    long = Surface(SCAN.vertices * [1.0, 2.0, 0.5] + [300, 0, 0], SCAN.faces)
    scene = prediction_figure(long).layout.scene
    assert scene.aspectmode == "manual"
    origin, *steps = (to_scene(scene, point) for point in ((0, 0, 0), (10, 0, 0), (0, 10, 0), (0, 0, 10)))
    assert [np.linalg.norm(step - origin) for step in steps] == pytest.approx([np.linalg.norm(steps[0] - origin)] * 3)
    assert scene.xaxis.range[0] < 220 < 380 < scene.xaxis.range[1]


def test_large_mesh_gets_lighter_but_keeps_shape_and_errors():
    ball = trimesh.creation.icosphere(subdivisions=6, radius=80.0)
    height = np.asarray(ball.vertices)[:, 1]
    errors = np.where(height > 0, height, np.nan)
    light = lighter(Surface(np.asarray(ball.vertices), np.asarray(ball.faces), errors), most=30_000)
    assert 5_000 < len(light.faces) <= 30_000 < len(ball.faces)
    np.testing.assert_allclose(np.linalg.norm(light.vertices, axis=1), 80, atol=1.5)
    scored = np.isfinite(light.errors)
    np.testing.assert_allclose(light.errors[scored], light.vertices[scored, 1], atol=2)
    assert light.errors[scored].min() >= 0
    assert abs(scored.mean() - 0.5) < 0.03


def test_small_mesh_is_not_touched():
    surface = scored_ball()
    assert lighter(surface) is surface


def test_colour_limit_is_a_round_number_beyond_the_mean():
    assert [colour_limit(mean) for mean in (0.1, 1.3, 2.74, 6.8, 1e6)] == [0.5, 5.0, 10.0, 20.0, LIMITS[-1]]


def test_bars_mark_failures_and_the_chosen_sample():
    rows = pandas.DataFrame(
        {
            "sample": ["a", "b", "c"],
            "value": [1.0, None, 3.0],
            "fallback": [None, 9.0, None],
            "failure": [None, "no_face", None],
        }
    )
    (bars,) = score_bars(rows, "mm", chosen="c").data
    assert list(bars.y) == [1.0, 9.0, 3.0]
    assert list(bars.marker.color)[1:] == [FALLBACK_COLOUR, CHOSEN_COLOUR]
    assert list(bars.marker.pattern.shape) == ["", "/", ""]
    assert "no_face" in bars.customdata[1][1]


def test_bars_leave_a_gap_where_nothing_could_be_computed():
    rows = pandas.DataFrame({"sample": ["a"], "value": [None], "fallback": [None], "failure": ["crash"]})
    (bars,) = score_bars(rows, "mm").data
    assert np.isnan(bars.y[0])
