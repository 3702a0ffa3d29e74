"""The exploring pages run as Streamlit runs them: whole, empty, alone, damaged, hostile."""

import json
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import harness.leaderboards
from harness.leaderboards.runs import find_runs
from tests.leaderboards.made_up import make_entries
from tests.leaderboards.test_pages import html, key

PAGES = Path(harness.leaderboards.__file__).parent / "pages"
EVIL = "<script>alert(1)</script>"


@pytest.fixture
def visit(monkeypatch, tmp_path):
    def open_page(name, root, results=None, **query):
        folders = ["--runs", str(root), "--results", str(results or tmp_path / "no results")]
        monkeypatch.setattr(sys, "argv", ["app", *folders])
        page = AppTest.from_file(str(PAGES / f"{name}.py"), default_timeout=30)
        for field, value in query.items():
            page.query_params[field] = value
        page.run()
        assert not page.exception
        return page

    return open_page


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    root = tmp_path_factory.mktemp("results")
    make_entries(root, 3, 2, 80)
    return root


def charts(page):
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


def texts(page):
    return " ".join(e.value for kind in ("info", "warning", "error", "success", "caption") for e in page.get(kind))


def asked(page, name):
    value = page.query_params[name]
    return value if isinstance(value, str) else value[0]  # depends on Streamlit's version


def rename(root, method, name):
    """Gives a run's method another name."""
    folder = root / key(root, method)
    for file in ("manifest.json", "summary.json"):
        content = json.loads((folder / file).read_text())
        if file == "manifest.json":
            content["method"]["name"] = name
        else:
            content["method"] = name
        (folder / file).write_text(json.dumps(content))


@pytest.mark.parametrize("name", ["plots", "compare", "method", "run"])
def test_empty_folders_get_a_helpful_page(name, tmp_path, visit):
    assert visit(name, tmp_path / "none").info


@pytest.mark.parametrize("plot", ["curve", "condition", "bars", "time"])
@pytest.mark.parametrize("bench", ["ball", "toy"])
def test_every_plot_draws_or_says_why_not(plot, bench, finished, visit):
    page = visit("plots", finished, bench=bench, plot=plot)
    assert page.get("plotly_chart") or page.info


def test_curve_is_of_the_distances_of_the_run(ball_pair, visit):
    page = visit("plots", ball_pair, bench="ball", plot="curve")
    figure = charts(page)[0]
    names = [trace["name"] for trace in figure["data"] if trace.get("mode") == "lines"]
    assert sorted(names) == ["LargerBall", "SmallerBall"]
    assert "95 % intervals over subjects" in texts(page)


def test_plot_of_the_address_is_restored_and_choices_change_it(ball_pair, visit):
    page = visit("plots", ball_pair, bench="ball", plot="condition", run=key(ball_pair, "LargerBall"))
    (figure,) = charts(page)
    assert [trace["name"] for trace in figure["data"]] == ["LargerBall"]
    assert "does not record the view's angle" in texts(page)
    page.button_group(key="choice plot").set_value("bars").run()
    assert not page.exception
    assert asked(page, "plot") == "bars"
    assert len(charts(page)) == 2


def test_failed_samples_are_told_in_plots(finished, visit):
    page = visit("plots", finished, bench="toy", plot="bars")
    assert "Failed samples count as the mean face" in texts(page)


def test_published_entries_are_drawn_and_never_real_with_mirror(published, tmp_path, visit):
    for kind, bench in (("mirror", "bench_00"), ("real", "bench_01")):
        page = visit("plots", tmp_path, published, bench=bench, plot="bars")
        assert len(charts(page)[0]["data"]) == 3
        assert (">MIRROR<" in html(page)) == (kind == "mirror")


def test_damaged_table_takes_one_method_off_the_figure(runs_folder, visit):
    (runs_folder / key(runs_folder, "Bad") / "scores.parquet").write_bytes(b"PAR1")
    page = visit("plots", runs_folder, bench="toy", plot="bars")
    assert "Bad is not drawn" in texts(page)
    assert len(charts(page)[0]["data"]) == 1


def test_damaged_distances_take_one_method_off_the_curve(ball_pair, tmp_path, visit):
    import shutil

    root = shutil.copytree(ball_pair, tmp_path / "runs")
    (root / key(root, "LargerBall") / "scores" / "ball_3.npz").write_bytes(b"PK")
    page = visit("plots", root, bench="ball", plot="curve")
    assert [trace["name"] for trace in charts(page)[0]["data"]] == ["SmallerBall, interval", "SmallerBall"]
    assert "1 method not drawn" in page.expander[0].label


