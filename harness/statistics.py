"""How sure a mean over samples is, when samples of one subject resemble each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from harness.errors import HarnessError

RESAMPLES = 4000


@dataclass(frozen=True)
class Interval:
    """A mean of subjects' means and where it lies with 95 % confidence."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def subject_interval(values: pd.Series, subjects: pd.Series, seed: int = 0) -> Interval:
    """The mean over subjects of their samples' means, with a percentile bootstrap over subjects.

    Args:
        values: of samples; none may be missing.
        subjects: whom each shows: what is resampled.
        seed: of the resampling.

    Raises:
        HarnessError: a value is missing, or there are fewer than two subjects.
    """
    if values.isna().any():
        raise HarnessError(f"interval: {int(values.isna().sum())} of {len(values)} samples have no value")
    means = values.groupby(subjects.to_numpy()).mean().to_numpy(dtype=float)
    if len(means) < 2:
        raise HarnessError(f"interval: {len(means)} subject, expected two at least to resample")
    found = bootstrap(
        (means,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(seed)
    ).confidence_interval
    return Interval(float(means.mean()), float(found.low), float(found.high))


def paired_difference(ours: pd.DataFrame, theirs: pd.DataFrame, column: str, seed: int = 0) -> Interval:
    """Ours minus theirs on the same samples, of two runs' tables under one protocol; negative is better for a distance.

    A failed sample counts with its fall-back, as in the protocol's own value.

    Args:
        ours: rows of `scores.parquet`.
        theirs: the same of the other run.
        column: of the scores.
        seed: of the resampling.

    Raises:
        HarnessError: the protocols differ, or the samples do.
    """
    tables = [filled(table, column) for table in (ours, theirs)]
    ids = [set(table.protocol_id) for table in tables]
    if ids[0] != ids[1] or len(ids[0]) != 1:
        raise HarnessError(f"difference: protocols {sorted(ids[0])} and {sorted(ids[1])}, expected one and the same")
    first, second = (table.set_index("sample") for table in tables)
    if set(first.index) != set(second.index):
        raise HarnessError(f"difference: {len(first)} and {len(second)} samples, or others; expected the same ones")
    return subject_interval(first.counted - second.counted.reindex(first.index), first.subject, seed)


def filled(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """The rows of one column of scores, with `counted`: the value, or the fall-back's where the sample failed."""
    rows = table[table.column == column]
    return rows.assign(counted=rows.value.fillna(rows.fallback))
