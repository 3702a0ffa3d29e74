"""What a protocol is, and how samples become the numbers of a table."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError
from harness.fallback import mean_face
from harness.protocols.scores import SampleScore, Score, by_condition
from harness.protocols.words import WORDS, differing
from harness.samples import Prediction

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Protocol(ABC):
    """How a prediction is scored against ground truth: a value with an id, and a function.

    Two protocols are equal, have the same `id` and may share a table's column exactly if all fields below are
    equal. Subclasses add the fields that are theirs alone (iteration limits, region radii) and set defaults.
    A field declared with `compare=False` (such as `device`) says where to compute, not what, and stays out.

    Attributes:
        name: what it is called in configurations and tables.
        version: raised whenever the code's numbers change.
        official: true if it equals a benchmark's official program.
        alignment, scale, distance, direction, statistic, expression, track, aggregation, fallback: keys of WORDS.
        reflection: whether the alignment may mirror the prediction.
        regions: what is scored.
        unit: of the values, see also `unit_of`.
    """

    name: str
    version: int = 1
    official: bool
    alignment: str
    scale: str
    reflection: bool
    distance: str
    direction: str = "scan_to_prediction"
    regions: tuple[str, ...]
    statistic: str = "mean"
    expression: str = "as_predicted"
    track: str = "own"
    unit: str = "mm"
    aggregation: str = "sample>subject>set"
    fallback: str = "mean_face"
    device: str = field(default="cpu", compare=False)

    computes: ClassVar[tuple[str, ...]] = ()
    """Fields that the subclass's code implements in one way only, that of their default."""
    knows_regions: ClassVar[tuple[str, ...]] = ()
    """Regions that the subclass can score; empty for any."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", tuple(self.regions))
        if not self.regions:
            raise ContractError(f"protocol {self.name}: has no region")
        if self.knows_regions and not set(self.regions) <= set(self.knows_regions):
            raise ContractError(f"protocol {self.name}.regions: {self.regions}, expected some of {self.knows_regions}")
        for f in fields(self):
            if f.name in self.computes and getattr(self, f.name) != f.default:
                raise ContractError(
                    f"protocol {self.name}.{f.name}: {getattr(self, f.name)!r}, but only {f.default!r} is implemented"
                )
        for key, words in WORDS.items():
            if getattr(self, key) not in words:
                raise ContractError(f"protocol {self.name}.{key}: {getattr(self, key)!r} is not one of {list(words)}")

    def on(self, device: str) -> Protocol:
        """The same protocol, computed on `device`."""
        other = copy(self)
        object.__setattr__(other, "device", device)
        return other

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of a score's values, and so of the numbers in a table: the regions, where each has one value."""
        return self.regions

    def unit_of(self, column: str) -> str:
        """The unit of one column's values."""
        del column
        return self.unit

    def larger_is_better(self, column: str) -> bool:
        """Whether the larger of two values of a table's column is the better one; of distances it is not."""
        del column
        return False

    def stand_in(self, truth: Any) -> Prediction:
        """What a failed sample counts as, unless `fallback` is "none": the mean face."""
        del truth
        return mean_face()

    @abstractmethod
    def score(self, prediction: Prediction, truth: Any) -> Score:
        """Scores one prediction, already in millimetres, against one ground truth."""

    def score_together(self, cases: Sequence[tuple[Prediction, Any]]) -> list[Score]:
        """Scores several predictions, each against its ground truth, in order.

        The numbers are those of `score`. Protocols that gain by it, on a GPU, fit all of them side by side.
        """
        return [self.score(prediction, truth) for prediction, truth in cases]

    def values(self) -> dict[str, Any]:
        """The fields that make the protocol what it is, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.compare}

    def canonical_json(self) -> str:
        """The protocol's fields as JSON with sorted keys and no blanks: equal text means equal protocol."""
        return json.dumps(self.values(), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @property
    def id(self) -> str:
        """The first eight hexadecimal digits of the SHA-256 of `canonical_json`."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()[:8]

    def describe(self) -> str:
        """One sentence that says what the number means."""
        mirror = "a reflection allowed" if self.reflection else "no reflection"
        kind = "the official program's" if self.official else "this harness's own"
        return (
            f"{self.name} (version {self.version}, {kind} protocol): the prediction is aligned to the scan by "
            f"{self._words('alignment')}, with {self._words('scale')} and {mirror}; the score is the "
            f"{self._words('statistic')} distance from {self._words('direction')} to {self._words('distance')} in "
            f"{self.unit}, for the region{'s' if len(self.regions) > 1 else ''} {' and '.join(self.regions)}; "
            f"{self._words('expression')}; {self._words('track')}; {self._words('aggregation')}; "
            f"{self._words('fallback')}."
        )

    def differences(self, other: Protocol) -> list[str]:
        """How `other` differs, one sentence per field; empty if the two are the same protocol."""
        return [
            f"{name}: {mine} in {self.name}, {theirs} in {other.name}"
            for name, mine, theirs in differing(self.values(), other.values())
        ]

    def summarise(self, rows: Sequence[SampleScore]) -> list[dict[str, Any]]:
        """Averages samples into subjects and subjects into the set, for each condition and column.

        Args:
            rows: every sample of the benchmark, failed ones included: their number is the denominator.

        Returns:
            One dict per condition and column, with the condition's own keys (e.g. `views`) and
            `protocol`: the protocol's id; `column`;
            `value`: mean over subjects of the mean over their samples, failed samples replaced by their
                fall-back's score; None if a failed sample has none (nothing is left out silently);
            `value_dropping_failures`: the same over the samples that worked (what official programs print);
                None if there is none;
            `evaluated`, `expected`: samples that worked, and all samples;
            `std_subjects`: standard deviation (n - 1) of the subjects' means behind `value`; None below two.
        """
        return [
            {**condition, **self._summarise_group(column, members)}
            for condition, members in by_condition(rows)
            for column in self.columns
        ]

    def write_official_files(
        self, folder: Path, identifier: str, rows: Sequence[SampleScore], names: Mapping[str, str]
    ) -> Sequence[Path]:
        """Writes what the official program leaves of an evaluation; nothing where there is no such program or file.

        Args:
            folder: where to.
            identifier: the method's name.
            rows: every sample of the benchmark.
            names: sample id -> the benchmark's own name of the sample.

        Returns:
            The files.
        """
        return ()

    def _summarise_group(self, column: str, rows: Sequence[SampleScore]) -> dict[str, Any]:
        worked = [(row.subject, row.score[column]) for row in rows if row.score is not None]
        filled = [(row.subject, _value_or_fallback(row, column, self.fallback)) for row in rows]
        complete = [(subject, value) for subject, value in filled if value is not None]
        means = _subject_means(complete) if len(complete) == len(rows) else []
        return {
            "protocol": self.id,
            "column": column,
            "value": float(np.mean(means)) if means else None,
            "value_dropping_failures": float(np.mean(_subject_means(worked))) if worked else None,
            "evaluated": len(worked),
            "expected": len(rows),
            "std_subjects": float(np.std(means, ddof=1)) if len(means) > 1 else None,
        }

    def _words(self, name: str) -> str:
        return WORDS[name][getattr(self, name)]


def _value_or_fallback(row: SampleScore, column: str, fallback: str) -> float | None:
    if row.score is not None:
        return row.score[column]
    return row.fallback.get(column) if row.fallback is not None and fallback != "none" else None


def _subject_means(values: Sequence[tuple[str, float]]) -> list[float]:
    """The mean of each subject's values, in the order in which subjects first appear."""
    by_subject: dict[str, list[float]] = {}
    for subject, value in values:
        by_subject.setdefault(subject, []).append(value)
    return [float(np.mean(members)) for members in by_subject.values()]
