"""Tables of subsets that may overlap: a sample's condition names every subset that it is in, joined by "+"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.protocols.scores import SampleScore

ALL = "all"
REST = "rest"
"""The condition of a sample that is in none of the subsets; the table has no row of it."""

Group = tuple[dict[str, str | int], list[SampleScore]]


def joined(names: Sequence[str]) -> str:
    """The condition of a sample that is in these subsets."""
    return "+".join(names) or REST


def by_subset(rows: Sequence[SampleScore]) -> list[Group]:
    """All samples, then each subset by name; without conditions, all samples only."""
    keys = dict.fromkeys(key for row in rows for key in row.condition)
    groups: list[Group] = [(dict.fromkeys(keys, ALL), list(rows))] if rows else []
    for key in keys:
        names = sorted({name for row in rows for name in _names(row.condition, key)} - {REST})
        for name in names:
            members = [row for row in rows if name in _names(row.condition, key)]
            groups.append(({**dict.fromkeys(keys, ALL), key: name}, members))
    return groups


def _names(condition: Mapping[str, str | int], key: str) -> list[str]:
    return str(condition.get(key, REST)).split("+")
