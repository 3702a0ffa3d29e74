"""Sheets as files: other programs read back what was written, whatever the names are."""

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.leaderboards.exports import escape_latex, one_line, to_csv, to_html, to_json, to_latex, to_markdown
from harness.leaderboards.sheet import Sheet

NASTY = [
    *("a|b", "a_b*c*", "50 % & more", "<script>alert(1)</script>", r"back\slash", "C:\\", "`code`", "{x}^2~#$"),
    *("[3mm]", "line\nbreak", "&lt;", 'he said "no"', "=HYPERLINK(1)", "http://x.y/z", "\x1b[31mred"),
]
SHEET = Sheet(
    "now · a_b [1234] · mm · REAL",
    ("method", "median [mm]", "mean [mm]"),
    (("one", "1.00", "2.00"), ("two", "1.01", "2.50"), ("three", "–", "3.00")),
    best=frozenset({(0, 1), (0, 2)}),
    ties=frozenset({(1, 1)}),
    notes=("95 % of it.",),
)
words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)


def with_names(names):
    rows = tuple((name, "1.00") for name in names)
    return Sheet("t", ("method", "x [mm]"), rows, frozenset(), frozenset(), ())


def csv_rows(sheet):
    return list(csv.reader(io.StringIO(to_csv(sheet))))


def markdown_cells(text):
    """Rows of the table as a Markdown parser sees them, each cell's text."""
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    cells = [
        "".join(child.content for child in tokens[i + 1].children)
        for i, token in enumerate(tokens)
        if token.type in ("th_open", "td_open")
    ]
    width = sum(token.type == "th_open" for token in tokens)
    return [tuple(cells[i : i + width]) for i in range(0, len(cells), width)]


class Cells(HTMLParser):
    """Text and class of the cells, and every tag there is."""

    def __init__(self, page):
        super().__init__()
        self.cells, self.tags = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "td":
            self.cells.append([dict(attrs).get("class", ""), ""])

    def handle_data(self, data):
        if self.cells:
            self.cells[-1][1] += data


def test_csv_says_best_and_tied_in_a_column_of_its_own():
    assert csv_rows(SHEET) == [
        ["method", "median [mm]", "median [mm] mark", "mean [mm]", "mean [mm] mark"],
        ["one", "1.00", "best", "2.00", "best"],
        ["two", "1.01", "tied", "2.50", ""],
        ["three", "–", "", "3.00", ""],
    ]


@settings(max_examples=50, deadline=None)
@given(st.lists(words, min_size=1, max_size=4))
def test_csv_keeps_every_name_but_none_is_a_formula(names):
    found = [row[0] for row in csv_rows(with_names(names))[1:]]
    assert [name.removeprefix("'") for name in found] == [one_line(name).removeprefix("'") for name in names]
    assert not any(name[:1] in tuple("=+-@") and len(name) > 1 and not name[1:].isdigit() for name in found)


def test_negative_numbers_stay_numbers():
    assert csv_rows(with_names(["-1.5", "-1e-05", "-x"]))[1:] == [["-1.5", "1.00"], ["-1e-05", "1.00"], ["'-x", "1.00"]]


def test_json_reads_back():
    found = json.loads(to_json(SHEET))
    assert found["columns"] == list(SHEET.columns)
    assert [tuple(row) for row in found["rows"]] == list(SHEET.rows)
    assert {tuple(cell) for cell in found["best"]} == SHEET.best
    assert {tuple(cell) for cell in found["ties"]} == SHEET.ties


def test_markdown_marks_best_and_ties():
    assert markdown_cells(to_markdown(SHEET)) == [
        SHEET.columns,
        ("one", "1.00", "2.00"),
        ("two", "1.01 =", "2.50"),
        ("three", "–", "3.00"),
    ]
    assert "| one | **1.00** |" in to_markdown(SHEET)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(words, st.sampled_from(NASTY)), min_size=1, max_size=4))
def test_markdown_parser_gives_every_name_back(names):
    rows = markdown_cells(to_markdown(with_names(names)))[1:]
    assert rows == [(one_line(name), "1.00") for name in names]


def test_latex_is_a_booktabs_table():
    text = to_latex(SHEET)
    assert r"\begin{tabular}{lrr}" in text
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")
    assert r"one & \textbf{1.00} & \textbf{2.00} \\" in text
    assert r"two & 1.01$^{=}$ & 2.50 \\" in text
    assert r"95 \% of it." in text


COMMANDS = re.compile(r"\\(text(backslash|asciitilde|asciicircum|less|greater|bar|periodcentered)|dots)\{\}")


@settings(max_examples=50, deadline=None)
@given(st.one_of(words, st.sampled_from(NASTY)))
def test_latex_has_no_active_character_left(name):
    left = re.sub(r"\\[&%$#_{}]", "", COMMANDS.sub("", escape_latex(name)))
    left = left.replace("{[}", "").replace("{]}", "")
    assert not set(left) & set("\\&%$#_{}~^<>|[]\n")


@pytest.mark.parametrize("name", NASTY)
def test_html_shows_names_as_text(name):
    page = to_html(Sheet(name, ("method", name), ((name, "1"),), frozenset(), frozenset(), (name,)))
    found = Cells(page)
    assert set(found.tags) == {"section", "h3", "div", "table", "thead", "tbody", "tr", "th", "td", "p"}
    assert found.cells[0][1] == name.replace("\r", "\n")


def test_html_marks_best_and_ties():
    kinds = [kind for kind, _ in Cells(to_html(SHEET)).cells]
    assert kinds == ["", "best", "best", "", "tie", "", "", "", ""]
