"""bench=timing as a whole: methods in turns, failures without numbers, runs that the leaderboard can read."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf

from harness import HarnessError, jobs, provenance
from harness.benchmark import Benchmark, DataKind
from harness.leaderboards.boards import make_board, make_boards
from harness.leaderboards.runs import find_runs, sample_table
from harness.method import MethodSpec
from harness.protocols.timing import StageTiming, Timing
from harness.runner import RunOptions
from harness.timing import together
from harness.timing.loop import TimingSettings
from harness.timing.process import END_TO_END, Call
from harness.timing.results import LABELS, Measured
from harness.timing.together import Contestant, TimingBenchmark, time_together
from tests.timing.toys import STAGE_SECONDS
from tests.toys import ToyDataset, ToyProtocol

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = TimingSettings(inputs=3, calls=24, seconds=20.0, warm_up=3, processes=2, batches=(1, 2))
METHODS = ("tests.timing.toys:Sleeper", "tests.timing.toys:FailsAtOne", "tests.timing.toys:DiesLater")


def bench(settings=SETTINGS):
    return TimingBenchmark("toys", ToyDataset(8), (Timing().on("cpu"), StageTiming().on("cpu")), settings)


def contestant(adapter, root, settings=SETTINGS, **options):
    method = MethodSpec(adapter.partition(":")[2], adapter)
    return Contestant(bench(settings), method, {}, RunOptions(root=root, **options))


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    group = [contestant(adapter, root) for adapter in (*METHODS, "tests.toys:BrokenLoad")]
    folders, errors = time_together(group)
    return root, {folder.summary()["method"]: folder for folder in folders}, errors


def rows(folder, protocol="timing"):
    found = [row for row in folder.summary()["rows"] if row["protocol"] == protocol]
    return {(row["views"], row["column"]): row for row in found}


def vectors(folder, name, views):
    ids = [s.id for s in bench().samples() if s.condition["views"] == views]
    return [folder.surfaces(i, [f"timing/vectors/{name}"])[f"timing/vectors/{name}"] for i in ids]


def test_inputs_are_the_first_of_each_condition():
    assert [s.id for s in bench().samples()] == [f"s000{i}" for i in range(6)]


def test_known_times_come_out(measured):
    folder = measured[1]["Sleeper"]
    whole, stages = rows(folder), rows(folder, "timing_stages")
    total = 1000 * sum(STAGE_SECONDS.values())
    for views in (1, 2):
        assert total <= whole[views, "median"]["value"] < total + 100
        assert whole[views, "median"]["value"] <= whole[views, "p90"]["value"] <= whole[views, "max"]["value"]
        assert whole[views, "p99"]["value"] is None, "24 calls have no 99th percentile"
        for name, seconds in STAGE_SECONDS.items():
            assert 1000 * seconds <= stages[views, name]["value"] < 1000 * seconds + 50


def test_percentiles_can_be_computed_again_from_the_kept_times(measured):
    folder = measured[1]["Sleeper"]
    for views in (1, 2):
        calls = np.concatenate(vectors(folder, "end to end", views))
        assert len(calls) == 24
        assert rows(folder)[views, "p90"]["value"] == np.quantile(calls, 0.9)
        assert rows(folder)[views, "median"]["value"] == np.median(calls)


def test_methods_took_turns(measured):
    _, folders, _ = measured
    for process in (0, 1):
        turns = []
        for name in ("Sleeper", "FailsAtOne"):
            order = np.concatenate(vectors(folders[name], "order", 2))
            of = np.concatenate(vectors(folders[name], "process", 2))
            turns += [(number, name) for number in order[of == process]]
        assert len(turns) == 24
        players = [name for _, name in sorted(turns)]
        assert players == ["Sleeper", "FailsAtOne"] * 12


def test_a_failed_input_leaves_no_number_in_its_condition_only(measured):
    found = rows(measured[1]["FailsAtOne"])
    assert found[1, "median"]["value"] is None
    assert found[1, "median"]["value_dropping_failures"] > 0
    assert (found[1, "median"]["evaluated"], found[1, "median"]["expected"]) == (2, 3)
    assert found[2, "median"]["value"] > 0
    assert measured[1]["FailsAtOne"].score("s0002")["protocols"]["timing"]["failure"] == "no_face"


def test_a_method_that_dies_gets_a_failure_and_no_number(measured):
    folder = measured[1]["DiesLater"]
    assert all(row["value"] is None and row["evaluated"] == 0 for row in folder.summary()["rows"])
    table = sample_table(next(run for run in find_runs(measured[0])[0] if run.method == "DiesLater"))
    assert set(table["failure"]) == {"crash"}
    assert "exit code 7" in table["detail"][0]


def test_a_method_that_cannot_be_loaded_costs_the_others_nothing(measured):
    assert set(measured[1]) == {"Sleeper", "FailsAtOne", "DiesLater"}
    assert ["weights are gone" in str(error) for error in measured[2]] == [True]


def test_methods_without_stages_are_timed_end_to_end_only(measured):
    assert rows(measured[1]["FailsAtOne"], "timing_stages") == {}


def test_the_leaderboard_reads_the_runs(measured):
    runs, unlisted = find_runs(measured[0])
    assert sorted(run.method for run in runs) == ["DiesLater", "FailsAtOne", "Sleeper"]
    assert [entry.state for entry in unlisted] == ["unfinished"], "the one that could not be loaded"
    boards = {board.key.protocol: board for board in make_boards(runs)}
    assert boards["timing"].lines[0].run.method in ("Sleeper", "FailsAtOne")
    assert [line.run.method for line in boards["timing_stages"].lines] == ["Sleeper"]
    assert boards["timing"].columns[0] == "median · 1 view"
    table = sample_table(next(run for run in runs if run.method == "Sleeper"))
    assert set(table["protocol"]) == {"timing", "timing_stages"}
    assert table["value"].notna().all()


def test_what_stands_beside_the_times(measured):
    folder = measured[1]["Sleeper"]
    record = json.loads((folder.path / "timing.json").read_text())
    assert record["facts"]["parameters"] == 46
    assert len(record["clocks"]) == 2
    here = record["conditions"]["1 view"]
    assert here["best_batch"] == 2, "a batch sleeps once"
    assert 25 < here["samples_per_second"] <= 2 / sum(STAGE_SECONDS.values())
    assert here["calls"] == 24
    assert len(here["process_medians_ms"]) == 2
    notes = " ".join(folder.summary()["notes"])
    for words in ("SHORT MEASUREMENT (1 view, 2 views)", "bench.seconds=60", "3 iterations", "samples/s at batch 2"):
        assert words in notes
    assert "2 processes only" in notes
    hardware = folder.manifest()["environment"]["hardware"]
    assert {"cpu", "cpu_details", "cores", "governor", "threads", "gpu"} <= set(hardware)
    assert folder.summary()["data_label"] == LABELS[DataKind.MIRROR]


@pytest.fixture
def made_up(monkeypatch):
    """Measures nothing: every call took 1 ms. Counts how often it was asked to."""
    asked = []

    def measure(group, samples, rounds):
        asked.append([c.method.name for c in group])
        calls = {s.id: [(0, order, Call({END_TO_END: 0.001}))] for order, s in enumerate(samples)}
        return [Measured(dict(calls)) for _ in group]

    monkeypatch.setattr(together, "measure", measure)
    monkeypatch.setattr(provenance, "code_digest", lambda: "the same throughout")
    return asked


def test_a_finished_measurement_is_not_made_again(made_up, tmp_path):
    group = [contestant(adapter, tmp_path) for adapter in METHODS[:2]]
    first, again = time_together(group), time_together(group)
    assert [folder.path for folder in first[0]] == [folder.path for folder in again[0]]
    assert made_up == [["Sleeper", "FailsAtOne"]]


def test_partners_and_settings_are_part_of_the_identity(made_up, tmp_path):
    together = time_together([contestant(adapter, tmp_path) for adapter in METHODS[:2]])[0][0]
    alone = time_together([contestant(METHODS[0], tmp_path)])[0][0]
    longer = time_together([contestant(METHODS[0], tmp_path, replace(SETTINGS, seconds=60.0))])[0][0]
    assert len({together.path, alone.path, longer.path}) == 3


def test_methods_with_other_inputs_do_not_take_turns(made_up, tmp_path):
    group = [contestant(METHODS[0], tmp_path), contestant(METHODS[1], tmp_path, replace(SETTINGS, inputs=2))]
    folders, _ = time_together(group)
    assert made_up == [["Sleeper"], ["FailsAtOne"]]
    assert len(folders) == 2


def test_other_hardware_is_another_board(made_up, monkeypatch, tmp_path):
    time_together([contestant(METHODS[0], tmp_path)])
    monkeypatch.setattr(provenance, "cpu_name", lambda: "Another processor")
    time_together([contestant(METHODS[0], tmp_path)])
    runs, _ = find_runs(tmp_path)
    boards = make_boards(runs)
    assert [len(board.lines) for board in boards] == [1, 1]
    assert sum("Another processor" in board.meaning for board in boards) == 1
    with pytest.raises(HarnessError, match="cannot stand in the table"):
        make_board(runs, boards[0].key)


def test_batch_size_and_other_protocols_are_refused(tmp_path):
    with pytest.raises(HarnessError, match=r"batch_size=4.*bench\.batches"):
        contestant(METHODS[0], tmp_path, batch_size=4)
    with pytest.raises(HarnessError, match=r"must be those of harness\.protocols\.timing"):
        TimingBenchmark("toys", ToyDataset(2), (ToyProtocol(),))
    assert isinstance(bench(), Benchmark)


def harness(*arguments):
    command = [sys.executable, "-m", "harness", *arguments, "--config-dir", "tests/configs"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_command_times_several_methods_together(tmp_path):
    methods = "method=tests.timing.toys:Sleeper,tests.toys:Good"
    result = harness("run", "-m", methods, "bench=toy_timing", f"runs={tmp_path}")
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("coverage") == 2, "one table end to end, one of stages"
    assert "measured times" in result.stdout
    assert "SHORT MEASUREMENT" in result.stdout
    assert len(list((tmp_path / "toy_timing-mirror").iterdir())) == 2


def test_options_reach_every_method_of_a_multirun():
    prepared = jobs.prepare(["-m", "method=glvd,lvd", "method.options.size=paper", "bench=timing"])
    assert "++method.options.size=paper" in prepared
    assert "method.options.size=paper" in jobs.prepare(["method=glvd", "method.options.size=paper", "bench=timing"])


def test_stored_predictions_cannot_be_timed():
    bench_config = OmegaConf.load(ROOT / "tests/configs/bench/toy_timing.yaml")
    asked = {"bench": bench_config, "predictions": "configs", "name": None, "unit": "mm", "data": "mirror"}
    with pytest.raises(HarnessError, match="stored predictions take no time"):
        jobs.JOBS["evaluate"](OmegaConf.create(asked))
