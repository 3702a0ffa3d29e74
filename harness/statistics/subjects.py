"""From runs' tables of samples to the means of subjects that everything else is computed from."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from harness.errors import HarnessError
from harness.samples import Array

ALL = "all"
"""A condition's value that stands for every sample, in summaries."""

Condition = Mapping[str, str | int]


def filled(table: pd.DataFrame, column: str, condition: Condition | None = None) -> pd.DataFrame:
    """The rows of one column of scores, with `counted`: the value, or the fall-back's where the sample failed.

    Args:
        table: rows of `scores.parquet`.
        column: of the scores.
        condition: which samples, as in a row of a summary, e.g. {"views": 3}; "all" and None stand for every one.

    Raises:
        HarnessError: the table does not tell samples apart by such a condition.
    """
    rows = table[_chosen(table, column, condition or {})]
    return rows.assign(counted=rows["value"].fillna(rows["fallback"]))


def subject_means(tables: Mapping[str, pd.DataFrame], column: str, condition: Condition | None = None) -> pd.DataFrame:
    """The mean of each subject's samples under each run. A failed sample counts with its fall-back.

    Args:
        tables: run -> rows of `scores.parquet`, all of one protocol.
        column: of the scores.
        condition: which samples, see `filled`.

    Returns:
        subjects x runs, subjects in alphabetical order. NaN where a failed sample has no fall-back: that run has no
        number here.

    Raises:
        HarnessError: the protocols differ, or the samples or whom they show do, a sample is there twice, or a value
            is infinite.
    """
    if not tables:
        return pd.DataFrame()
    answers = [_Answers(run, table, column, condition or {}) for run, table in tables.items()]
    first, *others = answers
    protocols = sorted(set().union(*(answer.protocols for answer in answers)))
    if len(protocols) > 1:
        raise HarnessError(f"{column}: protocols {', '.join(protocols)}, expected one and the same")
    first.index()
    codes, subjects = pd.factorize(first.subjects, sort=True)
    counts = np.bincount(codes, minlength=len(subjects))
    means = {first.run: first.values} | {other.run: other.values[other.order_of(first)] for other in others}
    means = {run: np.bincount(codes, values, len(subjects)) / counts for run, values in means.items()}
    return pd.DataFrame(means, index=pd.Index(subjects, name="subject"))


class _Answers:
    """One run's values (N,) in one column, with samples and subjects."""

    def __init__(self, run: str, table: pd.DataFrame, column: str, condition: Condition) -> None:
        chosen = _chosen(table, column, condition)
        self.run = run
        self.protocols = set(table["protocol_id"][chosen].unique())
        self.samples, self.subjects = (table[name].to_numpy(dtype=object)[chosen] for name in ("sample", "subject"))
        values, fallback = (table[name].to_numpy(dtype=float)[chosen] for name in ("value", "fallback"))
        self.values = np.where(np.isnan(values), fallback, values)
        if np.isinf(self.values).any():
            raise HarnessError(f"{run}: sample {self.samples[np.isinf(self.values)][0]} has an infinite value")

    def index(self) -> pd.Index:
        """The samples, to be looked up."""
        index = pd.Index(self.samples, dtype=object)
        if not index.is_unique:
            raise HarnessError(f"{self.run}: sample {index[index.duplicated()][0]} is there more than once")
        return index

    def order_of(self, first: _Answers) -> Array:
        """(N,) where each sample of another run stands in this one."""
        if np.array_equal(self.samples, first.samples):
            order = np.arange(len(self.samples))
        else:
            index, expected = self.index(), first.index()
            apart = index.symmetric_difference(expected)
            if len(apart):
                raise HarnessError(
                    f"{self.run}: {len(index)} samples, {first.run}: {len(expected)}; expected the same ones, "
                    f"but {apart[0]} is in one of them only"
                )
            order = index.get_indexer(expected)
        if not np.array_equal(self.subjects[order], first.subjects):
            raise HarnessError(f"{self.run}: samples show other subjects than in {first.run}; expected the same")
        return order


def _chosen(table: pd.DataFrame, column: str, condition: Condition) -> Array:
    """(N,) bool: the rows of one column and condition."""
    chosen = np.asarray(table["column"] == column, dtype=bool)
    for key, value in condition.items():
        if value == ALL:
            continue
        if key not in table:
            raise HarnessError(f"scores: have no {key!r}, expected one to choose {key}={value}")
        chosen = chosen & np.asarray(table[key] == value, dtype=bool)
    return chosen
