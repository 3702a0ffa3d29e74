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
REASONS = 3
"""So many are printed of those for which samples failed."""
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
        console.print(_table_that_fits(protocol_id, summaries, console))
        if any(row["evaluated"] < row["expected"] for s in summaries for row in s["rows"]):
            console.print("( ): the value that leaves failed samples out, as official programs do")
        console.print(escape(summaries[0]["meaning"][protocol_id]), style="dim")
        console.print()
    for folder in folders:
        console.print(f"Run: {folder.path}", soft_wrap=True)
        for note in (*folder.summary().get("notes", ()), *_failures(folder)):
            console.print(f"  {escape(note)}", soft_wrap=True, highlight=False)


def _failures(folder: RunFolder) -> list[str]:
    """How many samples failed for which reason, the most frequent first."""
    reasons = folder.failures().most_common()
    lines = [f"{count} failed: {reason}" for reason, count in reasons[:REASONS]]
    rest = sum(count for _, count in reasons[REASONS:])
    return lines + [f"{rest} failed for {len(reasons) - REASONS} other reasons: see scores.parquet"] * (rest > 0)


def _title(protocol_id: str, summary: dict[str, Any]) -> str:
    rows = [row for row in summary["rows"] if row["protocol_id"] == protocol_id]
    units = ", ".join(dict.fromkeys(row["unit"] for row in rows))
    data = f"{summary.get('data_label') or LABELS[summary['data']]} (version {summary['dataset_version']})"
    return escape(f"{summary['bench']} · {rows[0]['protocol']} [{protocol_id}] · {units} · {data}")


def _table_that_fits(protocol_id: str, summaries: Sequence[dict[str, Any]], console: Console) -> Table:
    """A row per run, or where its numbers would not fit beside each other, a row per run and condition."""
    rows = [[row for row in s["rows"] if row["protocol_id"] == protocol_id] for s in summaries]
    names = _names(summaries)
    wide = _table(names, rows)
    least = console.measure(wide, options=console.options.update(max_width=10_000)).minimum
    if least + len(wide.columns) <= console.width:  # rich does not share the width out perfectly
        return wide
    parts = [(name, part) for name, group in zip(names, rows, strict=True) for part in _by_condition(group)]
    order = list(dict.fromkeys(in_words(condition(row)) for group in rows for row in group))
    parts.sort(key=lambda part: order.index(in_words(condition(part[1][0]))))
    return _table([name for name, _ in parts], [part for _, part in parts], apart=True)


def _names(summaries: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the methods, with the run's identity where one has several runs."""
    counts = Counter(summary["method"] for summary in summaries)
    return [s["method"] if counts[s["method"]] == 1 else f"{s['method']} {s['identity'][:8]}" for s in summaries]


def _by_condition(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(in_words(condition(row)), []).append(row)
    return list(groups.values())


def _table(names: Sequence[str], rows: Sequence[Sequence[dict[str, Any]]], apart: bool = False) -> Table:
    """One line per element of `rows`; `apart`: each is of one condition, which gets a column of its own."""
    table = Table()
    table.add_column("method")
    conditions = list(dict.fromkeys(key for group in rows for key in condition(group[0]))) if apart else []
    for name in conditions:
        table.add_column(name)
    units = {row["unit"] for group in rows for row in group}
    headings = list(dict.fromkeys(_heading(row, units, apart) for group in rows for row in group))
    for heading in headings:
        table.add_column(heading, justify="right")
    table.add_column("coverage", justify="right", min_width=len("coverage"))
    for name, group in zip(names, rows, strict=True):
        cells = {_heading(row, units, apart): _cell(row) for row in group}
        if len(cells) < len(group):
            raise HarnessError(f"{name}: two numbers under one heading; {list(cells)}")
        here = [str(condition(group[0]).get(key, "")) for key in conditions]
        table.add_row(name, *here, *(cells.get(heading, "") for heading in headings), _coverage(group))
    return table


def _coverage(rows: Sequence[dict[str, Any]]) -> str:
    """Samples that worked and all samples; a row over "all" conditions has every sample, others may share some."""
    first = [row for row in rows if row["column"] == rows[0]["column"]]
    parts = [row for row in first if set(condition(row).values()) == {"all"}] or first
    return f"{sum(row['evaluated'] for row in parts)}/{sum(row['expected'] for row in parts)}"


def _heading(row: dict[str, Any], units: set[str], apart: bool) -> str:
    unit = f"[{row['unit']}]" if len(units) > 1 else ""
    return " ".join(filter(None, (row["column"], unit, "" if apart else in_words(condition(row)))))


def _cell(row: dict[str, Any]) -> str:
    value = "not computed" if row["value"] is None else f"{row['value']:.2f}"
    if row["evaluated"] == row["expected"]:
        return value
    dropping = row["value_dropping_failures"]
    return f"{value} ({'none' if dropping is None else f'{dropping:.2f}'})"
