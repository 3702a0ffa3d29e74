"""Finds and checks the runs that a leaderboard shows. A folder that cannot be read is listed, never fatal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas

from harness.errors import HarnessError
from harness.publishing.records import LOCAL_FIELDS, TABLE_FIELDS, check_records
from harness.run_folder import RunFolder

DEPTH = 4  # folders below the runs folder in which a run may stand


@dataclass(frozen=True)
class Run:
    """A complete run whose records agree with each other.

    Attributes:
        key: the folder's path below the runs folder; names the run in addresses.
        folder: for predictions and per-point errors.
        manifest, summary: as harness.runner writes them.
        date: when it was finished, else started; ISO 8601, UTC.
    """

    key: str
    folder: RunFolder
    manifest: dict[str, Any]
    summary: dict[str, Any]
    date: str

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.manifest["method"]["name"])

    @property
    def identity(self) -> str:
        """The digest of all that may change one of the run's numbers."""
        return str(self.manifest["identity"])

    @property
    def kind(self) -> str:
        """What was measured on: "real" or "mirror"."""
        return str(self.summary["data"])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The summary's rows: one per protocol, condition and region."""
        rows: list[dict[str, Any]] = self.summary["rows"]
        return rows

    def protocol(self, protocol_id: str) -> dict[str, Any]:
        """The fields of one of the run's protocols, by its id."""
        for protocol in self.manifest["protocols"].values():
            if protocol["id"] == protocol_id:
                values: dict[str, Any] = json.loads(protocol["canonical"])
                return values
        raise HarnessError(f"{self.key}: no protocol {protocol_id} in its manifest")


@dataclass(frozen=True)
class Unlisted:
    """A folder that is no row of a table: `state` is "unfinished" or "unreadable", `reason` says why."""

    key: str
    state: str
    reason: str


def find_runs(root: Path) -> tuple[list[Run], list[Unlisted]]:
    """Every run below `root`, newest first, and every folder that cannot be one, with the reason."""
    runs: list[Run] = []
    unlisted: list[Unlisted] = []
    for path in _run_paths(root):
        key = path.relative_to(root).as_posix()
        found = read_run(path, key)
        if isinstance(found, Run):
            runs.append(found)
        else:
            unlisted.append(found)
    return sorted(runs, key=lambda run: run.date, reverse=True), unlisted


def read_run(path: Path, key: str) -> Run | Unlisted:
    """Reads one run's manifest and summary, or says why it cannot be shown."""
    folder = RunFolder(path)
    try:
        manifest = folder.manifest()
        if not folder.is_complete():
            return Unlisted(key, "unfinished", _progress(path, manifest))
        summary = folder.summary()
        if missing := LOCAL_FIELDS - set(manifest):
            raise HarnessError(f"manifest.json: manifest lacks {', '.join(sorted(missing))}")
        check_records(manifest, summary)
        return Run(key, folder, manifest, summary, _date(path, manifest))
    except HarnessError as error:
        return Unlisted(key, "unreadable", str(error))
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        return Unlisted(key, "unreadable", f"not in this version's form ({type(error).__name__}: {error})")


def sample_table(run: Run) -> pandas.DataFrame:
    """The run's `scores.parquet`: one row per sample, protocol and region. Raises HarnessError if it is damaged."""
    path = run.folder.path / "scores.parquet"
    try:
        table = pandas.read_parquet(path)
    except Exception as error:  # pyarrow and the file system each raise their own
        raise HarnessError(f"{path}: cannot be read ({error}); delete summary.json and run again") from error
    if missing := TABLE_FIELDS - set(table.columns):
        raise HarnessError(f"{path}: lacks the columns {', '.join(sorted(missing))}")
    if table.empty:
        raise HarnessError(f"{path}: holds no sample; delete summary.json and run again")
    return table


def _run_paths(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        path = Path(folder)
        if "manifest.json" in files:
            names.clear()  # a run holds no runs, but thousands of files
            yield path
        elif len(path.relative_to(root).parts) >= DEPTH:
            names.clear()
        names.sort()


def _progress(path: Path, manifest: dict[str, Any]) -> str:
    done = {name: len(list((path / name).glob("*.npz"))) for name in ("predictions", "scores")}
    total = len(manifest["samples"])
    return f"{done['predictions']} of {total} samples predicted, {done['scores']} scored; the same command goes on"


def _date(path: Path, manifest: dict[str, Any]) -> str:
    try:
        return str(json.loads((path / "finished.json").read_text())["finished"])
    except (OSError, ValueError, KeyError, TypeError):
        return str(manifest["started"])