def test_comparison_shows_verdict_scatter_differences_and_linked_views(ball_pair, visit):
    page = visit("compare", ball_pair, a=key(ball_pair, "LargerBall"), b=key(ball_pair, "SmallerBall"))
    assert "No difference can be told" in texts(page)
    table = page.dataframe[0].value
    assert list(table["sample"]) == ["ball_3", "ball_1"], "4 against 8 mm, then 4 against 0.8"
    assert list(table["A − B [mm]"]) == pytest.approx([-4.0, 3.2])
    assert charts(page)[0]["data"][1]["customdata"][0][0] == "ball_3"
    (component,) = page.get("component_instance")
    arguments = json.loads(component.proto.json_args)
    figure = json.loads(arguments["figure"])
    assert {trace.get("scene") for trace in figure["data"]} == {"scene", "scene2", "scene3", "scene4"}
    assert len(page.get("image")) == 3


def test_sample_of_the_address_and_the_picked_one(ball_pair, visit):
    page = visit("compare", ball_pair, a=key(ball_pair, "LargerBall"), sample="ball_1")
    box = page.selectbox(key="choice sample")
    assert box.value == "ball_1"
    box.set_value("ball_3").run()
    assert not page.exception
    assert asked(page, "sample") == "ball_3"


def test_failed_samples_are_compared_at_the_fallback(finished, visit):
    page = visit("compare", finished, a=key(finished, "Good"), b=key(finished, "Bad"))
    assert "0 of A, 5 of B" in texts(page)
    assert "B failed" in page.dataframe[0].value


def test_runs_of_other_data_are_not_compared(finished, visit):
    page = visit("compare", finished, a=key(finished, "Good"), b=key(finished, "LargerBall"))
    assert "cannot be compared" in texts(page)
    assert "different benchmarks" in texts(page)


def test_run_without_a_partner_and_unknown_runs(finished, visit):
    assert "No other run" in texts(visit("compare", finished, a=key(finished, "LargerBall")))
    assert "there is no such run" in texts(visit("compare", finished, a="../../etc", b=EVIL))


def test_single_run_cannot_be_compared(runs_folder, tmp_path, visit):
    alone = tmp_path / "alone"
    (alone / "x").parent.mkdir()
    (runs_folder / key(runs_folder, "Good")).rename(alone / "good")
    assert "Two finished runs" in texts(visit("compare", alone))
    assert visit("method", alone).title[0].value == "Good"
    assert visit("plots", alone, plot="bars").get("plotly_chart")


def test_published_entries_are_compared_without_meshes(published, tmp_path, visit):
    page = visit("compare", tmp_path, published)
    assert "published entry, which holds scores but no meshes" in texts(page)
    assert "python -m harness run" in texts(page)
    assert page.dataframe[0].value.shape[0] == 80


def test_runs_whose_meshes_are_gone_say_how_to_make_them(ball_pair, tmp_path, visit):
    import shutil

    root = shutil.copytree(ball_pair, tmp_path / "runs")
    for run in find_runs(root)[0]:
        for name in ("predictions", "scores"):
            shutil.rmtree(run.folder.path / name)
    page = visit("compare", root)
    assert "There is no mesh to show" in texts(page)
    assert "python -m harness data status" in texts(page)


def test_method_page_has_card_and_runs_apart_by_data(finished, visit):
    page = visit("method", finished, method="LargerBall")
    assert page.title[0].value == "LargerBall"
    body = html(page)
    assert "Sphere et al. &lt;b&gt;1900&lt;/b&gt;" in body
    assert ">REAL<" in body
    assert ">MIRROR<" not in body
    assert f'href="run?run={key(finished, "LargerBall").replace("/", "%2F")}"' in body
    assert "not stated" in body or "none" in body


def test_unknown_method_is_answered(finished, visit):
    assert "no finished run of such a method" in texts(visit("method", finished, method=EVIL))


def test_run_page_lists_failures_by_reason_with_links(finished, visit):
    page = visit("run", finished, run=key(finished, "Bad"))
    labels = [expander.label for expander in page.expander]
    assert any(label.startswith("5 of 6 samples failed: crash 2") for label in labels)
    assert "sample=s0003" in html(page)
    page = visit("run", finished, run=key(finished, "Bad"), sample="s0003")
    assert page.selectbox(key="choice sample").value == "s0003"


@pytest.mark.parametrize("name", ["plots", "compare", "method", "run"])
def test_html_in_names_is_text(name, runs_folder, visit):
    rename(runs_folder, "Good", EVIL)
    page = visit(name, runs_folder, bench="toy", run=key(runs_folder, EVIL), method=EVIL)
    assert "<script" not in html(page)
    assert "<script" not in "".join(chart.proto.spec.replace("\\u003c", "<") for chart in page.get("plotly_chart"))


def test_table_with_foreign_samples_is_refused(runs_folder, visit):
    import pandas

    run = next(run for run in find_runs(runs_folder)[0] if run.method == "Good")
    path = run.folder.path / "scores.parquet"
    pandas.read_parquet(path).replace({"sample": {"s0000": "../../../etc/passwd"}}).to_parquet(path)
    assert "which the manifest does not list" in texts(visit("run", runs_folder, run=run.key))
