"""Finished runs as tables on the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.errors import HarnessError
from harness.run_folder import RunFolder, condition, in_words

SAME = ("bench", "data", "dataset_version", "data_digest", "samples_digest")
LABELS = {"real": "real data", "mirror": "MIRROR: synthetic stand-in, not comparable with published numbers"}


def print_runs(folders: Sequence[RunFolder], console: Console | None = None) -> None:
    """Prints one table per benchmark, data (kind, version, content), samples and protocol: these are never mixed."""
    console = console or Console()
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for summary in (folder.summary() for folder in folders):
        for protocol_id in dict.fromkeys(row["protocol_id"] for row in summary["rows"]):
            key = (protocol_id, *(summary[name] for name in SAME))
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
    names = Counter(summary["method"] for summary in summaries)
    for summary, group in zip(summaries, rows, strict=True):
        cells = {_heading(row): _cell(row) for row in group}
        if len(cells) < len(group):
            raise HarnessError(f"run {summary['identity']}: two numbers under one heading; {list(cells)}")
        several = names[summary["method"]] > 1
        name = f"{summary['method']} {summary['identity'][:8]}" if several else summary["method"]
        one_region = [row for row in group if row["region"] == group[0]["region"]]
        coverage = f"{sum(r['evaluated'] for r in one_region)}/{sum(r['expected'] for r in one_region)}"
        table.add_row(name, *(cells.get(heading, "") for heading in headings), coverage)
    return table


def _heading(row: dict[str, Any]) -> str:
    return " ".join(filter(None, (row["region"], in_words(condition(row)))))


def _cell(row: dict[str, Any]) -> str:
    value = "not computed" if row["value"] is None else f"{row['value']:.2f}"
    if row["evaluated"] == row["expected"]:
        return value
    dropping = row["value_dropping_failures"]
    return f"{value} ({'none' if dropping is None else f'{dropping:.2f}'})"
