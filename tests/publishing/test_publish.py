"""Publishing: what is whole becomes an entry once and for all, what is not is refused with the reason."""

import getpass
import json
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas
import pyarrow.parquet as pq
import pytest

from harness import HarnessError
from harness.publishing import find_entries, publish, read_entry, verify
from harness.publishing.schema import safe_name
from tests.publishing.conftest import edit_json


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def edit_table(path, change):
    table = pandas.read_parquet(path / "scores.parquet")
    table = change(table)
    table.to_parquet(path / "scores.parquet", index=False)


@pytest.mark.parametrize("method", ["Good", "Bad"])
def test_entry_has_the_numbers_of_the_run_and_nothing_else(known, tmp_path, method):
    run = known[method]
    place = publish(run, tmp_path)
    entry = read_entry(place)
    manifest = json.loads((run / "manifest.json").read_text())
    assert place == tmp_path / "scans" / "all-mirror" / f"{method}-{manifest['identity'][:8]}"
    assert set(contents(place)) == {"entry.json", "scores.parquet", "distances.parquet", "groups.parquet"}
    assert entry.summary == json.loads((run / "summary.json").read_text())
    assert entry.manifest == {k: v for k, v in manifest.items() if k not in ("samples", "data_folder")}
    published, own = (pandas.read_parquet(folder / "scores.parquet") for folder in (place, run))
    pandas.testing.assert_frame_equal(published, own)
    assert (entry.licence, entry.note, entry.custom_protocols) == ("CC-BY-4.0", "", ())
    assert verify(place).holds and verify(place).checked


def test_the_same_again_changes_nothing(known, tmp_path):
    place = publish(known["Good"], tmp_path)
    before = contents(tmp_path)
    assert publish(known["Good"], tmp_path) == place
    assert contents(tmp_path) == before


def test_another_day_is_still_the_same(known, tmp_path, monkeypatch):
    place = publish(known["Good"], tmp_path)
    before = contents(place)

    class Tomorrow:
        @staticmethod
        def now(zone):
            return pandas.Timestamp("2099-01-01", tz=zone)

    monkeypatch.setattr("harness.publishing.publisher.datetime.datetime", Tomorrow)
    assert publish(known["Good"], tmp_path) == place
    assert contents(place) == before


def test_other_content_never_overwrites(known, copy, tmp_path):
    place = publish(known["Bad"], tmp_path / "results")
    before = contents(place)
    with pytest.raises(HarnessError, match="differs in note; entries are never overwritten"):
        publish(known["Bad"], tmp_path / "results", note="better now")
    edit_json(copy / "manifest.json", lambda m: m.update(started="2026-01-01T00:00:00+00:00"))
    with pytest.raises(HarnessError, match=r"differs in manifest\.started"):
        publish(copy, tmp_path / "results")
    edit_table(copy, lambda t: t.assign(warnings="none"))
    edit_json(copy / "manifest.json", lambda m: m.update(started=read_entry(place).manifest["started"]))
    with pytest.raises(HarnessError, match="with other scores"):
        publish(copy, tmp_path / "results")
    assert contents(place) == before


def test_damaged_entry_is_not_taken_for_the_same(known, results):
    (results.Good / "scores.parquet").write_bytes(b"PAR1")
    with pytest.raises(HarnessError, match=r"scores\.parquet: has 4 bytes"):
        publish(known["Good"], results.root)


def test_many_at_once(known, toys, tmp_path):
    """Every run by three at a time; all see the same entry, and none half of it."""
    jobs = [*known.values(), *toys.values()] * 3
    with ThreadPoolExecutor(len(jobs)) as pool:
        places = list(pool.map(lambda run: publish(run, tmp_path, custom=True), jobs))
    entries, problems = find_entries(tmp_path)
    assert problems == [] and {entry.folder for entry in entries} == set(places) and len(entries) == 5
    assert all(verify(entry.folder).holds for entry in entries)
    assert not list(tmp_path.rglob("*.tmp"))


