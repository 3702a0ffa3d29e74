"""Boards: nothing that differs in protocol or data shares a table; ranking and marks are right."""

from html.parser import HTMLParser
from itertools import product

import pytest

from harness import HarnessError
from harness.leaderboards.board_table import board_html
from harness.leaderboards.boards import keys_of, make_board, make_boards
from harness.leaderboards.tables import board_title, failure_note
from harness.statistics import Interval, Standing, Standings
from tests.leaderboards.balls import memory_run


def test_boards_never_mix_protocol_data_or_bench():
    choices = product(["h3ds", "now"], ["real", "mirror"], ["1", "2"], ["p", "q"], [False, True])
    runs = [
        memory_run(f"m{n}", float(n), bench, kind, version, protocol, reflection=mirrored)
        for n, (bench, kind, version, protocol, mirrored) in enumerate(choices)
    ]
    boards = make_boards(runs)
    assert len(boards) == len(runs) == 32
    assert sorted(line.run.key for board in boards for line in board.lines) == sorted(run.key for run in runs)
    for board in boards:
        (line,) = board.lines
        assert keys_of(line.run) == [board.key]


@pytest.mark.parametrize(
    "other",
    [{"kind": "mirror"}, {"protocol": "q"}, {"scale": "rms"}, {"bench": "now"}, {"version": "2"}],
    ids=lambda change: next(iter(change)),
)
def test_mixing_is_refused(other):
    run, stranger = memory_run(), memory_run("theirs", **other)
    with pytest.raises(HarnessError, match="never mixed"):
        make_board([run, stranger], keys_of(run)[0])


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"samples": ("a", "b", "c")}, "number of samples"),
        ({"samples": ("a", "z")}, "other samples"),
        ({"data_digest": "changed"}, "other file contents"),
    ],
)
def test_other_samples_or_files_get_their_own_board(other, words):
    run, stranger = memory_run(), memory_run("theirs", **other)
    with pytest.raises(HarnessError, match=words):
        make_board([run, stranger], keys_of(run)[0])
    assert [len(board.lines) for board in make_boards([run, stranger])] == [1, 1]


def test_runs_over_fewer_conditions_share_the_board():
    both, three = memory_run(value=2.0), memory_run("theirs", 1.0, views=(3,), data_digest="fewer files")
    (board,) = make_boards([both, three])
    assert board.columns == ("face · 1 view", "face · 3 views")
    assert [line.run.method for line in board.lines] == ["ours", "theirs"], "no value in the first column: last"
    assert not board.lines[0].cells["face · 3 views"].best
    assert board.lines[1].cells["face · 3 views"].best


def test_methods_by_value_and_their_runs_newest_first():
    runs = [
        memory_run("slow", 1.0, date="2026-01-05"),
        memory_run("fast", 3.0, date="2026-01-01"),
        memory_run("fast", 0.5, date="2026-01-02"),
        memory_run("none", None, date="2026-01-03"),
    ]
    (board,) = make_boards(runs)
    shown = [(line.run.method, line.cells["face · 1 view"].value, line.newest) for line in board.lines]
    assert shown == [("fast", 0.5, True), ("fast", 3.0, False), ("slow", 1.0, True), ("none", None, True)]


def test_best_is_what_prints_smallest():
    (board,) = make_boards([memory_run("a", 1.001), memory_run("b", 1.0), memory_run("c", 1.01)])
    best = {line.run.method: line.cells["face · 1 view"].best for line in board.lines}
    assert best == {"a": True, "b": True, "c": False}


def test_real_before_mirror_and_official_before_own():
    runs = [
        memory_run(kind="mirror", protocol="own"),
        memory_run(protocol="own"),
        memory_run(protocol="z", official=True),
    ]
    boards = make_boards(runs)
    assert [(b.key.kind, b.official) for b in boards] == [("real", True), ("real", False), ("mirror", False)]


