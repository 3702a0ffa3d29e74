"""The page of papers' tables, as Streamlit runs it."""

import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import harness.leaderboards
from harness.leaderboards.reported_numbers import FOLDER

PAGE = Path(harness.leaderboards.__file__).parent / "pages" / "papers.py"


@pytest.fixture
def visit(monkeypatch, tmp_path):
    def open_page(**query):
        monkeypatch.setattr(sys, "argv", ["app.py", "--runs", str(tmp_path / "none")])
        page = AppTest.from_file(str(PAGE), default_timeout=60)
        for name, value in query.items():
            page.query_params[name] = value
        return page.run()

    return open_page


def html(page):
    return "".join(element.proto.body for element in page.get("html"))


def test_first_table_is_shown_without_an_address(visit):
    page = visit()
    assert not page.exception
    assert page.subheader[0].value.startswith("KaoLRM Table 1")
    text = html(page)
    assert ">REPORTED<" in text
    assert "needs a signed form" in text
    assert "cannot vary more than all" in text
    assert 'href="https://arxiv.org/abs/2601.12736"' in text


def test_corrected_and_printed_header_are_shown_together(visit):
    page = visit(table="kaolrm-2")
    assert not page.exception
    assert ["corrected" in page.subheader[0].value, "as printed" in page.subheader[1].value] == [True, True]
    assert len(page.get("download_button")) == 8


def test_choosing_changes_the_address_and_the_address_the_choice(visit):
    page = visit(table="paco-fr-3")
    group, table = page.button_group
    assert (group.value, table.value) == ("PaCo-FR", "Table 3")
    table.set_value("Table 8").run()
    assert page.query_params["table"] in ("paco-fr-8", ["paco-fr-8"])  # depends on Streamlit's version
    assert page.subheader[0].value.startswith("PaCo-FR Table 8")
    page.button_group[0].set_value("H3DS").run()
    assert page.query_params["table"] in ("h3ds-v2", ["h3ds-v2"])
    assert page.subheader[0].value.startswith("H3DS v2")
    assert not page.exception


@pytest.mark.parametrize("address", ["nothing", "../../etc", "<script>"])
def test_unknown_table_is_answered(visit, address):
    page = visit(table=address)
    assert not page.exception
    assert "There is no table" in page.error[0].value
    assert page.subheader[0].value.startswith("KaoLRM Table 1")


def test_choosing_nothing_keeps_the_table(visit):
    page = visit(table="h3ds-v1")
    page.button_group[1].set_value(None).run()
    assert not page.exception
    assert page.subheader[0].value.startswith("H3DS v1")


def test_page_is_in_the_navigation_and_its_data_in_the_package():
    assert '"papers":' in (PAGE.parents[1] / "app" / "main.py").read_text()
    wheel = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text()
    for pattern in ("reported/*", "reported/tables/*.yaml"):
        assert pattern in wheel
        assert list(FOLDER.parent.glob(pattern))
