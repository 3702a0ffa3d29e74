"""What scoring one sample gives, and what a table needs of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from harness.errors import ContractError
from harness.samples import FAILURE_REASONS

Array = NDArray[Any]

SCORING_FAILURES = (
    *FAILURE_REASONS,
    "no_landmarks",  # the alignment needs landmarks that the prediction does not have
    "no_alignment",  # the landmarks or vertices do not determine the alignment
    "no_label_map",  # the prediction has no label map
    "bad_label_map",  # of another size than the picture, or with labels that do not exist
)


@dataclass(frozen=True, eq=False)
class Score:
    """What one sample's prediction is worth, or why that cannot be said.

    Attributes:
        values: column -> score in the column's unit; empty if and only if `failure` is set.
        diagnostics: recovered scale, determinant, iterations, vertex counts, residuals, ...
        per_point: region -> ((N,) int32 scan vertex ids, (N,) float32 distances in the protocol's unit).
        aligned_vertices: (V, 3) float32 millimetres, the prediction in the scan's frame, for pictures; where
            regions have alignments of their own, that of the first region.
        vectors: further arrays kept beside the score, by name, e.g. coefficients that are compared across views.
        failure: one of SCORING_FAILURES.
        detail: what happened, for a human.
        warnings: what a careful reader of the number should know.
    """

    values: Mapping[str, float] = field(default_factory=dict)
    diagnostics: Mapping[str, float] = field(default_factory=dict)
    per_point: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    aligned_vertices: Array | None = None
    vectors: Mapping[str, Array] = field(default_factory=dict)
    failure: str | None = None
    detail: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.failure is None and not self.values:
            raise ContractError("score: has neither values nor a failure reason")
        if self.failure is not None and (self.values or self.per_point or self.vectors):
            raise ContractError(f"score: failed ({self.failure}) but carries values; a failure is never a number")
        if self.failure is not None and self.failure not in SCORING_FAILURES:
            raise ContractError(f"score.failure: {self.failure!r} is not one of {', '.join(SCORING_FAILURES)}")
        for column, value in self.values.items():
            if not math.isfinite(value):
                raise ContractError(f"score.values[{column}]: {value} is not a number; give a failure reason instead")
        for name in ("values", "diagnostics", "per_point", "vectors"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        object.__setattr__(self, "warnings", tuple(self.warnings))

    @classmethod
    def failed(cls, reason: str, detail: str = "") -> Score:
        """A score that says why there is no number."""
        return cls(failure=reason, detail=detail)


@dataclass(frozen=True, eq=False)
class SampleScore:
    """One sample's line in the score table: what `Protocol.summarise` needs, and no more.

    Attributes:
        sample_id, subject: as in the Sample.
        condition: as in the Sample, e.g. {"views": 3}; samples are averaged apart for each distinct condition.
        score: column -> value, or None where the sample failed.
        fallback: column -> value of the fall-back (mean face) under the same protocol; used only where `score`
            is None.
        failure: the reason where `score` is None.
        group: as in the Sample.
        arrays: reads one array kept with the score, from disk at each call; None where there is none. Names:
            "<region>/distances", "<region>/ids", "vectors/<name>", and the same of the fall-back after "fallback/".
    """

    sample_id: str
    subject: str
    condition: Mapping[str, str | int]
    score: Mapping[str, float] | None
    fallback: Mapping[str, float] | None = None
    failure: str | None = None
    arrays: Callable[[str], Array | None] = lambda name: None
    group: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "group", self.group or self.subject)
        if (self.score is None) != (self.failure is not None):
            raise ContractError(f"sample {self.sample_id}: needs either a score or a failure reason")


def by_condition(rows: Sequence[SampleScore]) -> list[tuple[dict[str, str | int], list[SampleScore]]]:
    """Each distinct condition with its samples, in the order of the conditions' values."""
    groups: dict[tuple[tuple[str, str | int], ...], list[SampleScore]] = {}
    for row in rows:
        groups.setdefault(tuple(sorted(row.condition.items())), []).append(row)
    ordered = sorted(groups.items(), key=lambda item: tuple((k, isinstance(v, str), v) for k, v in item[0]))
    return [(dict(condition), members) for condition, members in ordered]
