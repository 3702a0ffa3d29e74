"""Summaries over samples without regard to their subjects, as some official programs print them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.protocols.base import Protocol, SampleScore

Array = NDArray[Any]


def by_condition(rows: Sequence[SampleScore]) -> list[tuple[dict[str, str | int], list[SampleScore]]]:
    """Each distinct condition with its samples, in the order of the conditions' values."""
    groups: dict[tuple[tuple[str, str | int], ...], list[SampleScore]] = {}
    for row in rows:
        groups.setdefault(tuple(sorted(row.condition.items())), []).append(row)
    ordered = sorted(groups.items(), key=lambda item: tuple((k, isinstance(v, str), v) for k, v in item[0]))
    return [(dict(condition), members) for condition, members in ordered]


def over_samples(
    protocol: Protocol, rows: Sequence[SampleScore], column: str, statistic: Callable[[Array], Any]
) -> dict[str, Any]:
    """A row of a summary, with keys as `Protocol.summarise` has them but for `std_subjects`: a statistic over samples.

    Args:
        protocol: whose id and fall-back count.
        rows: of one condition.
        column: of the scores.
        statistic: of (N,) values.
    """
    worked = [row.score[column] for row in rows if row.score is not None]
    filled = [row.score or (row.fallback if protocol.fallback == "mean_face" else None) or {} for row in rows]
    values = [scores[column] for scores in filled if column in scores]
    return {
        "protocol": protocol.id,
        "column": column,
        "value": float(statistic(np.array(values))) if values and len(values) == len(rows) else None,
        "value_dropping_failures": float(statistic(np.array(worked))) if worked else None,
        "evaluated": len(worked),
        "expected": len(rows),
    }
