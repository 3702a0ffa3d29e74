"""Two runs on the same samples: the difference in words, and where it comes from."""

from __future__ import annotations

from typing import Any

import pandas

from harness.errors import HarnessError
from harness.leaderboards.runs import Run
from harness.leaderboards.scores import column_rows, counted, group_of
from harness.protocols.words import WORDS
from harness.statistics import Difference, paired_difference


def why_not_comparable(first: Run, second: Run) -> str | None:
    """What keeps two runs from being compared at all; None if nothing does."""
    mine, theirs = first.manifest, second.manifest
    if mine["bench"] != theirs["bench"]:
        return f"They are of different benchmarks, {mine['bench']} and {theirs['bench']}."
    if first.kind != second.kind:
        return f"One is of {first.kind} data, the other of {second.kind} data. These are never compared."
    if mine["data"]["version"] != theirs["data"]["version"]:
        return f"They are of different versions of the data, {mine['data']['version']} and {theirs['data']['version']}."
    if not shared_protocols(first, second):
        return "They share no protocol, so their numbers mean different things."
    return None


def shared_protocols(first: Run, second: Run) -> dict[str, str]:
    """Id -> name of the protocols that both runs were scored with."""
    theirs = {protocol["id"] for protocol in second.manifest["protocols"].values()}
    protocols = first.manifest["protocols"].items()
    return {str(p["id"]): str(name) for name, p in protocols if p["id"] in theirs}


def protocol_differences(first: Run, second: Run) -> dict[str, list[str]]:
    """How protocols of the same name, or the only ones, differ: "name" or "name and name" -> a line per field."""
    mine, theirs = ({n: p["id"] for n, p in run.manifest["protocols"].items()} for run in (first, second))
    pairs = [(name, name) for name in mine if name in theirs and mine[name] != theirs[name]]
    if not pairs and len(mine) == len(theirs) == 1 and mine != theirs:
        pairs = [(next(iter(mine)), next(iter(theirs)))]
    return {
        one if one == other else f"{one} and {other}": differences(
            first.protocol(mine[one]), second.protocol(theirs[other])
        )
        for one, other in pairs
    }


def differences(mine: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """One line per field of two protocols that differs, in the words of `harness.protocols`."""
    names = [name for name in dict.fromkeys([*mine, *theirs]) if name != "name"]
    return [
        f"{name.replace('_', ' ')}: {_in_words(name, mine)} in A, {_in_words(name, theirs)} in B"
        for name in names
        if mine.get(name) != theirs.get(name)
    ]


def _in_words(name: str, fields: dict[str, Any]) -> str:
    if name not in fields:
        return "not applicable"
    value = fields[name]
    if isinstance(value, bool):
        return "yes" if value else "no"
    return WORDS.get(name, {}).get(str(value), str(value))


def pairs_of(first: pandas.DataFrame, second: pandas.DataFrame, protocol_id: str, column: str) -> pandas.DataFrame:
    """The samples that both tables have, those with the biggest difference first.

    Returns:
        One row per sample: `sample`, `subject`, `group` (its condition in words), `a` and `b` (the score, or the
        fall-back's where it failed; NaN where that is missing too), `difference` (a - b), `failure_a`, `failure_b`.
    """
    rows = [column_rows(table, protocol_id, column).drop_duplicates("sample") for table in (first, second)]
    left = rows[0].assign(group=group_of(rows[0]), a=rows[0]["counted"], failure_a=rows[0]["failure"])
    right = rows[1].assign(b=rows[1]["counted"], failure_b=rows[1]["failure"])
    merged = left[["sample", "subject", "group", "a", "failure_a"]].merge(
        right[["sample", "b", "failure_b"]], on="sample"
    )
    merged["difference"] = merged["a"] - merged["b"]
    order = merged["difference"].abs().sort_values(ascending=False, kind="stable", na_position="last").index
    return merged.loc[order].reset_index(drop=True)


def difference(
    first: pandas.DataFrame, second: pandas.DataFrame, protocol_id: str, column: str, pairs: pandas.DataFrame
) -> Difference | str:
    """A minus B over the pairs with its interval over subjects, or why there is none."""
    shown = set(pairs["sample"])
    parts = [table[(table["protocol_id"] == protocol_id) & table["sample"].isin(shown)] for table in (first, second)]
    try:
        return paired_difference(parts[0], parts[1], column)
    except HarnessError as error:
        return str(error)


def verdict(
    found: Difference, names: tuple[str, str], unit: str, pairs: pandas.DataFrame, larger_is_better: bool = False
) -> str:
    """The difference in a sentence or two."""
    better, worse = names if (found.value > 0) == larger_is_better else names[::-1]
    low, high = sorted((abs(found.low), abs(found.high)))
    of = f"{counted(len(pairs), 'sample')} of {counted(pairs['subject'].nunique(), 'subject')}"
    if found.excludes_zero:
        return (
            f"{better} is better than {worse} by {abs(found.value):.3f} {unit} "
            f"(95 % interval {low:.3f} to {high:.3f} {unit}, {of}; p = {found.p_value:.2g})."
        )
    return (
        f"No difference can be told: A minus B is {found.value:+.3f} {unit}, and its 95 % interval, {found.low:+.3f} "
        f"to {found.high:+.3f} {unit}, holds zero ({of}; p = {found.p_value:.2g}). A difference of "
        f"{found.detectable():.3f} {unit} would probably have been seen."
    )
