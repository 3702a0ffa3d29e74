"""Intervals over subjects: coverage, clustering, pairing, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from harness.errors import HarnessError
from harness.statistics import paired_difference, subject_interval


def table(values: np.ndarray, subjects: np.ndarray, protocol: str = "p") -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample": [f"s{i}" for i in range(len(values))],
            "subject": subjects,
            "protocol_id": protocol,
            "column": "median",
            "value": values,
            "fallback": np.nan,
        }
    )


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(120):
        subjects = np.repeat(np.arange(20), 5)
        values = 3.0 + rng.normal(0, 1, 20)[subjects] + rng.normal(0, 0.1, 100)
        found = subject_interval(pd.Series(values), pd.Series(subjects), trial)
        hits += found.low <= 3.0 <= found.high
    assert 0.86 <= hits / 120 <= 0.99


def test_more_pictures_of_the_same_people_do_not_make_it_surer() -> None:
    rng = np.random.default_rng(1)
    people = rng.normal(0, 1, 12)
    widths = []
    for times in (1, 40):
        found = subject_interval(pd.Series(np.repeat(people, times)), pd.Series(np.repeat(np.arange(12), times)))
        widths.append(found.high - found.low)
    assert widths[0] == pytest.approx(widths[1], rel=1e-9)


def test_subjects_count_alike_however_many_samples_they_have() -> None:
    values, subjects = pd.Series([1.0, 1.0, 1.0, 5.0]), pd.Series(["a", "a", "a", "b"])
    assert subject_interval(values, subjects).value == 3.0


def test_pairing_sees_a_small_difference_between_scattered_values() -> None:
    rng = np.random.default_rng(2)
    subjects = np.repeat(np.arange(20), 4)
    theirs = rng.normal(2, 1, 80)
    ours = theirs - 0.05 + rng.normal(0, 0.02, 80)
    found = paired_difference(table(ours, subjects), table(theirs, subjects).sample(frac=1, random_state=0), "median")
    assert found.excludes_zero and found.value == pytest.approx(-0.05, abs=0.01)
    assert not paired_difference(table(theirs, subjects), table(theirs, subjects), "median").excludes_zero


def test_a_failed_sample_counts_with_its_fallback() -> None:
    ours, theirs = (table(np.array([1.0, 2.0]), np.array(["a", "b"])) for _ in range(2))
    ours.loc[0, ["value", "fallback"]] = [np.nan, 4.0]
    assert paired_difference(ours, theirs, "median").value == 1.5


def test_what_cannot_be_compared_is_refused() -> None:
    values, subjects = np.array([1.0, 2.0]), np.array(["a", "b"])
    with pytest.raises(HarnessError, match="one and the same"):
        paired_difference(table(values, subjects), table(values, subjects, "q"), "median")
    with pytest.raises(HarnessError, match="the same ones"):
        paired_difference(table(values, subjects), table(values, subjects)[:1], "median")
    with pytest.raises(HarnessError, match="no value"):
        subject_interval(pd.Series([1.0, np.nan]), pd.Series(subjects))
    with pytest.raises(HarnessError, match="1 subject"):
        subject_interval(pd.Series([1.0, 2.0]), pd.Series(["a", "a"]))
