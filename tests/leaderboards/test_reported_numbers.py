"""Reported numbers: all of them and no other, strictly read, and never taken for measured ones."""

import csv
import re
import subprocess
import sys
from collections import Counter
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import HarnessError
from harness.leaderboards.boards import check_belongs, format_value, keys_of, make_board, make_boards
from harness.leaderboards.reported_numbers import FOLDER, ReportedNumber, read_reported
from harness.statistics import subject_interval
from tests.leaderboards.balls import memory_run

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / ".." / "shared" / "data" / "reported.csv"
SOURCES = {
    "KaoLRM seed": "kaolrm",
    "PaCo-FR seed": "paco_fr",
    "GLVD project page figure (": "glvd_page",
    "GLVD project page figure, scatter": "glvd_scatter",
    "GLVD seed": "glvd_text",
    "emergentmind": "glvd_emergentmind",
    "H3DS README (": "h3ds_readme",
    "H3DS README history": "h3ds_readme_2021",
    "NoW public test leaderboard": "now_leaderboard",
    "now_evaluation issue #22": "now_issue_22",
    "now_evaluation issue #27 citing": "now_issue_27",
    "now_evaluation issue #27 (user": "now_issue_27_run",
    "SynergyNet issue": "synergynet_issue_24",
    "DAD-3DHeads": "dad3dheads_issue_48",
    "secondary: public repo note": "now_note",
    "secondary: same note": "sheap_note",
    "wizwand": "emoca_wizwand",
    "independent run": "now_official_run",
    "REALY homepage": "realy_homepage",
    "FaRL README": "farl",
    "HRNet": "hrnet",
    "MCF README": "mcf",
}
LINE = "Table 1,DECA,FaceVerse,test,mean,face,3.17,mm,lower,,"


@pytest.fixture(scope="module")
def reported():
    return read_reported()


def published(row):
    """A row of the collected numbers in this project's terms."""
    (source,) = [name for start, name in SOURCES.items() if row["source"].startswith(start)]
    table, flag = re.fullmatch(r"(.*?)(?: ?[\[(](.*))?", row["table"]).groups()
    if source == "kaolrm" and flag and "header" in flag:
        table += " as printed" if "PRINTED" in flag else " corrected"
    method = "(label lost)" if row["method"].startswith("[row label") else row["method"]
    split = {"-": "not stated", "1 views": "1 view", "1 view (as labelled)": "1 view"}.get(row["split"], row["split"])
    region = {"-": "whole method"}.get(row["region_or_class"], row["region_or_class"])
    values = (row["metric"], region, row["value"], row["unit"], row["direction"])
    return (source, table.strip(), method, row["benchmark"], split, *values)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the collected numbers (../shared) are not here")
def test_every_published_number_is_there_and_no_other(reported):
    with PUBLISHED.open(newline="") as file:
        wanted = Counter(published(row) for row in csv.DictReader(file))
    found = Counter((*n.identity, n.printed, n.unit, n.direction) for n in reported.numbers)
    assert wanted == found
    assert wanted.total() == 1725


def test_what_the_collection_flags_is_flagged(reported):
    flagged = {(n.source, n.table, n.method, n.region) for n in reported.numbers if "impossible-variance" in n.flags}
    assert flagged == {("kaolrm", "Table 1", "SMIRK", "first 10"), ("kaolrm", "Table 1", "SMIRK", "full")}
    for table, method, flag, count in [
        ("Table 2 as printed", "KaoLRM (Ours)", "header-swapped", 10),
        ("Table 2", "(label lost)", "label-lost", 9),
        ("Table 8", "MICA", "not-squared", 6),
        ("scatter", "GLVD", "digitised", 6),
        ("README v1 table", "IDR", "ten-subjects", 10),
    ]:
        rows = [n for n in reported.numbers if (n.table, n.method) == (table, method)]
        assert sum(flag in n.flags for n in rows) == count


def test_every_flag_is_used_and_explained(reported):
    assert {flag for number in reported.numbers for flag in number.flags} == set(reported.flags)
    assert all(words.endswith(".") for words in reported.flags.values())


@given(st.floats(0, 1e6), st.integers(0, 5), st.sampled_from(["", "+", "-"]))
def test_amount_is_the_printed_number(value, digits, sign):
    printed = f"{sign}{value:.{digits}f}"
    number = ReportedNumber("s", "t", "m", "b", "s", "m", "r", printed, "mm", "lower")
    assert number.amount == number.bound == pytest.approx(float(printed))


@pytest.mark.parametrize(("printed", "bound"), [("<0.010", 0.01), ("n/a", None), ("baseline", None)])
def test_words_and_bounds_are_no_amounts(printed, bound):
    number = ReportedNumber("s", "t", "m", "b", "s", "m", "r", printed, "mm", "lower")
    assert (number.amount, number.bound) == (None, bound)


# reading ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    head = (FOLDER / "mcf.csv").read_text().partition("\n")[0]
    (tmp_path / "a.csv").write_text(f"{head}\n{LINE}\n")
    (tmp_path / "sources.yaml").write_text(
        "flags: {odd: Strange.}\nsources:\n  a: {short: A, title: A paper, kind: paper, link: 'https://a.org/x'}\n"
    )
    return tmp_path


