"""Boards and facts as HTML: it takes the page's own colours, so it reads well on light and dark ground."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import urlencode

from harness.leaderboards.boards import Board
from harness.leaderboards.runs import Unlisted

MIRROR_BANNER = "Synthetic stand-in, not comparable with published numbers"
KINDS = {"real": ("REAL", "measured on the real data set"), "mirror": ("MIRROR", MIRROR_BANNER)}

STYLE = """
<style>
.block-container {padding: 2.6rem 3rem 3rem 3rem;}
.board, .facts {border-collapse: collapse; width: 100%; font-size: .95rem; line-height: 1.35;}
.scroll {overflow-x: auto;}
.board th, .board td {padding: .45rem .5rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid rgba(128,128,128,.25);}
.board thead th {font-weight: 600; white-space: nowrap; border-bottom: 2px solid rgba(128,128,128,.45);}
.board thead th.group {text-align: center; border-bottom: 1px solid rgba(128,128,128,.25);}
.board .number {text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap;}
.board .best {font-weight: 700;}
.board .tied {background: rgba(64,132,214,.13);}
.board .equals {opacity: .75; display: inline-block; width: 0; text-indent: .15rem;}
.board .date {white-space: nowrap;}
.board thead a {text-decoration: none;}
.board thead a:hover {text-decoration: underline;}
.board th.first, .board td.first {position: sticky; left: 0; z-index: 1; min-width: 12rem; max-width: 18rem;
  background: light-dark(#ffffff, #171614);}
.board .short {max-width: 17rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap;}
.overview {max-height: 21rem; overflow-y: auto;}
.overview .board {font-size: .87rem;}
.overview .board td, .overview .board th {padding: .25rem .6rem;}
.overview .brief {white-space: nowrap;}
.overview .chosen {background: rgba(128,128,128,.14);}
.none {opacity: .75; font-size: .87rem;}
.none a {color: inherit;}
.board .small, .small {font-size: .8rem; opacity: .7; font-weight: 400;}
.board tbody tr:hover {background: rgba(128,128,128,.09);}
.board a {color: inherit; text-decoration: underline; text-decoration-color: rgba(128,128,128,.6);
  text-underline-offset: 3px;}
.board a:hover {text-decoration-color: currentColor;}
.small a {color: inherit;}
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


def boards_address(**state: object) -> str:
    """The page of all boards, which is the one that opens first; `state` as it is in the address, lists included."""
    return "./?" + urlencode(state, doseq=True)


def badge(kind: str) -> str:
    """REAL or MIRROR; the words behind it on pointing."""
    text, title = KINDS[kind]
    return f'<span class="badge {kind}" title="{escape(title)}">{text}</span>'


def published_badge(published: bool) -> str:
    """Whether a run is among the published entries."""
    if published:
        return '<span class="badge plain" title="an immutable entry of the results">published</span>'
    return '<span class="badge plain" title="a run on this machine only">local</span>'


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
        f"{escape(board.direction)}</span></div>"
    )


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
