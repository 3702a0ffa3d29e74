"""What the records of a run owe each other: manifest, summary and the table of scores per sample."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from harness.errors import HarnessError
from harness.run_folder import BETTER, ROW_FIELDS, condition

LOCAL_FIELDS = {"samples", "data_folder"}  # of a manifest: what a published entry leaves out
MANIFEST_FIELDS: dict[str, set[str]] = {
    "manifest": {
        *("method", "method_digests", "bench", "data", "data_digest", "access", "protocols", "config"),
        *("device", "seed", "batch_size", "timeout_s", "identity", "paper", "environment", "started"),
    },
    "method": {"name", "adapter", "options"},
    "data": {"kind", "version"},
    "environment": {"python", "packages", "git", "system", "cpu", "cores", "accelerator"},
}
TABLE_FIELDS = {
    *("sample", "subject", "protocol", "protocol_id", "column", "value", "fallback", "failure", "detail", "warnings")
}
NUMBERS = ("value", "fallback")
MOST_CONDITIONS = 8
MOST_ROWS = 5_000_000
MOST_BYTES = 1 << 30  # of a table in memory


def check_records(manifest: Mapping[str, Any], summary: Mapping[str, Any]) -> None:
    """Checks that manifest and summary of a run belong together, have what they must have, and no odd row.

    Raises:
        HarnessError: they contradict each other, or something is missing.
        KeyError, TypeError, AttributeError: something is missing or of another type.
    """
    check_agreement(manifest, summary)
    for row in summary["rows"]:
        if row.get(BETTER, "larger") != "larger":
            raise HarnessError(f"summary.json: {BETTER} is {row[BETTER]!r}, expected larger or nothing")
        if missing := ROW_FIELDS - set(row):
            raise HarnessError(
                f"summary.json: a row lacks {', '.join(sorted(missing))}; of an older version? Run again"
            )
        for name in ("value", "value_dropping_failures", "std_subjects"):
            if not isinstance(row[name], (int, float, type(None))):
                raise HarnessError(f"summary.json: {name} is {row[name]!r}, expected a number or null")
    check_rows(manifest, summary)


def check_agreement(manifest: Mapping[str, Any], summary: Mapping[str, Any]) -> None:
    """Checks that manifest and summary are of the same run and that every protocol has the id of its contents.

    Raises:
        HarnessError: they contradict each other, or a field is missing.
        KeyError, TypeError, AttributeError: a part is missing or of another type.
    """
    for part, names in MANIFEST_FIELDS.items():
        if missing := names - set(manifest if part == "manifest" else manifest[part]):
            raise HarnessError(f"manifest.json: {part} lacks {', '.join(sorted(missing))}")
    pairs = {
        "identity": (manifest["identity"], summary["identity"]),
        "method": (manifest["method"]["name"], summary["method"]),
        "bench": (manifest["bench"], summary["bench"]),
        "data kind": (manifest["data"]["kind"], summary["data"]),
        "data version": (manifest["data"]["version"], summary["dataset_version"]),
    }
    for name, (expected, found) in pairs.items():
        if expected != found:
            raise HarnessError(f"summary.json: {name} is {found!r}, but the manifest says {expected!r}")
    if summary["data"] not in ("real", "mirror"):
        raise HarnessError(f"manifest.json: data kind is {summary['data']!r}, expected real or mirror")
    for name, protocol in manifest["protocols"].items():
        expected = hashlib.sha256(protocol["canonical"].encode()).hexdigest()[:8]
        if protocol["id"] != expected:
            raise HarnessError(f"manifest.json: protocol {name} has id {protocol['id']}, its contents give {expected}")


def check_rows(manifest: Mapping[str, Any], summary: Mapping[str, Any]) -> None:
    """Checks the rows of a summary one by one, after `check_agreement`; its types are right.

    Raises:
        HarnessError: there is none, two are about the same thing, one is of a protocol that the manifest does not have
            or has under another name, its condition is odd, or its counts cannot be.
    """
    names = {protocol["id"]: name for name, protocol in manifest["protocols"].items()}
    meaning, seen = summary["meaning"], set()
    for row in summary["rows"]:
        key = row_key(row)
        identity, evaluated, expected = key[0], row["evaluated"], row["expected"]
        if names.get(identity) != row["protocol"] or identity not in meaning:
            trouble = f"protocol {identity} is not in the manifest under this name and id:"
        elif not 0 <= evaluated <= expected or not expected:
            trouble = f"{evaluated} of {expected} samples"
        elif row["value"] is None and row["std_subjects"] is not None:
            trouble = "a deviation without a value"
        elif len(key) > 2 + MOST_CONDITIONS or not _are_conditions(key[2:]):
            trouble = f"more than {MOST_CONDITIONS} conditions, or one that is no short text or integer,"
        elif key in seen:
            trouble = "a second row"
        else:
            seen.add(key)
            continue
        raise HarnessError(f"summary.json: {trouble} in {in_text(row)}")
    if not seen:
        raise HarnessError("summary.json: has no row, so there is no number")


def _are_conditions(items: tuple[tuple[str, Any], ...]) -> bool:
    for name, value in items:
        if not (len(name) <= 50 and (type(value) is int or (type(value) is str and len(value) <= 200))):
            return False
    return True


def row_key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a row of a summary is about: protocol, column and condition."""
    return row["protocol_id"], row["column"], *[(name, row[name]) for name in _condition_names(tuple(row))]


