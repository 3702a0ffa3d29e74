"""Reading entries: whatever stands in the folder of results, what is whole is read and the rest is named."""

import hashlib
import json
import os
import re
import shutil
import time
import tracemalloc

import pytest

from harness import HarnessError
from harness.publishing import find_entries, read_entry, verify
from harness.publishing.entries import bundle_of, canonical_text, entry_text
from harness.publishing.schema import Entry, place_of
from tests.publishing.conftest import forge

BENCHES = int(os.environ.get("HARNESS_BENCHES", "2"))


def only_problem(results, method="Good"):
    """The reason why one of the two entries is not found; the other one must be."""
    entries, problems = find_entries(results.root)
    assert [entry.method for entry in entries] == [{"Good": "Bad", "Bad": "Good"}[method]]
    (problem,) = problems
    return problem.reason


def test_entries_are_found_where_they_are(results):
    entries, problems = find_entries(results.root)
    assert problems == [] and [entry.folder for entry in entries] == sorted([results.Bad, results.Good])
    for part in (results.root / "scans", results.root / "scans" / "all-mirror", results.Good):
        assert find_entries(part)[1] == []
        assert len(find_entries(part)[0]) == (1 if part == results.Good else 2)
    assert all(isinstance(entry, Entry) and entry.place.name == entry.folder.name for entry in entries)


@pytest.mark.parametrize("there", [True, False])
def test_no_results_are_no_error(tmp_path, there):
    if there:
        (tmp_path / "results" / "now").mkdir(parents=True)
        (tmp_path / "results" / "README.md").write_text("Published runs")
    assert find_entries(tmp_path / "results") == ([], [])


def test_other_contents_only_need_the_entry(results):
    """Lists must not wait for tables: a table whose bytes changed is still listed, and not verified."""
    size = (results.Good / "scores.parquet").stat().st_size
    (results.Good / "scores.parquet").write_bytes(b"x" * size)
    assert len(find_entries(results.root)[0]) == 2
    assert not verify(results.Good).holds


def test_text_of_an_entry_is_hashed_without_its_hash(results):
    content = (results.Good / "entry.json").read_bytes()
    value = json.loads(content)
    blank = content.replace(value["bundle"].encode(), b"")
    assert hashlib.sha256(blank).hexdigest() == value["bundle"] == bundle_of(content)
    assert entry_text(value) == content == canonical_text(value)


def sparse(path):
    with path.open("r+b") as file:
        file.truncate(2 << 30)


def replace_by_link(path):
    path.rename(path.with_name("elsewhere.bin"))
    path.symlink_to(path.with_name("elsewhere.bin"))


def leaves(value):
    value["files"]["../../../etc/passwd"] = value["files"]["scores.parquet"]


def absolute(value):
    value["files"]["/etc/passwd"] = value["files"].pop("distances.parquet")


def row(entry, **changes):
    entry["summary"]["rows"][0].update(changes)


def older_protocol(value):
    value["summary"]["rows"][0]["protocol_id"] = "0" * 8


def other_contents(value):
    value["manifest"]["protocols"]["now"]["canonical"] = "{}"


