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
        for table in _tables(protocol_id, summaries, console):
            console.print(table)
        if any(row["evaluated"] < row["expected"] for s in summaries for row in s["rows"]):
            console.print("( ): the value that leaves failed samples out, as official programs do")
        console.print(escape(summaries[0]["meaning"][protocol_id]), style="dim")
        console.print()
    for folder in folders:
        console.print(f"Run: {folder.path}", soft_wrap=True)
        for note in folder.summary().get("notes", ()):
            console.print(f"  {escape(note)}", soft_wrap=True, highlight=False)


def _title(protocol_id: str, summary: dict[str, Any]) -> str:
    rows = [row for row in summary["rows"] if row["protocol_id"] == protocol_id]
    units = ", ".join(dict.fromkeys(row["unit"] for row in rows))
    data = f"{summary.get('data_label') or LABELS[summary['data']]} (version {summary['dataset_version']})"
    return escape(f"{summary['bench']} · {rows[0]['protocol']} [{protocol_id}] · {units} · {data}")


def _tables(protocol_id: str, summaries: Sequence[dict[str, Any]], console: Console) -> list[Table]:
    """One table, or one per condition where its numbers would not fit beside each other."""
    rows = [[row for row in s["rows"] if row["protocol_id"] == protocol_id] for s in summaries]
    whole = _table(summaries, rows)
    if console.measure(whole, options=console.options.update(max_width=10_000)).minimum <= console.width:
        return [whole]
    conditions = list(dict.fromkeys(in_words(condition(row)) for group in rows for row in group))
    parts = [[[row for row in group if in_words(condition(row)) == name] for group in rows] for name in conditions]
    return [
        _table([s for s, group in zip(summaries, part, strict=True) if group], [group for group in part if group])
        for part in parts
    ]


def _table(summaries: Sequence[dict[str, Any]], rows: Sequence[Sequence[dict[str, Any]]]) -> Table:
    table = Table()
    table.add_column("method")
    units = {row["unit"] for group in rows for row in group}
    headings = list(dict.fromkeys(_heading(row, units) for group in rows for row in group))
    for heading in headings:
        table.add_column(heading, justify="right")
    table.add_column("coverage", justify="right")
    names = Counter(summary["method"] for summary in summaries)
    for summary, group in zip(summaries, rows, strict=True):
        cells = {_heading(row, units): _cell(row) for row in group}
        if len(cells) < len(group):
            raise HarnessError(f"run {summary['identity']}: two numbers under one heading; {list(cells)}")
        several = names[summary["method"]] > 1
        name = f"{summary['method']} {summary['identity'][:8]}" if several else summary["method"]
        table.add_row(name, *(cells.get(heading, "") for heading in headings), _coverage(group))
    return table


def _coverage(rows: Sequence[dict[str, Any]]) -> str:
    """Samples that worked and all samples; rows over "all" conditions repeat those of the others."""
    first = [row for row in rows if row["column"] == rows[0]["column"]]
    parts = [row for row in first if "all" not in condition(row).values()] or first
    return f"{sum(row['evaluated'] for row in parts)}/{sum(row['expected'] for row in parts)}"


def _heading(row: dict[str, Any], units: set[str]) -> str:
    unit = f"[{row['unit']}]" if len(units) > 1 else ""
    return " ".join(filter(None, (row["column"], unit, in_words(condition(row)))))


def _cell(row: dict[str, Any]) -> str:
    value = "not computed" if row["value"] is None else f"{row['value']:.2f}"
    if row["evaluated"] == row["expected"]:
        return value
    dropping = row["value_dropping_failures"]
    return f"{value} ({'none' if dropping is None else f'{dropping:.2f}'})"
