"""Both pages run as Streamlit runs them, also on bad addresses and damaged files."""

import json
import re
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import harness.leaderboards
from harness.leaderboards.published import find_published
from harness.leaderboards.runs import find_runs
from tests.leaderboards.made_up import make_entries

PAGES = Path(harness.leaderboards.__file__).parent / "pages"


@pytest.fixture
def visit(monkeypatch):
    def open_page(root, **query):
        results = str(query.pop("results", root / "no results"))
        monkeypatch.setattr(sys, "argv", ["app.py", "--runs", str(root), "--results", results])
        page = AppTest.from_file(str(PAGES / ("run.py" if "run" in query else "boards.py")), default_timeout=30)
        for name, value in query.items():
            page.query_params[name] = value
        return page.run()

    return open_page


def key(root, method):
    return next(run.key for run in find_runs(root)[0] if run.method == method)


def html(page):
    return "".join(element.proto.body for element in page.get("html"))


def headings(page):
    return [header.value for header in page.header]


def state(page):
    """The address, single values as they are."""
    found = {}
    for name in page.query_params:
        value = page.query_params[name]
        found[name] = value[0] if isinstance(value, list) and len(value) == 1 else value
    return found


def test_overview_and_one_benchmark_at_a_time(finished, visit):
    page = visit(finished)
    assert not page.exception
    assert headings(page) == ["ball"]
    text = html(page)
    for word in ("LargerBall", ">REAL<", ">MIRROR<", "needs a signed form", "https://now.is.tue.mpg.de"):
        assert word in text
    assert "Sphere et al. &lt;b&gt;1900&lt;/b&gt;" in text
    assert ">Good<" not in text
    assert any("mean distance from each scan vertex" in markdown.value for markdown in page.markdown)


def test_choosing_a_benchmark_changes_table_and_address(finished, visit):
    page = visit(finished)
    assert state(page) == {}
    page.button_group(key="bench").set_value("toy").run()
    assert headings(page) == ["toy"]
    assert state(page) == {"bench": "toy"}
    assert ">Good<" in html(page) and ">Bad<" in html(page)
    assert "not comparable with published numbers" in html(page)


def test_address_restores_filters_and_order(tmp_path, visit):
    make_entries(tmp_path, methods=8, benches=2, samples=40)
    choice = {"family": ["regressor", "baseline"], "sort": "mean · challenge selfie", "descending": "1"}
    page = visit(tmp_path / "no runs", results=tmp_path, bench="bench_01", **choice)
    assert not page.exception
    assert headings(page) == ["bench_01"]
    assert page.selectbox(key="sort").value == choice["sort"]
    assert page.multiselect(key="family").value == choice["family"]
    assert page.toggle(key="descending").value
    shown = re.findall(r">(method_\d+)<", html(page))
    assert set(shown) == {"method_000", "method_002", "method_004", "method_006"}
    page.multiselect(key="family").set_value(["optimiser"]).run()
    assert set(re.findall(r">(method_\d+)<", html(page))) == {"method_003", "method_007"}
    page.multiselect(key="family").set_value([]).run()
    page.toggle(key="descending").set_value(False).run()
    assert state(page) == {"bench": "bench_01", "sort": choice["sort"]}


def test_wrong_address_shows_the_first_board(finished, visit):
    page = visit(finished, bench="<script>", sort="nothing", family="none", older="x", descending="2")
    assert not page.exception
    assert headings(page) == ["ball"]
    assert not page.toggle(key="descending").value


def test_filter_that_nothing_passes_is_said(tmp_path, visit):
    make_entries(tmp_path, methods=3, benches=1, samples=40)
    page = visit(tmp_path / "no runs", results=tmp_path, family="baseline", hardware="cpu: processor 0")
    assert not page.exception
    assert any("No run of this board passes the filters" in info.value for info in page.info)
    assert ">method_" not in html(page)


def test_ties_intervals_and_the_smallest_difference_are_shown(tmp_path, visit):
    make_entries(tmp_path, methods=6, benches=1, samples=200)
    page = visit(tmp_path / "no runs", results=tmp_path)
    assert ">rank<" in html(page)
    assert "number tied" in html(page)
    assert any("Smallest difference that can be seen" in caption.value for caption in page.caption)


def test_downloads_are_there(finished, visit):
    page = visit(finished, bench="ball")
    names = [element.proto.label for element in page.get("download_button")]
    assert names == ["CSV", "LaTeX", "Markdown", "JSON"]


