"""`harness report` writes what the pages show, and its files can be read by others."""

import csv
import re

import pytest

from harness import HarnessError, cli
from harness.leaderboards.board_sheet import stem_of
from harness.leaderboards.boards import make_boards
from harness.leaderboards.written_report import main, parts_of, write_report
from tests.leaderboards.balls import memory_run
from tests.leaderboards.made_up import make_entries


@pytest.fixture
def written(tmp_path):
    make_entries(tmp_path / "results", methods=4, benches=2, samples=80)
    cli.main(
        [
            "report",
            "--runs",
            str(tmp_path / "none"),
            "--results",
            str(tmp_path / "results"),
            "--out",
            str(tmp_path / "out"),
        ]
    )
    return tmp_path / "out"


def test_report_has_every_board_in_every_format(written):
    files = sorted(path.name for path in written.iterdir())
    assert [re.sub(r"-[0-9a-f]{8}\.", ".", name) for name in files] == [
        *("bench_00-mirror-bench_00.csv", "bench_01-real-bench_01.csv"),
        *("report.html", "report.md", "report.tex"),
    ]
    for name in ("report.md", "report.html"):
        text = (written / name).read_text()
        assert len(re.findall(r"method\\?_00[0-3]", text)) >= 8
        assert "MIRROR" in text
        assert "not separable from the best" in text
        assert "Smallest difference" in text
    assert (written / "report.tex").read_text().count(r"\toprule") == 2


def test_csv_holds_the_intervals_and_what_was_measured(written):
    (path,) = written.glob("bench_00*.csv")
    rows = list(csv.DictReader(path.open()))
    assert sorted(row["method"] for row in rows) == [f"method_{n:03d}" for n in range(4)]
    for row in rows:
        value, low, high = (float(row[f"median · challenge all{end} [mm]"]) for end in ("", " low", " high"))
        assert low < value < high
        assert (row["data"], row["benchmark"], row["origin"]) == ("MIRROR", "bench_00", "published")
        assert re.fullmatch(r"[0-9a-f]{8}", row["protocol id"])
        assert row["median · challenge all [mm] mark"] in ("best", "tied", "")
    assert any(row["median · challenge all [mm] mark"] == "best" for row in rows)


def test_html_needs_nothing_from_elsewhere(written):
    page = (written / "report.html").read_text()
    assert not re.search(r"<(link|script|img|iframe)|https?://|@import|url\(", page)
    assert "prefers-color-scheme: dark" in page
    assert page.index('class="banner"') < page.index("bench_00 ·")


def test_hostile_names_are_text(tmp_path):
    runs = [
        memory_run('<script>alert("x")</script>', protocol="../../<b>", bench="a/b|c"),
        memory_run("50%_&", bench="a/b|c"),
    ]
    for path in write_report(make_boards(runs), tmp_path / "out"):
        assert path.parent == tmp_path / "out", "a protocol's name never leads out of the folder"
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page and "<b>" not in page.replace("<b>MIRROR</b>", "")
    assert "\\|" in (tmp_path / "out" / "report.md").read_text()
    assert r"50\%\_\&" in (tmp_path / "out" / "report.tex").read_text()


def test_boards_of_one_name_get_files_of_their_own():
    runs = [memory_run("a"), memory_run("b", samples=("x", "y", "z")), memory_run("c", version="2")]
    stems = [part.stem for part in parts_of(make_boards(runs), older=False)]
    assert len(set(stems)) == 3
    assert all(re.fullmatch(r"[\w-]+", stem) for stem in stems)


def test_older_runs_are_left_out_unless_asked_for():
    boards = make_boards([memory_run("a", 1.0, date="2026-01-01"), memory_run("a", 2.0, date="2026-01-02")])
    assert [len(parts_of(boards, older)[0].sheet.rows) for older in (False, True)] == [1, 2]


def test_failures_show_both_values(tmp_path):
    (part,) = parts_of(make_boards([memory_run(value=4.0, evaluated=1)]), older=False)
    assert part.sheet.rows[0][1] == "4.00 (2.00)"
    assert any("leaves failed samples out" in note for note in part.sheet.notes)
    assert stem_of(make_boards([memory_run()])[0]).startswith("toy-real-toy_distance-")


def test_nothing_to_report_is_said(tmp_path):
    with pytest.raises(HarnessError, match="no finished run"):
        main(["--runs", str(tmp_path / "none"), "--results", str(tmp_path), "--out", str(tmp_path / "out")])


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HarnessError, match="cannot be made a folder"):
        write_report(make_boards([memory_run()]), tmp_path / "file" / "out")
