"""A run's data is found again where the run read it, and nothing else is ever opened or started."""

import copy
import shutil

import numpy as np
import pytest

from harness import HarnessError
from harness.leaderboards.material import aligned_surface, check_targets, open_benchmark, picture, scan_surface
from harness.leaderboards.runs import find_runs
from harness.samples import View
from tests.leaderboards.balls import FRONT, SCAN


@pytest.fixture
def ball(finished):
    return next(run for run in find_runs(finished)[0] if run.method == "LargerBall")


@pytest.fixture
def manifest(ball):
    return copy.deepcopy(ball.manifest)


def test_scan_carries_the_errors_of_the_run(ball):
    benchmark = open_benchmark(ball.manifest)
    surface = scan_surface(benchmark, ball, benchmark.samples()[0], "toy_distance", "face")
    assert surface.vertices is SCAN.vertices
    np.testing.assert_allclose(surface.errors[FRONT], 4.0, atol=1e-5)
    assert np.isfinite(surface.errors).sum() == len(FRONT)


def test_prediction_stands_where_the_protocol_put_it(ball):
    surface = aligned_surface(ball, "ball_1", "toy_distance")
    np.testing.assert_allclose(surface.vertices, SCAN.vertices * 1.05 + 1000, atol=1e-3)
    np.testing.assert_array_equal(surface.faces, SCAN.faces)


def test_failed_prediction_has_no_surface(finished):
    bad = next(run for run in find_runs(finished)[0] if run.method == "Bad")
    assert aligned_surface(bad, "s0003", "toy_distance") is None


def test_data_that_moved_away_is_said(manifest, tmp_path):
    manifest["data_folder"] = str(tmp_path / "gone")
    with pytest.raises(HarnessError, match="not there any more"):
        open_benchmark(manifest)


def test_data_of_another_version_is_refused(manifest):
    manifest["data"]["version"] = "0"
    with pytest.raises(HarnessError, match="the run read 0"):
        open_benchmark(manifest)


def test_mirror_elsewhere_is_neither_read_nor_written(manifest, tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    manifest["data"]["kind"] = "mirror"
    with pytest.raises(HarnessError, match="would be looked for in"):
        open_benchmark(manifest)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("target", ["subprocess.Popen", "os.system", "harness.cli.main", "no.such.thing"])
def test_manifest_cannot_start_foreign_code(manifest, target):
    manifest["config"]["bench"]["protocols"].append({"_target_": target, "args": "false"})
    with pytest.raises(HarnessError, match=target):
        open_benchmark(manifest)
    with pytest.raises(HarnessError, match=target):
        check_targets([{"deep": {"_target_": target}}])


def test_manifest_without_configuration_is_refused(manifest):
    manifest["config"] = {}
    with pytest.raises(HarnessError, match="does not say how"):
        open_benchmark(manifest)


def test_scores_of_another_scan_are_refused(ball, monkeypatch):
    benchmark = open_benchmark(ball.manifest)
    smaller = SCAN.__class__(SCAN.vertices[:3], SCAN.faces[:1] * 0 + np.arange(3))
    monkeypatch.setattr(type(benchmark.dataset), "truth", lambda self, sample: type("T", (), {"scan": smaller}))
    with pytest.raises(HarnessError, match="another scan"):
        scan_surface(benchmark, ball, benchmark.samples()[0], "toy_distance", "face")


def test_damaged_score_is_named(ball, runs_folder):
    run = next(run for run in find_runs(runs_folder)[0] if run.method == "LargerBall")
    (run.folder.path / "scores" / "ball_1.npz").write_bytes(b"PK")
    with pytest.raises(HarnessError, match="ball_1"):
        aligned_surface(run, "ball_1", "toy_distance")
    shutil.rmtree(run.folder.path / "predictions")
    with pytest.raises(HarnessError, match="ball_1"):
        aligned_surface(run, "ball_1", "toy_distance")


def test_pictures_are_made_smaller_only():
    assert picture(View(np.zeros((2000, 1000, 3), np.uint8)), 100).shape == (100, 50, 3)
    assert picture(View(np.zeros((20, 10, 3), np.uint8)), 100).shape == (20, 10, 3)
