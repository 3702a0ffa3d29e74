"""Scoring the predictions of a published run again, in a folder of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas
import torch

from harness.errors import HarnessError
from harness.files import digest_files, write_json
from harness.geometry import backend
from harness.inspection import open_benchmark
from harness.publishing.records import row_key
from harness.publishing.recount import agree, compare
from harness.publishing.schema import Entry
from harness.run_folder import RunFolder
from harness.runner import score_missing, score_table, summarise

if TYPE_CHECKING:
    from harness.publishing.verifier import Verification

TOLERANCE = 1e-6  # relative: other processors round differently
KEY = ["sample", "protocol_id", "column"]


def verify_against_run(entry: Entry, table: pandas.DataFrame, run: Path, workers: int, found: Verification) -> None:
    """Scores a run's predictions again and compares every score and every number of the summary.

    Args:
        entry: what was published.
        table: its scores per sample.
        run: the run's folder.
        workers: processes that score.
        found: takes what was checked, or why it could not be.

    Raises:
        HarnessError: the run is another one, or a number differs by more than TOLERANCE.
    """
    folder = RunFolder(run)
    manifest = folder.manifest()
    if manifest.get("identity") != entry.identity:
        raise HarnessError(f"{run}: is another run ({manifest.get('identity')}), the entry is of {entry.identity}")
    if "timing" in manifest:
        found.unchecked.append("times, which cannot be measured a second time")
        return
    again, rows = scored_again(folder, manifest, workers)
    _compare_tables(table, again)
    expected = {row_key(row): row for row in rows}
    for row in entry.summary["rows"]:
        if row_key(row) not in expected:
            raise HarnessError(f"summary.json: {row_key(row)} is no row of the run scored again")
        compare(row, expected[row_key(row)], TOLERANCE)
    found.checked.append(f"{len(table)} scores of the run's predictions, computed again: the same to {TOLERANCE:g}")


def scored_again(run: RunFolder, manifest: dict[str, Any], workers: int) -> tuple[pandas.DataFrame, list[Any]]:
    """The table of scores per sample, and the rows of the summary, of a run's predictions; nothing of the run changes.

    Raises:
        HarnessError: its data are not there any more or have changed, or a prediction is damaged.
    """
    device = manifest["device"] if torch.cuda.is_available() else "cpu"
    benchmark = open_benchmark(manifest).on(device)
    samples, dataset = benchmark.samples(), benchmark.dataset
    if [sample.id for sample in samples] != manifest["samples"]:
        raise HarnessError(f"{dataset.folder}: has other samples than the run")
    if digest_files(dataset.files(), dataset.folder) != manifest["data_digest"]:
        raise HarnessError(f"{dataset.folder}: the files are not those that the run read")
    with tempfile.TemporaryDirectory() as place:
        copy = RunFolder(Path(place))
        (copy.path / "scores").mkdir()
        (copy.path / "predictions").symlink_to((run.path / "predictions").absolute(), target_is_directory=True)
        write_json(copy.path / "manifest.json", manifest)
        with backend.using(backend.checked(manifest.get("geometry", "warp"))):
            score_missing(copy, samples, benchmark, workers)
        records = {sample.id: copy.score(sample.id)["protocols"] for sample in samples}
        table = pandas.DataFrame(score_table(records, samples, benchmark))
        return table, summarise(copy, records, samples, benchmark)["rows"]


def _compare_tables(published: pandas.DataFrame, again: pandas.DataFrame) -> None:
    ours, theirs = (table.set_index(KEY).sort_index() for table in (published, again))
    if not ours.index.equals(theirs.index):
        raise HarnessError("scores.parquet: has other rows than the run scored again")
    for name in ("failure", "value", "fallback"):
        for key, one, two in zip(ours.index, ours[name], theirs[name], strict=True):
            if not _same(one, two):
                raise HarnessError(
                    f"scores.parquet: sample {key[0]}, protocol {key[1]}, column {key[2]}: {name} is {one}, "
                    f"computed again it is {two}"
                )


def _same(one: Any, other: Any) -> bool:
    if pandas.isna(one) or pandas.isna(other):
        return bool(pandas.isna(one) and pandas.isna(other))
    return bool(one == other) if isinstance(one, str) else agree(one, other, TOLERANCE)
