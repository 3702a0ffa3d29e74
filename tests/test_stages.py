"""Stages of a call: exact with a clock of our own, free of cost and side effects when nobody times."""

import pytest

from harness.errors import ContractError
from harness.stages import STAGES, StageClock
from tests.toys import Good


class Clock:
    """Seconds that pass only when told; `log` keeps the order of what happened."""

    def __init__(self):
        self.now, self.log = 100.0, []

    def __call__(self):
        self.log.append("read")
        return self.now

    def work(self, seconds):
        self.now += seconds
        self.log.append("work")

    def synchronise(self):
        self.now += 0.5
        self.log.append("synchronise")


def test_time_of_a_stage_is_exact_and_includes_the_wait_at_its_end():
    clock = Clock()
    stages = StageClock(clock.synchronise, clock)
    with stages.stage("network"):
        clock.work(2.0)
    assert stages.seconds == {"network": 2.5}
    assert clock.log == ["synchronise", "read", "work", "synchronise", "read"]


def test_a_stage_entered_again_adds_up_until_cleared():
    clock = Clock()
    stages = StageClock(lambda: None, clock)
    for name, seconds in (("input", 1.0), ("network", 2.0), ("input", 4.0)):
        with stages.stage(name):
            clock.work(seconds)
    assert stages.seconds == {"input": 5.0, "network": 2.0}
    stages.clear()
    assert stages.seconds == {}


def test_a_stage_inside_a_stage_is_refused_and_the_clock_stays_usable():
    stages = StageClock(lambda: None, Clock())
    with pytest.raises(ContractError, match="'decode' begins inside stage 'network'"):  # noqa: SIM117
        with stages.stage("network"), stages.stage("decode"):
            pass
    with stages.stage("decode"):
        pass
    assert "decode" in stages.seconds


def test_an_adapter_that_is_not_timed_does_nothing_but_check_the_name():
    adapter = Good()
    for name in STAGES:
        with adapter.stage(name), adapter.stage(name):
            pass
    with pytest.raises(ContractError, match="'nework': expected one of input, network, decode"):
        adapter.stage("nework")


def test_an_adapter_that_is_timed_uses_its_clock():
    clock, adapter = Clock(), Good()
    adapter.stage_clock = StageClock(lambda: None, clock)
    with adapter.stage("decode"):
        clock.work(3.0)
    assert adapter.stage_clock.seconds == {"decode": 3.0}
