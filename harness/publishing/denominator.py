"""The denominator: each sample has a row for every protocol and column, with a number or with a reason why not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas

from harness.errors import HarnessError
from harness.publishing.records import TABLE_FIELDS, protocol_values


def check_denominator(table: pandas.DataFrame, manifest: Mapping[str, Any], samples: Sequence[str]) -> None:
    """Checks the table of scores per sample of a run or entry.

    A protocol over calls (timing) has only those columns of a sample for which its calls sufficed, and none at all if
    the method does not mark its stages; every other one has each sample once in each column.

    Args:
        table: rows of `scores.parquet`.
        manifest: of the run; `samples` is not looked at.
        samples: ids of all.

    Raises:
        HarnessError: samples are missing, or there twice, or others; a number is missing or not finite where nothing
            failed, or there where something failed; a sample's subject or condition changes from row to row.
    """
    known = {(name, protocol["id"]) for name, protocol in manifest["protocols"].items()}
    found = set(zip(table["protocol"], table["protocol_id"], strict=True))
    if odd := found - known:
        name, identity = sorted(odd)[0]
        raise HarnessError(f"scores.parquet: protocol {name} [{identity}] is not in the manifest")
    _check_numbers(table)
    _check_description(table)
    for name, protocol in manifest["protocols"].items():
        rows = table[table["protocol"] == name]
        if protocol_values(protocol).get("aggregation") == "calls":
            groups = [(name, rows["sample"].drop_duplicates())] if len(rows) else []
            if rows.duplicated(["sample", "column"]).any():
                raise HarnessError(f"scores.parquet: protocol {name} has a sample twice in one column")
        else:
            groups = [(f"{name}, column {column}", part["sample"]) for column, part in rows.groupby("column")]
            groups = groups or [(name, rows["sample"])]
        for what, ids in groups:
            _check_samples(list(ids), samples, what)


def _check_samples(found: Sequence[str], expected: Sequence[str], what: str) -> None:
    for name, ids in (("lacks", set(expected) - set(found)), ("has unknown", set(found) - set(expected))):
        if ids:
            raise HarnessError(
                f"scores.parquet: protocol {what} {name} {len(ids)} of {len(expected)} samples, e.g. {sorted(ids)[0]}"
            )
    if len(found) != len(expected):
        raise HarnessError(f"scores.parquet: protocol {what} has {len(found)} rows for {len(expected)} samples")


def _check_numbers(table: pandas.DataFrame) -> None:
    worked = table["failure"].isna()
    for column in ("sample", "subject", "protocol", "protocol_id", "column"):
        if table[column].isna().any():
            raise HarnessError(f"scores.parquet: {column} is missing in a row")
    for trouble, rows in (
        ("no finite value and no failure", worked & ~np.isfinite(table["value"].astype(float))),
        ("a value although it failed", ~worked & table["value"].notna()),
        ("a fall-back although it did not fail", worked & table["fallback"].notna()),
        ("an infinite fall-back", np.isinf(table["fallback"].astype(float))),
        ("a failure without a reason", ~worked & table["failure"].str.strip().eq("")),
    ):
        if rows.any():
            row = table[rows].iloc[0]
            raise HarnessError(
                f"scores.parquet: sample {row['sample']}, protocol {row['protocol']}, column {row['column']} has "
                f"{trouble}; {int(rows.sum())} rows in all"
            )


def _check_description(table: pandas.DataFrame) -> None:
    fixed = ["sample", "subject", *condition_columns(table)]
    described = table[fixed].drop_duplicates()
    if described["sample"].duplicated().any():
        name = described.loc[described["sample"].duplicated(), "sample"].iloc[0]
        raise HarnessError(f"scores.parquet: sample {name} has rows of different {', '.join(fixed[1:])}")


def condition_columns(table: pandas.DataFrame) -> list[str]:
    """Names of the conditions in a table of scores per sample."""
    return [str(name) for name in table.columns if name not in TABLE_FIELDS]
