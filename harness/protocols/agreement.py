"""How much answers to several views of one scan agree: variances that are built up one answer at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.protocols.scores import SampleScore

Array = NDArray[Any]

COEFFICIENTS = ("shape", "expression")
FIRST, FIRST_OF_MANY = 10, 100
SURFACE_COLUMNS = ("spread", "distance")
RATIO = "shape within/between"


class Running:
    """Mean and variance of equal arrays that come one at a time (Welford); zeros of any shape may be mixed in."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, np.zeros(1), np.zeros(1)

    def add(self, value: Array) -> None:
        """Takes one more array."""
        self.count += 1
        step = value - self.mean
        self.mean = self.mean + step / self.count
        self.squares = self.squares + step * (value - self.mean)

    @property
    def variance(self) -> Array:
        """Population variance of each element."""
        return self.squares / max(self.count, 1)


class Views:
    """The views of one scan."""

    def __init__(self) -> None:
        self.count, self.distance = 0, Running()
        self.arrays = {name: Running() for name in ("points", *COEFFICIENTS)}

    def add(self, distance: float, view: Mapping[str, Array | None]) -> None:
        """Takes one more view: its mean distance to the scan, "points" and the coefficients that it has."""
        self.count += 1
        self.distance.add(np.array([distance]))
        for name, value in view.items():
            if value is not None:
                self.arrays[name].add(np.asarray(value, np.float64))

    def values(self) -> dict[str, float]:
        """Column -> value; without variances where there is one view only."""
        values = {"distance": float(self.distance.mean[0])}
        if self.count > 1:
            values["spread"] = float(np.sqrt(self.arrays["points"].variance.sum(axis=-1).mean()))
            for name in COEFFICIENTS:
                variance = self.arrays[name].variance
                values |= {f"{name} var": float(variance.sum())}
                values |= {f"{name} var {n}": float(variance[:n].sum()) for n in (FIRST, FIRST_OF_MANY)}
        return values


class Pool:
    """The scans of a table, as far as they have come."""

    def __init__(self) -> None:
        self.values: dict[str, list[tuple[str, float]]] = {}
        self.people: dict[str, Running] = {}
        self.complete = True

    def add(self, subject: str, views: Views, complete: bool) -> None:
        """Takes one more scan; `complete` says whether each of its views counts."""
        self.complete &= complete
        if not views.count:
            return
        for column, value in views.values().items():
            self.values.setdefault(column, []).append((subject, value))
        self.people.setdefault(subject, Running()).add(views.arrays["shape"].mean)

    def mean(self, column: str) -> float | None:
        """Over scans; None where none has this value."""
        if column == RATIO:
            return self._within_between()
        values = [value for _, value in self.values.get(column, ())]
        return float(np.mean(values)) if values else None

    def std_subjects(self, column: str) -> float | None:
        """Standard deviation (n - 1) of the subjects' means over their scans."""
        subjects: dict[str, list[float]] = {}
        for subject, value in self.values.get(column, ()):
            subjects.setdefault(subject, []).append(value)
        means = [float(np.mean(members)) for members in subjects.values()]
        return float(np.std(means, ddof=1)) if len(means) > 1 else None

    def _within_between(self) -> float | None:
        people = Running()
        for one in self.people.values():
            people.add(one.mean)
        within, between = self.mean("shape var"), float(people.variance.sum())
        return None if within is None or people.count < 2 or not between > 0 else within / between


class Coefficients:
    """Which coefficients the method gives: the same number in every answer, or none that can be compared."""

    def __init__(self) -> None:
        self.sizes: dict[str, list[int]] = {name: [] for name in COEFFICIENTS}
        self.answers = 0

    def of(self, row: SampleScore) -> dict[str, Array]:
        """The vectors of one sample that can be compared with those before."""
        self.answers += 1
        found = {}
        for name, sizes in self.sizes.items():
            vector = row.arrays(f"vectors/{name}")
            if vector is not None:
                sizes.append(len(vector))
                if sizes[0] == len(vector):
                    found[name] = vector
        return found

    def known(self, column: str) -> bool:
        """Whether every answer has what the column needs."""
        sizes = self.sizes.get(column.partition(" ")[0])
        return sizes is None or (len(sizes) == self.answers > 0 and len(set(sizes)) == 1)

    def evaluated(self, column: str, rows: Sequence[SampleScore]) -> int:
        """Samples that count in a column."""
        sizes = self.sizes.get(column.partition(" ")[0])
        return sum(row.score is not None for row in rows) if sizes is None else len(sizes)

    def columns(self) -> Iterator[str]:
        """Names of the columns; the first hundred coefficients where there are more."""
        for name, sizes in self.sizes.items():
            yield f"{name} var {FIRST}"
            if sizes and sizes[0] > FIRST_OF_MANY:
                yield f"{name} var {FIRST_OF_MANY}"
            yield f"{name} var"
        yield RATIO
