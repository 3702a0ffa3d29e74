"""Counts of distances and the curves drawn from them, against all distances at once."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import HarnessError
from harness.files import read_arrays, write_arrays
from harness.protocols.pooled import cumulative_error_curve
from harness.publishing.distances import (
    BINS,
    LARGEST_MM,
    WIDTH_MM,
    Distances,
    counted,
    distances_of_run,
    read_distances,
    together,
    write_distances,
)
from harness.publishing.records import read_table
from harness.run_folder import RunFolder


def counts_of(values, **changes):
    fields = {"protocol": "p", "protocol_id": "0" * 8, "region": "face", "condition": {"views": 1}}
    fields |= {"with_fallback": True, "samples": 1, "failed": 0, "counts": counted(np.asarray(values), "here")}
    return Distances(**{**fields, **changes})


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 60))
def test_curve_is_the_share_of_nearer_points(seed, scale):
    values = np.random.default_rng(seed).gamma(2.0, scale, 200)
    millimetres, percent = counts_of(values).curve()
    assert millimetres[0] == 0 and millimetres[-1] == LARGEST_MM and len(millimetres) == BINS + 1
    for step in np.random.default_rng(seed).integers(0, BINS + 1, 20):
        edge = step * WIDTH_MM
        sure = 100 * np.mean(values < edge - 1e-9), 100 * np.mean(values < edge + 1e-9)
        assert sure[0] - 1e-9 <= percent[step] <= sure[1] + 1e-9


def test_curve_agrees_with_the_official_one():
    """The official bins are 100,000 between the extremes, so that ours is shifted by less than a bin."""
    values = np.random.default_rng(1).gamma(2.0, 0.7, 5000)
    edges, official = cumulative_error_curve(lambda: [values])
    millimetres, percent = counts_of(values).curve(8.0)
    assert millimetres[-1] == 8.0
    np.testing.assert_allclose(np.interp(millimetres, edges, official), percent, atol=0.05)


def test_points_beyond_the_last_bin_keep_the_curve_below_100():
    row = counts_of([1.0, 2.0, 1e6, 1e300])
    assert row.points == 4 and row.curve()[1][-1] == 50.0


@pytest.mark.parametrize("values", [[np.nan], [np.inf], [-0.1]])
def test_what_is_no_distance_is_refused(values):
    with pytest.raises(HarnessError, match="here: distances are negative or not finite"):
        counted(np.array(values), "here")


def test_no_points_have_no_curve():
    with pytest.raises(HarnessError, match="no distance was measured"):
        counts_of([]).curve()


def by_hand(run, protocol, condition, dropping):
    """All distances of a protocol's samples, read from the files one by one."""
    table = read_table(run / "scores.parquet").to_pandas()
    rows = table[(table["protocol"] == protocol) & (table["challenge"] == condition)].drop_duplicates("sample")
    found = []
    for _, row in rows.iterrows():
        prefix = protocol if row["failure"] is None or row["failure"] != row["failure"] else f"{protocol}/fallback"
        if prefix == protocol or not dropping:
            found.append(read_arrays(run / "scores" / f"{row['sample']}.npz")[f"{prefix}/face/distances"])
    return np.concatenate(found).astype(np.float64)


def test_run_with_failures_counts_the_fallback_and_without(known):
    rows = distances_of_run(RunFolder(known["Bad"]))
    keys = {(row.protocol, row.region, row.condition["challenge"], row.with_fallback) for row in rows}
    regions = {("now", "face"), ("now_strict", "face"), ("h3ds", "face"), ("h3ds", "head"), ("faceverse", "face")}
    # of every six samples only the last works, and that is a side view
    assert keys == {(p, r, c, w) for p, r in regions for c, w in (("front", True), ("side", True), ("side", False))}
    for row in rows:
        if row.region == "face":
            values = by_hand(known["Bad"], row.protocol, row.condition["challenge"], dropping=not row.with_fallback)
            assert row.points == len(values)
            np.testing.assert_array_equal(row.counts, np.bincount((values / WIDTH_MM).astype(int), minlength=BINS + 1))
        assert (row.samples, row.failed) == (12, 12 if row.condition["challenge"] == "front" else 8)


def test_run_without_failures_counts_once(known):
    rows = distances_of_run(RunFolder(known["Good"]))
    assert len(rows) == 10 and all(row.with_fallback and not row.failed and row.samples == 12 for row in rows)


def test_lost_fallback_leaves_no_row_that_would_miss_samples(copy):
    path = copy / "scores" / "s0001.npz"
    arrays = read_arrays(path)
    write_arrays(path, {name: value for name, value in arrays.items() if "now/fallback" not in name})
    ways = {
        (r.condition["challenge"], r.with_fallback) for r in distances_of_run(RunFolder(copy)) if r.protocol == "now"
    }
    assert ways == {("front", True), ("side", False)}


def test_written_and_read_is_the_same(known, tmp_path):
    rows = distances_of_run(RunFolder(known["Bad"]))
    write_distances(tmp_path / "d.parquet", rows)
    for one, other in zip(rows, read_distances(tmp_path / "d.parquet"), strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
        assert {**vars(one), "counts": 0} == {**vars(other), "counts": 0}


def test_damaged_counts_are_refused(tmp_path):
    path = tmp_path / "d.parquet"
    write_distances(path, [counts_of([1.0, 2.0])])
    good = pq.read_table(path)
    (record,) = good.to_pylist()
    assert len(read_distances(path)) == 1
    for changes in (
        {"bins": [5, 5]},
        {"bins": [9, 3]},
        {"bins": [-1, 3]},
        {"bins": [1, BINS + 1]},
        {"counts": [1]},
        {"counts": [1, -1]},
        {"counts": [1, 1 << 62]},
        {"counts": None},
        {"condition": "[]"},
        {"condition": "{"},
        {"failed": 2},
        {"samples": None},
    ):
        pq.write_table(type(good).from_pylist([{**record, **changes}], good.schema), path)
        with pytest.raises(HarnessError, match="a row of counts is damaged"):
            read_distances(path)


def test_together_is_as_if_counted_at_once():
    one, two = counts_of([1.0, 2.0], samples=2), counts_of([3.0], condition={"views": 3}, samples=4, failed=1)
    both = together([one, two])
    np.testing.assert_array_equal(both.counts, counts_of([1.0, 2.0, 3.0]).counts)
    assert (both.samples, both.failed, both.condition, both.with_fallback) == (6, 1, {"views": "all"}, True)
    assert together([one, one]).condition == {"views": 1}
    for other in (counts_of([1.0], region="head"), counts_of([1.0], protocol_id="1" * 8)):
        with pytest.raises(HarnessError, match="one protocol and region"):
            together([one, other])
    with pytest.raises(HarnessError, match="all without"):
        together([two, counts_of([1.0], with_fallback=False, failed=1)])
