"""Cumulative curves against a direct count, their bands against closed forms, published counts against local ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import HarnessError
from harness.leaderboards import curves
from harness.leaderboards.curves import ALL, EDGES, DistanceCounts, count_distances, cumulative
from harness.publishing.distances import Distances, counted, write_distances


class Stored:
    """Stands in for a run's folder: arrays by sample."""

    def __init__(self, arrays):
        self.arrays = arrays

    def surfaces(self, sample, names):
        return {name: self.arrays[sample][name] for name in names if name in self.arrays[sample]}


def stored(distances, name="p/face/distances"):
    return Stored({sample: {name: np.asarray(values, np.float32)} for sample, values in distances.items()})


near_edges = st.sampled_from(EDGES.tolist()).flatmap(
    lambda edge: st.sampled_from([edge, float(np.nextafter(edge, 99)), max(float(np.nextafter(edge, -1)), 0.0)])
)
distance = st.one_of(st.floats(0, 40, width=32), near_edges)


@given(st.lists(st.lists(distance, min_size=1, max_size=30), min_size=1, max_size=5))
def test_curve_is_the_share_of_points_below_each_edge(scans):
    folder = Stored({str(n): {"p/face/distances": np.array(scan, np.float64)} for n, scan in enumerate(scans)})
    counts = count_distances(folder, "p", "face", [(str(n), f"subject {n % 2}") for n in range(len(scans))])
    points = np.concatenate(scans)
    direct = [100 * np.mean(points < edge) for edge in EDGES]
    np.testing.assert_allclose(cumulative(counts).percent, direct, rtol=1e-12)
    assert counts.counts.sum() == len(points)
    assert (counts.samples, counts.failed) == (len(scans), 0)


def test_failed_samples_count_with_the_fallback_and_are_told():
    folder = stored({"a": [0.1, 0.2]})
    folder.arrays["b"] = {"p/fallback/face/distances": np.array([5.0, 6.0])}
    counts = count_distances(folder, "p", "face", [("a", "x"), ("b", "x")])
    assert counts.failed == 1
    assert cumulative(counts).percent[EDGES == 1.0] == 50


def test_missing_distances_give_no_curve():
    with pytest.raises(HarnessError, match="b: no distances per point of p, face"):
        count_distances(Stored({"a": stored({"a": [1]}).arrays["a"], "b": {}}), "p", "face", [("a", "x"), ("b", "x")])


def test_nan_is_never_close():
    counts = count_distances(stored({"a": [np.nan, 0.0]}), "p", "face", [("a", "x")])
    assert cumulative(counts).percent[-1] == 50


def test_band_of_two_subjects_is_theirs():
    """Of the four ways to draw two of two, a quarter each has one subject alone: the outer 2.5 % are these."""
    counts = count_distances(stored({"a": [1.0], "b": [3.0]}), "p", "face", [("a", "x"), ("b", "y")])
    curve = cumulative(counts)
    at = EDGES == 2.0
    assert (curve.low[at], curve.percent[at], curve.high[at]) == (0, 50, 100)


def test_band_is_as_wide_as_the_spread_of_subjects_says():
    random = np.random.default_rng(1)
    shares = random.uniform(0.2, 0.8, 40)
    counts = np.zeros((40, len(EDGES)), np.int64)
    counts[:, 0], counts[:, -1] = np.round(1000 * shares), 1000 - np.round(1000 * shares)
    curve = cumulative(DistanceCounts(counts, 40, 0))
    reach = 1.96 * 100 * shares.std(ddof=1) / np.sqrt(40)
    assert curve.high[5] - curve.low[5] == pytest.approx(2 * reach, rel=0.12)


def test_one_subject_and_equal_subjects():
    one = cumulative(count_distances(stored({"a": [1.0], "b": [2.0]}), "p", "face", [("a", "x"), ("b", "x")]))
    assert one.low is None
    same = cumulative(count_distances(stored({"a": [1.0], "b": [1.0]}), "p", "face", [("a", "x"), ("b", "y")]))
    np.testing.assert_array_equal(same.low, same.high)


def test_share_is_found_on_the_curve():
    curve = cumulative(count_distances(stored({"a": np.linspace(0, 10, 1001)}), "p", "face", [("a", "x")]))
    assert curve.at(50) == pytest.approx(5.0, abs=0.051)
    assert cumulative(count_distances(stored({"a": [99.0]}), "p", "face", [("a", "x")])).at(99) == EDGES[-1]


def test_published_counts_give_the_same_curve(tmp_path):
    random = np.random.default_rng(0)
    scans = {name: random.exponential(1.5, 500) for name in ("neutral", "selfie")}
    rows = [
        Distances("p", "id", "face", {"challenge": name}, True, 1, 0, counted(scan, name))
        for name, scan in scans.items()
    ]
    write_distances(tmp_path / "distances.parquet", rows)
    run = type("Entry", (), {"folder": type("Folder", (), {"path": tmp_path})})
    folder = Stored({name: {"p/face/distances": scan} for name, scan in scans.items()})
    for group, names in ((ALL, list(scans)), ("challenge selfie", ["selfie"])):
        local = cumulative(count_distances(folder, "p", "face", [(name, "x") for name in names]))
        published, failed = curves._published_curve.__wrapped__("", "p", "face", group, run)
        np.testing.assert_allclose(published.percent, local.percent, rtol=1e-12)
        assert failed == 0
    with pytest.raises(HarnessError, match="no counts"):
        curves._published_curve.__wrapped__("", "p", "nose", ALL, run)
