"""A board's places: intervals, ties with the best, ranks that are settled, and what the board can see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from harness.samples import Array
from harness.statistics.intervals import Interval, mean_intervals
from harness.statistics.pairs import LEVEL, Pairs, all_pairs, detectable_difference, holm

Better = Literal["lower", "higher"]


@dataclass(frozen=True)
class Standing:
    """What is known of one run's place. None is "not computed": `Standings.note` or `note` says why.

    Attributes:
        interval: the mean over subjects, and where it lies.
        p_value: of no difference to the best run, corrected for all pairs of the board; None for the best itself.
        tied_with_best: whether it is the best, or cannot be told apart from it (`p_value` of 0.05 or more).
        rank_low, rank_high: 1 + the number of runs that are significantly better, and the number of runs less those
            that are significantly worse. With 95 % probability all intervals of a board are true at once.
        note: why this run has no number where others have one.
    """

    interval: Interval | None = None
    p_value: float | None = None
    tied_with_best: bool | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Standings:
    """The runs of one column of a board.

    Attributes:
        runs: name -> standing, in the order given.
        best: the run with the best mean; None where there is none.
        subjects: behind each number.
        comparisons: pairs of runs, which p-values are corrected for.
        detectable: the smallest true difference between two methods, named beforehand, that a test at 5 % finds in
            four of five such data sets; for the median spread of all pairs. In the column's unit.
        detectable_here: the same for two of this board's runs, with the correction for all its pairs.
        note: why there are no intervals or tests, empty where there are.
    """

    runs: Mapping[str, Standing] = field(default_factory=dict)
    best: str | None = None
    subjects: int = 0
    comparisons: int = 0
    detectable: float | None = None
    detectable_here: float | None = None
    note: str = ""


def standings(means: pd.DataFrame, better: Better = "lower", confidence: float = 0.95, seed: int = 0) -> Standings:
    """Ranks runs as far as their subjects allow.

    All p-values are of `pairs.all_pairs`, corrected by Holm's method for all pairs of the board, those with the best
    run too: which run is the best is seen in the same data, so that each pair might have been the one compared
    (correcting for the comparisons with the best alone, ten equal methods would be called different in 15 % of
    boards; docs/statistics.md). Rank intervals follow from the same tests (Klein, Wright and Wieczorek 2020, Journal
    of the Royal Statistical Society C 69; Mohamad, Goeman and van Zwet 2022, Biometrics 78). A run that is tied with
    the best may still be worse than another, closer one: its `rank_low` is then above 1.

    Args:
        means: subjects x runs, of `subject_means`. A run with a NaN is not ranked.
        better: whether lower or higher values are.
        confidence: of the intervals.
        seed: of the bootstrap.
    """
    subjects = len(means)
    values = means.to_numpy(dtype=float).reshape(subjects, means.shape[1])
    whole = np.isfinite(values).all(axis=0) & (subjects > 0)
    lost = Standing(note="not computed: a failed sample has no fall-back" if subjects else "not computed: no sample")
    ranked = means.columns[whole]
    best = _best(ranked, values[:, whole], better)
    if subjects < 2:
        note = f"not computed: {subjects} subject(s), two at least are needed"
        alone = dict.fromkeys(means.columns, lost) | dict.fromkeys(ranked, Standing(note=note))
        return Standings(alone, best, subjects, note=note)
    found = dict.fromkeys(means.columns, lost)
    intervals = mean_intervals(values[:, whole], confidence, seed)
    pairs = all_pairs(values[:, whole])
    corrected = holm(pairs.p_value)
    table = _square(pairs, corrected, len(ranked))
    ranks = _ranks(pairs, corrected, len(ranked), better)
    for number, run in enumerate(ranked):
        p_value = None if run == best else float(table[number, ranked.get_loc(best)])
        interval = Interval(*(float(part) for part in intervals[:, number]))
        low, high = (int(rank) for rank in ranks[:, number])
        found[run] = Standing(interval, p_value, p_value is None or p_value >= LEVEL, low, high)
    count = len(corrected)
    spread = float(np.median(pairs.deviation)) if count else None
    return Standings(
        found,
        best,
        subjects,
        count,
        None if spread is None else detectable_difference(spread, subjects),
        None if spread is None else detectable_difference(spread, subjects, LEVEL / count),
    )


def _best(runs: pd.Index, values: Array, better: Better) -> str | None:
    if not len(runs):
        return None
    means = values.mean(axis=0)
    return str(runs[int(means.argmin() if better == "lower" else means.argmax())])


def _square(pairs: Pairs, of: Array, runs: int) -> Array:
    """(R, R) symmetric, from an array over pairs; 1 on the diagonal."""
    table = np.ones((runs, runs))
    table[pairs.first, pairs.second] = table[pairs.second, pairs.first] = of
    return table


def _ranks(pairs: Pairs, corrected: Array, runs: int, better: Better) -> Array:
    """(2, R) lowest and highest rank of each run."""
    apart = corrected < LEVEL
    first_wins = (pairs.value < 0) == (better == "lower")
    winners = np.where(first_wins, pairs.first, pairs.second)[apart]
    losers = np.where(first_wins, pairs.second, pairs.first)[apart]
    losses, wins = (np.bincount(names, minlength=runs) for names in (losers, winners))
    return np.stack([1 + losses, runs - wins])
