"""Statistics of boards come from the runs' tables, for the very runs that are shown."""

from dataclasses import replace

import pandas
import pytest

from harness.leaderboards import board_statistics as module
from harness.leaderboards.board_sheet import board_sheet
from harness.leaderboards.board_statistics import NO_SUBJECTS, NO_TABLE, board_statistics
from harness.leaderboards.board_table import board_html, legend, rank_words
from harness.leaderboards.board_view import Choice, narrowed
from harness.leaderboards.boards import make_boards, marked
from harness.leaderboards.runs import sample_table
from harness.leaderboards.shelf import read_shelf
from harness.statistics import Interval, Standing, Standings, standings
from tests.leaderboards.made_up import make_entries

ALL, SELFIE = "median · challenge all", "median · challenge selfie"


@pytest.fixture
def board(tmp_path):
    make_entries(tmp_path, methods=6, benches=1, samples=200)
    (board,) = make_boards(read_shelf(tmp_path / "none", tmp_path).runs)
    return board


def by_hand(board, column, challenge=None):
    """Subjects' means straight from the files."""
    means = {}
    for line in board.lines:
        table = sample_table(line.run)
        rows = table[(table["column"] == column) & ((table["challenge"] == challenge) | (challenge is None))]
        means[line.run.key] = rows.groupby("subject")["value"].mean()
    return pandas.DataFrame(means)[sorted(means)]


def assert_same(found, expected):
    assert list(found.runs) == list(expected.runs)
    assert found.detectable == pytest.approx(expected.detectable)
    for one, other in zip(found.runs.values(), expected.runs.values(), strict=True):
        assert (one.rank_low, one.rank_high, one.tied_with_best) == (
            other.rank_low,
            other.rank_high,
            other.tied_with_best,
        )
        assert (one.interval.low, one.interval.high) == pytest.approx((other.interval.low, other.interval.high))


@pytest.mark.parametrize(("heading", "challenge"), [(ALL, None), (SELFIE, "selfie")])
def test_standings_are_those_of_the_tables(board, heading, challenge):
    found = board_statistics(board, board)[heading]
    expected = standings(by_hand(board, "median", challenge))
    assert_same(found, expected)
    assert found.subjects == 10
    for line in board.lines:
        assert found.runs[line.run.key].interval.value == pytest.approx(line.cells[heading].value)


def test_a_filter_asks_about_the_runs_that_are_left(board):
    shown = narrowed(board, Choice((("family", ("regressor",)),)))
    assert len(shown.lines) == 2
    (found,) = board_statistics(shown, board, [ALL]).values()
    assert_same(found, standings(by_hand(board, "median")[sorted(line.run.key for line in shown.lines)]))


def test_tables_are_read_once_whatever_is_shown(board, monkeypatch):
    read = []
    real = module._read
    monkeypatch.setattr(module, "_read", lambda path: read.append(path) or real(path))
    for family in ((), ("regressor",), ("baseline",)):
        shown = narrowed(board, Choice((("family", family),)))
        board_statistics(shown, board)
    assert len(read) == len(set(read)) == 6


def test_damaged_table_leaves_a_value_without_an_interval(board):
    worst = board.lines[-1].run
    (worst.folder.path / "scores.parquet").write_bytes(b"PAR1")
    found = board_statistics(board, board)[ALL]
    assert worst.key not in found.runs
    assert len(found.runs) == 5
    assert format(board.lines[-1].cells[ALL].value, ".2f") in board_html(board, {ALL: found})


def test_value_that_its_table_does_not_give_takes_no_part(board, caplog):
    first = board.lines[0]
    wrong = replace(first, cells={**first.cells, ALL: replace(first.cells[ALL], value=0.5)})
    found = board_statistics(replace(board, lines=(wrong, *board.lines[1:])), board)[ALL]
    assert first.run.key not in found.runs
    assert "its summary 0.5" in caplog.text


def test_no_table_at_all_is_said(board):
    for line in board.lines:
        (line.run.folder.path / "scores.parquet").unlink()
    assert board_statistics(board, board)[ALL] == Standings(note=NO_TABLE)


def test_protocol_without_subjects_gets_no_ties_and_reads_nothing(board, monkeypatch):
    monkeypatch.setattr(module, "_read", None)
    times = replace(board, aggregation="calls")
    found = board_statistics(times, times)
    assert found == dict.fromkeys(board.columns, Standings(note=NO_SUBJECTS))
    assert "no mean over subjects" in legend(times, found)
    assert "=" not in board_sheet(times, found).notes[1]
    assert ">rank<" not in board_html(times, found)


@pytest.fixture
def known(board):
    """The board with values that are known."""
    values = [1.0, 1.1, 1.3, 1.4, 1.5, 1.6]
    lines = [
        replace(line, cells={**line.cells, ALL: replace(line.cells[ALL], value=value)})
        for line, value in zip(board.lines, values, strict=True)
    ]
    return replace(board, lines=tuple(marked(lines)))


def made_up(board):
    """Standings that are known: the first two tied, the third apart, the others without."""
    keys = [line.run.key for line in board.lines]
    places = {
        keys[0]: Standing(Interval(1.0, 0.9, 1.1), None, True, 1, 2),
        keys[1]: Standing(Interval(1.1, 1.0, 1.2), 0.4, True, 1, 2),
        keys[2]: Standing(Interval(1.3, 1.2, 1.4), 0.001, False, 3, 3),
    }
    return {ALL: Standings(places, keys[0], 10, 3, detectable=0.123)}


def test_page_shows_ties_ranks_intervals_and_what_can_be_seen(known):
    page = board_html(known, made_up(known), ALL)
    rows = page.split("<tr")[3:]
    assert [row.count('class="equals"') for row in rows[:4]] == [0, 1, 0, 0], "the best is bold, not marked"
    assert [row.count("number tied") for row in rows[:4]] == [1, 1, 0, 0]
    assert "1–2" in rows[0] and ">3<" in rows[2] and ">–<" in rows[3]
    assert "0.90–1.10" in rows[0]
    assert "p = 0.001 against the best" in rows[2]
    words = legend(known, made_up(known), ALL)
    assert "0.12 mm (80 % power at the 5 % level)" in words
    assert "10 subjects" in words


def test_sheet_marks_ties_of_the_same_cells(known):
    sheet = board_sheet(known, made_up(known), ALL)
    c = sheet.columns.index(f"{ALL} [mm]")
    assert (0, c) in sheet.best
    assert {r for r, column in sheet.ties if column == c} == {1}
    assert [row[sheet.columns.index("rank")] for row in sheet.rows[:4]] == ["1–2", "1–2", "3", "–"]
    full = board_sheet(known, made_up(known), ALL, full=True)
    assert full.rows[0][full.columns.index(f"{ALL} low [mm]")] == "0.9"
    assert full.rows[0][full.columns.index("data")] == "MIRROR"
    assert "MIRROR: synthetic stand-in" in sheet.title
    assert any("0.12 mm" in note for note in sheet.notes)


def test_ranks_in_words():
    assert rank_words(Standing(rank_low=2, rank_high=2)) == "2"
    assert rank_words(Standing(rank_low=1, rank_high=4)) == "1–4"
    assert rank_words(None) == rank_words(Standing()) == "–"