@lru_cache(maxsize=256)
def _condition_names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(names) - ROW_FIELDS - {BETTER}))


def in_text(row: Mapping[str, Any]) -> str:
    """The same for a message."""
    where = ", ".join(f"{name[:50]} {str(value)[:50]}" for name, value in condition(row).items())
    return f"protocol {row['protocol']} [{row['protocol_id']}], column {row['column']}{', ' + where if where else ''}"


def read_table(path: Path) -> pyarrow.Table:
    """A table of scores per sample: a row per sample, protocol and column; other columns are conditions.

    Raises:
        HarnessError: it cannot be read, is too large, holds no sample, or columns are missing or of another type.
    """
    table = read_parquet(path)
    if missing := TABLE_FIELDS - set(table.column_names):
        raise HarnessError(f"{path}: lacks the columns {', '.join(sorted(missing))}")
    if not table.num_rows:
        raise HarnessError(f"{path}: holds no sample")
    for name in table.column_names:
        kind = table.schema.field(name).type
        good = pyarrow.types.is_floating(kind) if name in NUMBERS else _is_text(kind)
        if name not in TABLE_FIELDS:
            good = good or pyarrow.types.is_integer(kind)
        if not good:
            raise HarnessError(f"{path}: column {name} is of type {kind}, expected {_expected(name)}")
    return table


def _is_text(kind: pyarrow.DataType) -> bool:
    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))


def _expected(name: str) -> str:
    return "numbers" if name in NUMBERS else "text" if name in TABLE_FIELDS else "text or integers"


def read_parquet(path: Path) -> pyarrow.Table:
    """A whole Parquet file. Raises HarnessError if it is damaged, or would take too much memory."""
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
            size = sum(group.total_byte_size for group in groups)
            if file.metadata.num_rows > MOST_ROWS or size > MOST_BYTES:
                raise HarnessError(f"{path}: {file.metadata.num_rows} rows, {size} bytes: larger than any table here")
            return file.read()
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise HarnessError(f"{path}: cannot be read as Parquet ({error})") from None


def protocol_values(protocol: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a protocol of a manifest. Raises HarnessError if they are no JSON object."""
    try:
        values = json.loads(protocol["canonical"])
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise HarnessError(f"manifest.json: protocol {protocol['id']} is not described by a JSON object")
    return values