FORGED = {
    "future": (lambda v: v.update(schema=2, more=1), "schema 2 was made by a newer version.*update the harness"),
    "no schema": (lambda v: v.pop("schema"), "schema: Field required"),
    "other field": (lambda v: v.update(more=1), "more: Extra inputs"),
    "other field of the manifest": (lambda v: v["manifest"].update(samples=[]), r"manifest\.samples: Extra"),
    "field gone": (lambda v: v["summary"].pop("meaning"), r"summary\.meaning: Field required"),
    "path that leaves": (leaves, "etc/passwd"),
    "absolute path": (absolute, "etc/passwd"),
    "2 GB": (
        lambda v: v["files"]["scores.parquet"].update(bytes=2 << 30),
        r"files\.scores\.parquet\.bytes: .*less than",
    ),
    "no table": (lambda v: v["files"].pop("scores.parquet"), "lacks scores.parquet"),
    "NaN": (lambda v: row(v, value=float("nan")), "holds NaN"),
    "infinity": (lambda v: row(v, value=float("inf")), "holds Infinity"),
    "NaN in the configuration": (lambda v: v["manifest"]["config"].update(x=float("nan")), "holds NaN"),
    "text for a number": (lambda v: row(v, value="1.0"), r"rows\.0\.value: .*valid number"),
    "a long condition": (lambda v: row(v, views="x" * 1000), "no short text"),
    "a nested condition": (lambda v: row(v, views=[1]), "no short text"),
    "many conditions": (lambda v: row(v, **{f"c{i}": 1 for i in range(99)}), "more than 8 conditions"),
    "more than all": (lambda v: row(v, evaluated=99), "99 of 24 samples"),
    "unknown protocol": (older_protocol, "protocol 00000000 is not in the manifest"),
    "changed protocol": (other_contents, "its contents give"),
    "renamed protocol": (lambda v: row(v, protocol="h3ds"), "under this name and id"),
    "row twice": (lambda v: v["summary"]["rows"].append(v["summary"]["rows"][0]), "a second row"),
    "no row": (lambda v: v["summary"].update(rows=[]), "has no row"),
    "relabelled": (lambda v: v["summary"].update(data="real"), "data kind"),
    "long note": (lambda v: v.update(note="x" * 3000), "note: String should have at most"),
    "no licence": (lambda v: v.update(licence=""), "licence"),
    "control characters": (lambda v: v.update(note="\x1b[2J"), "note: String should match"),
    "wrong place": (lambda v: v["manifest"]["config"].update(bench={"split": "test"}), "belong into scans/test-mirror"),
    "not a date": (lambda v: v.update(published="yesterday"), "published"),
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_entry_is_named(results, what):
    """All hashes are right, so that it is the rule itself that refuses."""
    change, words = FORGED[what]
    forge(results.Good, change)
    reason = only_problem(results)
    assert str(results.Good) in reason
    assert re.search(words, reason), reason


DAMAGE = {
    "no entry": (lambda p: (p / "entry.json").unlink(), "has no entry.json"),
    "empty": (lambda p: (p / "entry.json").write_bytes(b""), "Invalid JSON"),
    "half": (lambda p: (p / "entry.json").write_bytes((p / "entry.json").read_bytes()[:999]), "Invalid JSON"),
    "binary": (lambda p: (p / "entry.json").write_bytes(b"\xff\xfe\x00"), "Invalid JSON"),
    "a list": (lambda p: (p / "entry.json").write_bytes(b"[]"), "entry.json"),
    "deep": (lambda p: (p / "entry.json").write_bytes(b"[" * 100_000), "entry.json"),
    "edited": (lambda p: edit_text(p / "entry.json"), "was changed after publishing"),
    "formatted": (lambda p: rewrite(p / "entry.json"), "was changed after publishing"),
    "2 GB entry": (lambda p: sparse(p / "entry.json"), "has 2147483648 bytes, expected 1048576 at most"),
    "2 GB table": (lambda p: sparse(p / "scores.parquet"), "has 2147483648 bytes, the entry says"),
    "longer table": (lambda p: (p / "scores.parquet").open("ab").write(b"x"), "bytes, the entry says"),
    "no table": (lambda p: (p / "scores.parquet").unlink(), "cannot be read"),
    "link to a table": (lambda p: replace_by_link(p / "scores.parquet"), "elsewhere.bin"),
    "link out": (lambda p: (p / "x").symlink_to("/etc/passwd"), "holds 'x'"),
    "more": (lambda p: (p / "mesh.ply").write_text("ply"), "holds 'mesh.ply'"),
    "more folders": (lambda p: (p / "predictions").mkdir(), "holds 'predictions'"),
    "entry is a link": (lambda p: replace_by_link(p / "entry.json"), "is a link"),
    "table is a folder": (
        lambda p: [(p / "scores.parquet").unlink(), (p / "scores.parquet").mkdir()],
        "is a link or no",
    ),
    "renamed": (lambda p: p.rename(p.with_name("Good-00000000")), "belong into"),
}


def edit_text(path):
    path.write_text(path.read_text().replace("CC-BY-4.0", "CC-BY-3.0"))


def rewrite(path):
    path.write_text(json.dumps(json.loads(path.read_text())))


@pytest.mark.parametrize("what", DAMAGE)
def test_damaged_entry_is_named(results, what):
    damage, words = DAMAGE[what]
    damage(results.Good)
    assert words in only_problem(results)


def test_link_to_a_folder_is_not_followed(results, tmp_path):
    shutil.move(results.Good, tmp_path / "away")
    results.Good.symlink_to(tmp_path / "away", target_is_directory=True)
    assert "is a link" in only_problem(results)
    with pytest.raises(HarnessError, match="no folder of an entry"):
        read_entry(results.Good)


def test_link_in_circles_ends(results):
    (results.root / "scans" / "again").symlink_to(results.root)
    entries, (problem,) = find_entries(results.root)
    assert len(entries) == 2 and "is a link" in problem.reason


def test_two_entries_of_one_identity(results):
    """The second one claims another benchmark, where it stands in its right place."""
    other = results.root / "zzz" / "all-mirror" / results.Good.name
    shutil.copytree(results.Good, other)
    forge(other, lambda v: (v["manifest"].update(bench="zzz"), v["summary"].update(bench="zzz")))
    entries, (problem,) = find_entries(results.root)
    assert len(entries) == 2 and problem.folder == other and "has the identity of" in problem.reason


def test_hostile_folder_names(results):
    for name in ("<script>", "a\nb", "\x1b[31m", "ü" * 60):
        (results.root / name / "b" / "c").mkdir(parents=True)
    entries, problems = find_entries(results.root)
    assert len(entries) == 2 and len(problems) == 4


def test_unreadable_entry(results, monkeypatch):
    def refuse(path, *args):
        if os.fspath(path) == str(results.Good / "entry.json"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *args)

    opened = os.open
    monkeypatch.setattr(os, "open", refuse)
    assert "Permission denied" in only_problem(results)


def made_up(results, root, methods, benches):
    """Copies of one entry under other names, in their right places."""
    value = json.loads((results.Good / "entry.json").read_text())
    files = {name: (results.Good / name).read_bytes() for name in value["files"]}
    for number in range(methods * benches):
        identity = hashlib.sha256(str(number).encode()).hexdigest()[:16]
        method, bench = f"method {number % methods}", f"bench {number // methods}"
        value["manifest"].update(identity=identity, bench=bench)
        value["manifest"]["method"]["name"] = method
        value["summary"].update(identity=identity, bench=bench, method=method)
        folder = root / place_of(value["manifest"])
        folder.mkdir(parents=True)
        (folder / "entry.json").write_bytes(entry_text(value))
        for name, content in files.items():
            (folder / name).write_bytes(content)


def test_many_entries_are_read_fast(results, tmp_path):
    """HARNESS_BENCHES=20 makes it 4,000, in 2 s; by default fewer, in twice the time, as others share the machine."""
    made_up(results, tmp_path / "many", 200, BENCHES)
    count = 200 * BENCHES
    seconds = []
    for _ in range(3):
        start = time.process_time()
        entries, problems = find_entries(tmp_path / "many")
        seconds.append(time.process_time() - start)
    assert len(entries) == count and problems == []
    print(f"{min(seconds):.2f} s for {count} entries of {(entries[0].folder / 'entry.json').stat().st_size} bytes")
    assert min(seconds) < (2.0 if BENCHES == 20 else 0.001 * count)
    tracemalloc.start()
    entries, _ = find_entries(tmp_path / "many" / "bench_0")
    kilobytes = tracemalloc.get_traced_memory()[1] / 1000 / len(entries)
    tracemalloc.stop()
    print(f"{kilobytes:.0f} kB of memory per entry")
    assert kilobytes < 60
