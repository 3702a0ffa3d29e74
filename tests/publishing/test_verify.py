"""Verifying: every changed byte is seen, numbers must follow from scores, and old entries stay readable."""

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas
import pyarrow
import pyarrow.parquet as pq
import pytest

from harness.cli import main
from harness.files import read_arrays, write_arrays
from harness.publishing import find_entries, publish, verify
from harness.publishing.distances import read_distances, write_distances
from tests.publishing.conftest import edit_json, forge

HISTORIC = sorted(path for path in (Path(__file__).parent / "historic").glob("v*") if path.is_dir())


def reasons(folder, **options):
    found = verify(folder, **options)
    assert found.holds == (not found.problems)
    return " ".join(found.problems)


@pytest.mark.parametrize("root", HISTORIC, ids=lambda path: path.name)
def test_historic_entries_are_read_and_verified(root):
    """Entries of every version that was ever published. None may ever be changed or removed."""
    entries, problems = find_entries(root)
    assert entries and problems == []
    for entry in entries:
        found = verify(entry.folder)
        assert found.problems == [] and len(found.checked) >= 3
        if (entry.folder / "distances.parquet").exists():
            millimetres, percent = read_distances(entry.folder / "distances.parquet")[0].curve()
            assert millimetres[0] == percent[0] == 0 and percent[-1] > 50


def test_historic_entries_have_what_this_version_publishes():
    """A schema that goes up needs historic entries of its own."""
    from harness.publishing.schema import SCHEMA

    assert [path.name for path in HISTORIC] == [f"v{number}" for number in range(1, SCHEMA + 1)]
    names = {entry.method for entry in find_entries(HISTORIC[-1])[0]}
    assert names == {"Bad", "mean_face"}


def test_any_of_200_changed_bytes_is_seen(results):
    rng = random.Random(0)
    files = {path: path.read_bytes() for path in results.Bad.iterdir()}
    places = [(path, position) for path, content in sorted(files.items()) for position in range(len(content))]
    missed = []
    assert verify(results.Bad).holds
    for path, position in rng.sample(places, 200):
        content = bytearray(files[path])
        content[position] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        if verify(results.Bad).holds:
            missed.append((path.name, position))
        path.write_bytes(files[path])
    assert missed == [] and verify(results.Bad).holds


