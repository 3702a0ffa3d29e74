"""A finished result as comparisons read it, wherever it lies."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from harness.errors import HarnessError
from harness.publishing import read_entry
from harness.run_folder import ROW_FIELDS, RunFolder

NEEDED = {
    "manifest.json": {"identity", "method", "bench", "data", "data_digest", "protocols"},
    "summary.json": {"identity", "method", "bench", "data", "dataset_version", "samples_digest", "meaning", "rows"},
    "scores.parquet": {"sample", "subject", "protocol", "protocol_id", "column", "value", "fallback", "failure"},
}


@dataclass(frozen=True, eq=False)
class Result:
    """One method on one benchmark, scored.

    Attributes:
        path: where it lies.
        manifest, summary: as harness.runner writes them.
        table: one row per sample, protocol and column: `scores.parquet`.
    """

    path: Path
    manifest: dict[str, Any]
    summary: dict[str, Any]
    table: pd.DataFrame

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.summary["method"])

    @property
    def identity(self) -> str:
        """The digest of all that may change one of the numbers."""
        return str(self.summary["identity"])

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The summary's rows."""
        rows: list[dict[str, Any]] = self.summary["rows"]
        return rows

    @property
    def protocols(self) -> dict[str, dict[str, Any]]:
        """Protocol id -> the fields that make the protocol what it is."""
        return {p["id"]: json.loads(p["canonical"]) for p in self.manifest["protocols"].values()}


def read_result(path: Path) -> Result:
    """Reads a run's folder, or a published entry's.

    Raises:
        HarnessError: there is no finished run, a file is damaged, or it was written by another version.
    """
    if (path / "entry.json").exists():
        entry = read_entry(path)
        result = Result(path, dict(entry.manifest), dict(entry.summary), _table(path / "scores.parquet"))
        _check(result)
        return result
    if not (path / "manifest.json").exists():
        raise HarnessError(f"{path}: holds no manifest.json; expected the folder of a run or of a published entry")
    folder = RunFolder(path)
    try:
        manifest = folder.manifest()
    except AttributeError:
        raise HarnessError(f"{path}/manifest.json: holds no fields; expected those of a run") from None
    if not folder.is_complete():
        raise HarnessError(f"{path}: has no summary.json: the run is not finished; give its command again to go on")
    result = Result(path, manifest, folder.summary(), _table(path / "scores.parquet"))
    _check(result)
    return result


def _table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except Exception as error:  # pyarrow and the file system each raise their own
        raise HarnessError(f"{path}: cannot be read ({error}); delete summary.json and run again") from None


def _check(result: Result) -> None:
    """Raises HarnessError unless everything that a comparison needs is there, and in its form."""
    have = {
        "manifest.json": set(result.manifest),
        "summary.json": set(result.summary),  # of a list: its elements, which are no names
        "scores.parquet": set(result.table.columns),
    }
    for name, needed in NEEDED.items():
        if missing := needed - have[name]:
            lacking = ", ".join(sorted(missing))
            raise HarnessError(f"{result.path}/{name}: lacks {lacking}; was it written by an older version? Run again")
    try:
        protocols = result.protocols
        complete = all(set(row) >= ROW_FIELDS and row["protocol_id"] in protocols for row in result.rows)
        complete &= all("name" in fields for fields in protocols.values())
        numbers = [row[name] for row in result.rows for name in ("value", "value_dropping_failures")]
        dict(result.summary["meaning"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise HarnessError(f"{result.path}: not in this version's form ({type(error).__name__}: {error})") from None
    if not complete or not all(isinstance(number, (int, float, type(None))) for number in numbers):
        raise HarnessError(f"{result.path}/summary.json: a row or protocol lacks a field or number; run again")
