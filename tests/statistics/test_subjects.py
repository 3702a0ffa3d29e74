"""Subjects' means: what counts, whatever the order, and what cannot stand side by side."""

import numpy as np
import pytest

from harness.errors import HarnessError
from harness.statistics import filled, subject_means
from tests.statistics.toys import table

SUBJECTS = ["b", "a", "b", "c"]


def test_means_of_subjects_in_alphabetical_order_whatever_the_order_of_rows():
    one = table([1.0, 2.0, 5.0, 4.0], SUBJECTS)
    other = one.assign(value=one["value"] + 1).iloc[::-1]
    means = subject_means({"one": one, "other": other}, "median")
    assert means.index.tolist() == ["a", "b", "c"]
    assert means["one"].tolist() == [2.0, 3.0, 4.0] and means["other"].tolist() == [3.0, 4.0, 5.0]


def test_it_agrees_with_pandas_on_random_tables():
    rng = np.random.default_rng(0)
    one = table(rng.normal(size=300), rng.choice(list("abcdefg"), 300))
    one.loc[::7, "fallback"] = 9.0
    one.loc[::7, "value"] = np.nan
    rows = filled(one, "median")
    expected = rows.groupby("subject").counted.mean()
    assert subject_means({"one": one}, "median")["one"].to_numpy() == pytest.approx(expected.to_numpy())


def test_a_failed_sample_without_fallback_leaves_no_number():
    one = table([1.0, np.nan, 5.0, 4.0], SUBJECTS)
    assert np.isnan(subject_means({"one": one}, "median")["one"]).tolist() == [True, False, False]


def test_conditions_choose_samples_and_all_means_all():
    one = table([1.0, 2.0, 5.0, 4.0], SUBJECTS, views=[1, 1, 3, 3])
    assert subject_means({"one": one}, "median", {"views": 3})["one"].tolist() == [5.0, 4.0]
    assert len(subject_means({"one": one}, "median", {"views": "all"})) == 3
    with pytest.raises(HarnessError, match="no 'challenge'"):
        subject_means({"one": one}, "median", {"challenge": "selfie"})


def test_other_columns_stay_out():
    one = table([1.0, 2.0, 5.0, 4.0], SUBJECTS)
    one.loc[2, "column"] = "mean"
    assert subject_means({"one": one}, "median")["one"].tolist() == [2.0, 1.0, 4.0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.assign(protocol_id="q"), "protocols p, q, expected one and the same"),
        (lambda t: t[:3], "one: 3 samples, first: 4; expected the same ones, but s3"),
        (lambda t: t.assign(sample=[*t["sample"][:3], "other"]), "other is in one of them only"),
        (lambda t: t.assign(subject=["a", "a", "b", "c"]), "other subjects than in first"),
        (lambda t: t.assign(sample=["s0", "s1", "s2", "s2"]), "s2 is there more than once"),
        (lambda t: t.assign(value=[1.0, np.inf, 2.0, 3.0]), "s1 has an infinite value"),
    ],
)
def test_what_cannot_be_compared_is_refused(change, words):
    first = table([1.0, 2.0, 5.0, 4.0], SUBJECTS)
    with pytest.raises(HarnessError, match=words):
        subject_means({"first": first, "one": change(first)}, "median")


def test_no_run_and_no_sample_are_empty():
    assert subject_means({}, "median").empty
    assert subject_means({"one": table([], [])}, "median").shape == (0, 1)
