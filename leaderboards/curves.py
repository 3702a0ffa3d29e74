"""Cumulative error curves: the percentage of scan points that are closer to the prediction than x, as NoW draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit
from numpy.typing import NDArray

from harness.errors import HarnessError
from harness.leaderboards.runs import Run
from harness.leaderboards.scores import stamp
from harness.publishing.distances import WIDTH_MM, read_distances, together
from harness.run_folder import RunFolder

Array = NDArray[Any]

PER_UNIT = 20
EDGES: Array = np.arange(0, 20 * PER_UNIT + 1) / PER_UNIT
"""(401,) where a curve is known: every 0.05 of the protocol's unit up to 20."""
RESAMPLES = 1000
ALL = "all samples"


@dataclass(frozen=True, eq=False)
class DistanceCounts:
    """How many points of each subject's scans lie in which bin.

    Attributes:
        counts: (S, 401) int64; bin k has EDGES[k] <= distance < EDGES[k + 1], the last one all from EDGES[-1] on.
        samples: how many they are from.
        failed: those that failed and have the mean face's distances here.
    """

    counts: Array
    samples: int
    failed: int


@dataclass(frozen=True, eq=False)
class Curve:
    """Percent (401,) of points with a distance below EDGES; `low` and `high` by resampling subjects, if several."""

    percent: Array
    low: Array | None
    high: Array | None

    def at(self, share: float) -> float:
        """The smallest edge that `share` percent of the points lie below; the last edge where that is further out."""
        return float(EDGES[min(int(np.searchsorted(self.percent, share)), len(EDGES) - 1)])


def count_distances(
    folder: RunFolder, protocol: str, region: str, samples: Sequence[tuple[str, str]]
) -> DistanceCounts:
    """Counts the distances per point that the run keeps with its scores.

    Args:
        folder: of the run.
        protocol: its name.
        region: of the scan.
        samples: (id, subject) of what to count; at least one.

    Raises:
        HarnessError: a sample has none, or its file is damaged.
    """
    names = [f"{protocol}/{where}{region}/distances" for where in ("", "fallback/")]
    subjects = list(dict.fromkeys(subject for _, subject in samples))
    counts = np.zeros((len(subjects), len(EDGES)), dtype=np.int64)
    failed = 0
    for sample, subject in samples:
        stored = folder.surfaces(sample, names)
        if not stored:
            raise HarnessError(f"{sample}: no distances per point of {protocol}, {region}, are kept")
        failed += names[0] not in stored
        distances = next(iter(stored.values()))
        counts[subjects.index(subject)] += _histogram(distances)
    return DistanceCounts(counts, len(samples), failed)


def _histogram(distances: Array) -> Array:
    """(401,) counts; NaN falls into the last bin, so it never counts as close."""
    values = np.nan_to_num(np.asarray(distances, dtype=np.float64).ravel(), nan=np.inf)
    bins = np.clip(values * PER_UNIT, 0, len(EDGES) - 1).astype(np.int64)
    # the product may be rounded over an edge that the value itself is not over, and the other way round
    bins -= values < EDGES[bins]
    bins += values >= np.append(EDGES[1:], np.inf)[bins]
    return np.bincount(np.clip(bins, 0, len(EDGES) - 1), minlength=len(EDGES))


def cumulative(counts: DistanceCounts, seed: int = 0) -> Curve:
    """The curve over all points together, with a percentile bootstrap over subjects (95 %) at each edge."""
    below = np.cumsum(counts.counts, axis=1) - counts.counts
    total = counts.counts.sum(axis=1)
    percent = 100 * below.sum(axis=0) / max(int(total.sum()), 1)
    if len(total) < 2:
        return Curve(percent, None, None)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(total), np.full(len(total), 1 / len(total)), size=RESAMPLES).astype(np.float64)
    resampled = 100 * (drawn @ below) / np.maximum(drawn @ total, 1)[:, None]
    low, high = np.percentile(resampled, [2.5, 97.5], axis=0)
    return Curve(percent, low, high)


def curve_of(
    run: Run, protocol: str, region: str, samples: tuple[tuple[str, str], ...], group: str
) -> tuple[Curve, int]:
    """A run's curve and how many failed samples are in it, from memory where the run is unchanged.

    Args:
        run: on this machine, or a published entry, whose counts are not by subject: its curve has no band.
        protocol: its name.
        region: of the scan.
        samples: (id, subject) of what to count.
        group: the same samples as "condition value", ALL for every one.

    Raises:
        HarnessError: points are missing, or a file is damaged.
    """
    if run.local:
        return _curve(stamp(run), protocol, region, samples, run)
    return _published_curve(stamp(run), protocol, region, group, run)


@streamlit.cache_data(max_entries=256, show_spinner="Counting distances")
def _curve(
    stamp: str, protocol: str, region: str, samples: tuple[tuple[str, str], ...], _run: Run
) -> tuple[Curve, int]:
    del stamp
    counts = count_distances(_run.folder, protocol, region, samples)
    return cumulative(counts), counts.failed


@streamlit.cache_data(max_entries=256, show_spinner=False)
def _published_curve(stamp: str, protocol: str, region: str, group: str, _run: Run) -> tuple[Curve, int]:
    del stamp
    rows = [
        row
        for row in read_distances(_run.folder.path / "distances.parquet")
        if (row.protocol, row.region) == (protocol, region)
        and row.with_fallback
        and (group == ALL or group in [f"{name} {value}" for name, value in row.condition.items()])
    ]
    if not rows:
        raise HarnessError(f"the published entry has no counts of distances of {protocol}, {region}, {group}")
    whole = together(rows)
    below = np.concatenate([[0], np.cumsum(whole.counts)])[np.rint(EDGES / WIDTH_MM).astype(np.int64)]
    return Curve(100 * below / max(whole.points, 1), None, None), whole.failed


def regions_of(run: Run, protocol: str, samples: Sequence[str]) -> list[str]:
    """Regions with distances per point, of the first sample that has some, or of a published entry."""
    if not run.local:
        rows = read_distances(run.folder.path / "distances.parquet")
        return list(dict.fromkeys(row.region for row in rows if row.protocol == protocol))
    found = (run.folder.measured_regions(sample, protocol) for sample in samples)
    return next((regions for regions in found if regions), [])
