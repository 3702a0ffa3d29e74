"""Made-up boards whose truth is known: how often what the harness says of them is right."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from harness.statistics import difference, holm, mean_intervals, standings
from harness.statistics.pairs import all_pairs

SUBJECTS = 20
IMAGES = 17
BETWEEN = 0.1  # mm, deviation of a subject's own difference between two methods
WITHIN = 0.05  # mm, of its images about that: images of one subject correlate with 0.8

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]


def image_differences(rng: np.random.Generator, true: float = 0.0, counts: np.ndarray | None = None):
    """One method minus another on images of SUBJECTS subjects: (N,) values and (N,) subjects."""
    counts = np.full(SUBJECTS, IMAGES) if counts is None else counts
    subjects = np.repeat(np.arange(SUBJECTS), counts)
    own = rng.normal(0, BETWEEN, SUBJECTS)
    return true + own[subjects] + rng.normal(0, WITHIN, len(subjects)), subjects


def deviation_of_subjects() -> float:
    """True standard deviation of a subject's mean difference over its IMAGES images."""
    return float(np.sqrt(BETWEEN**2 + WITHIN**2 / IMAGES))


def found_by_subjects(trials: int, true: float = 0.0, seed: int = 0, uneven: bool = False) -> float:
    """How often the harness's paired comparison calls two methods different."""
    rng = np.random.default_rng(seed)
    counts = 1 + (np.arange(SUBJECTS) * 2 % 33) if uneven else None
    found = 0
    for _ in range(trials):
        values, subjects = image_differences(rng, true, counts)
        means = np.bincount(subjects, values) / np.bincount(subjects)
        found += difference(means, np.zeros(SUBJECTS)).p_value < 0.05
    return found / trials


def found_by_images(trials: int, seed: int = 0) -> float:
    """The same under the null for an interval that takes images as independent."""
    rng = np.random.default_rng(seed)
    found = 0
    for _ in range(trials):
        values, _ = image_differences(rng)
        reach = stats.t.isf(0.025, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
        found += abs(values.mean()) > reach
    return found / trials


SKEWED = {"log-normal, sigma 0.25": 0.25, "log-normal, sigma 0.5": 0.5, "log-normal, sigma 1": 1.0}
"""Errors of subjects: real ones (NoW's, of one method) scatter like a sigma of 0.2 to 0.4."""


def shapes() -> dict[str, tuple[Draw, float]]:
    """Name -> how subjects' errors are drawn, and their true mean."""
    found: dict[str, tuple[Draw, float]] = {"normal": (lambda rng, shape: rng.normal(1.0, 0.25, shape), 1.0)}
    for name, sigma in SKEWED.items():
        found[name] = (lambda rng, shape, sigma=sigma: rng.lognormal(0, sigma, shape), float(np.exp(sigma**2 / 2)))
    return found


def percentile_intervals(means: np.ndarray, seed: int) -> np.ndarray:
    """(3, R) as `mean_intervals` gives them, of the plain percentile bootstrap."""
    weights = np.random.default_rng(seed).multinomial(len(means), np.full(len(means), 1 / len(means)), 2000)
    low, high = np.quantile(weights @ means / len(means), [0.025, 0.975], axis=0)
    return np.stack([means.mean(axis=0), low, high])


def student_intervals(means: np.ndarray, seed: int) -> np.ndarray:
    """(3, R) of Student's t."""
    del seed
    reach = stats.t.isf(0.025, len(means) - 1) * means.std(axis=0, ddof=1) / np.sqrt(len(means))
    return np.stack([means.mean(axis=0), means.mean(axis=0) - reach, means.mean(axis=0) + reach])


def bootstrap_t_intervals(means: np.ndarray, seed: int) -> np.ndarray:
    """(3, R): what the harness does."""
    return mean_intervals(means, seed=seed)


def coverage(draw: Draw, true: float, subjects: int, batches: int, method=bootstrap_t_intervals) -> float:
    """How often a 95 % interval holds the truth: `batches` of 500 data sets, each batch with resamples of its own."""
    rng = np.random.default_rng(subjects)
    hits = []
    for batch in range(batches):
        _, low, high = method(draw(rng, (subjects, 500)), batch)
        hits.append((low <= true) & (true <= high))
    return float(np.mean(hits))


@dataclass(frozen=True)
class Boards:
    """Shares of simulated boards.

    Attributes:
        false_ties: boards where some method as good as the best is called worse than the best.
        false_ranks: boards where some method's rank interval misses its true rank.
        worst_rank: the largest share of misses of a single method.
        false_against_best: as `false_ties`, had p-values been corrected for the comparisons with the best only.
        detectable: mean of what the boards say they can see, in deviations of a pair's differences.
    """

    false_ties: float
    false_ranks: float
    worst_rank: float
    false_against_best: float
    detectable: float


def boards(true: np.ndarray, count: int, seed: int = 0) -> Boards:
    """Boards of len(true) methods with these true means on SUBJECTS subjects that all find hard or easy alike.

    Two methods' differences have the deviation sqrt(2) between subjects. A method's true ranks are all that ties
    leave open: 1 + the number of truly better ones up to the number of those that are not truly worse.
    """
    rng = np.random.default_rng(seed)
    first = 1 + (true[None] < true[:, None]).sum(axis=1)
    last = len(true) - (true[None] > true[:, None]).sum(axis=1)
    ties, ranks, against_best, seen = [], [], [], []
    for _ in range(count):
        values = 20 + true + rng.normal(0, 3, (SUBJECTS, 1)) + rng.normal(0, 1, (SUBJECTS, len(true)))
        found = standings(pd.DataFrame(values, columns=[f"m{i}" for i in range(len(true))]))
        lines = list(found.runs.values())
        ties.append(any(not line.tied_with_best and first[i] == 1 for i, line in enumerate(lines)))
        ranks.append([line.rank_low > first[i] or line.rank_high < last[i] for i, line in enumerate(lines)])
        against_best.append(_some_true_best_is_worse(values, first == 1))
        seen.append(found.detectable / np.sqrt(2))
    missed = np.array(ranks)
    shares = (np.mean(ties), missed.any(axis=1).mean(), missed.mean(axis=0).max(), np.mean(against_best), np.mean(seen))
    return Boards(*(float(share) for share in shares))


def _some_true_best_is_worse(values: np.ndarray, is_best: np.ndarray) -> bool:
    pairs, best = all_pairs(values), values.mean(axis=0).argmin()
    with_best = (pairs.first == best) | (pairs.second == best)
    others = np.where(pairs.first == best, pairs.second, pairs.first)[with_best]
    return bool(((holm(pairs.p_value[with_best]) < 0.05) & is_best[others]).any())
