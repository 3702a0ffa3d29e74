"""Finished runs as tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.run_folder import RunFolder

LABELS = {"real": "real data", "mirror": "MIRROR: synthetic stand-in, not comparable with published numbers"}


def print_runs(folders: Sequence[RunFolder], console: Console | None = None) -> None:
    """Prints one table per benchmark, kind and version of data, and protocol: these are never mixed."""
    console = console or Console()
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for summary in (folder.summary() for folder in folders):
        for protocol_id in dict.fromkeys(row["protocol_id"] for row in summary["rows"]):
            key = (protocol_id, summary["bench"], summary["data"], summary["dataset_version"])
            groups.setdefault(key, []).append(summary)
    for (protocol_id, *_), summaries in groups.items():
        console.print(_title(protocol_id, summaries[0]), style="bold", soft_wrap=True)
        console.print(_table(protocol_id, summaries))
        if any(row["evaluated"] < row["expected"] for s in summaries for row in s["rows"]):
            console.print("( ): the value that leaves failed samples out, as official programs do")
        console.print(summaries[0]["meaning"][protocol_id], style="dim")
        console.print()
    for folder in folders:
        console.print(f"Run: {folder.path}", soft_wrap=True)


def _title(protocol_id: str, summary: dict[str, Any]) -> str:
    row = next(row for row in summary["rows"] if row["protocol_id"] == protocol_id)
    data = f"{LABELS[summary['data']]} (version {summary['dataset_version']})"
    return escape(f"{summary['bench']} · {row['protocol']} [{protocol_id}] · {row['unit']} · {data}")


def _table(protocol_id: str, summaries: Sequence[dict[str, Any]]) -> Table:
    rows = [[row for row in s["rows"] if row["protocol_id"] == protocol_id] for s in summaries]
    table = Table()
    table.add_column("method")
    headings = list(dict.fromkeys(_heading(row) for group in rows for row in group))
    for heading in headings:
        table.add_column(heading, justify="right")
    table.add_column("coverage", justify="right")
    for summary, group in zip(summaries, rows, strict=True):
        cells = {_heading(row): _cell(row) for row in group}
        one_region = [row for row in group if row["region"] == group[0]["region"]]
        coverage = f"{sum(r['evaluated'] for r in one_region)}/{sum(r['expected'] for r in one_region)}"
        table.add_row(summary["method"], *(cells.get(heading, "") for heading in headings), coverage)
    return table


def _heading(row: dict[str, Any]) -> str:
    condition = [f"{row['views']} view{'s' if row['views'] != 1 else ''}"] if "views" in row else []
    return " ".join([row["region"], *condition])


def _cell(row: dict[str, Any]) -> str:
    value = "not computed" if row["value"] is None else f"{row['value']:.2f}"
    if row["evaluated"] == row["expected"]:
        return value
    dropping = row["value_dropping_failures"]
    return f"{value} ({'none' if dropping is None else f'{dropping:.2f}'})"
