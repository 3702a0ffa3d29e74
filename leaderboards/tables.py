"""Boards and facts as HTML: it takes the page's own colours, so it reads well on light and dark ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import urlencode

from harness.leaderboards.boards import Board, Cell, Line, format_value
from harness.leaderboards.runs import Unlisted

MIRROR_BANNER = "Synthetic stand-in, not comparable with published numbers"
SORTED = ' <span title="methods are sorted by this column">▲</span>'
KINDS = {"real": ("REAL", "measured on the real data set"), "mirror": ("MIRROR", MIRROR_BANNER)}

STYLE = """
<style>
.block-container {padding-top: 2.6rem; padding-bottom: 3rem;}
.board, .facts {border-collapse: collapse; width: 100%; font-size: .95rem; line-height: 1.35;}
.scroll {overflow-x: auto;}
.board th, .board td {padding: .5rem .7rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid rgba(128,128,128,.25);}
.board thead th {font-weight: 600; white-space: nowrap; border-bottom: 2px solid rgba(128,128,128,.45);}
.board thead th.group {text-align: center; border-bottom: 1px solid rgba(128,128,128,.25);}
.board .number {text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap;}
.board .best {font-weight: 700;}
.board .small, .small {font-size: .8rem; opacity: .7; font-weight: 400;}
.board tbody tr:hover {background: rgba(128,128,128,.09);}
.board a {color: inherit; text-decoration: underline; text-decoration-color: rgba(128,128,128,.6);
  text-underline-offset: 3px;}
.board a:hover {text-decoration-color: currentColor;}
.board .older {opacity: .65;}
.board code, .facts code, .title code {font-size: .85em; background: rgba(128,128,128,.14); padding: .05rem .3rem;
  border-radius: 4px;}
.badge {display: inline-block; font-size: .75rem; font-weight: 700; letter-spacing: .04em; padding: .1rem .55rem;
  border-radius: 999px; vertical-align: middle; margin-right: .35rem; white-space: nowrap;}
