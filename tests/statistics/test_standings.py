"""Places on a board: ties, ranks, both directions, and what is not computed."""

import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.statistics import detectable_difference, holm, mean_intervals, standings


def board(true, subjects=20, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    values = np.asarray(true) + rng.normal(0, 0.5, (subjects, 1)) + rng.normal(0, noise, (subjects, len(true)))
    return pd.DataFrame(values, columns=[f"m{i}" for i in range(len(true))])


def test_ties_and_ranks_follow_from_the_tests():
    found = standings(board([1.0, 1.0, 2.0, 3.0]))
    lines = found.runs
    assert found.best in ("m0", "m1") and found.comparisons == 6
    assert [line.tied_with_best for line in lines.values()] == [True, True, False, False]
    assert [(line.rank_low, line.rank_high) for line in lines.values()] == [(1, 2), (1, 2), (3, 3), (4, 4)]
    assert lines[found.best].p_value is None


def test_p_values_are_corrected_for_all_pairs():
    means = board([1.0, 1.05, 1.1])
    found = standings(means)
    names = [("m0", "m1"), ("m0", "m2"), ("m1", "m2")]
    expected = holm(np.array([stats.ttest_rel(means[a], means[b]).pvalue for a, b in names]))
    assert found.best == "m0"
    assert [found.runs[run].p_value for run in ("m1", "m2")] == pytest.approx(expected[:2])


def test_higher_may_be_better():
    means = board([1.0, 1.0, 2.0, 3.0])
    down, up = standings(-means), standings(means, better="higher")
    assert up.best == down.best == "m3"
    for run in means:
        assert (up.runs[run].rank_low, up.runs[run].rank_high) == (down.runs[run].rank_low, down.runs[run].rank_high)
        assert up.runs[run].p_value == down.runs[run].p_value


def test_intervals_and_what_can_be_seen_are_those_of_the_parts():
    means = board([1.0, 1.2, 1.4])
    found = standings(means, seed=5)
    value, low, high = mean_intervals(means.to_numpy(), seed=5)[:, 1]
    interval = found.runs["m1"].interval
    assert (interval.value, interval.low, interval.high) == (value, low, high)
    spread = np.median([(means[a] - means[b]).std() for a, b in (("m0", "m1"), ("m0", "m2"), ("m1", "m2"))])
    assert found.detectable == pytest.approx(detectable_difference(spread, 20))
    assert found.detectable_here == pytest.approx(detectable_difference(spread, 20, 0.05 / 3))


def test_order_of_runs_is_kept_and_does_not_matter():
    means = board([1.0, 1.1, 1.2, 1.5])
    found, turned = standings(means), standings(means[means.columns[::-1]])
    assert list(turned.runs) == list(means.columns[::-1])
    for run in means:
        assert turned.runs[run].p_value == found.runs[run].p_value
        assert turned.runs[run].rank_low == found.runs[run].rank_low


def test_a_run_without_a_number_is_not_ranked():
    means = board([1.0, 2.0, 3.0])
    means.loc[3, "m0"] = np.nan
    found = standings(means)
    lost = found.runs["m0"]
    assert (lost.interval, lost.p_value, lost.tied_with_best, lost.rank_low) == (None, None, None, None)
    assert "no fall-back" in lost.note
    assert found.best == "m1" and found.comparisons == 1 and found.runs["m2"].rank_high == 2


def test_one_subject_is_not_computed():
    found = standings(board([1.0, 2.0], subjects=1))
    assert found.best == "m0" and found.detectable is None and "1 subject(s)" in found.note
    assert all(line.interval is None and line.tied_with_best is None for line in found.runs.values())
    assert all("not computed" in line.note for line in found.runs.values())


def test_one_run_is_the_best_and_nothing_can_be_said_of_differences():
    found = standings(board([1.0]))
    line = found.runs["m0"]
    assert (line.tied_with_best, line.rank_low, line.rank_high, line.p_value) == (True, 1, 1, None)
    assert found.detectable is None and found.detectable_here is None


def test_nothing_gives_nothing():
    assert standings(pd.DataFrame()).runs == {}
    assert "no sample" in standings(pd.DataFrame(columns=["m0"], dtype=float)).runs["m0"].note


def test_two_hundred_runs_on_two_thousand_subjects_take_less_than_a_second():
    means = board(np.linspace(1, 1.1, 200), subjects=2000)
    began = time.process_time()
    found = standings(means)
    assert time.process_time() - began < 1.0
    assert found.comparisons == 19900
