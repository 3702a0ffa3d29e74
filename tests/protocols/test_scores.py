"""Scores that are never half a number, and their grouping by condition."""

from __future__ import annotations

import numpy as np
import pytest

from harness.errors import ContractError
from harness.protocols.scores import SampleScore, Score, by_condition


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"values": {"face": np.nan}},
        {"values": {"face": np.inf}},
        {"values": {"face": 1.0}, "failure": "bad_mesh"},
        {"per_point": {"face": (np.zeros(1), np.zeros(1))}, "failure": "bad_mesh"},
        {"failure": "bad luck"},
    ],
)
def test_a_score_is_a_number_or_a_failure(fields):
    with pytest.raises(ContractError, match="score"):
        Score(**fields)


def test_a_row_is_a_number_or_a_failure():
    for score, failure in (({"face": 1.0}, "crash"), (None, None)):
        with pytest.raises(ContractError, match="s1"):
            SampleScore("s1", "p1", {}, score, None, failure)


def test_conditions_in_the_order_of_their_values_and_samples_in_their_own():
    conditions = [{"views": 16}, {"views": 3}, {"views": "all"}, {}, {"views": 3}]
    rows = [SampleScore(f"s{i}", "p", condition, {"face": 1.0}) for i, condition in enumerate(conditions)]
    groups = [(condition, [row.sample_id for row in members]) for condition, members in by_condition(rows)]
    assert groups == [({}, ["s3"]), ({"views": 3}, ["s1", "s4"]), ({"views": 16}, ["s0"]), ({"views": "all"}, ["s2"])]
    assert by_condition([]) == []
    turned = [SampleScore("a", "p", {"yaw": 1, "pitch": 2}, {"face": 1.0})]
    turned += [SampleScore("b", "p", {"pitch": 2, "yaw": 1}, {"face": 1.0})]
    assert len(by_condition(turned)) == 1
