"""A measurement that was stopped goes on after its finished rounds, which come back as they were."""

import json
from dataclasses import replace

import pytest

from harness import HarnessError, provenance
from harness.timing import together
from harness.timing.loop import TimingSettings
from harness.timing.process import END_TO_END, Call
from harness.timing.results import Measured
from harness.timing.rounds import FILE, Rounds
from harness.timing.together import time_together
from tests.timing.test_together import contestant

SETTINGS = TimingSettings(inputs=2, calls=6, seconds=20.0, warm_up=2, processes=3, batches=(1, 2))
FACTS = ("parameters", "iterations", "float32_matmul", "tf32_convolutions", "gpu_peak_mib")
RECORD = {
    "conditions": {
        "3 views": {"batches": {1: 0.5, 16: 0.25}, "warm_up": [{"calls": 3, "settled": True}]},
        "1 view": {},
    },
    "facts": {"parameters": None},
}


def test_what_is_kept_comes_back(tmp_path):
    rounds = Rounds(tmp_path / FILE, ("a", "b"))
    assert rounds.read() == (0, [Measured(), Measured()])
    calls = {"s1": [(0, 1, Call({"end to end": 1 / 3})), (1, 0, Call(failure=("no_face", "dark"), dead=True))]}
    kept = [Measured(calls, record=RECORD), Measured(failure=("crash", "exit code 7"))]
    rounds.keep(2, kept)
    done, found = rounds.read()
    assert (done, found) == (2, kept)
    assert list(found[0].record["conditions"]) == ["3 views", "1 view"], "in their order"
    found[0].calls["new"].append((2, 0, Call()))
    for others in (("b", "a"), ("a",), ("a", "c")):
        assert Rounds(tmp_path / FILE, others).read() == (0, [Measured() for _ in others])
    rounds.forget()
    assert rounds.read()[0] == 0


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / FILE).write_text("{")
    with pytest.raises(HarnessError, match=r"rounds\.json: .*delete the file"):
        Rounds(tmp_path / FILE, ("a",)).read()


class Instant:
    """Stands in for a method's process: each call takes a millisecond longer than the one before, and no time."""

    stages_apart = False
    count = 0

    def __init__(self, method, device, seed, timeout_s):
        self.method = method

    def call(self, samples, staged):
        if self.method.name == "BrokenLoad":
            raise HarnessError("weights are gone")
        Instant.count += 1
        return Call({END_TO_END: Instant.count / 1000})

    def forget_peak(self):
        pass

    def facts(self):
        return dict.fromkeys(FACTS) | {"parameter_types": [], "threads": 1, "resident_growth_mib": 1.5}

    def close(self):
        pass


@pytest.fixture
def stopped(monkeypatch):
    """Stops the measurement when it begins the process of this number, once; lists the processes that ran."""
    monkeypatch.setattr(provenance, "code_digest", lambda: "the same throughout")
    monkeypatch.setattr(together, "TimedProcess", Instant)
    monkeypatch.setattr(Instant, "count", 0)
    state = {"at": 1, "ran": []}
    inner = together._measure_condition

    def measured(players, results, condition, samples, settings, process):
        if state["at"] == process:
            state["at"] = None
            raise KeyboardInterrupt
        state["ran"].append((process, condition))
        inner(players, results, condition, samples, settings, process)

    monkeypatch.setattr(together, "_measure_condition", measured)
    return state


def test_a_stopped_measurement_goes_on(stopped, tmp_path):
    names = ("tests.toys:Good", "tests.timing.toys:Sleeper")
    group = [contestant(name, tmp_path, SETTINGS) for name in names]
    with pytest.raises(KeyboardInterrupt):
        time_together(group)
    folder = next(tmp_path.rglob(FILE)).parent
    first = json.loads((folder / FILE).read_text())["results"][0]
    folders, errors = time_together(group)
    assert not errors
    assert stopped["ran"] == [(process, views) for process in range(3) for views in ("1 view", "2 views")]
    assert not list(tmp_path.rglob(FILE))
    assert folders[0].path == folder
    for run in folders:
        record = json.loads((run.path / "timing.json").read_text())
        assert record["interrupted_after"] == [1]
        assert len(record["clocks"]) == 3
        assert all(here["calls"] == 6 and len(here["warm_up"]) == 3 for here in record["conditions"].values())
        assert "Interrupted after 1 of 3 processes, and gone on with later" in run.summary()["notes"]
    for sample, calls in first["calls"].items():
        kept = folders[0].surfaces(sample, ["timing/vectors/end to end"])["timing/vectors/end to end"]
        expected = [1000 * seconds["end to end"] for _, _, seconds, _, _ in calls]
        assert kept[: len(expected)].tolist() == pytest.approx(expected), "times of before the stop count"


def test_other_partners_begin_anew(stopped, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        time_together([contestant("tests.toys:Good", tmp_path, SETTINGS)])
    time_together([contestant("tests.toys:Good", tmp_path, replace(SETTINGS, calls=3))])
    assert [process for process, views in stopped["ran"] if views == "1 view"] == [0, 0, 1, 2]


def test_a_round_with_a_method_that_cannot_be_loaded_is_not_kept(stopped, tmp_path):
    group = [contestant(name, tmp_path, SETTINGS) for name in ("tests.toys:Good", "tests.toys:BrokenLoad")]
    with pytest.raises(KeyboardInterrupt):
        time_together(group)
    assert not list(tmp_path.rglob(FILE))
