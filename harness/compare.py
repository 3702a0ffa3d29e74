"""Two results side by side: which is better, whether that can be seen, and where they differ most."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import HarnessError
from harness.protocols.words import differing
from harness.results import Result
from harness.run_folder import condition, in_words, larger_is_better
from harness.statistics import Difference, difference, filled, holm, subject_means
from harness.statistics.pairs import LEVEL

MOST = 10  # samples listed
SAME = {"bench": "benchmarks", "data": "kinds of data", "dataset_version": "versions of the data"}
OVER_SUBJECTS = "sample>subject>set"


@dataclass(frozen=True)
class Number:
    """One number of both results.

    Attributes:
        protocol, protocol_id, column, unit: what it is.
        condition: of which samples, e.g. {"views": 3}.
        values: as each result's own table shows them; None is "not computed".
        dropping: the same without the samples that failed.
        coverage: (samples that worked, all samples) of each.
        difference: first minus second, over subjects; None where it was not computed.
        p_value: of no difference, corrected for all numbers of the comparison; None as above.
        verdict: in words.
        detectable: the true difference that would have been called one in four of five such data sets, at the level
            left after the correction.
        over_subjects: whether `values` are means over subjects, as `difference` is.
        larger_is_better: of two values; the smaller one otherwise.
    """

    protocol: str
    protocol_id: str
    column: str
    unit: str
    condition: Mapping[str, str | int]
    values: tuple[float | None, float | None]
    dropping: tuple[float | None, float | None]
    coverage: tuple[tuple[int, int], tuple[int, int]]
    difference: Difference | None = None
    p_value: float | None = None
    verdict: str = ""
    detectable: float | None = None
    over_subjects: bool = True
    larger_is_better: bool = False


@dataclass(frozen=True)
class Apart:
    """One sample in both results: `values` hold the fall-back's where `failed`; `difference` is first minus second."""

    sample: str
    subject: str
    condition: Mapping[str, str | int]
    values: tuple[float, float]
    failed: tuple[bool, bool]
    difference: float


@dataclass(frozen=True)
class Unlike:
    """Two protocols of which only one result has each: (name, id), and field by field both in words."""

    first: tuple[str, str]
    second: tuple[str, str]
    fields: Sequence[tuple[str, str, str]]


@dataclass(frozen=True)
class Comparison:
    """What two results on the same data say about two methods.

    Attributes:
        results: both.
        names: of both, each other than the other's.
        numbers: those that both have, under the same protocols.
        largest: protocol id -> its first tested column, and the samples that differ most there.
        unlike: protocols that only one has, against each of the other's.
        only: (name, what only this result has) in words.
    """

    results: tuple[Result, Result]
    names: tuple[str, str]
    numbers: Sequence[Number]
    largest: Mapping[str, tuple[Number, Sequence[Apart]]]
    unlike: Sequence[Unlike]
    only: Sequence[tuple[str, str]]

    @property
    def tests(self) -> int:
        """How many comparisons the p-values are corrected for."""
        return sum(number.difference is not None for number in self.numbers)


def compare(first: Result, second: Result) -> Comparison:
    """Compares two results number by number.

    A difference is that of the means over subjects, of samples in which failed ones count with their fall-back; see
    harness.statistics for its interval and test.

    Raises:
        HarnessError: real data against a mirror, other benchmarks, versions or contents of data, or other samples.
    """
    check_same_data(first, second)
    names = _names(first, second)
    shared = [pid for pid in first.protocols if pid in second.protocols]
    pairs = [(mine, theirs) for mine in first.rows for theirs in second.rows if _key(mine) == _key(theirs)]
    tables = {pid: tuple(r.table[r.table["protocol_id"] == pid] for r in (first, second)) for pid in shared}
    numbers = [_number(mine, theirs, first.protocols, names, tables[mine["protocol_id"]]) for mine, theirs in pairs]
    corrected = _corrected(numbers, names)
    largest: dict[str, tuple[Number, Sequence[Apart]]] = {}
    for number in corrected:
        if number.difference is not None and number.protocol_id not in largest:
            largest[number.protocol_id] = number, largest_differences(number, tables[number.protocol_id])
    return Comparison((first, second), names, corrected, largest, _unlike(first, second), _only(first, second, names))


def check_same_data(first: Result, second: Result) -> None:
    """Raises HarnessError, saying which, where the two answered different questions."""
    for key, words in SAME.items():
        mine, theirs = first.summary[key], second.summary[key]
        if mine != theirs:
            raise HarnessError(f"compare: {words} {mine!r} ({first.path}) and {theirs!r} ({second.path}); never mixed")
    same_samples = first.summary["samples_digest"] == second.summary["samples_digest"]
    digests = [result.manifest["data_digest"] for result in (first, second)]
    if same_samples and digests[0] != digests[1]:
        raise HarnessError(
            f"compare: the files that were read differ ({digests[0]} in {first.path}, {digests[1]} in {second.path}) "
            f"although both say version {first.summary['dataset_version']!r}; run both on the same files"
        )


