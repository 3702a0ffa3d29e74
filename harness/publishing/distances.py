"""How many scored points lie how far from the prediction: what cumulative error curves are drawn from.

Distances are counted in fixed bins of WIDTH_MM up to LARGEST_MM, and one bin for all that is farther. At the ends of
bins a curve is exact, so that its steps are 0.01 mm; between them nothing is known. The bins are the same for every
run, so counts of several runs, regions or conditions add up, and no single point's distance can be told from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

from harness.errors import HarnessError
from harness.files import array_names
from harness.publishing.records import protocol_values, read_parquet
from harness.run_folder import RunFolder
from harness.samples import Array

BINS = 10_000
WIDTH_MM = 0.01
LARGEST_MM = BINS * WIDTH_MM
MOST_POINTS = 1 << 50
_COLUMNS = pyarrow.schema(
    [
        *((name, pyarrow.string()) for name in ("protocol", "protocol_id", "region", "condition")),
        ("with_fallback", pyarrow.bool_()),
        *((name, pyarrow.int64()) for name in ("samples", "failed")),
        *((name, pyarrow.list_(pyarrow.int64())) for name in ("bins", "counts")),
    ]
)


@dataclass(frozen=True, eq=False)
class Distances:
    """Counts of the distances of all points of some samples together.

    Attributes:
        protocol, protocol_id, region: what was measured, in millimetres.
        condition: of the samples, e.g. {"views": 3}.
        with_fallback: whether failed samples count with the fall-back's distances, as in a protocol's own value; else
            they are left out, as official programs do. Where none failed there is only the former.
        samples: how many there are, failed ones included.
        failed: how many of these failed.
        counts: (BINS + 1,) int64; bin i holds distances from i * WIDTH_MM up to the next bin, the last one all others.
    """

    protocol: str
    protocol_id: str
    region: str
    condition: Mapping[str, str | int]
    with_fallback: bool
    samples: int
    failed: int
    counts: Array

    @property
    def points(self) -> int:
        """How many distances were counted."""
        return int(self.counts.sum())

    def curve(self, largest_mm: float = LARGEST_MM) -> tuple[Array, Array]:
        """The cumulative error curve, exact at each of its points.

        Args:
            largest_mm: where it ends.

        Returns:
            (N,) millimetres, from 0 in steps of WIDTH_MM, and (N,) the percentage of points that are nearer than that.

        Raises:
            HarnessError: there is no point.
        """
        if not self.points:
            raise HarnessError(f"{self.protocol} {self.region}: no distance was measured, so there is no curve")
        steps = min(round(largest_mm / WIDTH_MM), BINS)
        share = np.concatenate([[0], np.cumsum(self.counts[:steps])]) / self.points
        return np.arange(steps + 1) * WIDTH_MM, 100.0 * share


def together(rows: Sequence[Distances]) -> Distances:
    """All samples of several rows as one; the condition is what they have in common, "all" for the rest.

    Raises:
        HarnessError: there is none, or they are of different protocols, regions or ways to count failures.
    """
    if len({(row.protocol_id, row.region) for row in rows}) != 1:
        raise HarnessError("distances: expected rows of one protocol and region")
    ways = {row.with_fallback for row in rows if row.failed}
    if len(ways) > 1:
        raise HarnessError("distances: expected all rows with failed samples counted at the fall-back, or all without")
    first, names = rows[0], dict.fromkeys(name for row in rows for name in row.condition)
    values = {name: {row.condition.get(name, "all") for row in rows} for name in names}
    return replace(
        first,
        condition={name: next(iter(found)) if len(found) == 1 else "all" for name, found in values.items()},
        with_fallback=ways != {False},
        samples=sum(row.samples for row in rows),
        failed=sum(row.failed for row in rows),
        counts=np.sum([row.counts for row in rows], axis=0),
    )


def distances_of_run(run: RunFolder) -> list[Distances]:
    """Counts the distances that a finished run keeps, for each protocol in millimetres, region and condition.

    Where some sample failed there is a second row without the failed ones; and no row with the fall-back if that
    failed too, since what is left would not be all samples.

    Raises:
        HarnessError: the run or one of its scores is damaged.
    """
    manifest = run.manifest()
    wanted = {n: p["id"] for n, p in manifest["protocols"].items() if protocol_values(p).get("unit") == "mm"}
    tally = _Tally()
    for sample in manifest["samples"] if wanted else ():
        tally.add(run, sample, list(wanted))
    return [
        Distances(protocol, wanted[protocol], region, json.loads(condition), *rest)
        for protocol, region, condition, *rest in tally.rows()
    ]


class _Tally:
    """Counts by protocol, region and condition; samples by protocol and condition."""

    def __init__(self) -> None:
        self.samples: dict[tuple[str, str], list[bool]] = {}  # whether each failed
        self.counts: dict[tuple[str, str, str, bool], Array] = {}
        self.filled: dict[tuple[str, str, str, bool], int] = {}  # samples with distances

    def add(self, run: RunFolder, sample: str, protocols: Sequence[str]) -> None:
        record = run.score(sample)
        condition = json.dumps(record["condition"], sort_keys=True)
        stored = run.surfaces(sample, _names(run, sample, protocols))
        for protocol in protocols:
            failed = record["protocols"][protocol]["failure"] is not None
            self.samples.setdefault((protocol, condition), []).append(failed)
            prefix = f"{protocol}/fallback/" if failed else f"{protocol}/"
            for name, distances in stored.items():
                region = name.removeprefix(prefix).removesuffix("/distances")
                if name == f"{prefix}{region}/distances" and "/" not in region and region != "vectors":
                    key = (protocol, region, condition, failed)
                    self.counts[key] = self.counts.get(key, 0) + counted(distances, f"{run.path}, {sample}, {name}")
                    self.filled[key] = self.filled.get(key, 0) + 1

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Protocol, region, condition, with_fallback, samples, failed, counts."""
        for protocol, region, condition in dict.fromkeys(key[:3] for key in self.counts):
            failures = self.samples[protocol, condition]
            samples, failed = len(failures), sum(failures)
            worked = self.counts.get((protocol, region, condition, False), np.zeros(BINS + 1, np.int64))
            if self.filled.get((protocol, region, condition, True), 0) == failed:
                filled = self.counts.get((protocol, region, condition, True), 0)
                yield protocol, region, condition, True, samples, failed, worked + filled
            if 0 < failed < samples:
                yield protocol, region, condition, False, samples, failed, worked


