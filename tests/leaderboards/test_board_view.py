"""Filters and order change what is shown, and nothing else."""

from dataclasses import replace

import pytest

from harness.leaderboards.board_view import Choice, narrowed, ranked_by, sort_column, values_of
from harness.leaderboards.boards import make_boards
from tests.leaderboards.balls import memory_run

FIRST, SECOND = "face · 1 view", "face · 3 views"


def a_run(method, value, family="regressor", device="cpu", track=None, published=False, **changes):
    run = memory_run(method, value, **changes)
    options = {"track": track} if track else {}
    manifest = {
        **run.manifest,
        "family": family,
        "device": device,
        "method": {**run.manifest["method"], "options": options},
    }
    manifest["environment"] = {"cpu": "a processor", "accelerator": "a graphics card"}
    return replace(run, manifest=manifest, published=published)


def methods(board):
    return [line.run.method for line in board.lines]


@pytest.fixture
def board():
    runs = [
        a_run("a", 3.0, published=True),
        a_run("b", 1.0, family="baseline", date="2026-01-03"),
        a_run("c", 2.0, device="cuda", track="shared"),
    ]
    (board,) = make_boards(runs)
    return board


def test_without_a_choice_all_is_shown_best_first(board):
    assert methods(narrowed(board, Choice())) == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("family", ("regressor",), ["c", "a"]),
        ("family", ("regressor", "baseline"), ["b", "c", "a"]),
        ("family", ("none",), []),
        ("track", ("shared",), ["c"]),
        ("hardware", ("cuda: a graphics card",), ["c"]),
        ("hardware", ("cpu: a processor",), ["b", "a"]),
        ("origin", ("published",), ["a"]),
        ("origin", ("local",), ["b", "c"]),
        ("origin", (), ["b", "c", "a"]),
    ],
)
def test_filters_keep_what_was_chosen(board, name, values, expected):
    assert methods(narrowed(board, Choice(((name, values),)))) == expected


def test_filters_add_up(board):
    choice = Choice((("family", ("regressor",)), ("origin", ("local",))))
    assert methods(narrowed(board, choice)) == ["c"]


def test_best_is_the_best_of_what_is_shown(board):
    shown = narrowed(board, Choice((("family", ("regressor",)),)))
    assert [line.cells[FIRST].best for line in shown.lines] == [True, False]


def test_values_of_filters(board):
    runs = [line.run for line in board.lines]
    assert values_of(runs, "family") == ["baseline", "regressor"]
    assert values_of(runs, "track") == ["own", "shared"]


@pytest.mark.parametrize(
    ("sort", "descending", "expected"),
    [
        (FIRST, False, ["b", "c", "a"]),
        (FIRST, True, ["a", "c", "b"]),
        ("method", False, ["a", "b", "c"]),
        ("method", True, ["c", "b", "a"]),
        ("date", True, ["b", "a", "c"]),
        ("hardware", False, ["a", "b", "c"]),
        ("no such column", False, ["b", "c", "a"]),
    ],
)
def test_order(board, sort, descending, expected):
    assert methods(narrowed(board, Choice(sort=sort, descending=descending))) == expected


def test_runs_without_a_value_come_last_in_both_directions():
    (board,) = make_boards([a_run("a", 1.0), a_run("none", None), a_run("fewer", 0.5, views=(3,))])
    for descending in (False, True):
        assert methods(narrowed(board, Choice(sort=FIRST, descending=descending)))[0] == "a"
    assert methods(narrowed(board, Choice(sort=SECOND))) == ["fewer", "a", "none"]


def test_coverage_orders_by_the_share():
    (board,) = make_boards([a_run("whole", 2.0), a_run("half", 1.0, evaluated=1)])
    assert methods(narrowed(board, Choice(sort="coverage"))) == ["half", "whole"]


def test_older_runs_are_folded_away_and_follow_their_newest():
    runs = [a_run("a", 1.0, date="2026-01-01"), a_run("a", 2.0, date="2026-01-02"), a_run("b", 1.5)]
    (board,) = make_boards(runs)
    assert [line.cells[FIRST].value for line in narrowed(board, Choice()).lines] == [1.5, 2.0]
    shown = narrowed(board, Choice(older=True)).lines
    assert [(line.cells[FIRST].value, line.newest) for line in shown] == [(1.5, True), (2.0, True), (1.0, False)]
    assert [line.cells[FIRST].best for line in shown] == [True, False, False], "an older run competes with none"


def test_the_newest_run_is_that_of_what_passes_the_filters():
    runs = [a_run("a", 1.0, date="2026-01-01", published=True), a_run("a", 2.0, date="2026-01-02")]
    (board,) = make_boards(runs)
    (line,) = narrowed(board, Choice((("origin", ("published",)),))).lines
    assert (line.cells[FIRST].value, line.newest) == (1.0, True)


def test_one_method_with_two_tracks_is_two_rows():
    (board,) = make_boards([a_run("a", 1.0, track="own"), a_run("a", 2.0, track="shared", date="2026-02-01")])
    assert [line.run.track for line in narrowed(board, Choice()).lines] == ["own", "shared"]


def test_ranks_are_about_a_column_of_values(board):
    assert ranked_by(board, Choice(sort=SECOND)) == SECOND
    assert ranked_by(board, Choice(sort="date")) == FIRST
    assert sort_column(board, Choice(sort="date")) == "date"
    assert sort_column(board, Choice(sort="<b>")) == FIRST
