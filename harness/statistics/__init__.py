"""How sure a number is, which methods can be told apart, and which places in a table are settled.

Subjects are the units everywhere: samples of one subject resemble each other, so each subject enters with the mean of
its samples. What a single method's number is worth is an interval from a bootstrap over subjects (`intervals`): errors
are positive and skewed. Whether two methods differ is a paired t-test on the same subjects (`pairs`): differences are
nearly symmetric, and the closed form resolves the small p-values that a correction for many comparisons needs. The
two answer different questions: intervals of two methods may overlap although the methods can be told apart.
"""

from harness.statistics.intervals import Interval, mean_intervals, subject_interval
from harness.statistics.pairs import Difference, detectable_difference, difference, holm, paired_difference
from harness.statistics.standings import Standing, Standings, standings
from harness.statistics.subjects import filled, subject_means

__all__ = [
    "Difference",
    "Interval",
    "Standing",
    "Standings",
    "detectable_difference",
    "difference",
    "filled",
    "holm",
    "mean_intervals",
    "paired_difference",
    "standings",
    "subject_interval",
    "subject_means",
]