@pytest.mark.parametrize("name", ["entry.json", "scores.parquet", "distances.parquet", "groups.parquet"])
def test_shorter_longer_and_missing_files_are_seen(results, name):
    path = results.Bad / name
    content = path.read_bytes()
    for other in (content[:-1], content + b"\n", content[: len(content) // 2], b""):
        path.write_bytes(other)
        assert not verify(results.Bad).holds
    path.unlink()
    assert not verify(results.Bad).holds


def change_table(entry, change):
    table = pq.read_table(entry / "scores.parquet").to_pandas()
    pq.write_table(pyarrow.Table.from_pandas(change(table), preserve_index=False), entry / "scores.parquet")


def better(table):
    return table.assign(value=table["value"] * 0.9)


def without_failure(table):
    """One failed sample is left out, as official programs do."""
    return table[table["sample"] != table.loc[table["failure"].notna(), "sample"].iloc[0]]


def without_number(table):
    return table.assign(value=table["value"].where(table["failure"].notna() | (table.index > 100)))


FORGED = {
    "better scores": (lambda p: change_table(p, better), "its scores give"),
    "failed sample gone": (lambda p: change_table(p, without_failure), "its samples are not those of the summary"),
    "row gone": (lambda p: change_table(p, lambda t: t.iloc[1:]), "lacks 1 of 24 samples"),
    "row twice": (lambda p: change_table(p, lambda t: pandas.concat([t, t.iloc[:1]])), "25 rows for 24 samples"),
    "NaN": (lambda p: change_table(p, without_number), "no finite value and no failure"),
    "another column": (lambda p: change_table(p, lambda t: t.assign(value="x")), "column value is of type"),
    "no groups": (lambda p: (p / "groups.parquet").unlink(), "its scores give"),
    "not a table": (lambda p: (p / "scores.parquet").write_text("no"), "cannot be read as Parquet"),
    "not distances": (lambda p: shutil.copy(p / "scores.parquet", p / "distances.parquet"), "columns are"),
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_contents_are_seen(results, what):
    """All hashes are right: the numbers themselves must tell."""
    change, words = FORGED[what]
    change(results.Bad)
    forge(results.Bad, lambda v: v["files"].pop("groups.parquet") if what == "no groups" else None)
    assert words in reasons(results.Bad)


def test_forged_summary_is_seen(results):
    """Of each protocol: also of NoW's, whose median is over points that are not published."""
    rows = json.loads((results.Bad / "entry.json").read_text())["summary"]["rows"]
    protocols = dict.fromkeys(row["protocol"] for row in rows)
    assert len(protocols) == 4
    for protocol in protocols:
        number = next(i for i, row in enumerate(rows) if row["protocol"] == protocol)
        copy = shutil.copytree(results.Bad, results.root / protocol)
        forge(copy, lambda v, n=number: v["summary"]["rows"][n].update(value=rows[n]["value"] * 0.95))
        assert f"protocol {protocol}" in reasons(copy)


def test_forged_distances_are_seen(results):
    path = results.Bad / "distances.parquet"
    rows = read_distances(path)
    for change in ({"samples": 11}, {"failed": 0}, {"condition": {"views": 1}}, {"protocol": "x"}):
        write_distances(path, [replace(rows[0], **change), *rows[1:]])
        forge(results.Bad)
        assert "distances.parquet" in reasons(results.Bad)
    write_distances(path, [replace(row, counts=np.roll(row.counts, -5)) for row in rows])
    forge(results.Bad)
    assert "but distances.parquet gives" in reasons(results.Bad)


def test_unknown_protocol_is_seen_unless_declared(toys, tmp_path):
    place = publish(toys["Good"], tmp_path, custom=True)
    assert verify(place).holds
    forge(place, lambda v: v.update(custom_protocols=[]))
    assert "none of this version's and not declared as custom" in reasons(place)


def test_text_that_is_not_canonical_is_seen(results):
    """Two keys of the same name would let two readers see two values."""
    from harness.publishing.entries import bundle_of

    path = results.Bad / "entry.json"
    text = path.read_text().replace(' "note": "",\n', ' "note": "",\n "note": "",\n')
    old = json.loads(text)["bundle"]
    path.write_text(text.replace(old, bundle_of(text.encode())))
    assert "is not written as these values are" in reasons(results.Bad)


@pytest.fixture
def ball(toys, tmp_path):
    """A run whose data are at hand, and its entry."""
    run = shutil.copytree(toys["LargerBall"], tmp_path / "run")
    return run, publish(run, tmp_path / "results", custom=True)


def test_predictions_are_scored_again(ball):
    run, place = ball
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    found = verify(place, run=run)
    assert found.holds and any("computed again: the same to 1e-06" in text for text in found.checked)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_other_predictions_are_seen(ball):
    run, place = ball
    path = next((run / "predictions").iterdir())
    arrays = read_arrays(path)
    write_arrays(path, {**arrays, "vertices": arrays["vertices"] * 1.001})
    assert "computed again it is" in reasons(place, run=run)


def test_another_run_or_data_that_are_gone_are_said(ball, known):
    run, place = ball
    assert "is another run" in reasons(place, run=known["Good"])
    edit_json(run / "manifest.json", lambda m: m.update(data_folder="/nowhere/ball"))
    assert "not there any more" in reasons(place, run=run)


def test_commands_tell_by_their_exit_code(known, results, tmp_path, capsys):
    main(
        [
            "publish",
            str(known["Good"]),
            "--to",
            str(tmp_path / "new"),
            "--licence",
            "CC0-1.0",
            "--note",
            "a <b>note</b>",
        ]
    )
    said = capsys.readouterr().out
    (entry,) = find_entries(tmp_path / "new")[0]
    assert str(entry.folder) in said and "pull request" in said
    assert (entry.licence, entry.note) == ("CC0-1.0", "a <b>note</b>")
    main(["verify", str(tmp_path / "new"), str(results.Bad)])
    said = capsys.readouterr().out
    assert "2 of 2 entries hold" in said and "not checked  whether the predictions" in said
    for arguments in (
        ["publish", str(tmp_path / "none"), "--to", str(tmp_path / "new")],
        ["verify", str(tmp_path / "none")],
        ["verify", str(results.root), "--run", str(known["Good"])],
    ):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 2
    (results.Bad / "scores.parquet").write_bytes(b"")
    with pytest.raises(SystemExit) as end:
        main(["verify", str(results.root)])
    assert end.value.code == 2


def test_empty_results_verify(tmp_path, capsys):
    main(["verify", str(tmp_path)])
    assert "has no entries" in capsys.readouterr().out
