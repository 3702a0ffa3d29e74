"""The measuring loop with methods that only pretend: order of turns, when enough is enough, warm-up, batches."""

from collections import Counter, defaultdict
from itertools import pairwise

import numpy as np
import pytest

from harness import HarnessError, Sample, View
from harness.timing.loop import TimingSettings, batch_times, is_settled, take_turns, warm_up
from harness.timing.process import END_TO_END, Call

IMAGE = np.zeros((4, 4, 3), dtype=np.uint8)
SAMPLES = [Sample(f"s{i}", f"p{i}", (View(IMAGE),)) for i in range(4)]


class Pretender:
    """Answers in the seconds that it is told, the last for ever; keeps what it was asked."""

    def __init__(self, *seconds, apart=False, fails=(), dies_at=None, overhead=0.0, limit=99):
        self.seconds, self.stages_apart, self.fails, self.dies_at = seconds, apart, fails, dies_at
        self.overhead, self.limit, self.asked = overhead, limit, []

    def call(self, samples, staged):
        number = len(self.asked)
        self.asked.append(([s.id for s in samples], staged))
        if self.dies_at is not None and number >= self.dies_at:
            return Call(failure=("crash", "killed"), dead=True)
        if samples[0].id in self.fails or len(samples) > self.limit:
            return Call(failure=("crash", "deliberate"))
        end_to_end = self.overhead + self.seconds[min(number, len(self.seconds) - 1)] * len(samples)
        whole = {} if staged and self.stages_apart else {END_TO_END: end_to_end}
        return Call({**whole, **({"network": end_to_end / 2} if staged else {})})


def turns(players, process=0, samples=SAMPLES, **settings):
    chosen = TimingSettings(**{"calls": 12, "seconds": 1e9, "processes": 1, **settings})
    pauses = []
    found = list(take_turns(dict(enumerate(players)), samples, chosen, process, pauses.append))
    return found, pauses


def test_methods_alternate_call_by_call_on_the_same_inputs():
    found, pauses = turns([Pretender(1.0), Pretender(2.0), Pretender(3.0)])
    assert [number for number, _, _ in found] == [0, 1, 2] * 12
    assert [sample.id for _, sample, _ in found] == [f"s{i % 4}" for i in range(12) for _ in range(3)]
    assert len(pauses) == 36


def test_one_method_alone_needs_no_pause():
    assert turns([Pretender(1.0)])[1] == []


def test_consecutive_calls_of_a_method_have_different_inputs():
    player = Pretender(1.0)
    turns([player])
    asked = [ids[0] for ids, _ in player.asked]
    assert all(a != b for a, b in pairwise(asked))


def test_a_slow_method_ends_by_time_and_a_fast_one_by_calls():
    found, _ = turns([Pretender(0.001), Pretender(10.0)], calls=100, seconds=60.0)
    assert Counter(number for number, _, _ in found) == {0: 100, 1: 6}
    assert [number for number, _, _ in found][:12] == [0, 1] * 6


def test_processes_share_calls_and_seconds_and_cover_every_input():
    by_input = defaultdict(set)
    for process in range(3):
        found, _ = turns([Pretender(1000.0), Pretender(0.1)], process, calls=30, seconds=6.0, processes=3)
        assert Counter(number for number, _, _ in found) == {0: 2, 1: 10}
        for number, sample, _ in found:
            by_input[number].add(sample.id)
    assert by_input[0] == by_input[1] == {s.id for s in SAMPLES}, (
        "a slow method too answers every input in some process"
    )


def test_a_dead_method_leaves_and_the_others_go_on():
    found, _ = turns([Pretender(1.0, dies_at=3), Pretender(1.0)])
    assert Counter(number for number, _, _ in found) == {0: 4, 1: 12}
    assert [call.dead for number, _, call in found if number == 0] == [False, False, False, True]


def test_a_failing_input_does_not_end_the_measurement():
    found, _ = turns([Pretender(1.0, fails=("s1",))])
    assert Counter(call.failure is None for _, _, call in found) == {True: 9, False: 3}


def test_stages_on_a_gpu_have_calls_of_their_own():
    player = Pretender(1.0, apart=True)
    found, _ = turns([player], calls=12, processes=1)
    whole = [sample.id for _, sample, call in found if END_TO_END in call.seconds]
    staged = [sample.id for _, sample, call in found if "network" in call.seconds]
    assert len(whole) == 12
    assert set(staged) == {s.id for s in SAMPLES}
    assert 4 <= len(staged) < 12
    assert not any(END_TO_END in call.seconds and "network" in call.seconds for _, _, call in found)


def test_warm_up_ends_when_the_median_rests():
    player = Pretender(100.0, 50.0, 20.0, 5.0, 2.0, 1.0)
    found = warm_up(player, SAMPLES, TimingSettings(seconds=1e9))
    assert found.settled
    assert 10 < found.calls < 50
    assert len(player.asked) == found.calls


def test_warm_up_that_never_rests_is_bounded_and_says_so():
    found = warm_up(Pretender(*(1.1**i for i in range(60))), SAMPLES, TimingSettings(seconds=1e9, warm_up=50))
    assert (found.calls, found.settled) == (50, False)


def test_warm_up_of_a_slow_method_takes_no_longer_than_its_share():
    found = warm_up(Pretender(7.0), SAMPLES, TimingSettings(seconds=30.0, processes=3))
    assert (found.calls, found.settled) == (2, False)


@pytest.mark.parametrize(
    ("times", "expected"),
    [([1.0] * 9, False), ([1.0] * 10, True), ([1.0] * 5 + [1.03] * 6, False), ([1.0, 1.0] * 20 + [9.0], True)],
)
def test_settled_means_less_than_one_percent(times, expected):
    assert is_settled(times) is expected


def test_throughput_grows_until_it_does_not():
    settings = TimingSettings(seconds=1e9)
    assert batch_times(Pretender(1.0, overhead=4.0), SAMPLES, settings, 5.0) == {
        1: 5.0,
        2: 3.0,
        4: 2.0,
        8: 1.5,
        16: 1.25,
    }
    worse = batch_times(Pretender(1.0), SAMPLES, settings, 0.5)
    assert worse == {1: 0.5, 2: 1.0}


def test_a_batch_that_does_not_fit_ends_the_search():
    player = Pretender(1.0, overhead=4.0, limit=4)
    assert list(batch_times(player, SAMPLES, TimingSettings(seconds=1e9), 5.0)) == [1, 2, 4]


def test_a_batch_size_that_would_take_too_long_is_not_tried():
    player = Pretender(2.0)
    assert list(batch_times(player, SAMPLES, TimingSettings(seconds=30.0), 2.0)) == [1, 2, 4]
    assert max(len(ids) for ids, _ in player.asked) == 4


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"calls": 0}, "bench.calls=0: expected a whole number above 0"),
        ({"seconds": -1.0}, "bench.seconds=-1.0: expected a number above 0"),
        ({"processes": 1.5}, "bench.processes=1.5: expected a whole number"),
        ({"batches": [1, 0]}, "bench.batches=.*: expected whole numbers above 0"),
        ({"speed": 1}, "unknown key speed"),
        ({"seconds": "long"}, "bench.seconds=long"),
    ],
)
def test_senseless_settings_are_refused(values, words):
    with pytest.raises(HarnessError, match=words):
        TimingSettings.of(values)
