"""Pairs of runs: same samples only, biggest difference first, and words that say what the numbers do."""

import numpy as np
import pandas
import pytest

from harness.leaderboards.comparison import (
    difference,
    differences,
    pairs_of,
    protocol_differences,
    shared_protocols,
    verdict,
    why_not_comparable,
)
from tests.leaderboards.balls import memory_run


def table(values, subjects=None, failure=None, fallback=None, protocol_id="id"):
    rows = len(values)
    return pandas.DataFrame({
        "sample": [f"s{i}" for i in range(rows)],
        "subject": subjects or [f"p{i // 2}" for i in range(rows)],
        "views": [1 + i % 2 for i in range(rows)],
        "protocol": "p",
        "protocol_id": protocol_id,
        "column": "face",
        "value": pandas.array(values, dtype="Float64").to_numpy(dtype=float, na_value=np.nan),
        "fallback": np.full(rows, np.nan) if fallback is None else fallback,
        "failure": failure or [None] * rows,
        "detail": "",
        "warnings": "",
    })  # fmt: skip


def test_biggest_difference_comes_first_and_failures_count_as_the_fallback():
    ours = table([1.0, None, 3.0], failure=[None, "no_face", None], fallback=[np.nan, 9.0, np.nan])
    theirs = table([1.5, 2.0, 2.9])
    pairs = pairs_of(ours, theirs, "id", "face")
    assert list(pairs["sample"]) == ["s1", "s0", "s2"]
    np.testing.assert_allclose(pairs["difference"], [7.0, -0.5, 0.1])
    assert list(pairs["failure_a"].notna()) == [True, False, False]
    assert list(pairs["group"]) == ["2 views", "1 view", "1 view"]


def test_pairs_without_a_number_come_last_and_foreign_samples_are_left_out():
    pairs = pairs_of(table([1.0, None, 3.0], failure=[None, "crash", None]), table([2.0, 2.0]), "id", "face")
    assert list(pairs["sample"]) == ["s0", "s1"]
    assert np.isnan(pairs["difference"].iloc[1])


def test_difference_is_the_mean_over_subjects_of_the_shown_pairs():
    random = np.random.default_rng(0)
    subjects = [f"p{i // 3}" for i in range(30)]
    ours, theirs = random.normal(2, 0.1, 30), random.normal(3, 0.1, 30)
    tables = [table(list(values), subjects) for values in (ours, theirs)]
    pairs = pairs_of(*tables, "id", "face")
    found = difference(*tables, "id", "face", pairs)
    assert found.value == pytest.approx((ours - theirs).reshape(10, 3).mean(axis=1).mean())
    assert found.excludes_zero
    assert verdict(found, ("ours", "theirs"), "mm", pairs).startswith("ours is better than theirs by ")
    assert verdict(found, ("ours", "theirs"), "%", pairs, larger_is_better=True).startswith(
        "theirs is better than ours"
    )
    assert "30 samples of 10 subjects" in verdict(found, ("ours", "theirs"), "mm", pairs)
    some = pairs[pairs["group"] == "1 view"]
    part = difference(*tables, "id", "face", some)
    by_hand = pandas.Series((ours - theirs)[::2]).groupby(subjects[::2]).mean().mean()
    assert part.value == pytest.approx(by_hand)


def test_nothing_but_noise_is_called_no_difference():
    random = np.random.default_rng(3)
    tables = [table(list(random.normal(2, 0.1, 40))) for _ in range(2)]
    pairs = pairs_of(*tables, "id", "face")
    found = difference(*tables, "id", "face", pairs)
    words = verdict(found, ("ours", "theirs"), "mm", pairs)
    assert words.startswith("No difference can be told")
    assert f"{found.detectable():.3f} mm would probably have been seen" in words


def test_difference_that_cannot_be_computed_says_why():
    lonely = table([1.0, 2.0], subjects=["p", "p"])
    assert "subject" in difference(lonely, lonely, "id", "face", pairs_of(lonely, lonely, "id", "face"))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"bench": "now"}, "different benchmarks"),
        ({"kind": "mirror"}, "never compared"),
        ({"version": "2"}, "different versions"),
        ({"scale": "rms"}, "share no protocol"),
    ],
)
def test_other_data_or_protocol_is_refused(other, words):
    assert words in why_not_comparable(memory_run(), memory_run("theirs", **other))
    assert why_not_comparable(memory_run(), memory_run("theirs", 2.0)) is None


def test_protocols_differ_in_words():
    ours, theirs = memory_run(scale="none", reflection=True), memory_run(scale="rms", reflection=False, track="own")
    assert shared_protocols(ours, theirs) == {}
    assert protocol_differences(ours, theirs) == {
        "toy_distance": [
            "reflection: yes in A, no in B",
            "scale: no change of scale in A, free scale (ratio of RMS radii) in B",
            "track: not applicable in A, each method finds the face itself in B",
        ]
    }
    assert protocol_differences(ours, ours) == {}
    assert list(protocol_differences(memory_run(protocol="x"), memory_run(protocol="y", scale="rms"))) == ["x and y"]


def test_unknown_words_are_shown_as_they_are():
    assert differences({"scale": "new"}, {"scale": "rms"}) == ["scale: new in A, free scale (ratio of RMS radii) in B"]
