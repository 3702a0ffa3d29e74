"""A board as a sheet: short for print, or with everything behind each number."""

from __future__ import annotations

import re
from collections.abc import Iterator

from harness.leaderboards.board_table import Statistics, certainty, rank_words
from harness.leaderboards.boards import Board, Cell, Line, format_value
from harness.leaderboards.sheet import Sheet
from harness.leaderboards.tables import MIRROR_BANNER
from harness.statistics import Standing

MARKS = "Bold: best of its column. Marked =: not separable from the best, over {subjects} subjects"
DROPPING = "In brackets: the value that leaves failed samples out, as official programs do."


def board_sheet(board: Board, statistics: Statistics, by: str = "", full: bool = False) -> Sheet:
    """What the page shows of a board.

    Args:
        board: its lines in the order shown.
        statistics: by column.
        by: the column that ranks are about, the first if empty.
        full: six digits, intervals in columns of their own, and what the number was measured with; else two digits
            and what fits on a page.
    """
    ranked = by if by in board.columns else board.columns[0]
    rows, best, ties = [], set(), set()
    for r, line in enumerate(board.lines):
        cells = list(_cells(line, board, statistics, ranked, full))
        rows.append(tuple(text for _, text, _, _ in cells))
        best |= {(r, c) for c, (_, _, is_best, _) in enumerate(cells) if is_best}
        ties |= {(r, c) for c, (_, _, is_best, tied) in enumerate(cells) if tied and not is_best}
    columns = tuple(name for name, *_ in _cells(board.lines[0], board, statistics, ranked, full))
    return Sheet(title(board), columns, tuple(rows), frozenset(best), frozenset(ties), notes(board, statistics, ranked))


def title(board: Board) -> str:
    """Benchmark, protocol with its id, unit, and REAL or MIRROR."""
    key = board.key
    kind = f"MIRROR: {MIRROR_BANNER[0].lower()}{MIRROR_BANNER[1:]}" if key.kind == "mirror" else "REAL"
    return f"{key.bench} · {key.protocol} [{key.protocol_id}] · {key.unit}, {board.direction} · {kind} ({key.version})"


def stem_of(board: Board) -> str:
    """A file's name for a board, without suffix: benchmark, kind of data, protocol and its id."""
    key = board.key
    name = "-".join((key.bench, key.kind, key.protocol, key.protocol_id))
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)


def notes(board: Board, statistics: Statistics, ranked: str) -> tuple[str, ...]:
    """What the numbers mean, how sure they are, and what stands for failures."""
    failures = DROPPING if board.has_failures else ""
    return tuple(filter(None, (board.meaning, certainty(board, statistics, ranked, MARKS), failures)))


Entry = tuple[str, str, bool, bool]  # heading, text, best, tied


def _cells(line: Line, board: Board, statistics: Statistics, ranked: str, full: bool) -> Iterator[Entry]:
    run, (evaluated, expected) = line.run, line.coverage
    yield "method", run.method, False, False
    if full or len({other.run.method for other in board.lines}) < len(board.lines):
        yield "options", ", ".join(f"{name}={value}" for name, value in run.options.items()), False, False
    own = _standing(statistics, ranked, line)
    if statistics.get(ranked) is not None and statistics[ranked].runs:
        yield f"rank by {ranked}" if full else "rank", rank_words(own), False, False
    for heading in board.columns:
        yield from _values(line, board, heading, _standing(statistics, heading, line), full)
    yield "coverage", f"{evaluated}/{expected}", False, False
    if full:
        more = {
            **{"family": run.family, "track": run.track, "hardware": run.hardware, "finished": run.date},
            **{"origin": "published" if run.published else "local", "identity": run.identity},
            **{"newest": "yes" if line.newest else "no", "benchmark": board.key.bench},
            **{"data": board.key.kind.upper(), "data version": board.key.version},
            **{"protocol": board.key.protocol, "protocol id": board.key.protocol_id, "paper": run.manifest["paper"]},
        }
        yield from ((name, str(text), False, False) for name, text in more.items())


def _values(line: Line, board: Board, heading: str, standing: Standing | None, full: bool) -> Iterator[Entry]:
    cell, unit = line.cells.get(heading), board.key.unit
    best = cell is not None and cell.best
    tied = standing is not None and bool(standing.tied_with_best)
    value = None if cell is None else cell.value
    if not full:
        yield f"{heading} [{unit}]", _short(cell), best, tied
        return
    ends = (standing.interval.low, standing.interval.high) if standing and standing.interval else (None, None)
    dropping = None if cell is None else cell.dropping
    yield f"{heading} [{unit}]", digits(value), best, tied
    yield f"{heading} low [{unit}]", digits(ends[0]), False, False
    yield f"{heading} high [{unit}]", digits(ends[1]), False, False
    yield f"{heading} without failures [{unit}]", digits(dropping), False, False


def _standing(statistics: Statistics, heading: str, line: Line) -> Standing | None:
    return statistics[heading].runs.get(line.run.key) if heading in statistics and line.newest else None


def _short(cell: Cell | None) -> str:
    """Two decimals, and in brackets the value without failures where there are any."""
    if cell is None or cell.evaluated == cell.expected:
        return "–" if cell is None else format_value(cell.value)
    return f"{format_value(cell.value)} ({'none' if cell.dropping is None else f'{cell.dropping:.2f}'})"


def digits(value: float | None) -> str:
    """Six significant digits; empty where there is no number."""
    return "" if value is None else f"{value:.6g}"
