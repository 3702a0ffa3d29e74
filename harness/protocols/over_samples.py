"""Summaries over samples without regard to their subjects, as some official programs print them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.protocols.base import Protocol
from harness.protocols.scores import SampleScore

Array = NDArray[Any]


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
