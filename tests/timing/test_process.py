"""The stopwatch: exact with a clock of our own; a process that is timed, dies, or refuses a batch."""

import time

import pytest
import torch

from harness.method import MethodSpec
from harness.timing.process import END_TO_END, Stopwatch, TimedProcess, describe, peak_memory, resident_memory
from tests.timing.toys import STAGE_SECONDS, OneByOne, Sleeper
from tests.toys import Bad, ToyDataset

SAMPLES = ToyDataset(6).samples()


@pytest.fixture
def clock(monkeypatch):
    """Time passes only in `time.sleep`."""
    now = [0.0]
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return lambda: now[0]


def sleeper():
    adapter = Sleeper()
    adapter.load(torch.device("cpu"))
    return adapter


def test_times_of_a_call_are_exact(clock):
    call = Stopwatch(sleeper(), torch.device("cpu"), clock).measure(SAMPLES[:1], True, 0)
    assert call.failure is None
    assert dict(call.seconds) == pytest.approx({END_TO_END: sum(STAGE_SECONDS.values()), **STAGE_SECONDS}, abs=1e-12)


def test_without_stages_only_the_whole_is_timed(clock):
    watch = Stopwatch(sleeper(), torch.device("cpu"), clock)
    watch.measure(SAMPLES[:1], True, 0)
    assert set(watch.measure(SAMPLES[:1], False, 0).seconds) == {END_TO_END}


def test_on_a_gpu_the_device_is_waited_for_and_stages_do_not_count_end_to_end(monkeypatch, clock):
    waits = []
    monkeypatch.setattr(torch.cuda, "synchronize", waits.append)
    watch = Stopwatch(sleeper(), torch.device("cuda"), clock)
    assert set(watch.measure(SAMPLES[:1], False, 0).seconds) == {END_TO_END}
    assert len(waits) == 2, "before and after the call"
    assert set(watch.measure(SAMPLES[:1], True, 0).seconds) == set(STAGE_SECONDS)
    assert len(waits) == 2 + 2 + 2 * len(STAGE_SECONDS)


def test_what_goes_wrong_is_a_reason_and_no_time():
    watch = Stopwatch(Bad(), torch.device("cpu"))
    calls = [watch.measure([sample], True, 0) for sample in SAMPLES]
    assert [call.failure and call.failure[0] for call in calls] == [
        *("crash", "non_finite", "bad_mesh", "no_face", "crash"),
        None,
    ]
    assert all((call.failure is None) == bool(call.seconds) for call in calls)


def test_parameters_are_counted_once():
    facts = describe(sleeper())
    assert facts["parameters"] == 10 * 4 + 4 + 2
    assert facts["parameter_types"] == ["float32"]
    assert facts["iterations"] == 3


def test_memory_grows_with_what_is_kept():
    before, _ = resident_memory()
    kept = torch.ones(8_000_000)
    grown = peak_memory(torch.device("cpu"), before)["resident_growth_mib"]
    assert kept.sum() > 0
    assert grown > 25


def test_a_process_is_timed_about_right():
    player = TimedProcess(MethodSpec("Sleeper", "tests.timing.toys:Sleeper"), "cpu", 0, None)
    try:
        player.forget_peak()
        calls = [player.call([sample], True) for sample in SAMPLES]
        facts = player.facts()
    finally:
        player.close()
    for name, seconds in {**STAGE_SECONDS, END_TO_END: sum(STAGE_SECONDS.values())}.items():
        fastest = min(call.seconds[name] for call in calls)
        assert seconds <= fastest < seconds + 0.05
    assert facts["parameters"] == 46
    assert facts["resident_growth_mib"] > 0


@pytest.mark.parametrize(
    ("name", "timeout", "reason"), [("tests.toys:Deadly", None, "crash"), ("tests.toys:Hanging", 1.0, "timeout")]
)
def test_a_process_that_dies_or_hangs_stays_dead(name, timeout, reason):
    player = TimedProcess(MethodSpec("toy", name), "cpu", 0, timeout)
    try:
        calls = [player.call([sample], True) for sample in SAMPLES]
        assert player.facts() == {}
    finally:
        player.close()
    assert [call.dead for call in calls] == [False] * 3 + [True] * 3
    assert {call.failure[0] for call in calls[3:]} == {reason}


def test_a_refused_batch_is_a_failure_although_samples_work_one_by_one():
    watch = Stopwatch(OneByOne(), torch.device("cpu"))
    assert watch.measure(SAMPLES[:1], False, 0).failure is None
    reason, detail = watch.measure(SAMPLES[:2], False, 0).failure
    assert reason == "crash"
    assert "one by one they worked" in detail