def test_left_over_of_a_killed_publish_is_removed_and_never_shown(known, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            publish(known["Good"], tmp_path)
    assert len(list(tmp_path.rglob("*.tmp"))) == 1
    assert find_entries(tmp_path) == ([], [])
    publish(known["Good"], tmp_path)
    assert not list(tmp_path.rglob("*.tmp")) and len(find_entries(tmp_path)[0]) == 1


def no_value(table):
    return table.assign(value=table["value"].where(table.index != 100))


def first(table, **values):
    """The table with other values in its first row that failed."""
    row = table.index[table["failure"].notna()][0]
    for name, value in values.items():
        table.loc[row, name] = value
    return table


def infinite_summary(summary):
    summary["rows"][0]["value"] = float("inf")


def add(name, amount):
    def change(summary):
        row = next(row for row in summary["rows"] if row[name])
        row[name] += amount

    return change


def wrong_id(manifest):
    manifest["protocols"]["now"]["id"] = "0" * 8


def drop_sample(manifest):
    manifest["samples"] = manifest["samples"][1:]


def swap_samples(manifest):
    manifest["samples"] = manifest["samples"][::-1]


def json_file(name, change):
    return lambda path: edit_json(path / name, change)


def table_file(change):
    return lambda path: edit_table(path, change)


DAMAGE = {
    "unfinished": (lambda p: (p / "summary.json").unlink(), "is not finished"),
    "no run": (lambda p: (p / "manifest.json").unlink(), "has no manifest"),
    "half a manifest": (lambda p: (p / "manifest.json").write_text('{"schema": 1, "me'), "cannot be read as JSON"),
    "a list": (lambda p: (p / "manifest.json").write_text("[]"), "not a run in this version's form"),
    "older": (json_file("manifest.json", lambda m: m.pop("environment")), "lacks environment"),
    "no samples": (json_file("manifest.json", lambda m: m.pop("samples")), "lacks samples"),
    "unknown field": (json_file("manifest.json", lambda m: m.update(more=1)), "manifest.more: Extra inputs"),
    "protocol id": (json_file("manifest.json", wrong_id), "its contents give"),
    "sample dropped": (json_file("manifest.json", drop_sample), "unknown 1 of 23 samples"),
    "samples swapped": (json_file("manifest.json", swap_samples), "another order"),
    "hidden truth": (
        lambda p: [
            edit_json(p / "manifest.json", lambda m: m.update(access="hidden-ground-truth")),
            edit_json(p / "manifest.json", lambda m: m["data"].update(kind="real")),
        ],
        "ground truth of this data is hidden",
    ),
    "no finish": (lambda p: (p / "finished.json").unlink(), "finished.json"),
    "another's summary": (json_file("summary.json", lambda s: s.update(method="Other")), "summary.json: method"),
    "value": (json_file("summary.json", add("value", 1e-6)), "value is"),
    "value without failures": (json_file("summary.json", add("value_dropping_failures", 1e-6)), "dropping_failures is"),
    "deviation": (json_file("summary.json", add("std_subjects", 1e-6)), "std_subjects is"),
    "coverage": (json_file("summary.json", add("evaluated", 1)), "evaluated is"),
    "denominator": (json_file("summary.json", add("expected", 1)), "expected is"),
    "infinite": (json_file("summary.json", infinite_summary), "value is inf"),
    "row twice": (json_file("summary.json", lambda s: s["rows"].append(s["rows"][0])), "two rows of protocol now"),
    "row gone": (json_file("summary.json", lambda s: s["rows"].pop()), "missing or not one of faceverse"),
    "other unit": (json_file("summary.json", lambda s: s["rows"][0].update(unit="cm")), "is in cm"),
    "no rows": (json_file("summary.json", lambda s: s.update(rows=[])), "has no row"),
    "no table": (lambda p: (p / "scores.parquet").unlink(), "scores.parquet: cannot be read"),
    "half a table": (lambda p: (p / "scores.parquet").write_bytes(b"PAR1"), "scores.parquet: cannot be read"),
    "empty table": (table_file(lambda t: t.iloc[:0]), "holds no sample"),
    "row of table gone": (table_file(lambda t: t.iloc[1:]), "lacks 1 of 24 samples"),
    "sample of table gone": (table_file(lambda t: t[t["sample"] != "s0003"]), "lacks 1 of 24 samples"),
    "row of table twice": (table_file(lambda t: pandas.concat([t, t.iloc[:1]])), "25 rows for 24 samples"),
    "other sample": (table_file(lambda t: t.assign(sample=t["sample"].replace("s0003", "s9999"))), "lacks 1 of 24"),
    "NaN": (table_file(no_value), "no finite value and no failure"),
    "a failure's value": (table_file(lambda t: first(t, value=1.0)), "a value although it failed"),
    "no reason": (table_file(lambda t: first(t, failure=" ")), "a failure without a reason"),
    "two subjects": (table_file(lambda t: first(t, subject="x")), "different subject"),
    "other fall-back": (table_file(lambda t: first(t, fallback=9.0)), "its scores give"),
    "other reason": (table_file(lambda t: first(t, failure="timeout")), "not what scores/s0000.npz holds"),
    "text for numbers": (table_file(lambda t: t.assign(value="x")), "column value is of type"),
    "column gone": (table_file(lambda t: t.drop(columns="failure")), "lacks the columns failure"),
    "score gone": (lambda p: (p / "scores" / "s0003.npz").unlink(), r"s0003\.npz"),
    "half a score": (lambda p: (p / "scores" / "s0003.npz").write_bytes(b"PK"), r"s0003\.npz"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_run_that_is_not_whole_is_refused(copy, tmp_path, what):
    damage, words = DAMAGE[what]
    damage(copy)
    with pytest.raises(HarnessError, match=words):
        publish(copy, tmp_path / "results")
    assert find_entries(tmp_path / "results") == ([], [])


def test_fallback_that_is_gone_must_leave_the_value_undefined(copy, tmp_path):
    """Else the failed sample would have left the denominator."""
    edit_table(copy, lambda t: t.assign(fallback=np.nan))
    with pytest.raises(HarnessError, match="failed and nothing stands in for it"):
        publish(copy, tmp_path / "results")


def test_own_protocol_must_be_declared(toys, tmp_path):
    with pytest.raises(HarnessError, match=r"toy_distance \[[0-9a-f]{8}\] is none of this version's.*--custom"):
        publish(toys["Bad"], tmp_path)
    place = publish(toys["Bad"], tmp_path, custom=True)
    entry = read_entry(place)
    assert entry.custom_protocols == (entry.summary["rows"][0]["protocol_id"],)
    assert any("as means over samples, subjects" in text for text in verify(place).checked)


def rename(run, name):
    edit_json(run / "manifest.json", lambda m: m["method"].update(name=name))
    edit_json(run / "summary.json", lambda s: s.update(method=name))


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "../../../etc/passwd", "a/b", ".hidden", "très bon", "*"]
)
def test_any_name_is_kept_as_text_and_safe_as_a_file(copy, tmp_path, name):
    rename(copy, name)
    place = publish(copy, tmp_path / "results", note=f"<b>{name}</b>")
    entry = read_entry(place)
    assert (entry.method, entry.note) == (name, f"<b>{name}</b>")
    assert place.parent == tmp_path / "results" / "scans" / "all-mirror"
    assert place.name.isascii() and not set(place.name) & set("<>/\\ *") and not place.name.startswith(".")
    assert verify(place).holds and find_entries(tmp_path / "results")[1] == []


@pytest.mark.parametrize("name", ["", "two\nlines", "\x1b[31mred", "x" * 201])
def test_name_that_is_no_name_is_refused(copy, tmp_path, name):
    rename(copy, name)
    with pytest.raises(HarnessError, match=r"manifest\.method\.name"):
        publish(copy, tmp_path / "results")
    assert find_entries(tmp_path / "results") == ([], [])


def test_names_never_leave_the_folder_of_results():
    for name in ("..", ".", "", "/", "a/../b", "\\", "-", "~"):
        assert "/" not in safe_name(name) and safe_name(name).strip(".") and safe_name(name)[0] not in ".-~"


def test_nothing_of_the_machine_is_published(copy, tmp_path, monkeypatch):
    home = "/home/ann smith"
    monkeypatch.setattr(getpass, "getuser", lambda: "annsmith")
    monkeypatch.setattr(socket, "gethostname", lambda: "anns-laptop")
    monkeypatch.setattr(Path, "home", lambda: Path(home))

    def paths(manifest):
        manifest["method"]["options"] = {"weights": f"{home}/w.safetensors", "parts": ["/data/x/y.pkl", "c:\\u\\z.pkl"]}
        manifest["method"]["adapter"] = f"{home}/my code/mine.py:Mine"
        manifest["method_digests"] = {f"{home}/w.safetensors": "1" * 16, "/data/w.safetensors": "2" * 16}
        manifest["config"] = {"runs": f"{home}/runs", "data_root": "../annsmith/data", "head": {"path": "~annsmith/f"}}

    edit_json(copy / "manifest.json", paths)
    text = (
        f"crash in {home}/lib/x.py: cannot open '/srv/annsmith/a.png' on anns-laptop (https://a.org/b/c) or C:\\u\\b.c"
    )
    edit_table(copy, lambda t: t.assign(detail=text))
    place = publish(copy, tmp_path / "results")
    entry = read_entry(place)
    assert entry.manifest["method"] == {
        "name": "Bad",
        "adapter": "mine.py:Mine",
        "options": {"weights": "w.safetensors", "parts": ["y.pkl", "z.pkl"]},
    }
    assert sorted(entry.manifest["method_digests"].values()) == ["1" * 16, "2" * 16]
    assert entry.manifest["config"] == {"runs": "runs", "data_root": "data", "head": {"path": "f"}}
    detail = set(pandas.read_parquet(place / "scores.parquet")["detail"])
    assert detail == {"crash in lib/x.py: cannot open 'a.png' on _ (https://a.org/b/c) or b.c"}
    everything = (place / "entry.json").read_text() + str(
        [pq.read_table(path).to_pydict() for path in place.glob("*.parquet")]
    )
    for word in ("ann smith", "annsmith", "anns-laptop", str(copy), str(tmp_path), "/home", "/srv", "/data"):
        assert word not in everything, word
