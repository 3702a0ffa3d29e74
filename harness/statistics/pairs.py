"""Whether two methods differ, on the same subjects, and how large a difference can be seen.

The test is Student's paired t on the subjects' mean differences, with subjects - 1 degrees of freedom. For subjects
with equally many samples it is the cluster-robust test of the mean with the few-clusters correction (Cameron and
Miller 2015, Journal of Human Resources 50); for unequal ones it stays valid, if anything conservative, when subjects'
variances differ (Ibragimov and Mueller 2010, Journal of Business & Economic Statistics 28). Its interval and its
p-value are one statement: zero is outside the 95 % interval exactly if p < 0.05. Unlike a permutation or bootstrap
p-value it has no smallest step, so that it can be corrected for thousands of comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import gammaincinv, ndtr, stdtr, stdtrit

from harness.errors import HarnessError
from harness.samples import Array
from harness.statistics.intervals import Interval
from harness.statistics.subjects import subject_means

LEVEL = 0.05
POWER = 0.8


@dataclass(frozen=True)
class Difference(Interval):
    """The mean over subjects of one method minus another, with its interval.

    Attributes:
        p_value: two-sided, of no difference; not corrected for other comparisons.
        deviation: standard deviation (n - 1) of the subjects' differences.
        subjects: their number.
    """

    p_value: float
    deviation: float
    subjects: int

    def detectable(self, level: float = LEVEL, power: float = POWER) -> float:
        """The smallest true difference that would probably have been seen, see `detectable_difference`."""
        return detectable_difference(self.deviation, self.subjects, level, power)


@dataclass(frozen=True)
class Pairs:
    """All pairs of R runs, the first before the second: each array is (R (R - 1) / 2,).

    Attributes:
        first, second: numbers of the runs.
        value: mean difference, first minus second.
        deviation: of the subjects' differences.
        p_value: two-sided, not corrected.
    """

    first: Array
    second: Array
    value: Array
    deviation: Array
    p_value: Array


def paired_difference(
    ours: pd.DataFrame, theirs: pd.DataFrame, column: str, condition: dict[str, str | int] | None = None
) -> Difference:
    """Ours minus theirs on the same samples, of two runs' tables under one protocol; negative is better for a distance.

    A failed sample counts with its fall-back, as in the protocol's own value.

    Args:
        ours: rows of `scores.parquet`, of one protocol.
        theirs: the same of the other run.
        column: of the scores.
        condition: which samples, see `subject_means`.

    Raises:
        HarnessError: the protocols differ, or the samples do, a sample has no value, or there is one subject only.
    """
    means = subject_means({"ours": ours, "theirs": theirs}, column, condition)
    return difference(means["ours"].to_numpy(), means["theirs"].to_numpy())


def difference(ours: Array, theirs: Array, confidence: float = 0.95) -> Difference:
    """Ours minus theirs, (S,) means of the same subjects.

    Raises:
        HarnessError: there are fewer than two subjects, or one has no value.
    """
    apart = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    subjects = len(apart)
    if subjects < 2:
        raise HarnessError(f"difference: not computed: {subjects} subject(s), expected two at least")
    if not np.isfinite(apart).all():
        raise HarnessError(f"difference: not computed: {int((~np.isfinite(apart)).sum())} subject(s) without a value")
    value, deviation = apart.mean(), apart.std(ddof=1)
    reach = float(stdtrit(subjects - 1, (1 + confidence) / 2)) * deviation / np.sqrt(subjects)
    p_value = float(p_values(value, deviation, subjects))
    return Difference(float(value), float(value - reach), float(value + reach), p_value, float(deviation), subjects)


def all_pairs(means: Array) -> Pairs:
    """Compares every two of R runs on the same S subjects.

    Args:
        means: (S, R), finite, S at least 2.
    """
    subjects, runs = means.shape
    rows = np.ascontiguousarray(means.T)
    first, second = np.triu_indices(runs, 1)
    value, deviation = np.empty(len(first)), np.empty(len(first))
    end = 0
    for run in range(runs - 1):  # not from the covariances: nearly equal runs would cancel
        apart = rows[run] - rows[run + 1 :]
        start, end = end, end + len(apart)
        value[start:end] = apart.mean(axis=1)
        deviation[start:end] = apart.std(axis=1, ddof=1)
    return Pairs(first, second, value, deviation, p_values(value, deviation, subjects))


def p_values(value: Array, deviation: Array, subjects: int) -> Array:
    """Two-sided p-values of the paired t-test; 1 for runs that are equal throughout."""
    error = np.asarray(deviation) / np.sqrt(subjects)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(np.asarray(value) == 0, 0.0, np.abs(value) / error)
    return np.asarray(2 * stdtr(subjects - 1, -statistic))


def holm(p_value: Array) -> Array:
    """(K,) p-values corrected for K comparisons (Holm 1979, Scandinavian Journal of Statistics 6).

    Whoever calls those below 0.05 different is wrong at all with a probability of 5 % at most.
    """
    p_value = np.asarray(p_value, dtype=float)
    order = np.argsort(p_value)
    steps = p_value[order] * (len(p_value) - np.arange(len(p_value)))
    corrected = np.empty_like(p_value)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected


def detectable_difference(deviation: float, subjects: int, level: float = LEVEL, power: float = POWER) -> float:
    """The smallest true difference that the paired test finds with probability `power`.

    From the non-central t distribution (Cohen 1988, Statistical Power Analysis, chapter 2).

    Args:
        deviation: of the subjects' differences, in the column's unit, also that of the result.
        subjects: two at least.
        level: of the two-sided test.
        power: above `level`, below 1.

    Raises:
        HarnessError: there are fewer than two subjects.
    """
    if subjects < 2:
        raise HarnessError(f"detectable difference: not computed: {subjects} subject(s), expected two at least")
    return _non_centrality(subjects, level, power) * deviation / float(np.sqrt(subjects))


def power_of(difference_in_deviations: float, subjects: int, level: float = LEVEL) -> float:
    """The probability that the paired test finds a true difference, given in units of the deviation."""
    return _power(difference_in_deviations * float(np.sqrt(subjects)), subjects, level)


def _power(non_centrality: float, subjects: int, level: float) -> float:
    """The tails of the non-central t, averaged over the estimated deviation: libraries' own fail far from 5 %."""
    bound = -float(stdtrit(subjects - 1, level / 2))
    nodes, weights = _estimated_deviations(subjects - 1)
    tails = ndtr(non_centrality - bound * nodes) + ndtr(-non_centrality - bound * nodes)
    return float(weights @ tails)


@lru_cache(maxsize=512)
def _estimated_deviations(freedom: int) -> tuple[Array, Array]:
    """Nodes and weights of a quadrature over the estimated deviation, in units of the true one."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    return np.sqrt(gammaincinv(freedom / 2, (1 + nodes) / 2) * 2 / freedom), weights / 2


@lru_cache(maxsize=4096)
def _non_centrality(subjects: int, level: float, power: float) -> float:
    high = 1.0
    while _power(high, subjects, level) < power:
        high *= 2
    return float(brentq(lambda shift: _power(shift, subjects, level) - power, 0.0, high, xtol=1e-9))
