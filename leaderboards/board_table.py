"""A board as HTML: values with their intervals, ranks, ties, coverage and where each number comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape

from harness.leaderboards.boards import Board, Cell, Line, format_value
from harness.leaderboards.links import address
from harness.statistics import Standing, Standings

SORTED = {False: " ▲", True: " ▼"}
Statistics = Mapping[str, Standings]
FACTS = {
    "coverage": ("number", "samples that the method answered / all samples"),
    "hardware": ("", "what the method ran on"),
    "date": ("", "when the run was finished (UTC)"),
}


def board_html(
    board: Board,
    statistics: Statistics | None = None,
    by: str = "",
    descending: bool = False,
    sort_link: Callable[[str], str] | None = None,
) -> str:
    """The table of a board: headings by condition and region, one row per run.

    Args:
        board: what is shown, in its order.
        statistics: by column; without them there are no intervals, ranks and ties.
        by: what the board is sorted by, a column or another heading.
        descending: whether the best comes last.
        sort_link: heading -> address of the page sorted by it; None for headings that are no links.
    """
    by = by or board.columns[0]
    ranked = by if by in board.columns else board.columns[0]
    places = (statistics or {}).get(ranked, Standings()).runs

    def heading(name: str, text: str) -> str:
        arrow = f'<span title="sorted by this column">{SORTED[descending]}</span>' if name == by else ""
        if sort_link is None:
            return text + arrow
        return f'<a href="{escape(sort_link(name))}" target="_self" title="sort by this column">{text}</a>{arrow}'

    body = "".join(_line(line, board, statistics or {}, places) for line in board.lines)
    head = _head(board, heading, with_ranks=bool(places))
    return f'<div class="scroll"><table class="board">{head}<tbody>{body}</tbody></table></div>'


def _head(board: Board, heading: Callable[[str, str], str], with_ranks: bool) -> str:
    pairs = {column: split(column) for column in board.columns}
    conditions = list(dict.fromkeys(condition for _, condition in pairs.values()))
    groups = "".join(
        f'<th class="group" colspan="{sum(c == condition for _, c in pairs.values())}">{escape(condition)}</th>'
        for condition in conditions
    )
    numbers = "".join(
        f'<th class="number">{heading(column, f"{escape(region)} [{escape(board.key.unit)}]")}</th>'
        for column, (region, _) in pairs.items()
    )
    rank = (
        '<th rowspan="2" class="number" title="ranks that cannot be ruled out (95 %)">rank</th>' if with_ranks else ""
    )
    coverage, *others = (
        f'<th rowspan="2" class="{kind}" title="{title}">{heading(name, name)}</th>'
        for name, (kind, title) in FACTS.items()
    )
    run = '<th rowspan="2" title="digest of all that may change a number; opens the run">run</th>'
    return (
        f'<thead><tr><th rowspan="2" class="first">{heading("method", "method")}</th>{rank}{coverage}{groups}'
        f"{''.join(others)}{run}</tr>"
        f"<tr>{numbers}</tr></thead>"
    )


def _line(line: Line, board: Board, statistics: Statistics, places: Mapping[str, Standing]) -> str:
    run = line.run
    evaluated, expected = line.coverage
    link = escape(address("run", run=run.key))
    options = ", ".join(f"{name}={value}" for name, value in run.options.items())
    about = f'<div class="small short" title="{escape(options)}">{escape(options)}</div>' if options else ""
    cells = "".join(_cell(line.cells.get(column), _standing(statistics, column, line)) for column in board.columns)
    short = '<span class="badge failed">incomplete</span>' if evaluated < expected else ""
    origin = "published" if run.published else "local"
    return (
        f'<tr class="{"" if line.newest else "older"}">'
        f'<td class="first"><a href="{link}" target="_self" title="{escape(run.manifest["paper"] or "no paper")}">'
        f"{escape(run.method)}</a>{about}</td>{_rank(places, line)}"
        f'<td class="number">{short}{evaluated}/{expected}</td>{cells}'
        f'<td title="{escape(run.hardware)}">{escape(str(run.manifest["device"]))}</td>'
        f'<td class="date" title="{escape(run.date)}">{escape(run.date[:10])}</td>'
        f'<td><a href="{link}" target="_self"><code>{escape(run.identity[:8])}</code></a>'
        f'<div class="small">{origin}</div></td></tr>'
    )


def _standing(statistics: Statistics, column: str, line: Line) -> Standing | None:
    return statistics[column].runs.get(line.run.key) if column in statistics and line.newest else None


def _rank(places: Mapping[str, Standing], line: Line) -> str:
    if not places:
        return ""
    own = places.get(line.run.key) if line.newest else None
    return f'<td class="number">{rank_words(own)}</td>'


def rank_words(standing: Standing | None) -> str:
    """One rank, or the ranks from and to; a dash where none was computed."""
    if standing is None or standing.rank_low is None or standing.rank_high is None:
        return "–"
    low, high = standing.rank_low, standing.rank_high
    return str(low) if low == high else f"{low}–{high}"


def _cell(cell: Cell | None, standing: Standing | None) -> str:
    if cell is None:
        return '<td class="number" title="the run has no such samples">–</td>'
    title = f"{cell.evaluated} of {cell.expected} samples answered"
    if cell.deviation is not None:
        title += f"; standard deviation between subjects {cell.deviation:.2f}"
    tied = standing is not None and bool(standing.tied_with_best)
    equals = '<span class="equals">=</span>' if tied and not cell.best else ""
    text = f'<span class="{"best" if cell.best else ""}">{format_value(cell.value)}</span>{equals}'
    kind = "number tied" if tied else "number"
    if standing is not None and standing.interval is not None:
        low, high = standing.interval.low, standing.interval.high
        title += f"; 95 % interval {low:.3f} to {high:.3f}"
        text += f'<div class="small">{low:.2f}–{high:.2f}</div>'
        if standing.p_value is not None:
            title += f"; p = {standing.p_value:.2g} against the best, corrected"
    if cell.evaluated < cell.expected:
        dropping = "none worked" if cell.dropping is None else f"{cell.dropping:.2f} without failures"
        text += f'<div class="small">{dropping}</div>'
    return f'<td class="{kind}" title="{escape(title)}">{text}</td>'


def legend(board: Board, statistics: Statistics, by: str = "") -> str:
    """What shading and small print mean on the page, and the smallest difference that can be seen, as sentences."""
    marks = "Small: 95 % interval over {subjects} subjects. Shaded, =: not separable from the best"
    return certainty(board, statistics, by, marks)


def certainty(board: Board, statistics: Statistics, by: str, marks: str) -> str:
    """How sure the ranks of a column are; `marks` says what a tie looks like."""
    ranked = by if by in board.columns else board.columns[0]
    found = statistics.get(ranked, Standings())
    if found.note or not found.runs:
        return f"{found.note[:1].upper()}{found.note[1:]}." if found.note else ""
    words = [
        f"{marks.format(subjects=found.subjects)} (paired test, corrected for all pairs of methods).",
        f"Ranks: by {ranked}, among the methods shown.",
    ]
    if found.detectable is not None:
        words.append(
            f"Smallest difference that can be seen between two methods: {found.detectable:.2g} {board.key.unit} "
            "(80 % power at the 5 % level)."
        )
    return " ".join(words)


def split(column: str) -> tuple[str, str]:
    """Region and condition of a heading."""
    region, _, condition = column.partition(" · ")
    return region, condition