def test_failures_show_both_values_and_the_coverage():
    (board,) = make_boards([memory_run(value=4.0, evaluated=1)])
    page = board_html(board)
    assert ">4.00<" in page
    assert "2.00 without failures" in page
    assert "2/4" in page
    assert "mean face" in failure_note(board)
    assert failure_note(make_boards([memory_run()])[0]) == ""


class Grid(HTMLParser):
    """A table as a browser lays it out: (row, column) -> text, spans filled in."""

    def __init__(self, page):
        super().__init__()
        self.cells, self.row, self.here = {}, -1, []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        if tag == "tr":
            self.row, self.column = self.row + 1, 0
        elif tag in ("td", "th"):
            spans = {**{"colspan": 1, "rowspan": 1}, **dict(attrs)}
            while (self.row, self.column) in self.cells:
                self.column += 1
            rows, columns = range(int(spans["rowspan"])), range(int(spans["colspan"]))
            self.here = [(self.row + r, self.column + c) for r in rows for c in columns]
            self.cells |= dict.fromkeys(self.here, "")

    def handle_data(self, data):
        self.cells |= {place: self.cells[place] + data for place in self.here}

    def line(self, row):
        """One row of the body, by its heading over both rows of the head."""
        width = 1 + max(column for _, column in self.cells)
        heads = [dict.fromkeys(self.cells[r, c].replace(" ▲", "") for r in (0, 1)) for c in range(width)]
        return {" ".join(head): self.cells[row + 2, c] for c, head in enumerate(heads)}


def test_every_cell_stands_under_its_heading():
    run = memory_run(value=1.25, evaluated=1)
    (board,) = make_boards([run, memory_run("other", 7.5, views=(3,))])
    places = {run.key: Standing(Interval(1.25, 1.0, 1.5), None, True, 1, 2)}
    for statistics in ({}, {"face · 1 view": Standings(places, run.key, 2)}):
        first, second = (Grid(board_html(board, statistics)).line(row) for row in (0, 1))
        assert (first["method"], second["method"]) == ("ours", "other")
        assert (first["coverage"], second["coverage"]) == ("incomplete2/4", "2/2")
        assert first["1 view face [mm]"].startswith("1.25") and first["3 views face [mm]"].startswith("1.25")
        assert (second["1 view face [mm]"], second["3 views face [mm]"]) == ("–", "7.50")
        assert (first["hardware"], first["date"]) == ("cpu", "2026-01-01")
        assert first["run"].startswith(run.identity[:8])
        assert (first.get("rank"), second.get("rank")) == (("1–2", "–") if statistics else (None, None))


def test_badges_say_what_was_measured_on():
    real, mirror = (make_boards([memory_run(kind=kind)])[0] for kind in ("real", "mirror"))
    assert ">REAL<" in board_title(real)
    assert ">MIRROR<" in board_title(mirror)
    assert "not comparable with published numbers" in board_title(mirror)


def test_names_from_runs_cannot_inject_html():
    (board,) = make_boards([memory_run("<script>alert(1)</script>", version="<img>", protocol="<i>")])
    page = board_title(board) + board_html(board)
    assert not any(tag in page for tag in ("<script", "<img", "<i>"))
    assert "&lt;script&gt;" in page


def test_larger_is_better_where_the_protocol_says_so():
    runs = [memory_run("low", 1.0), memory_run("high", 3.0), memory_run("none", None)]
    for run in runs:
        for row in run.rows:
            row["better"] = "larger"
    (board,) = make_boards(runs)
    assert [line.run.method for line in board.lines] == ["high", "low", "none"]
    assert [line.cells["face · 1 view"].best for line in board.lines] == [True, False, False]
    assert board.columns == ("face · 1 view", "face · 3 views"), "it is no condition"


def test_a_protocol_with_two_units_has_a_board_for_each():
    run = memory_run()
    run.rows.extend([{**row, "column": "variance", "unit": "squared coefficients"} for row in run.rows])
    first, second = make_boards([run])
    assert (first.key.unit, second.key.unit) == ("mm", "squared coefficients")
    assert all(heading.startswith("face") for heading in first.columns)
    assert all(heading.startswith("variance") for heading in second.columns)
