"""The run: failures keep their row, a killed run resumes to the same bytes, nothing is lost."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import types
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from harness import HarnessError
from harness.benchmark import Benchmark
from harness.geometry.backend import chosen
from harness.method import MethodSpec
from harness.protocols.scores import Score
from harness.run_folder import RunFolder
from harness.runner import RunOptions, run
from tests.toys import ToyDataset, ToyProtocol

ROOT = Path(__file__).resolve().parents[1]
KILLS = int(os.environ.get("HARNESS_KILLS", "3"))


def go(tmp_path, name, count=6, **options) -> RunFolder:
    bench = Benchmark("toy", ToyDataset(count), (ToyProtocol(),))
    return run(bench, MethodSpec(name, f"tests.toys:{name}"), {}, RunOptions(root=tmp_path, **options))


def table(folder):
    return pq.read_table(folder.path / "scores.parquet").to_pylist()


def final_bytes(folder):
    return [(folder.path / name).read_bytes() for name in ("scores.parquet", "summary.json")]


def test_good_run_scores_every_sample(tmp_path):
    folder = go(tmp_path, "Good")
    assert [row["sample"] for row in table(folder)] == [f"s{i:04d}" for i in range(6)]
    rows = folder.summary()["rows"]
    assert [(row["views"], row["evaluated"], row["expected"]) for row in rows] == [(1, 3, 3), (2, 3, 3)]
    by_hand = [row["value"] for row in table(folder) if row["views"] == 1]
    assert rows[0]["value"] == pytest.approx(sum(by_hand) / 3)


def test_unit_is_converted(tmp_path):
    metres, millimetres = go(tmp_path, "InMetres"), go(tmp_path, "Good")
    for one, other in zip(table(metres), table(millimetres), strict=True):
        assert one["value"] == pytest.approx(other["value"], abs=1e-9)


def test_each_failure_keeps_its_row_and_reason(tmp_path):
    folder = go(tmp_path, "Bad")
    rows = table(folder)
    assert [row["failure"] for row in rows] == ["crash", "non_finite", "bad_mesh", "no_face", "crash", None]
    assert folder.failures() == Counter(f"{row['failure']}. {row['detail']}" for row in rows[:5])
    assert all((row["value"] is None) == (row["failure"] is not None) for row in rows)
    assert "deliberate" in rows[0]["detail"]
    assert all(row["fallback"] is not None for row in rows[:5])


def test_a_batch_that_raises_is_repeated_one_by_one(tmp_path):
    one_by_one, batched = go(tmp_path, "Bad"), go(tmp_path, "Bad", batch_size=6)
    assert [r["failure"] for r in table(batched)] == [r["failure"] for r in table(one_by_one)]


@pytest.mark.parametrize(("name", "reason"), [("Deadly", "crash"), ("Hanging", "timeout")])
def test_worker_that_dies_or_hangs_costs_one_sample(tmp_path, name, reason):
    rows = table(go(tmp_path, name, timeout_s=4.0))
    assert [row["failure"] for row in rows] == [None, None, None, reason, None, None]


def test_too_few_predictions_is_a_recorded_failure(tmp_path):
    rows = table(go(tmp_path, "TooFew"))
    assert {row["failure"] for row in rows} == {"crash"}
    assert "0 predictions for 1 samples" in rows[0]["detail"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("NoUnit", "unit"), ("BrokenLoad", "weights are gone"), ("Incomplete", "predict"), ("Gone", "no Gone")],
)
def test_method_that_cannot_start_is_refused(tmp_path, name, words):
    with pytest.raises(HarnessError, match=words):
        go(tmp_path, name)


def test_finished_run_is_returned_from_disk(tmp_path):
    first = go(tmp_path, "Good")
    stamp = (first.path / "summary.json").stat().st_mtime_ns
    again = go(tmp_path, "Good")
    assert again.path == first.path
    assert (again.path / "summary.json").stat().st_mtime_ns == stamp


def test_seed_and_options_make_another_run(tmp_path):
    assert go(tmp_path, "Good").path != go(tmp_path, "Good", seed=1).path


def test_two_runs_in_one_folder_are_refused(tmp_path):
    folder = go(tmp_path, "Good")
    with folder.lock(), pytest.raises(HarnessError, match="another process"):
        go(tmp_path, "Good")


def test_folder_of_another_run_is_refused(tmp_path):
    go(tmp_path, "Good", output=tmp_path / "mine")
    with pytest.raises(HarnessError, match="holds another run"):
        go(tmp_path, "Slow", output=tmp_path / "mine")


def test_full_disk_keeps_what_was_computed(tmp_path, monkeypatch):
    calls = iter(range(100))
    sync = os.fsync

    def fails_late(descriptor):
        if next(calls) >= 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fails_late)
    with pytest.raises(HarnessError, match="disk is full"):
        go(tmp_path, "Good", output=tmp_path / "run")
    kept = sorted(p.name for p in (tmp_path / "run" / "predictions").iterdir())
    assert kept == ["s0000.npz", "s0001.npz", "s0002.npz"]
    monkeypatch.undo()
    assert final_bytes(go(tmp_path, "Good", output=tmp_path / "run")) == final_bytes(go(tmp_path, "Good"))


def test_killed_runs_resume_to_the_same_bytes(tmp_path):
    def command(output):
        return [sys.executable, "-m", "harness", "run", "method=tests.toys:Slow", "bench=toy", "bench.count=40",
                "--config-dir", "tests/configs", f"output={output}"]  # fmt: skip

    whole = tmp_path / "whole"
    started = time.monotonic()
    subprocess.run(command(whole), cwd=ROOT, check=True, capture_output=True)
    duration = time.monotonic() - started
    chance = random.Random(0)
    interrupted = 0
    for number in range(KILLS):
        output = tmp_path / f"killed{number}"
        process = subprocess.Popen(command(output), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(duration * chance.uniform(0.3, 0.95))
        process.send_signal(signal.SIGKILL)
        process.wait()
        interrupted += not RunFolder(output).is_complete()
        subprocess.run(command(output), cwd=ROOT, check=True, capture_output=True)
        assert final_bytes(RunFolder(output)) == final_bytes(RunFolder(whole))
    assert interrupted, "no run was killed before its end: the test tested nothing"


def test_stored_predictions_give_the_same_scores(tmp_path):
    folder = go(tmp_path, "Good")
    spec = MethodSpec(
        "elsewhere",
        "harness.stored_predictions:StoredPredictions",
        {"folder": str(folder.path / "predictions"), "unit": "mm"},
    )
    (folder.path / "predictions" / "s0005.npz").unlink()
    again = run(Benchmark("toy", ToyDataset(6), (ToyProtocol(),)), spec, {}, RunOptions(root=tmp_path))
    assert [row["value"] for row in table(again)][:5] == [row["value"] for row in table(folder)][:5]
    assert table(again)[5]["failure"] == "missing"


def test_manifest_says_what_ran(tmp_path):
    manifest = go(tmp_path, "Good").manifest()
    assert manifest["protocols"]["toy_distance"]["id"] == ToyProtocol().id
    assert json.loads(manifest["protocols"]["toy_distance"]["canonical"])["unit"] == "mm"
    assert {"python", "packages", "git", "cpu", "cores", "device"} <= set(manifest["environment"])


def test_a_protocol_that_raises_costs_the_sample_its_score_only(tmp_path):
    class Raising(ToyProtocol):
        def score(self, prediction, truth):
            if truth == 2:
                raise ValueError("deliberate")
            return super().score(prediction, truth)

    bench = Benchmark("toy", ToyDataset(4), (Raising(),))
    rows = table(run(bench, MethodSpec("Good", "tests.toys:Good"), {}, RunOptions(root=tmp_path)))
    assert [row["failure"] for row in rows] == [None, None, "crash", None]
    assert rows[2]["value"] is None


def test_changed_predictions_are_another_run(tmp_path):
    stored = tmp_path / "stored"
    shutil.copytree(go(tmp_path, "Good").path / "predictions", stored)
    spec = MethodSpec(
        "elsewhere", "harness.stored_predictions:StoredPredictions", {"folder": str(stored), "unit": "mm"}
    )
    bench = Benchmark("toy", ToyDataset(6), (ToyProtocol(),))
    before = run(bench, spec, {}, RunOptions(root=tmp_path))
    shutil.copy(stored / "s0001.npz", stored / "s0000.npz")
    after = run(bench, spec, {}, RunOptions(root=tmp_path))
    assert after.path != before.path
    assert table(after)[0]["value"] != table(before)[0]["value"]


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"timeout_s": -1.0}, {"timeout_s": 0.0}])
def test_senseless_options_are_refused(tmp_path, options):
    with pytest.raises(HarnessError, match=next(iter(options))):
        go(tmp_path, "Good", **options)


def test_no_sample_and_repeated_samples_are_refused(tmp_path):
    class Twice(ToyDataset):
        def samples(self):
            return [*super().samples(), *super().samples()]

    for dataset, words in ((ToyDataset(0), "no sample"), (Twice(2), "more than once: s0000, s0001")):
        bench = Benchmark("toy", dataset, (ToyProtocol(),))
        with pytest.raises(HarnessError, match=words):
            run(bench, MethodSpec("Good", "tests.toys:Good"), {}, RunOptions(root=tmp_path))


def test_damaged_files_are_named(tmp_path):
    folder = go(tmp_path, "Good")
    (folder.path / "summary.json").unlink()
    (folder.path / "scores/s0002.npz").write_bytes(b"")
    with pytest.raises(HarnessError, match=r"scores/s0002\.npz.*delete it"):
        go(tmp_path, "Good")
    (folder.path / "scores/s0002.npz").unlink()
    assert final_bytes(go(tmp_path, "Good")) == final_bytes(folder)


def test_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HarnessError, match="cannot be written"):
        go(tmp_path, "Good", output=tmp_path / "file" / "run")


class BackendProtocol(ToyProtocol):
    """Scores 1 where PyTorch3D is in use, else 0."""

    def score(self, prediction, truth):
        return Score(values={"face": float(chosen() == "pytorch3d")})


@pytest.mark.parametrize("workers", [1, 2])
def test_the_chosen_geometry_reaches_the_protocols_and_the_manifest(tmp_path, monkeypatch, workers):
    for name in ("pytorch3d", "pytorch3d._C"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    bench = Benchmark("toy", ToyDataset(20), (BackendProtocol(),))
    folders = {}
    for geometry in ("pytorch3d", "warp"):
        options = RunOptions(root=tmp_path, geometry=geometry, workers=workers)
        folders[geometry] = run(bench, MethodSpec("Good", "tests.toys:Good"), {}, options)
        assert {row["value"] for row in table(folders[geometry])} == {float(geometry == "pytorch3d")}
        assert folders[geometry].manifest()["geometry"] == geometry
    assert len({folder.path for folder in folders.values()}) == 2
    assert chosen() == "warp"


def test_geometry_that_is_not_there_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(HarnessError, match="geometry=embree: expected warp or pytorch3d"):
        RunOptions(root=tmp_path, geometry="embree")
