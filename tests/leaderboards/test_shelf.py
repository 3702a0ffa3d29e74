"""Published entries and local runs side by side; what is read once is kept, what changes is read again."""

import json
import shutil

import pytest

from harness.leaderboards import published, runs
from harness.leaderboards.published import find_published
from harness.leaderboards.runs import find_runs
from harness.leaderboards.shelf import read_shelf
from harness.publishing import publish
from tests.leaderboards.made_up import make_entries


@pytest.fixture
def results(tmp_path):
    make_entries(tmp_path / "results", methods=3, benches=2, samples=40)
    return tmp_path / "results"


def count_calls(monkeypatch, module, name):
    calls, real = [], getattr(module, name)
    monkeypatch.setattr(module, name, lambda *arguments: calls.append(arguments) or real(*arguments))
    return calls


def test_entries_are_runs(results):
    found, problems = find_published(results)
    assert problems == []
    assert len(found) == 6
    run = found[0]
    assert run.published and not run.local
    assert run.key.startswith("bench_0")
    assert len(run.samples) == 40
    assert run.samples[0] == "sample_00000"
    assert run.family in ("regressor", "vertex descent", "baseline", "optimiser")
    assert run.hardware.startswith("cpu: processor")
    assert run.track == "own"


def test_missing_folder_has_no_entries(tmp_path):
    assert find_published(tmp_path / "none") == ([], [])


def test_entries_are_read_again_only_when_one_comes_or_goes(results, monkeypatch):
    calls = count_calls(monkeypatch, published, "find_entries")
    for _ in range(3):
        assert len(find_published(results)[0]) == 6
    assert len(calls) == 1
    shutil.rmtree(next(results.glob("*/*/*")))
    assert len(find_published(results)[0]) == 5
    assert len(calls) == 2


def test_entry_that_is_still_being_copied_is_looked_at_again(results):
    folder = next(results.glob("*/*/*"))
    whole = (folder / "entry.json").read_bytes()
    (folder / "entry.json").unlink()
    found, (problem,) = find_published(results)
    assert len(found) == 5
    assert (problem.key, problem.state) == (folder.relative_to(results).as_posix(), "unreadable")
    (folder / "entry.json").write_bytes(whole[:100])
    assert len(find_published(results)[1]) == 1
    (folder / "entry.json").write_bytes(whole)
    assert (len(find_published(results)[0]), find_published(results)[1]) == (6, [])


def test_complete_runs_are_read_once_until_they_change(runs_folder, monkeypatch):
    calls = count_calls(monkeypatch, runs, "read_run")
    first, _ = find_runs(runs_folder)
    again, _ = find_runs(runs_folder)
    assert len(calls) == 3
    assert all(one is other for one, other in zip(first, again, strict=True))
    (first[0].folder.path / "summary.json").write_text("{")
    assert [one.state for one in find_runs(runs_folder)[1]] == ["unreadable"]


def test_published_and_local_run_is_one_row_with_its_predictions(runs_folder, tmp_path):
    (run,) = [run for run in find_runs(runs_folder)[0] if run.method == "Good"]
    publish(run.folder.path, tmp_path / "results", custom=True)
    shelf = read_shelf(runs_folder, tmp_path / "results")
    assert shelf.unlisted == ()
    (found,) = [one for one in shelf.runs if one.method == "Good"]
    assert found.published and found.local
    assert found.folder.path == run.folder.path
    assert "licence" in found.publication
    assert shelf.run(found.key) is shelf.run(run.key) is found, "an address from before publishing still leads there"
    assert shelf.run("nothing/Good-00000000") is None


def test_local_run_that_differs_from_its_entry_is_not_shown(runs_folder, tmp_path):
    (run,) = [run for run in find_runs(runs_folder)[0] if run.method == "Good"]
    publish(run.folder.path, tmp_path / "results", custom=True)
    summary = json.loads((run.folder.path / "summary.json").read_text())
    summary["rows"][0]["value"] = 0.001
    (run.folder.path / "summary.json").write_text(json.dumps(summary))
    shelf = read_shelf(runs_folder, tmp_path / "results")
    (found,) = [one for one in shelf.runs if one.method == "Good"]
    assert found.published and not found.local
    (problem,) = shelf.unlisted
    assert "differ from those of the published entry" in problem.reason
