"""Statistics over the points of many samples together, in memory that does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError
from harness.protocols.base import Protocol
from harness.protocols.scores import SampleScore

Array = NDArray[Any]
Reader = Callable[[], Array]
Key = TypeVar("Key", bound=Hashable)

_HALF = 1 << 16


@dataclass(frozen=True)
class Pooled:
    """Statistics of all values of a pool; `std` is the population's."""

    median: float
    mean: float
    std: float
    count: int


@dataclass
class _Pool:
    """What is known of a pool after the first pass, and of its middle after the second.

    The bits of a float32 that is not negative, read as an integer, sort as the number does. So the histogram of their
    upper half says where the median is, and that of the lower half, of the values there, which one it is.
    """

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    upper: Array = field(default_factory=lambda: np.zeros(_HALF, dtype=np.int64))
    lower: dict[int, Array] = field(default_factory=dict)

    def add(self, values: Array, bits: Array) -> None:
        """First pass: moments (Chan et al. 1979) and upper halves."""
        count, mean = len(values), float(values.mean())
        apart, total = mean - self.mean, self.count + count
        self.squares += float(((values - mean) ** 2).sum()) + apart**2 * self.count * count / total
        self.mean, self.count = self.mean + apart * count / total, total
        self.upper += np.bincount(bits >> 16, minlength=_HALF)

    def locate(self) -> None:
        """Between the passes: where the one or two values in the middle are."""
        ends = np.cumsum(self.upper)
        self.lower = {int(np.searchsorted(ends, rank, side="right")): np.zeros(_HALF, np.int64) for rank in self.ranks}

    def look_closer(self, bits: Array) -> None:
        """Second pass: lower halves of the values about the middle."""
        for half, histogram in self.lower.items():
            histogram += np.bincount(bits[bits >> 16 == half] & (_HALF - 1), minlength=_HALF)

    @property
    def ranks(self) -> tuple[int, int]:
        """Which values in ascending order the median is the mean of."""
        return (self.count - 1) // 2, self.count // 2

    def value_at(self, rank: int) -> float:
        """The value that has this many before it."""
        ends = np.cumsum(self.upper)
        half = int(np.searchsorted(ends, rank, side="right"))
        before = int(ends[half] - self.upper[half])
        low = int(np.searchsorted(np.cumsum(self.lower[half]), rank - before, side="right"))
        return float(np.array([half << 16 | low], dtype=np.uint32).view(np.float32)[0])

    def result(self) -> Pooled:
        """The statistics."""
        low, high = (self.value_at(rank) for rank in self.ranks)
        return Pooled(0.5 * (low + high), self.mean, float(np.sqrt(self.squares / self.count)), self.count)


def pool(members: Mapping[Key, Sequence[Reader]]) -> dict[Key, Pooled]:
    """Statistics of several pools at once, the median exact; each reader is asked twice, however many pools it is in.

    Args:
        members: pool -> readers of (N,) float32 arrays of distances, N > 0, none negative. A pool without readers
            has no statistics.

    Raises:
        ContractError: values that are negative or not finite.
    """
    pools = {key: _Pool() for key, readers in members.items() if readers}
    users: dict[Reader, list[_Pool]] = {}
    for key, one in pools.items():
        for reader in members[key]:
            users.setdefault(reader, []).append(one)
    for reader, using in users.items():
        values, bits = _distances(reader())
        for one in using:
            one.add(values, bits)
    for one in pools.values():
        one.locate()
    for reader, using in users.items():
        _, bits = _distances(reader())
        for one in using:
            one.look_closer(bits)
    return {key: one.result() for key, one in pools.items()}


def _distances(values: Array) -> tuple[Array, Array]:
    """Values as float64, and the bits of their float32 form."""
    single = np.abs(values.astype(np.float32))  # of -0.0 too
    if not len(single) or not np.isfinite(single).all() or (values < 0).any():
        raise ContractError("distances: none, or some that are negative, NaN or infinite; score the run again")
    return single.astype(np.float64), single.view(np.uint32)


def summarise_points(protocol: Protocol, rows: Sequence[SampleScore]) -> list[dict[str, Any]]:
    """Rows of a table whose numbers pool the points of all samples of a condition, and of all conditions.

    As `Protocol.summarise`, but `value` and `value_dropping_failures` are the median, mean and population standard
    deviation of the points of all samples, failed ones replaced by the fall-back's points or left out. The rows over
    all samples have "all" as each of their conditions. `std_subjects` remains the spread of the subjects' means of
    their samples' own values, which says how different subjects are.

    Args:
        protocol: has one region, and the columns median, mean and std.
        rows: every sample; distances are read from them as needed.
    """
    (region,) = protocol.regions
    usual = Protocol.summarise(protocol, [*rows, *(in_all(row) for row in rows if row.condition)])
    # The pool of all answers comes first: samples then count in their own order, whichever of them failed.
    members: dict[tuple[Any, bool], list[Reader]] = {(_key(in_all(rows[0]).condition), True): []} if rows else {}
    lost: set[Any] = set()
    readers = [(row, _Points(row, region, protocol.fallback != "none")) for row in rows]
    for row, reader in readers:
        for condition in {_key(row.condition), _key(in_all(row).condition)}:
            if row.score is not None:
                members.setdefault((condition, False), []).append(reader)
            if row.score is not None or (row.fallback is not None and protocol.fallback != "none"):
                members.setdefault((condition, True), []).append(reader)
            else:
                lost.add(condition)
    found = pool(members)
    for line in usual:
        condition = _key({k: v for k, v in line.items() if k in _condition_names(rows)})
        complete = None if condition in lost else found.get((condition, True))
        worked = found.get((condition, False))
        line["value"] = getattr(complete, line["column"], None)
        line["value_dropping_failures"] = getattr(worked, line["column"], None)
    return usual


@dataclass(frozen=True, eq=False)
class _Points:
    """Reads the distances of a sample, or of its fall-back where it failed."""

    row: SampleScore
    region: str
    may_fall_back: bool

    def __call__(self) -> Array:
        name = f"{self.region}/distances" if self.row.score is not None else f"fallback/{self.region}/distances"
        found = self.row.arrays(name)
        if found is None:
            raise ContractError(f"sample {self.row.sample_id}: its array {name!r} is not there; score the run again")
        return found


def in_all(row: SampleScore) -> SampleScore:
    """The same sample under the condition that stands for all of them."""
    return replace(row, condition=dict.fromkeys(row.condition, "all"))


def _condition_names(rows: Sequence[SampleScore]) -> set[str]:
    return {name for row in rows for name in row.condition}


def _key(condition: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(condition.items()))


def cumulative_error_curve(arrays: Callable[[], Iterable[Array]], bins: int = 100_000) -> tuple[Array, Array]:
    """The curve that NoW's official program draws of all distances together.

    Args:
        arrays: gives the samples' (N,) distances anew each time it is called; it is called twice.
        bins: of equal width between the smallest and the largest distance.

    Returns:
        (bins,) the left edge of each bin, in the distances' unit, and (bins,) the percentage of points up to and with
        that bin.

    Raises:
        ContractError: there are no distances.
    """
    low, high = np.inf, -np.inf
    for values in arrays():
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    if not low <= high:
        raise ContractError("cumulative error curve: there are no distances")
    counts = np.zeros(bins, dtype=np.int64)
    edges = np.histogram_bin_edges([], bins, (low, high))
    for values in arrays():
        counts += np.histogram(values, bins, (low, high))[0]
    return edges[:-1], 100.0 * np.cumsum(counts) / counts.sum()
