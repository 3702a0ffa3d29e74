"""The table that the leaderboard opens with: which benchmarks there are, and what has been measured on which data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from harness.leaderboards.benchmarks import KnownBench
from harness.leaderboards.runs import Run
from harness.leaderboards.tables import badge, boards_address


def bench_names(runs: Sequence[Run], known: Mapping[str, KnownBench]) -> list[str]:
    """Benchmarks with results first, then the others, each in alphabetical order."""
    measured = sorted({str(run.manifest["bench"]) for run in runs})
    return [*measured, *(name for name in sorted(known) if name not in measured)]


def overview_html(runs: Sequence[Run], known: Mapping[str, KnownBench], chosen: str) -> str:
    """One row per benchmark: what it measures, access to its data, and how many methods were measured."""
    methods: dict[tuple[str, str], set[str]] = {}
    for run in runs:
        methods.setdefault((str(run.manifest["bench"]), run.kind), set()).add(run.method)
    rows = "".join(_row(name, known.get(name), methods, name == chosen) for name in bench_names(runs, known))
    head = "".join(
        f"<th>{name}</th>" for name in ("benchmark", "what is measured", "access to the data", "real data", "mirror")
    )
    return (
        '<div class="scroll overview"><table class="board"><thead><tr>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(name: str, bench: KnownBench | None, methods: Mapping[tuple[str, str], set[str]], chosen: bool) -> str:
    counts = {kind: _count(kind, len(methods.get((name, kind), ()))) for kind in ("real", "mirror")}
    real = counts["real"] or f'<span class="none">{missing_html(bench)}</span>'
    mirror = counts["mirror"] or '<span class="none">not measured</span>'
    link = f'<a href="{escape(boards_address(bench=name))}" target="_self">{escape(name)}</a>'
    access = bench.access.value if bench else "unknown"
    about = escape(bench.about) if bench else "not among this version's benchmarks"
    mark = ' class="chosen"' if chosen else ""
    return (
        f'<tr{mark}><td class="brief">{link}</td><td>{about}</td><td class="brief">{access}</td><td>{real}</td>'
        f'<td class="brief">{mirror}</td></tr>'
    )


def _count(kind: str, methods: int) -> str:
    return f"{badge(kind)}{methods} method{'' if methods == 1 else 's'}" if methods else ""


def missing_html(bench: KnownBench | None) -> str:
    """Why there are no results on real data, and where the data is had."""
    if bench is None:
        return "not measured"
    place = f' · <a href="{escape(bench.place)}" target="_blank" rel="noopener">ask here</a>' if bench.place else ""
    hint = f' <span title="{escape(bench.hint)}">{escape(bench.hint)}</span>' if bench.hint else ""
    return f"not measured: {escape(bench.needs)}{place}{hint}"
