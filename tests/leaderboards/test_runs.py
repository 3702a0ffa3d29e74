"""Reading runs: what is whole is shown, what is not is listed with the reason, nothing is fatal."""

import json
import shutil

import pandas
import pytest

from harness import HarnessError
from harness.leaderboards.runs import find_runs, sample_table
from harness.run_folder import condition, in_words


def only(root, method):
    runs, _ = find_runs(root)
    return next(run for run in runs if run.method == method)


def edit(path, **changes):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))


def test_complete_runs_are_found_newest_first(finished):
    runs, unlisted = find_runs(finished)
    assert sorted(run.method for run in runs) == ["Bad", "Good", "LargerBall"]
    assert [run.date for run in runs] == sorted((run.date for run in runs), reverse=True)
    assert unlisted == []


def test_run_in_a_folder_of_its_own_is_found(runs_folder):
    run = only(runs_folder, "Good")
    run.folder.path.rename(runs_folder / "mine")
    assert only(runs_folder, "Good").key == "mine"


def test_missing_folder_has_no_runs(tmp_path):
    assert find_runs(tmp_path / "none") == ([], [])


def test_unfinished_run_says_how_far_it_is(runs_folder):
    run = only(runs_folder, "Good")
    (run.folder.path / "summary.json").unlink()
    (run.folder.path / "scores" / "s0000.npz").unlink()
    runs, (unlisted,) = find_runs(runs_folder)
    assert run.key not in [other.key for other in runs]
    assert (unlisted.key, unlisted.state) == (run.key, "unfinished")
    assert "6 of 6 samples predicted, 5 scored" in unlisted.reason


def wrong_protocol(path):
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["protocols"]["toy_distance"]["canonical"] = "{}"
    (path / "manifest.json").write_text(json.dumps(manifest))


def word_for_number(path):
    summary = json.loads((path / "summary.json").read_text())
    summary["rows"][0]["value"] = "good"
    (path / "summary.json").write_text(json.dumps(summary))


DAMAGE = {
    "half a manifest": (lambda path: (path / "manifest.json").write_text('{"schema": 1, "me'), "cannot be read"),
    "binary manifest": (lambda path: (path / "manifest.json").write_bytes(b"\xff\xfe\x00"), "cannot be read"),
    "a list": (lambda path: (path / "manifest.json").write_text("[]"), "not in this version's form"),
    "foreign schema": (lambda path: edit(path / "manifest.json", schema=99), "schema 99, expected 1"),
    "other program's": (lambda path: (path / "manifest.json").write_text('{"schema": 1}'), "manifest lacks"),
    "older manifest": (lambda path: edit(path / "manifest.json", environment={"cpu": "x"}), "environment lacks"),
    "half a summary": (lambda path: (path / "summary.json").write_text('{"rows": ['), "cannot be read"),
    "another's summary": (lambda path: edit(path / "summary.json", identity="0" * 16), "identity"),
    "relabelled data": (lambda path: edit(path / "summary.json", data="real"), "data kind"),
    "row without region": (lambda path: edit(path / "summary.json", rows=[{"value": 1.0}]), "a row lacks"),
    "a word for a number": (word_for_number, "expected a number"),
    "changed protocol": (wrong_protocol, "its contents give"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_run_is_listed_with_its_reason(runs_folder, what):
    damage, words = DAMAGE[what]
    run = only(runs_folder, "Good")
    damage(run.folder.path)
    runs, (unlisted,) = find_runs(runs_folder)
    assert sorted(run.method for run in runs) == ["Bad", "LargerBall"]
    assert (unlisted.key, unlisted.state) == (run.key, "unreadable")
    assert words in unlisted.reason


def test_table_has_every_sample_and_failure(finished):
    table = sample_table(only(finished, "Bad"))
    assert list(table["sample"]) == [f"s{i:04d}" for i in range(6)]
    assert list(table["failure"].notna()) == [True] * 5 + [False]


def test_damaged_table_is_named(runs_folder):
    run = only(runs_folder, "Good")
    (run.folder.path / "scores.parquet").write_bytes(b"PAR1")
    with pytest.raises(HarnessError, match=r"scores\.parquet"):
        sample_table(run)
    pandas.DataFrame({"sample": ["a"]}).to_parquet(run.folder.path / "scores.parquet")
    with pytest.raises(HarnessError, match="lacks the columns"):
        sample_table(run)
    sample_table(only(runs_folder, "Bad")).iloc[:0].to_parquet(run.folder.path / "scores.parquet")
    with pytest.raises(HarnessError, match="holds no sample"):
        sample_table(run)


def test_conditions_in_words(finished):
    rows = only(finished, "Good").rows
    assert [in_words(condition(row)) for row in rows] == ["1 view", "2 views"]
    assert in_words({}) == ""
    assert in_words({"challenge": "selfie"}) == "challenge selfie"


def test_copy_of_a_run_is_shown_beside_it(runs_folder):
    run = only(runs_folder, "Good")
    shutil.copytree(run.folder.path, runs_folder / "copy")
    runs, _ = find_runs(runs_folder)
    assert sorted(other.key for other in runs if other.method == "Good") == ["copy", run.key]
