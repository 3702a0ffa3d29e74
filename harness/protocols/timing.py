"""How long a method takes: what the times of its calls become in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import bdtr

from harness import provenance
from harness.protocols.base import Array, Protocol
from harness.protocols.scores import SampleScore, Score, by_condition
from harness.samples import Prediction
from harness.stages import STAGES

CONFIDENCE = 0.99  # of MLPerf's early stopping
LEAST_CALLS = {"median": 1, "p90": 10, "p99": 100, "max": 1, "IQR": 4}  # with fewer a quantile is just the extreme
STATISTICS = tuple(LEAST_CALLS)


def statistic(name: str, times: Array) -> float | None:
    """One of STATISTICS of (N,) times, None with too few; quantiles interpolate linearly, as numpy's do."""
    if len(times) < LEAST_CALLS[name]:
        return None
    if name == "max":
        return float(np.max(times))
    if name == "IQR":
        low, high = np.quantile(times, [0.25, 0.75])
        return float(high - low)
    return float(np.quantile(times, {"median": 0.5, "p90": 0.9, "p99": 0.99}[name]))


def early_stopping(times: Array, percentile: float, confidence: float = CONFIDENCE) -> float | None:
    """MLPerf Inference's bound: with `confidence`, a share of `percentile` of all calls is not slower.

    The largest t with P[Binomial(n, 1 - percentile) <= t] <= 1 - confidence calls may be over the bound; the t - 1
    slowest are left out and the slowest of the rest is the bound.

    Args:
        times: (n,) of calls.
        percentile: 0..1; 0.9 needs at least 64 calls, 0.99 at least 662.
        confidence: 0..1.

    Returns:
        The bound, or None where there are too few calls to state one.
    """
    over = most_over(len(times), percentile, confidence)
    return float(np.sort(times)[len(times) - over]) if over else None


def most_over(count: int, percentile: float, confidence: float = CONFIDENCE) -> int:
    """The largest number of over-latency calls out of `count` that is compatible; 0 where not even one is."""
    compatible = bdtr(np.arange(count + 1), count, 1 - percentile) <= 1 - confidence
    return max(int(compatible.sum()) - 1, 0)


@dataclass(frozen=True, kw_only=True)
class Timing(Protocol):
    """Wall-clock time of single calls of `predict`, from a picture in memory to a mesh in memory.

    Every call gets one sample that was not the call before's, decoded but fresh in memory. The device is waited for
    at both ends of a call. Calls of a process before its median has settled are not counted; processes are several;
    methods of one command take turns, call by call. Median, 90th and 99th percentile, maximum and interquartile
    range are those of all counted calls together.

    `score` is not called: `harness.timing` measures and stores the times.

    Attributes:
        hardware: name and digest of what the times were measured on. It enters the id, so that times of different
            hardware never share a table.
    """

    name: str = "timing"
    official: bool = False
    alignment: str = "unaligned"
    scale: str = "none"
    reflection: bool = False
    distance: str = "time"
    direction: str = "call"
    regions: tuple[str, ...] = STATISTICS
    statistic: str = "quantiles"
    unit: str = "ms"
    aggregation: str = "calls"
    fallback: str = "none"
    hardware: str = "not yet known"

    computes = (
        *("alignment", "scale", "reflection", "distance", "direction", "statistic", "expression", "track", "unit"),
        *("aggregation", "fallback"),
    )
    knows_regions = STATISTICS

    def on(self, device: str) -> Protocol:
        """The same measurement, on `device` of this machine."""
        other = copy(self)
        object.__setattr__(other, "device", device)
        object.__setattr__(other, "hardware", provenance.hardware(device))
        return other

    def score(self, prediction: Prediction, truth: Any) -> Score:
        """A finished prediction no longer says how long it took."""
        return Score.failed("missing", "a stored prediction has no time; `python -m harness run bench=timing`")

    def sample_score(self, times: Mapping[str, Array]) -> Score | None:
        """One sample's calls: `times` holds "end to end" and, by stage, (N,) milliseconds; None without any."""
        calls = times.get("end to end", np.empty(0))
        if not len(calls):
            return None
        found = {column: statistic(column, calls) for column in self.columns}
        values = {column: value for column, value in found.items() if value is not None}
        named = {name: times[name] for name in ("end to end", "process", "order")}
        return Score(values, {"calls": float(len(calls))}, vectors=named)

    def describe(self) -> str:
        """One sentence that says what the number means."""
        return (
            f"{self.name} (version {self.version}): wall-clock time of one call with one sample, from decoded "
            f"pictures in memory to the mesh in memory, device synchronised at both ends, in {self.unit}; "
            f"{', '.join(self.columns)} over {self._words('aggregation')}, after warm-up, in several processes, "
            f"methods taking turns; on {self.hardware}; {self._words('fallback')}."
        )

    def summarise(self, rows: Sequence[SampleScore]) -> list[dict[str, Any]]:
        """See Protocol.summarise; over all calls of a condition, stages that the method does not mark left out.

        `value` is None where a sample failed or calls are too few; `value_dropping_failures` leaves failed samples out.
        """
        return [{**condition, **row} for condition, members in by_condition(rows) for row in self._rows(members)]

    def _rows(self, members: Sequence[SampleScore]) -> list[dict[str, Any]]:
        worked = [row for row in members if row.score is not None]
        complete = len(worked) == len(members)
        found = []
        for column in self.columns:
            value = self._pooled(column, worked)
            if value is None and complete and column in STAGES:
                continue  # the method does not mark this one
            counts = {"evaluated": len(worked), "expected": len(members), "std_subjects": None}
            values = {"value": value if complete else None, "value_dropping_failures": value}
            found.append({"protocol": self.id, "column": column, **values, **counts})
        return found

    def _pooled(self, column: str, rows: Sequence[SampleScore]) -> float | None:
        calls = [times for row in rows if (times := row.arrays("vectors/end to end")) is not None]
        return statistic(column, np.concatenate(calls)) if calls else None


@dataclass(frozen=True, kw_only=True)
class StageTiming(Timing):
    """The median time of each stage of a call, of methods that mark their stages (`MethodAdapter.stage`).

    On a CUDA device waiting at each stage's ends takes away what stages overlap, so that stages are measured in calls
    of their own, which do not count end to end.
    """

    name: str = "timing_stages"
    regions: tuple[str, ...] = tuple(STAGES)

    knows_regions = tuple(STAGES)

    def sample_score(self, times: Mapping[str, Array]) -> Score | None:
        """See Timing."""
        stages = {name: times[name] for name in self.columns if len(times.get(name, ()))}
        if not stages:
            return None
        return Score({name: float(np.median(calls)) for name, calls in stages.items()}, vectors=stages)

    def describe(self) -> str:
        """One sentence that says what the number means."""
        stages = ", ".join(f"{name} ({STAGES[name]})" for name in self.columns)
        return (
            f"{self.name} (version {self.version}): the median wall-clock time, in {self.unit}, of the stages of one "
            f"call with one sample, device synchronised at both ends: {stages}; on {self.hardware}; "
            f"{self._words('fallback')}."
        )

    def _pooled(self, column: str, rows: Sequence[SampleScore]) -> float | None:
        calls = [times for row in rows if (times := row.arrays(f"vectors/{column}")) is not None]
        return float(np.median(np.concatenate(calls))) if calls else None
