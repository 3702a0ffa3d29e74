"""The leaderboard in a real browser: what a visitor does first."""

import csv
import io
import json
import re

import pytest

pytest.importorskip("playwright", reason="Playwright is not installed: pip install -e .[dev]")

from tests.leaderboards.browser import chromium, serving
from tests.leaderboards.made_up import make_entries

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine")

METHODS = ".scroll:not(.overview) tbody .first a"
FIRST = "median · challenge all"


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("browser")
    make_entries(folder / "results", methods=8, benches=2, samples=80)
    with serving(folder / "runs", folder / "results") as found:
        yield found


@pytest.fixture
def visit(server, browser):
    def go(query="", rows=8):
        browser.goto(server.address + query)
        wait_for_rows(browser, rows)
        return browser

    return go


def wait_for_rows(page, count):
    page.wait_for_function(f"document.querySelectorAll({METHODS!r}).length == {count}")


def names(page):
    return [link.inner_text() for link in page.locator(METHODS).all()]


def address(page, *parts):
    """Waits until the address has these parts."""
    page.wait_for_function(f"{list(parts)!r}.every(part => decodeURIComponent(location.search).includes(part))")


def test_first_page_shows_overview_board_and_ties(visit):
    page = visit()
    assert page.locator(".overview tr").count() > 6
    assert "needs a signed form" in page.locator(".overview").inner_text()
    page.wait_for_selector(".board td.tied")
    page.get_by_text("Smallest difference that can be seen").wait_for()
    assert page.get_by_text("MIRROR", exact=True).count() >= 1
    assert page.locator("[data-testid=stException]").count() == 0


def test_filter_narrows_the_table_and_goes_into_the_address(visit):
    page = visit("?bench=bench_01")
    page.get_by_label("Family of methods").first.click()
    page.get_by_role("option", name="regressor").click()
    wait_for_rows(page, 2)
    address(page, "family=regressor", "bench=bench_01")
    assert set(names(page)) == {"method_000", "method_004"}


def test_address_restores_the_view(visit):
    page = visit("?bench=bench_01&family=regressor&family=baseline&sort=method&descending=1", rows=4)
    assert names(page) == ["method_006", "method_004", "method_002", "method_000"]
    page.reload()
    wait_for_rows(page, 4)
    assert names(page) == ["method_006", "method_004", "method_002", "method_000"]


def test_headings_sort(visit):
    page = visit("?bench=bench_00")
    before = names(page)
    page.locator(".board thead a", has_text="method").click()
    address(page, "sort=method", "bench=bench_00")
    wait_for_rows(page, 8)
    assert names(page) == sorted(before)
    page.locator(".board thead a", has_text="method").click()
    address(page, "sort=method", "descending=1")
    wait_for_rows(page, 8)
    assert names(page) == sorted(before, reverse=True)


def test_method_leads_to_its_run_and_back(visit):
    page = visit("?bench=bench_01")
    name = names(page)[0]
    page.locator(METHODS).first.click()
    page.get_by_role("heading", name=f"{name} on bench_01").wait_for()
    assert "/run?run=" in page.url
    page.go_back()
    wait_for_rows(page, 8)


@pytest.mark.parametrize("label", ["CSV", "JSON", "LaTeX", "Markdown"])
def test_downloads_can_be_read(visit, label):
    page = visit("?bench=bench_01&family=regressor", rows=2)
    shown = names(page)
    page.get_by_text("Smallest difference that can be seen").wait_for()
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name=label, exact=True).click()
    assert re.fullmatch(r"bench_01-real-bench_01-[0-9a-f]{8}\.(csv|json|tex|md)", waiting.value.suggested_filename)
    text = waiting.value.path().read_text()
    if label == "CSV":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [row["method"] for row in rows] == shown
        assert float(rows[0][f"{FIRST} low [mm]"]) < float(rows[0][f"{FIRST} [mm]"])
    elif label == "JSON":
        assert [row[0] for row in json.loads(text)["rows"]] == shown
    else:
        assert all(name.replace("_", r"\_") in text for name in shown)
        assert ("\\toprule" if label == "LaTeX" else "| ---") in text


def test_page_fits_a_laptop_and_keeps_the_method_in_sight(visit):
    page = visit("?bench=bench_01")
    assert page.evaluate("document.documentElement.scrollWidth") <= 1300
    table = page.locator(".scroll:not(.overview)").first
    table.evaluate("element => element.scrollLeft = 300")
    edge = table.evaluate("element => element.getBoundingClientRect().left")
    assert page.locator(METHODS).first.evaluate("element => element.getBoundingClientRect().left") >= edge