def test_a_small_folder_is_read(folder):
    (number,) = read_reported(folder).numbers
    assert (number.source, number.printed, number.flags) == ("a", "3.17", ())
    with pytest.raises(FrozenInstanceError):
        number.printed = "1"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (LINE.replace("3.17", "3,17"), "line 3: 12 fields, expected 11"),
        (LINE.replace("3.17", "about 3"), "line 3, value: found 'about 3', expected a number"),
        (LINE.replace("3.17", "nan"), "line 3, value"),
        (LINE.replace("3.17", "1e3"), "line 3, value"),
        (LINE.replace("3.17", ""), "line 3, value"),
        (LINE.replace("3.17", "3.17 "), "line 3, value"),
        (LINE.replace("DECA", ""), "line 3, method: found '', expected a value"),
        (LINE.replace("lower", "down"), "line 3, direction: found 'down', expected lower or higher"),
        (LINE + "\x07", "line 3, note"),
        (LINE.replace(",,", ",strange,"), "line 3, flags: found 'strange', expected each once, of those"),
        (LINE.replace(",,", ",odd odd,"), "line 3, flags"),
        (LINE, "line 3: the same number stands in line 2"),
        ('"' + LINE, "cannot be read as CSV"),
    ],
)
def test_a_bad_line_is_named(folder, line, words):
    with (folder / "a.csv").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(HarnessError, match=re.escape(words)) as caught:
        read_reported(folder)
    assert "a.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("kind: paper", "kind: rumour", "sources.a.kind"),
        ("short: A", "short: A, colour: red", "sources.a.colour"),
        ("'https://a.org/x'", "'javascript:alert(1)'", "sources.a.link"),
        ("'https://a.org/x'", "'https://a.org/\">'", "sources.a.link"),
        ("short: A", "short: A, state: 2022-09-06", "sources.a.state"),
        ("short: A", "short: A, short: B", "stands twice"),
        ("short: A", "short: A, not_beside: {b: why}", "expected names of other sources"),
        ("  a:", "  b:", "each source has one file"),
        ("sources:", "sources: [", "cannot be read as YAML"),
        ("flags: {odd: Strange.}", "flags: !!python/object/apply:os.getcwd []", "cannot be read as YAML"),
    ],
)
def test_a_bad_source_is_named(folder, old, new, words):
    path = folder / "sources.yaml"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(HarnessError, match=re.escape(words)):
        read_reported(folder)


def test_missing_binary_and_foreign_files_are_named(folder):
    (folder / "a.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(HarnessError, match=r"a\.csv: cannot be read"):
        read_reported(folder)
    (folder / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(HarnessError, match=r"line 1: columns \['a', 'b'\], expected"):
        read_reported(folder)
    (folder / "a.csv").unlink()
    with pytest.raises(HarnessError, match=r"there is no a\.csv"):
        read_reported(folder)
    with pytest.raises(HarnessError, match=r"sources\.yaml: cannot be read"):
        read_reported(folder / "none")


# never a measured number -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda number, run: make_boards([number]),
        lambda number, run: make_boards([run, number]),
        lambda number, run: make_board([number], keys_of(run)[0]),
        lambda number, run: check_belongs(number, keys_of(run)[0]),
        lambda number, run: format_value(number),
        lambda number, run: float(number),
        lambda number, run: number < 1.0,
        lambda number, run: number + 1.0,
        lambda number, run: np.array([number], dtype=float),
        lambda number, run: subject_interval(pandas.Series([number, number]), pandas.Series(["a", "b"])),
    ],
)
def test_what_takes_measured_numbers_refuses_reported_ones(reported, use):
    with pytest.raises((AttributeError, TypeError, HarnessError)):
        use(reported.numbers[0], memory_run())


@pytest.mark.slow
def test_type_checker_refuses_reported_numbers(tmp_path):
    """The folder installs as harness.leaderboards, which the type checker only finds if it stands there."""
    pytest.importorskip("mypy")
    package = tmp_path / "harness" / "leaderboards"
    package.mkdir(parents=True)
    (tmp_path / "harness" / "__init__.py").touch()
    (tmp_path / "harness" / "errors.py").symlink_to(ROOT / "harness" / "errors.py")
    for file in (ROOT / "leaderboards").glob("*.py"):
        (package / file.name).symlink_to(file)
    snippet = tmp_path / "snippet.py"
    snippet.write_text(
        "from harness.leaderboards.boards import Cell, format_value, make_boards\n"
        "from harness.leaderboards.reported_numbers import read_reported\n"
        "number = read_reported().numbers[0]\n"
        "make_boards([number])\n"
        "Cell(number, None, 1, 1, None)\n"
        "format_value(number)\n"
        "format_value(number.amount)\n"
    )
    command = [sys.executable, "-m", "mypy", "--config-file=", "--ignore-missing-imports", "snippet.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    errors = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert [line.split(":")[1] for line in errors] == ["4", "5", "6"], done.stdout + done.stderr
    assert all("ReportedNumber" in line for line in errors)
