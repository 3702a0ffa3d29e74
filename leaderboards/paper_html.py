"""Papers' tables as HTML: reported numbers look unlike measured ones, and a mirror's stand apart from both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from harness.leaderboards.links import address
from harness.leaderboards.paper_measured import Found, Measured, check_real
from harness.leaderboards.paper_tables import ALL_ROWS, PaperColumn, PaperRow, PaperTable
from harness.leaderboards.reported_numbers import ReportedNumber, Source
from harness.leaderboards.tables import badge, banner

STYLE = """
<style>
.badge.reported {background: rgba(112,88,205,.18); color: #8069e0;}
.board.papers th, .board.papers td {padding: .38rem .6rem;}
.board.papers td.reported {background: rgba(112,88,205,.09);}
.board.papers td.measured {background: rgba(34,150,84,.10);}
.board.papers th.measured {border-bottom-color: rgba(34,150,84,.6);}
.board.papers thead th {vertical-align: bottom;}
.board.papers thead .small {display: block;}
.board.papers td.why {max-width: 14rem; min-width: 9rem; white-space: normal; vertical-align: middle;
  overflow-wrap: anywhere;}
.board.papers td:first-child, .board.papers th:first-child {position: sticky; left: 0;
  backdrop-filter: blur(14px); box-shadow: inset 0 -1px rgba(128,128,128,.25);}
.board.papers sup {font-weight: 400; margin-left: .1rem; color: #dd5757; cursor: help;}
.notes {font-size: .9rem; margin: .2rem 0 .6rem 0; padding-left: 1.2rem;}
.notes li {margin: .2rem 0;}
.notes .mark {color: #dd5757; font-weight: 600; margin-right: .4rem;}
.source {border-left: 4px solid rgba(112,88,205,.6); padding: .2rem .8rem; margin: .5rem 0; font-size: .92rem;}
.source a {color: inherit;}
</style>
"""
REPORTED = '<span class="badge reported" title="printed by others, not measured here">REPORTED</span>'
DIRECTION = {"lower": "lower is better", "higher": "higher is better"}
NO_METHOD = "not a method of this harness"


def table_html(table: PaperTable, found: Found, names: Mapping[str, str], why: Sequence[str]) -> str:
    """The table as printed; numbers measured on real data stand in columns of their own.

    Args:
        table: the reported numbers.
        found: column -> method's name here -> what was measured, on real data alone.
        names: method as printed -> its name here.
        why: why nothing is measured; takes one column if there is no measured one.

    Raises:
        HarnessError: something was measured on a mirror.
    """
    check_real(found)
    reason = "<br>".join(escape(sentence) for sentence in why) if table.measurable and not found else ""
    rows = []
    for r, row in enumerate(table.rows):
        cells = "".join(_cells(table, row, r, c, found, names) for c in range(len(table.columns)))
        span = f'<td class="why small" rowspan="{len(table.rows)}">{reason}</td>' if reason and r == 0 else ""
        rows.append(f"<tr><td>{_method(table, row)}</td>{cells}{span}</tr>")
    head = _head(table, found, bool(reason))
    return f'<div class="scroll"><table class="board papers">{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _head(table: PaperTable, found: Found, why: bool) -> str:
    spans: list[tuple[str, int]] = []
    for c, column in enumerate(table.columns):
        width = 1 + (c in found)
        if spans and spans[-1][0] == column.group:
            spans[-1] = (column.group, spans[-1][1] + width)
        else:
            spans.append((column.group, width))
    groups = "".join(f'<th class="group" colspan="{width}">{escape(group)}</th>' for group, width in spans)
    last = f'<th rowspan="2">{badge("real")}measured here</th>' if why else ""
    first = f'<th rowspan="2">{REPORTED}<br>method</th>'
    parts = "".join(_heading(column, found.get(c)) for c, column in enumerate(table.columns))
    if not any(group for group, _ in spans):
        return f"<thead><tr>{first}{parts}{last}</tr></thead>"
    return f"<thead><tr>{first}{groups}{last}</tr><tr>{parts}</tr></thead>"


def _heading(column: PaperColumn, measured: Mapping[str, Measured] | None) -> str:
    arrow = "↓" if column.direction == "lower" else "↑"
    title = DIRECTION[column.direction]
    heading = (
        f'<th class="number" title="{title}">{escape(column.heading)} {arrow}'
        f'<span class="small">{escape(column.unit)}</span></th>'
    )
    if not measured:
        return heading
    row = next(iter(measured.values())).row
    protocol = f"{row['protocol']} {row['protocol_id']}"
    return heading + (
        f'<th class="number measured" title="{escape(protocol)}">{badge("real")}'
        f'<span class="small">measured here, {escape(str(row["unit"]))}<br>{escape(protocol)}</span></th>'
    )


def _method(table: PaperTable, row: PaperRow) -> str:
    where = table.sources[row.source].short if len(table.sources) > 1 else row.place
    return escape(row.method) + (f'<div class="small">{escape(where)}</div>' if where else "")


def _cells(table: PaperTable, row: PaperRow, r: int, c: int, found: Found, names: Mapping[str, str]) -> str:
    cell = _reported_cell(table, row.cells[c], (r, c) in table.best)
    if c not in found:
        return cell
    name = names.get(row.method)
    measured = found[c].get(name) if name else None
    if measured is not None:
        return f'{cell}<td class="number measured">{measured_html(measured)}</td>'
    words = ("not run", f"{name} has no such run on real data") if name else ("–", NO_METHOD)
    return f'{cell}<td class="number measured"><span class="small" title="{escape(words[1])}">{words[0]}</span></td>'


def _reported_cell(table: PaperTable, cell: ReportedNumber | None, best: bool) -> str:
    if cell is None:
        return '<td class="number" title="not printed"></td>'
    marks = "".join(
        f'<sup title="{escape(table.flag_words[flag])}">{table.letters[flag]}</sup>'
        for flag in cell.flags
        if flag in table.letters
    )
    title = escape(f"reported: {cell.printed} {cell.unit}" + (f"; {cell.note}" if cell.note else ""))
    text = f'<span class="{"best" if best else ""}">{escape(cell.printed)}</span>'
    return f'<td class="number reported" title="{title}">{text}{marks}</td>'


def measured_html(measured: Measured) -> str:
    """A measured number with a link to its run, the method's size and options, and its failures."""
    row, run = measured.row, measured.run
    options = run.manifest["method"]["options"].items()
    words = ", ".join(f"{name}={value}" for name, value in options if value not in (None, False))
    coverage = f"{row['evaluated']}/{row['expected']}"
    short = f'<div class="small">{coverage} samples worked</div>' if row["evaluated"] < row["expected"] else ""
    target = escape(address("run", run=run.key))
    return (
        f'<a href="{target}" target="_self" title="{escape(f"{coverage} samples; {words}")}">'
        f"{escape(measured.text)}</a>{short}"
        f'<div class="small">{escape(str(dict(options).get("size", "")))}</div>'
    )


def notes_html(table: PaperTable) -> str:
    """Notes and flags beneath the table: with its letter, or what it is about, and what it means."""
    notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
    flags = "".join(
        f'<li><span class="mark">{escape(table.letters.get(flag, ALL_ROWS))}</span>{escape(words)}</li>'
        for flag, words in table.flag_words.items()
    )
    best = "<li>Bold: the best printed number of a column, as far as one is printed.</li>" if table.marks_best else ""
    return f'<ul class="notes">{notes}{flags}{best}</ul>'


def source_html(source: Source, sources: Mapping[str, Source]) -> str:
    """What a source is, its notes, and what it must not be compared with."""
    title = escape(source.title)
    if source.link:
        title = f'<a href="{escape(source.link)}" target="_blank" rel="noopener noreferrer">{title}</a>'
    about = (source.authors, source.kind, source.state, source.when)
    notes = "".join(f"<li>{escape(note)}</li>" for note in source.notes)
    apart = "".join(
        f"<li>Not beside {escape(sources[name].short)}: {escape(why)}</li>" for name, why in source.not_beside.items()
    )
    small = f'<span class="small">{escape(" · ".join(filter(None, about)))}</span>'
    return f'<div class="source"><b>{title}</b><br>{small}<ul class="notes">{notes}{apart}</ul></div>'


def mirror_html(table: PaperTable, found: Found) -> str:
    """What was measured on mirrors, as a table of its own under its banner; empty where there is nothing."""
    if not found:
        return ""
    methods = list(dict.fromkeys(name for column in found.values() for name in column))
    labels = {m.run.summary.get("data_label") for column in found.values() for m in column.values()}
    head = "".join(_mirror_heading(table.columns[c], column) for c, column in found.items())
    rows = "".join(
        f"<tr><td>{escape(name)}</td>{''.join(_mirror_cell(column.get(name)) for column in found.values())}</tr>"
        for name in methods
    )
    return (
        "".join(banner("mirror", label) for label in sorted(labels, key=str))
        + f'<div class="scroll"><table class="board papers"><thead><tr><th>{badge("mirror")}<br>method</th>{head}</tr>'
        f"</thead><tbody>{rows}</tbody></table></div>"
    )


def _mirror_heading(column: PaperColumn, measured: Mapping[str, Measured]) -> str:
    one = next(iter(measured.values()))
    about = f"{one.row['unit']}<br>{escape(str(one.row['protocol']))} {escape(str(one.row['protocol_id']))}"
    heading = escape(" ".join(filter(None, (column.group, column.heading))))
    version = escape(str(one.run.summary["dataset_version"]))
    return f'<th class="number">{heading}<span class="small">{about}<br>data {version}</span></th>'


def _mirror_cell(measured: Measured | None) -> str:
    return f'<td class="number">{measured_html(measured) if measured else ""}</td>'
