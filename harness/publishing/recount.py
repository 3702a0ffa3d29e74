"""A summary's numbers computed again from the scores per sample, by the protocols' own code where it is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas

from harness.errors import HarnessError
from harness.protocols.base import Protocol
from harness.protocols.scores import SampleScore
from harness.publishing.denominator import condition_columns
from harness.publishing.distances import WIDTH_MM, Distances, together
from harness.publishing.records import in_text, protocol_values, row_key
from harness.run_folder import condition
from harness.samples import Array

COUNTS = ("evaluated", "expected")
VALUES = ("value", "value_dropping_failures", "std_subjects")
TOLERANCE = 1e-9  # relative: the same additions, perhaps by another version of numpy
Arrays = Callable[[str, str, str], Array | None]  # sample, protocol, name -> what was kept with the score


class NotKept(Exception):
    """What a protocol needs is not at hand."""


@dataclass
class Recount:
    """What was found: sentences."""

    checked: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a summary is computed from.

    Attributes:
        table: rows of `scores.parquet`.
        groups: sample -> group, where it is not the subject.
        arrays: what was kept with the scores; None in an entry, which has none of it.
        distances: counts per region and condition.
    """

    table: pandas.DataFrame
    groups: Mapping[str, str]
    arrays: Arrays | None = None
    distances: Sequence[Distances] = ()


def check_summary(
    manifest: Mapping[str, Any],
    summary: Mapping[str, Any],
    evidence: Evidence,
    protocols: Mapping[str, Protocol],
) -> Recount:
    """Compares every number of a summary with what the scores per sample give.

    Args:
        manifest: of a run or entry.
        summary: of the same.
        evidence: the scores.
        protocols: by id, those whose code is known; of the others only means over samples, subjects and the set are
            computed, where they say that this is what they do.

    Raises:
        HarnessError: a number, a unit or a count of samples is another one, or a row is missing.
    """
    found = Recount()
    for name, record in manifest["protocols"].items():
        rows = [row for row in summary["rows"] if row["protocol_id"] == record["id"]]
        table = evidence.table[evidence.table["protocol"] == name]
        if bool(rows) != bool(len(table)):
            raise HarnessError(f"protocol {name}: has {len(rows)} rows in the summary, {len(table)} in scores.parquet")
        if not rows:
            continue
        _check_undefined(rows, table, protocol_values(record))
        protocol = protocols.get(record["id"])
        if protocol is None:
            _check_means(name, rows, table, protocol_values(record), found)
        else:
            _check_own(protocol, rows, table, evidence, found)
    return found


def _check_own(
    protocol: Protocol,
    rows: Sequence[Mapping[str, Any]],
    table: pandas.DataFrame,
    evidence: Evidence,
    found: Recount,
) -> None:
    for row in rows:
        if row["unit"] != protocol.unit_of(row["column"]):
            raise HarnessError(f"summary.json: {in_text(row)} is in {row['unit']}, the protocol's unit is another")
    if odd := set(table["column"]) - set(protocol.columns):
        raise HarnessError(f"scores.parquet: protocol {protocol.name} has no column {sorted(odd)[0]}")
    lacking = set(protocol.columns) - set(table["column"])
    if lacking and protocol.aggregation != "calls":
        raise HarnessError(f"scores.parquet: protocol {protocol.name} lacks column {sorted(lacking)[0]}")
    try:
        again = protocol.summarise(_lines(protocol, table, evidence))
    except NotKept as error:
        if protocol.aggregation == "points" and evidence.distances:
            _check_pooled(protocol, rows, evidence.distances, found)
        else:
            found.unchecked.append(f"the summary of {protocol.name} [{protocol.id}], which needs {error}")
        return
    expected = {row_key({**row, "protocol_id": protocol.id}): row for row in again}
    given = {row_key(row): row for row in rows}
    if odd_rows := expected.keys() ^ given.keys():
        raise HarnessError(
            f"summary.json: protocol {protocol.name}: row {sorted(map(str, odd_rows))[0]} is missing or odd"
        )
    for key, row in given.items():
        compare(row, expected[key], TOLERANCE)
    found.checked.append(f"the summary of {protocol.name} [{protocol.id}] from the scores per sample")


def _lines(protocol: Protocol, table: pandas.DataFrame, evidence: Evidence) -> list[SampleScore]:
    conditions = condition_columns(table)
    lines = []
    for sample, rows in table.groupby("sample", sort=False):
        first = rows.iloc[0]
        failure = None if pandas.isna(first["failure"]) else str(first["failure"])
        fallback = _numbers(rows, "fallback")
        lines.append(
            SampleScore(
                sample_id=str(sample),
                subject=str(first["subject"]),
                condition={name: _plain(first[name]) for name in conditions},
                score=_numbers(rows, "value") if failure is None else None,
                fallback=fallback or None,
                failure=failure,
                arrays=_reader(evidence.arrays, str(sample), protocol.name),
                group=evidence.groups.get(str(sample), ""),
            )
        )
    return lines


