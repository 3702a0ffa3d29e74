"""Intervals of a mean: over subjects, against a second implementation, and where there is none."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from harness.errors import HarnessError
from harness.statistics import Interval, mean_intervals, subject_interval
from harness.statistics.intervals import FEWEST


def plain_bootstrap_t(values: np.ndarray, resamples: int, seed: int) -> tuple[float, float]:
    """The textbook's loop."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        drawn = rng.choice(values, len(values))
        found.append((drawn.mean() - values.mean()) / (drawn.std(ddof=1) / np.sqrt(len(values))))
    low, high = np.quantile(found, [0.025, 0.975])
    error = values.std(ddof=1) / np.sqrt(len(values))
    return values.mean() - high * error, values.mean() - low * error


def test_it_is_the_textbooks_bootstrap_t():
    values = np.random.default_rng(0).lognormal(0, 0.5, (20, 2))
    _, low, high = mean_intervals(values)
    for column in range(2):
        expected = plain_bootstrap_t(values[:, column], 4000, column)
        width = expected[1] - expected[0]
        assert [low[column], high[column]] == pytest.approx(expected, abs=0.07 * width)
    assert (high - values.mean(axis=0) > values.mean(axis=0) - low).all(), "skewed to the right"


def test_a_column_does_not_depend_on_its_neighbours():
    values = np.random.default_rng(1).normal(2, 1, (20, 5))
    assert mean_intervals(values)[:, 3] == pytest.approx(mean_intervals(values[:, 3:4])[:, 0], rel=1e-5)


def test_with_few_subjects_it_is_students():
    values = np.random.default_rng(2).normal(2, 1, FEWEST - 1)
    expected = stats.t.interval(0.9, FEWEST - 2, values.mean(), stats.sem(values))
    assert mean_intervals(values[:, None], confidence=0.9)[1:, 0] == pytest.approx(expected)


def test_equal_subjects_leave_no_doubt():
    assert mean_intervals(np.full((20, 1), 3.0))[:, 0] == pytest.approx([3, 3, 3])


def test_one_odd_subject_among_equal_ones_gives_a_bounded_interval():
    values = np.append(np.ones(19), 0.0)
    _, low, high = mean_intervals(values[:, None])[:, 0]
    assert np.isfinite([low, high]).all() and low < values.mean() < high


def test_a_missing_value_gives_no_interval_to_its_column_only():
    values = np.random.default_rng(3).normal(2, 1, (20, 2))
    values[4, 0] = np.nan
    found = mean_intervals(values)
    assert np.isnan(found[:, 0]).all() and np.isfinite(found[:, 1]).all()


def test_more_pictures_of_the_same_people_do_not_make_it_surer():
    people = np.random.default_rng(1).normal(0, 1, 12)
    widths = []
    for times in (1, 40):
        found = subject_interval(pd.Series(np.repeat(people, times)), pd.Series(np.repeat(np.arange(12), times)))
        widths.append(found.high - found.low)
    assert widths[0] == pytest.approx(widths[1], rel=1e-5)


def test_subjects_count_alike_however_many_samples_they_have():
    values, subjects = pd.Series([1.0, 1.0, 1.0, 5.0]), pd.Series(["a", "a", "a", "b"])
    assert subject_interval(values, subjects).value == 3.0


def test_zero_outside_and_inside():
    assert Interval(1, 0.5, 2).excludes_zero and Interval(-1, -2, -0.5).excludes_zero
    assert not Interval(0, -1, 1).excludes_zero
    assert str(Interval(1, 0.5, 2)) == "1.000 [0.500, 2.000]"


def test_what_has_no_interval_is_refused():
    with pytest.raises(HarnessError, match="no value"):
        subject_interval(pd.Series([1.0, np.nan]), pd.Series(["a", "b"]))
    with pytest.raises(HarnessError, match="not computed: 1 subject"):
        subject_interval(pd.Series([1.0, 2.0]), pd.Series(["a", "a"]))
    with pytest.raises(HarnessError, match="not computed: 1 subject"):
        mean_intervals(np.ones((1, 4)))
