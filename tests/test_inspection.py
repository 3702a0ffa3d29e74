"""A run's data is found again where the run read it, and nothing else is ever opened or started."""

import shutil

import numpy as np
import pytest

from harness import HarnessError
from harness.benchmark import Benchmark
from harness.inspection import InspectedSample, Inspection, check_targets, open_benchmark, predicted_surface
from harness.run_folder import RunFolder
from harness.samples import Sample, View
from tests.leaderboards.balls import FRONT, SCAN
from tests.leaderboards.conftest import in_this_process, make_runs
from tests.toys import ToyDataset, ToyProtocol


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Method -> folder of its run: treat as read-only."""
    with in_this_process():
        root = make_runs(tmp_path_factory)
    folders = [RunFolder(path.parent) for path in root.rglob("summary.json")]
    return {folder.summary()["method"]: folder for folder in folders}


@pytest.fixture
def ball(runs):
    return runs["LargerBall"]


@pytest.fixture
def manifest(ball):
    return ball.manifest()


def test_scan_carries_the_errors_of_the_run(ball):
    surface = Inspection(ball).sample("ball_1").scan("toy_distance", "face")
    assert surface.vertices is SCAN.vertices
    np.testing.assert_allclose(surface.errors[FRONT], 4.0, atol=1e-5)
    assert np.isfinite(surface.errors).sum() == len(FRONT)


def test_prediction_stands_where_the_protocol_put_it(ball):
    surface = predicted_surface(ball, "ball_1", "toy_distance")
    np.testing.assert_allclose(surface.vertices, SCAN.vertices * 1.05 + 1000, atol=1e-3)
    np.testing.assert_array_equal(surface.faces, SCAN.faces)


def test_failed_prediction_has_no_surface(runs):
    assert predicted_surface(runs["Bad"], "s0003", "toy_distance") is None


def test_a_sample_that_is_not_there_is_said(ball):
    with pytest.raises(HarnessError, match="has no sample ball_2"):
        Inspection(ball).sample("ball_2")


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
    inspection = Inspection(ball)
    smaller = SCAN.__class__(SCAN.vertices[:3], SCAN.faces[:1] * 0 + np.arange(3))
    monkeypatch.setattr(
        type(inspection.benchmark.dataset), "truth", lambda self, sample: type("T", (), {"scan": smaller})
    )
    with pytest.raises(HarnessError, match="another scan"):
        inspection.sample("ball_1").scan("toy_distance", "face")


def test_damaged_score_is_named(ball, tmp_path):
    run = RunFolder(shutil.copytree(ball.path, tmp_path / "run"))
    (run.path / "scores" / "ball_1.npz").write_bytes(b"PK")
    with pytest.raises(HarnessError, match="ball_1"):
        predicted_surface(run, "ball_1", "toy_distance")
    shutil.rmtree(run.path / "predictions")
    with pytest.raises(HarnessError, match="ball_1"):
        predicted_surface(run, "ball_1", "toy_distance")


def test_pictures_are_made_smaller_only(ball):
    views = tuple(View(np.zeros((height, height // 2, 3), np.uint8)) for height in (2000, 20))
    toy = Benchmark("toy", ToyDataset(1), (ToyProtocol(),))
    sample = InspectedSample(ball, toy, Sample("s", "p", views))
    assert sample.views == 2
    assert sample.picture(0, 100).shape == (100, 50, 3)
    assert sample.picture(1, 100).shape == (20, 10, 3)