def _reader(arrays: Arrays | None, sample: str, protocol: str) -> Callable[[str], Array | None]:
    def read(name: str) -> Array | None:
        if arrays is None:
            raise NotKept(f"what the run keeps of each sample ({name})")
        return arrays(sample, protocol, name)

    return read


def _numbers(rows: pandas.DataFrame, kind: str) -> dict[str, float]:
    return {str(c): float(v) for c, v in zip(rows["column"], rows[kind], strict=True) if not pandas.isna(v)}


def _plain(value: Any) -> str | int:
    return value if isinstance(value, str) else int(value)


def _check_pooled(
    protocol: Protocol, rows: Sequence[Mapping[str, Any]], distances: Sequence[Distances], found: Recount
) -> None:
    """Median and mean of all points together, as closely as counts in bins tell: within one bin."""
    own = [one for one in distances if one.protocol_id == protocol.id]
    for row in rows:
        here = [one for one in own if all(v in ("all", one.condition.get(k)) for k, v in condition(row).items())]
        filled = [one for one in here if one.with_fallback]
        if row["column"] not in ("median", "mean") or not filled or row["value"] is None:
            continue
        counts = together(filled).counts
        if counts[-1] and row["column"] == "mean":
            continue
        value = _pooled(counts, row["column"])
        if abs(value - row["value"]) > WIDTH_MM:
            raise HarnessError(
                f"summary.json: {in_text(row)} is {row['value']}, but distances.parquet gives {value:.3f} +- {WIDTH_MM}"
            )
    found.checked.append(
        f"median and mean of {protocol.name} [{protocol.id}] from the counts of distances, to {WIDTH_MM} mm"
    )


def _pooled(counts: Array, column: str) -> float:
    middles = (np.arange(len(counts)) + 0.5) * WIDTH_MM
    if column == "mean":
        return float(counts @ middles / counts.sum())
    return float(middles[np.searchsorted(np.cumsum(counts), 0.5 * counts.sum())])


def _check_undefined(rows: Sequence[Mapping[str, Any]], table: pandas.DataFrame, values: Mapping[str, Any]) -> None:
    """A failed sample without a fall-back leaves the value undefined, or else it would have left the denominator."""
    replaced = table["fallback"].notna() & (values.get("fallback") != "none")
    lost = table[table["failure"].notna() & ~replaced]
    for row in rows:
        here = lost
        for name, value in condition(row).items():
            if value != "all" and name in lost:
                here = here[here[name] == value]
        if len(here) and row["value"] is not None:
            raise HarnessError(
                f"summary.json: {in_text(row)} has a value, although sample {here.iloc[0]['sample']} failed and "
                "nothing stands in for it"
            )


def _check_means(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    table: pandas.DataFrame,
    values: Mapping[str, Any],
    found: Recount,
) -> None:
    """Sample -> subject -> set means of a protocol whose code is not at hand, where it says that it takes these."""
    columns = set(table["column"])
    if values.get("aggregation") != "sample>subject>set" or any(row["column"] not in columns for row in rows):
        found.unchecked.append(f"the summary of {name}, a protocol whose code is not at hand")
        return
    for row in rows:
        compare(row, _means(row, table, fills=values.get("fallback") != "none"), TOLERANCE)
    found.checked.append(f"the summary of {name} as means over samples, subjects and the set")


def _means(row: Mapping[str, Any], table: pandas.DataFrame, fills: bool) -> dict[str, Any]:
    here = table[table["column"] == row["column"]]
    for name, value in condition(row).items():
        here = here if value == "all" else here[here[name] == value]
    counted = here["value"].fillna(here["fallback"]) if fills else here["value"]
    means = counted.groupby(here["subject"]).mean()
    worked = here[here["failure"].isna()]
    dropping = worked["value"].groupby(worked["subject"]).mean()
    complete = len(here) > 0 and not counted.isna().any()
    return {
        "value": float(means.mean()) if complete else None,
        "value_dropping_failures": float(dropping.mean()) if len(worked) else None,
        "std_subjects": float(means.std(ddof=1)) if complete and len(means) > 1 else None,
        "evaluated": len(worked),
        "expected": len(here),
    }


def compare(row: Mapping[str, Any], expected: Mapping[str, Any], tolerance: float) -> None:
    """Raises HarnessError if a row of a summary has other numbers than `expected`."""
    for name in (*COUNTS, *VALUES):
        mine, theirs = row[name], expected.get(name)
        same = mine == theirs if mine is None or theirs is None else agree(mine, theirs, tolerance)
        if not same:
            raise HarnessError(f"summary.json: {in_text(row)}: {name} is {mine}, its scores give {theirs}")


def agree(one: float, other: float, tolerance: float) -> bool:
    """Whether two numbers are the same up to a relative difference."""
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=1e-12)