def largest_differences(number: Number, tables: tuple[pd.DataFrame, ...], most: int = MOST) -> list[Apart]:
    """The samples of one number, of any condition, whose values differ most; the largest first."""
    mine, theirs = (filled(table, number.column) for table in tables)
    pairs = mine.merge(theirs[["sample", "value", "counted"]], on="sample", suffixes=("", "_other"))
    pairs = pairs.assign(apart=pairs["counted"] - pairs["counted_other"]).dropna(subset="apart")
    order = np.lexsort((pairs["sample"].to_numpy(dtype=object).astype(str), -pairs["apart"].abs().to_numpy()))
    return [
        Apart(
            sample=str(row["sample"]),
            subject=str(row["subject"]),
            condition={key: _plain(row[key]) for key in number.condition},
            values=(float(row["counted"]), float(row["counted_other"])),
            failed=(math.isnan(row["value"]), math.isnan(row["value_other"])),
            difference=float(row["apart"]),
        )
        for row in pairs.iloc[order[:most]].to_dict("records")
    ]


def _plain(value: Any) -> str | int:
    return int(value) if isinstance(value, (int, np.integer)) else str(value)


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["protocol_id"], row["column"], sorted((key, str(value)) for key, value in condition(row).items())


def _names(first: Result, second: Result) -> tuple[str, str]:
    if first.method != second.method:
        return first.method, second.method
    if first.identity != second.identity:
        return f"{first.method} {first.identity[:8]}", f"{second.method} {second.identity[:8]}"
    return f"{first.method} (1)", f"{second.method} (2)"


def _number(
    mine: Mapping[str, Any],
    theirs: Mapping[str, Any],
    protocols: Mapping[str, Mapping[str, Any]],
    names: tuple[str, str],
    tables: tuple[pd.DataFrame, ...],
) -> Number:
    protocol = protocols[mine["protocol_id"]]
    number = Number(
        protocol=mine["protocol"],
        protocol_id=mine["protocol_id"],
        column=mine["column"],
        unit=mine["unit"],
        condition=condition(mine),
        values=(mine["value"], theirs["value"]),
        dropping=(mine["value_dropping_failures"], theirs["value_dropping_failures"]),
        coverage=((mine["evaluated"], mine["expected"]), (theirs["evaluated"], theirs["expected"])),
        over_subjects=protocol.get("aggregation") == OVER_SUBJECTS,
        larger_is_better=larger_is_better(mine),
    )
    if protocol.get("distance") == "time":
        return replace(number, verdict="not tested: times of calls have no samples to pair")
    if not all((table["column"] == number.column).any() for table in tables):
        return replace(number, verdict="not tested: no value per sample")
    try:
        means = subject_means(dict(zip(names, tables, strict=True)), number.column, number.condition)
    except HarnessError as error:
        raise HarnessError(f"compare: {number.protocol}, {label(number)}: {error}") from None
    if len(means) < 2:
        return replace(number, verdict=f"not computed: {len(means)} subject, two at least are needed")
    if means.isna().to_numpy().any():
        return replace(number, verdict="not computed: a sample has neither a value nor a fall-back")
    return replace(number, difference=difference(means[names[0]].to_numpy(), means[names[1]].to_numpy()))


def label(number: Number) -> str:
    """The column and its condition, e.g. "face, 3 views"."""
    return ", ".join(filter(None, (number.column, in_words(number.condition))))


def _corrected(numbers: Sequence[Number], names: tuple[str, str]) -> list[Number]:
    """The numbers with corrected p-values, verdicts and what could have been seen."""
    tested = [number for number in numbers if number.difference is not None]
    p_values = iter(holm(np.array([number.difference.p_value for number in tested if number.difference])))
    found = []
    for number in numbers:
        if number.difference is None:
            found.append(number)
            continue
        p_value = float(next(p_values))
        if number.difference.value == number.difference.deviation == 0:
            found.append(replace(number, p_value=p_value, verdict="equal throughout"))
            continue
        first_wins = (number.difference.value > 0) == number.larger_is_better
        verdict = f"{names[0 if first_wins else 1]} is better" if p_value < LEVEL else "not separable"
        detectable = number.difference.detectable(LEVEL / len(tested))
        found.append(replace(number, p_value=p_value, verdict=verdict, detectable=detectable))
    return found


def _unlike(first: Result, second: Result) -> list[Unlike]:
    """Protocols of one result only against those of the other: of the same name, else each against each."""
    ours = {pid: fields for pid, fields in first.protocols.items() if pid not in second.protocols}
    others = {pid: fields for pid, fields in second.protocols.items() if pid not in first.protocols}
    names = {fields["name"] for fields in ours.values()} & {fields["name"] for fields in others.values()}
    return [
        Unlike((mine["name"], my_id), (theirs["name"], their_id), differing(mine, theirs))
        for my_id, mine in ours.items()
        for their_id, theirs in others.items()
        if mine["name"] == theirs["name"] or not {mine["name"], theirs["name"]} & names
    ]


def _only(first: Result, second: Result, names: tuple[str, str]) -> list[tuple[str, str]]:
    """What one result has and the other lacks: protocols, and numbers of shared protocols."""
    found: list[tuple[str, str]] = []
    for name, mine, theirs in ((names[0], first, second), (names[1], second, first)):
        lacking = {pid: fields["name"] for pid, fields in mine.protocols.items() if pid not in theirs.protocols}
        found += [(name, f"protocol {protocol} [{pid}]") for pid, protocol in lacking.items()]
        known = [_key(row) for row in theirs.rows]
        rows = [row for row in mine.rows if row["protocol_id"] not in lacking and _key(row) not in known]
        words = (", ".join(filter(None, (row["protocol"], row["column"], in_words(condition(row))))) for row in rows)
        found += [(name, text) for text in words]
    return found