def test_empty_folders_say_how_to_make_a_run(tmp_path, visit):
    page = visit(tmp_path / "none")
    assert not page.exception
    assert "python -m harness run" in page.info[0].value
    assert "needs a signed form" in html(page), "what could be measured is shown all the same"


def test_unmeasured_benchmark_says_what_to_do(finished, visit):
    page = visit(finished, bench="realy")
    assert headings(page) == ["realy"]
    assert "bench=realy data=mirror" in page.info[0].value


def test_damaged_and_unfinished_runs_are_listed(runs_folder, visit):
    (runs_folder / key(runs_folder, "Good") / "manifest.json").write_text("{")
    (runs_folder / key(runs_folder, "Bad") / "summary.json").unlink()
    page = visit(runs_folder)
    assert not page.exception
    assert any("2 folders" in expander.label for expander in page.expander)
    assert "unreadable" in html(page)
    assert "unfinished" in html(page)
    assert headings(page) == ["ball"]


def test_published_run_has_a_page_without_meshes(tmp_path, visit):
    make_entries(tmp_path, methods=1, benches=1, samples=20)
    (run,), _ = find_published(tmp_path)
    page = visit(tmp_path / "no runs", results=tmp_path, run=run.key)
    assert not page.exception
    assert page.title[0].value == "method_000 on bench_00"
    assert "licence CC0-1.0" in html(page)
    assert any("A published entry holds scores" in info.value for info in page.info)


def test_run_page_shows_facts_scores_and_the_sample_of_the_address(finished, visit):
    page = visit(finished, run=key(finished, "LargerBall"), sample="ball_3")
    assert not page.exception
    assert not page.error
    assert page.title[0].value == "LargerBall on ball"
    assert [metric.value for metric in page.metric] == ["4.00 mm", "4.00 mm"]
    assert page.selectbox[0].value == "ball_3"
    assert "a ball is no face" in page.warning[0].value
    assert "Data digest" in html(page)
    assert len(page.get("plotly_chart")) == 3
    assert len(page.get("image")) == 3


def test_choosing_a_sample_changes_the_address(finished, visit):
    page = visit(finished, run=key(finished, "LargerBall"))
    assert page.selectbox[0].value == "ball_1"
    page.selectbox[0].set_value("ball_3").run()
    assert page.query_params["sample"] in ("ball_3", ["ball_3"])  # depends on Streamlit's version
    assert not page.exception


def test_prediction_over_scan_is_one_view(finished, visit):
    page = visit(finished, run=key(finished, "LargerBall"))
    page.toggle[0].set_value(True).run()
    assert not page.exception
    charts = page.get("plotly_chart")
    assert len(charts) == 2
    names = [trace.get("name") for trace in json.loads(charts[-1].proto.spec)["data"]]
    assert names == ["not scored", "scan", "prediction"]


def test_failed_sample_gives_its_reason(finished, visit):
    page = visit(finished, run=key(finished, "Bad"), sample="s0003")
    assert not page.exception
    assert "no_face" in page.error[0].value
    table = page.dataframe[0].value
    assert list(table["failure"]) == ["crash", "non_finite", "bad_mesh", "no_face", "crash", ""]
    assert table["face [mm]"].isna().sum() == 5


def test_run_whose_data_is_out_of_reach_shows_its_prediction(finished, visit):
    page = visit(finished, run=key(finished, "Good"))
    assert not page.exception
    assert "Pictures and scan cannot be shown" in page.info[0].value
    assert len(page.get("plotly_chart")) == 2


@pytest.mark.parametrize("address", ["nothing", "../../etc", "/etc"])
def test_unknown_address_is_answered(finished, visit, address):
    page = visit(finished, run=address)
    assert not page.exception
    assert "no such run" in page.error[0].value


def test_no_address_says_where_to_choose(finished, visit):
    assert "Choose a run" in visit(finished, run="").info[0].value


def test_unknown_sample_falls_back_to_the_first(finished, visit):
    page = visit(finished, run=key(finished, "Good"), sample="../s0003")
    assert not page.exception
    assert page.selectbox[0].value == "s0000"


def test_damaged_score_and_table_leave_the_page_standing(runs_folder, visit):
    name = key(runs_folder, "LargerBall")
    (runs_folder / name / "scores" / "ball_1.npz").write_bytes(b"PK")
    page = visit(runs_folder, run=name)
    assert not page.exception
    assert "damaged" in page.error[0].value
    (runs_folder / name / "scores.parquet").write_bytes(b"PAR1")
    page = visit(runs_folder, run=name)
    assert not page.exception
    assert "cannot be read" in page.error[0].value
