"""Both pages run as Streamlit runs them, also on bad addresses and damaged files."""

import json
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import harness.leaderboards
from harness.leaderboards.runs import find_runs

PAGES = Path(harness.leaderboards.__file__).parent / "pages"


@pytest.fixture
def visit(monkeypatch):
    def open_page(root, **query):
        monkeypatch.setattr(sys, "argv", ["app.py", "--runs", str(root)])
        page = AppTest.from_file(str(PAGES / ("run.py" if "run" in query else "boards.py")), default_timeout=30)
        for name, value in query.items():
            page.query_params[name] = value
        return page.run()

    return open_page


def key(root, method):
    return next(run.key for run in find_runs(root)[0] if run.method == method)


def html(page):
    return "".join(element.proto.body for element in page.get("html"))


def test_boards_show_every_method_with_its_data(finished, visit):
    page = visit(finished)
    assert not page.exception
    assert [header.value for header in page.header] == ["ball", "toy"]
    text = html(page)
    for word in ("Good", "Bad", "LargerBall", ">REAL<", ">MIRROR<", "not comparable with published numbers"):
        assert word in text
    assert "Sphere et al. &lt;b&gt;1900&lt;/b&gt;" in text
    assert any("mean distance from each scan vertex" in caption.value for caption in page.caption)


def test_boards_can_be_narrowed_to_a_benchmark(finished, visit):
    page = visit(finished)
    page.button_group[0].set_value(["toy"]).run()
    assert [header.value for header in page.header] == ["toy"]


def test_empty_folder_says_how_to_make_a_run(tmp_path, visit):
    page = visit(tmp_path / "none")
    assert not page.exception
    assert "python -m harness run" in page.info[0].value


def test_damaged_and_unfinished_runs_are_listed(runs_folder, visit):
    (runs_folder / key(runs_folder, "Good") / "manifest.json").write_text("{")
    (runs_folder / key(runs_folder, "Bad") / "summary.json").unlink()
    page = visit(runs_folder)
    assert not page.exception
    assert "2 folders" in page.expander[0].label
    assert "unreadable" in html(page)
    assert "unfinished" in html(page)
    assert [header.value for header in page.header] == ["ball"]


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
