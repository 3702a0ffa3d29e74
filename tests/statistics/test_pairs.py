"""Paired comparison, correction and power, each against another library's or a hand's computation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.errors import HarnessError
from harness.statistics import detectable_difference, difference, holm, paired_difference
from harness.statistics.pairs import all_pairs, power_of
from tests.statistics.toys import table


def test_it_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(2, 1, 20), rng.normal(2.2, 1, 20)
    found, expected = difference(ours, theirs), stats.ttest_rel(ours, theirs)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert found.value == pytest.approx((ours - theirs).mean()) and found.subjects == 20


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_interval_and_p_value_say_the_same(seed, shift):
    found = difference(np.random.default_rng(seed).normal(shift, 1, 12), np.zeros(12))
    assert found.excludes_zero == (found.p_value < 0.05)


def test_all_pairs_are_those_of_the_single_test():
    means = np.random.default_rng(1).normal(2, 1, (15, 5)) + np.arange(5)
    pairs = all_pairs(means)
    assert len(pairs.value) == 10
    for first, second, value, deviation, p_value in zip(
        pairs.first, pairs.second, pairs.value, pairs.deviation, pairs.p_value, strict=True
    ):
        alone = difference(means[:, first], means[:, second])
        assert [value, deviation, p_value] == pytest.approx([alone.value, alone.deviation, alone.p_value])


def test_nearly_equal_runs_do_not_cancel():
    means = np.random.default_rng(2).normal(1000, 300, (20, 2))
    means[:, 1] = means[:, 0] + np.random.default_rng(3).normal(1e-6, 1e-6, 20)
    expected = stats.ttest_rel(means[:, 0], means[:, 1]).pvalue
    assert all_pairs(means).p_value[0] == pytest.approx(expected, rel=1e-3)


def test_equal_runs_do_not_differ():
    found = difference(np.ones(3), np.ones(3))
    assert (found.p_value, found.low, found.high) == (1.0, 0.0, 0.0)
    assert difference(np.full(3, 2.0), np.ones(3)).p_value == 0.0


def test_pairing_sees_a_small_difference_between_scattered_values():
    rng = np.random.default_rng(2)
    subjects = np.repeat(np.arange(20), 4)
    theirs = rng.normal(2, 1, 80)
    ours = theirs - 0.05 + rng.normal(0, 0.02, 80)
    shuffled = table(theirs, subjects).sample(frac=1, random_state=0)
    found = paired_difference(table(ours, subjects), shuffled, "median")
    assert found.excludes_zero and found.value == pytest.approx(-0.05, abs=0.01)
    assert not paired_difference(table(theirs, subjects), table(theirs, subjects), "median").excludes_zero


def test_a_failed_sample_counts_with_its_fallback_and_without_one_there_is_no_number():
    ours, theirs = (table([1.0, 2.0], ["a", "b"]) for _ in range(2))
    ours.loc[0, ["value", "fallback"]] = [np.nan, 4.0]
    assert paired_difference(ours, theirs, "median").value == 1.5
    ours.loc[0, "fallback"] = np.nan
    with pytest.raises(HarnessError, match=r"not computed: 1 subject\(s\) without a value"):
        paired_difference(ours, theirs, "median")


def test_one_subject_is_no_comparison():
    with pytest.raises(HarnessError, match="not computed: 1 subject"):
        difference(np.ones(1), np.zeros(1))
    with pytest.raises(HarnessError, match="not computed: 1 subject"):
        detectable_difference(1.0, 1)


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.5, 0.9])) == pytest.approx([1.0, 1.0])
    assert holm(np.array([])).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_rejects_what_its_steps_reject(p_values):
    """The procedure as Holm states it: go up from the smallest, stop at the first that is too large."""
    rejected = set()
    for step, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[index] * (len(p_values) - step) >= 0.05:
            break
        rejected.add(index)
    assert rejected == set(np.flatnonzero(holm(np.array(p_values)) < 0.05).tolist())


@pytest.mark.parametrize("subjects", [2, 5, 20, 200])
@pytest.mark.parametrize("size", [0.1, 0.5, 1.5])
def test_power_is_that_of_the_non_central_t(subjects, size):
    bound, shift = stats.t.isf(0.025, subjects - 1), size * np.sqrt(subjects)
    expected = stats.nct.sf(bound, subjects - 1, shift) + stats.nct.sf(bound, subjects - 1, -shift)
    assert power_of(size, subjects) == pytest.approx(expected, abs=1e-5)


def test_what_can_be_detected():
    found = detectable_difference(0.3, 20)
    assert power_of(found / 0.3, 20) == pytest.approx(0.8, abs=1e-6)
    assert found / 0.3 == pytest.approx(0.660, abs=0.001), "a published table's value for n = 20"
    assert detectable_difference(0.3, 20, level=0.05 / 19900) > 2 * found
    assert detectable_difference(0.3, 80) < 0.5 * found
    assert difference(np.array([1.0, 2, 4]), np.zeros(3)).detectable() == detectable_difference(
        np.array([1.0, 2, 4]).std(ddof=1), 3
    )