def _names(run: RunFolder, sample: str, protocols: Sequence[str]) -> list[str]:
    names = array_names(run.path / "scores" / f"{sample}.npz")
    return [name for name in names if name.endswith("/distances") and name.split("/")[0] in protocols]


def counted(distances: Array, where: str) -> Array:
    """(BINS + 1,) counts of (N,) millimetres. Raises HarnessError naming `where` if one is no distance."""
    if not np.isfinite(distances).all() or (distances < 0).any():
        raise HarnessError(f"{where}: distances are negative or not finite; score the run again")
    bins = np.minimum(np.floor(distances.astype(np.float64) / WIDTH_MM), BINS).astype(np.int64)
    return np.bincount(bins, minlength=BINS + 1)


def write_distances(path: Path, rows: Sequence[Distances]) -> None:
    """Writes rows as Parquet; bins without points are left out."""
    records = []
    for row in rows:
        bins = np.flatnonzero(row.counts)
        condition = json.dumps(dict(row.condition), sort_keys=True)
        record = {name: getattr(row, name) for name in _COLUMNS.names if name not in ("bins", "condition", "counts")}
        records.append({**record, "condition": condition, "bins": bins.tolist(), "counts": row.counts[bins].tolist()})
    table = pyarrow.Table.from_pylist(records, _COLUMNS)
    small = {f"{name}.list.element": "DELTA_BINARY_PACKED" for name in ("bins", "counts")}
    pyarrow.parquet.write_table(table, path, compression="zstd", use_dictionary=False, column_encoding=small)


def read_distances(path: Path) -> list[Distances]:
    """Reads what `write_distances` wrote. Raises HarnessError if it is damaged or something else."""
    table = read_parquet(path)
    if table.schema.remove_metadata() != _COLUMNS:
        raise HarnessError(f"{path}: columns are {', '.join(table.column_names)}, expected {', '.join(_COLUMNS.names)}")
    return [_checked(record, path) for record in table.to_pylist()]


def _checked(record: dict[str, Any], path: Path) -> Distances:
    try:
        bins, counts = (np.array(record.pop(name), dtype=np.int64) for name in ("bins", "counts"))
        condition = json.loads(record.pop("condition"))
        fits = len(bins) == len(counts) and bool((np.diff(bins) > 0).all()) and bool((counts > 0).all())
        fits &= not len(bins) or (bins[0] >= 0 and bins[-1] <= BINS and float(counts.astype(float).sum()) < MOST_POINTS)
        fits &= isinstance(condition, dict) and 0 <= record["failed"] <= record["samples"]
    except (TypeError, ValueError, RecursionError):
        fits = False
    if not fits:
        raise HarnessError(f"{path}: a row of counts is damaged")
    full = np.zeros(BINS + 1, np.int64)
    full[bins] = counts
    return Distances(**record, condition=condition, counts=full)
