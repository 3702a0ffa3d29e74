"""What the statistics promise, on made-up data whose truth is known. docs/statistics.md has the longer simulation."""

import numpy as np
import pytest

from harness.statistics import detectable_difference
from harness.statistics.pairs import power_of
from tests.statistics import simulations


def test_equal_methods_are_called_different_in_five_percent():
    assert simulations.found_by_subjects(4000) == pytest.approx(0.05, abs=0.015)
    assert simulations.found_by_subjects(4000, uneven=True, seed=1) == pytest.approx(0.05, abs=0.015)


def test_an_interval_over_images_fails_the_same_test():
    assert simulations.found_by_images(1000) > 0.4


@pytest.mark.parametrize("name", ["normal", "log-normal, sigma 0.25", "log-normal, sigma 0.5"])
def test_intervals_cover_the_truth_in_ninety_five_percent(name):
    draw, true = simulations.shapes()[name]
    assert simulations.coverage(draw, true, simulations.SUBJECTS, batches=6) == pytest.approx(0.95, abs=0.02)


def test_the_percentile_bootstrap_fails_the_same_test():
    draw, true = simulations.shapes()["log-normal, sigma 0.5"]
    assert simulations.coverage(draw, true, 20, 6, simulations.percentile_intervals) < 0.93


def test_very_skewed_errors_are_covered_better_than_by_students_interval():
    draw, true = simulations.shapes()["log-normal, sigma 1"]
    ours = simulations.coverage(draw, true, 20, 4)
    assert ours > 0.90 and ours > simulations.coverage(draw, true, 20, 4, simulations.student_intervals) + 0.02


@pytest.mark.parametrize("deviations", [0.3, 0.6, 1.0])
def test_power_is_that_of_the_closed_form(deviations):
    true = deviations * simulations.deviation_of_subjects()
    found = simulations.found_by_subjects(3000, true, seed=2)
    assert found == pytest.approx(power_of(deviations, simulations.SUBJECTS), abs=0.03)


def test_what_is_called_detectable_is_found_in_four_of_five():
    true = detectable_difference(simulations.deviation_of_subjects(), simulations.SUBJECTS)
    assert simulations.found_by_subjects(3000, true, seed=3) == pytest.approx(0.8, abs=0.03)


def test_ten_equal_methods_are_all_tied_in_ninety_five_percent_of_boards():
    found = simulations.boards(np.zeros(10), 600)
    assert found.false_ties < 0.07 and found.false_ranks < 0.07
    assert found.false_against_best > 0.09, "the best is chosen from the same data"
    assert found.detectable == pytest.approx(detectable_difference(1.0, simulations.SUBJECTS), rel=0.05)


def test_rank_intervals_hold_the_true_ranks():
    found = simulations.boards(np.array([0, 0, 0, 1, 1, 1.5, 2, 3, 3, 4.0]), 400, seed=1)
    assert found.worst_rank < 0.05 and found.false_ranks < 0.07 and found.false_ties < 0.07