.badge.real {background: rgba(34,150,84,.18); color: #1f9254;}
.badge.mirror {background: rgba(214,126,20,.20); color: #cf7a12;}
.badge.plain {background: rgba(128,128,128,.18);}
.badge.failed {background: rgba(200,50,50,.18); color: #d04a4a;}
.title {margin: .4rem 0 .3rem 0;}
.title code {margin-right: .35rem;}
.back, .back:hover {color: inherit; opacity: .75; text-decoration: none;}
.banner {border-left: 4px solid #d67e14; background: rgba(214,126,20,.12); padding: .45rem .8rem; border-radius: 4px;
  margin: .3rem 0 .6rem 0; font-size: .92rem;}
.facts th {text-align: left; font-weight: 600; padding: .25rem 1rem .25rem 0; vertical-align: top; white-space: nowrap;
  width: 11rem;}
.facts td {padding: .25rem 0; overflow-wrap: anywhere;}
</style>
"""


def address(run: str, sample: str | None = None) -> str:
    """The page of a run, or of one of its samples, relative to the leaderboard."""
    return "run?" + urlencode({"run": run, **({"sample": sample} if sample else {})})


def badge(kind: str) -> str:
    """REAL or MIRROR; the words behind it on pointing."""
    text, title = KINDS[kind]
    return f'<span class="badge {kind}" title="{escape(title)}">{text}</span>'


def banner(kind: str, label: str | None = None) -> str:
    """The sentence that stands over everything measured on a mirror, the run's own `label` if any; empty for real."""
    words = escape(label or MIRROR_BANNER)
    return f'<div class="banner"><b>MIRROR</b> · {words}.</div>' if kind == "mirror" else ""


def board_title(board: Board) -> str:
    """Which data and protocol a board is about, with both badges."""
    key = board.key
    kind = "official protocol" if board.official else "own protocol"
    return (
        f'<div class="title">{badge(key.kind)}<b>{escape(key.protocol)}</b> <code>{escape(key.protocol_id)}</code>'
        f'<span class="badge plain">{kind}</span>'
        f'<span class="small">data version {escape(key.version)} · all values in {escape(key.unit)}, '
        "lower is better</span></div>"
    )


def board_html(board: Board) -> str:
    """The table of a board: headings by condition and region, one row per run."""
    body = "".join(_line(line, board) for line in board.lines)
    return f'<div class="scroll"><table class="board">{_head(board)}<tbody>{body}</tbody></table></div>'


def _head(board: Board) -> str:
    pairs = [_split(column) for column in board.columns]
    conditions = list(dict.fromkeys(condition for _, condition in pairs))
    groups = "".join(
        f'<th class="group" colspan="{sum(c == condition for _, c in pairs)}">{escape(condition)}</th>'
        for condition in conditions
    )
    regions = "".join(
        f'<th class="number">{escape(region)} [{escape(board.key.unit)}]{SORTED if i == 0 else ""}</th>'
        for i, (region, _) in enumerate(pairs)
    )
    others = [
        ("coverage", "number", "samples that the method answered / all samples"),
        ("device", "", "what the method ran on"),
        ("date", "", "when the run was finished (UTC)"),
        ("run", "", "digest of all that may change a number; opens the run"),
    ]
    tail = "".join(f'<th rowspan="2" class="{kind}" title="{title}">{name}</th>' for name, kind, title in others)
    return f'<thead><tr><th rowspan="2">method</th>{groups}{tail}</tr><tr>{regions}</tr></thead>'


def _line(line: Line, board: Board) -> str:
    run = line.run
    evaluated, expected = line.coverage
    environment = run.manifest["environment"]
    device = f"{run.manifest['device']}: {environment.get('accelerator') or environment.get('cpu')}"
    link = escape(address(run.key))
    chosen = run.manifest["method"]["options"].items()
    options = ", ".join(f"{name}={value}" for name, value in chosen if value not in (None, False))
    notes = "".join(f'<div class="small">{escape(note)}</div>' for note in (run.manifest["paper"], options) if note)
    cells = "".join(_cell(line.cells.get(column)) for column in board.columns)
    short = '<span class="badge failed">incomplete</span>' if evaluated < expected else ""
    return (
        f'<tr class="{"" if line.newest else "older"}">'
        f'<td><a href="{link}" target="_self">{escape(run.method)}</a>{notes}</td>{cells}'
        f'<td class="number">{short}{evaluated}/{expected}</td>'
        f'<td title="{escape(device)}">{escape(run.manifest["device"])}</td>'
        f'<td style="white-space:nowrap" title="{escape(run.date)}">{escape(run.date[:10])}</td>'
        f'<td><a href="{link}" target="_self"><code>{escape(run.identity[:8])}</code></a></td></tr>'
    )


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return '<td class="number" title="the run has no such samples">–</td>'
    title = f"{cell.evaluated} of {cell.expected} samples answered"
    if cell.deviation is not None:
        title += f"; standard deviation between subjects {cell.deviation:.2f}"
    text = f'<span class="{"best" if cell.best else ""}">{format_value(cell.value)}</span>'
    if cell.evaluated < cell.expected:
        dropping = "none worked" if cell.dropping is None else f"{cell.dropping:.2f} without failures"
        text += f'<div class="small">{dropping}</div>'
    return f'<td class="number" title="{escape(title)}">{text}</td>'


def failure_note(board: Board) -> str:
    """What the two values of a cell with failures are; empty where no run failed."""
    if not board.has_failures:
        return ""
    return (
        "Where a method failed on a sample, the value counts it with the mean face's score; below it, "
        "“without failures” leaves such samples out, as official programs do."
    )


def facts_html(facts: Mapping[str, str]) -> str:
    """Names and values as two columns."""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
    return f'<table class="facts">{rows}</table>'


def unlisted_html(entries: Sequence[Unlisted]) -> str:
    """The folders that are in no table, with the reason."""
    colours = {"unreadable": "failed", "unfinished": "plain"}
    rows = "".join(
        f'<tr><td><code>{escape(e.key)}</code></td><td><span class="badge {colours[e.state]}">{e.state}</span></td>'
        f"<td>{escape(e.reason)}</td></tr>"
        for e in entries
    )
    head = "<thead><tr><th>folder</th><th>state</th><th>why</th></tr></thead>"
    return f'<div class="scroll"><table class="board">{head}<tbody>{rows}</tbody></table></div>'


def _split(column: str) -> tuple[str, str]:
    region, _, condition = column.partition(" · ")
    return region, condition
