"""Statistics that read one sample at a time, against numpy on everything at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ContractError
from harness.protocols.now import Now
from harness.protocols.now_files import write_official_files
from harness.protocols.pooled import cumulative_error_curve, pool
from harness.protocols.scores import SampleScore


def check(found, arrays):
    everything = np.concatenate(arrays).astype(np.float64)
    low, high = np.sort(everything)[[(len(everything) - 1) // 2, len(everything) // 2]]
    assert found.median == 0.5 * (low + high) and found.count == len(everything)
    assert found.mean == pytest.approx(everything.mean(), rel=1e-12, abs=1e-300)
    assert found.std == pytest.approx(everything.std(), rel=1e-9, abs=1e-9 * everything.max())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["smooth", "ties", "equal", "wide"]))
def test_equals_numpy(seed, kind):
    rng = np.random.default_rng(seed)
    arrays = []
    for count in rng.integers(1, 60, rng.integers(1, 6)):
        values = rng.gamma(2.0, 0.5, count)
        values = {"smooth": values, "ties": np.round(values, 1), "equal": np.ones(count), "wide": values**20}[kind]
        arrays.append(values.astype(np.float32))
    readers = [lambda a=a: a for a in arrays]
    found = pool({"all": readers, "first": readers[:1], "none": []})
    check(found["all"], arrays)
    check(found["first"], arrays[:1])
    assert set(found) == {"all", "first"}


def test_every_sample_is_read_twice_however_many_pools():
    calls = []

    def read():
        calls.append(1)
        return np.ones(3, dtype=np.float32)

    pool({name: [read] for name in "abcde"})
    assert len(calls) == 2


@pytest.mark.parametrize("values", [[], [np.nan], [-1.0, 2.0], [np.inf]])
def test_what_is_no_distance_is_refused(values):
    with pytest.raises(ContractError, match="distances"):
        pool({"all": [lambda: np.array(values, dtype=np.float32)]})


def row(name, challenge, distances, fallback=None):
    stored = {"face/distances": distances, "fallback/face/distances": fallback}

    def statistics(values):
        return None if values is None else {"median": np.median(values), "mean": values.mean(), "std": values.std()}

    failure = "no_face" if distances is None else None
    condition = {"challenge": challenge}
    return SampleScore(name, name[0], condition, statistics(distances), statistics(fallback), failure, stored.get)


def sample(seed, count, scale=1.0):
    return (scale * np.random.default_rng(seed).gamma(2.0, 0.5, count)).astype(np.float32)


def test_table_pools_points_per_challenge_and_over_all():
    a, b, c, mean_face = sample(0, 50), sample(1, 7), sample(2, 20, 3.0), sample(3, 31, 5.0)
    rows = [
        row("a1", "selfie", a),
        row("a2", "neutral", b),
        row("b1", "selfie", c),
        row("b2", "neutral", None, mean_face),
    ]
    table = {(line["challenge"], line["column"]): line for line in Now().summarise(rows)}
    assert [key[0] for key in table] == ["all"] * 3 + ["neutral"] * 3 + ["selfie"] * 3
    for challenge, official, ours in (
        ("all", [a, b, c], [a, b, c, mean_face]),
        ("neutral", [b], [b, mean_face]),
        ("selfie", [a, c], [a, c]),
    ):
        for key, arrays in (("value_dropping_failures", official), ("value", ours)):
            pooled = np.concatenate(arrays).astype(np.float64)
            expected = {"median": np.median(pooled), "mean": pooled.mean(), "std": pooled.std()}
            for column, value in expected.items():
                assert table[challenge, column][key] == pytest.approx(value, rel=1e-6)
    line = table["all", "mean"]
    assert (line["evaluated"], line["expected"], line["protocol"]) == (3, 4, Now().id)
    means = [(a.mean() + b.mean()) / 2, (c.mean() + mean_face.mean()) / 2]
    assert line["std_subjects"] == pytest.approx(np.std(means, ddof=1), rel=1e-6)


def test_a_failure_without_fallback_leaves_the_value_open():
    rows = [row("a1", "selfie", sample(0, 9)), row("b1", "selfie", None), row("c1", "neutral", sample(1, 4))]
    table = {(line["challenge"], line["column"]): line for line in Now().summarise(rows)}
    assert table["all", "mean"]["value"] is None and table["selfie", "mean"]["value"] is None
    assert table["neutral", "mean"]["value"] is not None
    assert table["selfie", "median"]["value_dropping_failures"] == pytest.approx(float(np.median(sample(0, 9))))


def test_dropping_bad_samples_only_helps_the_official_value():
    good, bad, mean_face = sample(0, 400), sample(1, 400, 4.0), sample(2, 400, 5.0)
    kept = Now().summarise([row("a", "selfie", good), row("b", "selfie", bad)])
    dropped = Now().summarise([row("a", "selfie", good), row("b", "selfie", None, mean_face)])
    assert dropped[0]["value_dropping_failures"] < kept[0]["value_dropping_failures"]
    assert dropped[0]["value"] > kept[0]["value"]


def test_lost_distances_are_said():
    with pytest.raises(ContractError, match="a1.*face/distances"):
        Now().summarise([SampleScore("a1", "a", {}, {"median": 1.0, "mean": 1.0, "std": 1.0})])


def test_curve_is_the_official_one():
    arrays = [sample(0, 500), sample(1, 90, 3.0)]
    edges, percent = cumulative_error_curve(lambda: iter(arrays), bins=1000)
    counts, base = np.histogram(np.concatenate(arrays).astype(np.float64), bins=1000)
    assert np.allclose(edges, base[:-1], rtol=0, atol=1e-12) and len(percent) == 1000
    assert np.abs(percent - 100 * np.cumsum(counts) / 590).max() <= 100 / 590 + 1e-9  # a value on an edge may round
    assert percent[-1] == 100
    with pytest.raises(ContractError, match="no distances"):
        cumulative_error_curve(lambda: iter([]))


def test_official_files(tmp_path):
    arrays = {"s/multiview_neutral/IMG_1": sample(0, 9), "s/selfie/IMG_2": None, "s/selfie/IMG_3": sample(1, 4)}
    path, summary = write_official_files(tmp_path / "results", "glvd_metrical", arrays.items())
    assert path.name == "glvd_metrical_computed_distances.npy" and summary.name == f"{path.name}.meanmedian"
    content = np.load(path, allow_pickle=True).item()
    assert content["num_missing_files"] == 1
    assert content["input_files"].tolist() == [name for name, values in arrays.items() if values is not None]
    pooled = np.hstack(content["computed_distances"])
    assert np.array_equal(pooled, np.concatenate([sample(0, 9), sample(1, 4)]))
    median, mean = map(float, summary.read_text().split())
    assert median == np.median(pooled) and mean == pooled.mean()
    path, _ = write_official_files(tmp_path, "glvd", arrays.items(), challenge="selfie")
    assert path.name == "glvd_computed_distances_selfie.npy"
    with pytest.raises(ContractError, match="none of the 1 images"):
        write_official_files(tmp_path, "glvd", [("a", None)])
