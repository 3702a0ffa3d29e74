"""Sheets as files: CSV, LaTeX, Markdown, JSON and HTML. Every text is escaped: names come from others."""

from __future__ import annotations

import csv
import io
import json
import re
from html import escape

from harness.leaderboards.sheet import Sheet

TIE = "="
LATEX = {
    "\\": r"\textbackslash{}",
    **{character: f"{{{character}}}" for character in "[]"},  # after a line's end, a bracket would be its option
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "·": r"\textperiodcentered{}",
    "–": "--",
    "…": r"\dots{}",
}


def to_csv(sheet: Sheet) -> str:
    """Comma separated; after each column with marks a column of its own says "best" or "tied"."""
    marks = _marked_columns(sheet)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([name for k, heading in enumerate(sheet.columns) for name in _with_mark(k, heading, marks)])
    for r, row in enumerate(sheet.rows):
        cells: list[str] = []
        for c, text in enumerate(row):
            mark = "best" if (r, c) in sheet.best else "tied" if (r, c) in sheet.ties else ""
            cells += [_no_formula(text), *([mark] if c in marks else [])]
        writer.writerow(cells)
    return out.getvalue()


def to_latex(sheet: Sheet) -> str:
    """A `table` for the package booktabs; the best bold, ties with a raised equals sign."""
    lines = [
        "% needs \\usepackage{booktabs}",
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(sheet.title)}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(sheet.columns) - 1)}}}",
        r"\toprule",
        " & ".join(map(escape_latex, sheet.columns)) + r" \\",
        r"\midrule",
        *(" & ".join(_latex(sheet, r, c) for c in range(len(row))) + r" \\" for r, row in enumerate(sheet.rows)),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\footnotesize {escape_latex(note)}" for note in sheet.notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def to_markdown(sheet: Sheet) -> str:
    """A heading, a pipe table and the notes; the best bold, ties followed by an equals sign."""
    bars = ["---", *["---:"] * (len(sheet.columns) - 1)]
    rows = [[_markdown(sheet, r, c) for c in range(len(row))] for r, row in enumerate(sheet.rows)]
    table = [[escape_markdown(heading) for heading in sheet.columns], bars, *rows]
    notes = [f"- {escape_markdown(note)}" for note in sheet.notes]
    lines = [f"### {escape_markdown(sheet.title)}", "", *(f"| {' | '.join(cells)} |" for cells in table), "", *notes]
    return "\n".join(lines).rstrip() + "\n"


def to_json(sheet: Sheet) -> str:
    """The sheet's own fields; `best` and `ties` as lists of [row, column], counted from 0."""
    content = {
        "title": sheet.title,
        "columns": sheet.columns,
        "rows": sheet.rows,
        "best": sorted(sheet.best),
        "ties": sorted(sheet.ties),
        "notes": sheet.notes,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def to_html(sheet: Sheet) -> str:
    """A `section` with the classes "best" and "tie" on what is brought out; no style of its own."""
    head = "".join(f"<th>{escape(heading)}</th>" for heading in sheet.columns)
    body = "".join(
        f"<tr>{''.join(_html(sheet, r, c) for c in range(len(row)))}</tr>" for r, row in enumerate(sheet.rows)
    )
    notes = "".join(f"<p>{escape(note)}</p>" for note in sheet.notes)
    return (
        f'<section><h3>{escape(sheet.title)}</h3><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>{notes}</section>"
    )


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it is, on one line."""
    return "".join(LATEX.get(character, character) for character in one_line(text))


def escape_markdown(text: str) -> str:
    """Text that Markdown prints as it is, on one line and within one cell."""
    return re.sub(r"([\\`*_\[\]<>|~$&#])", r"\\\1", one_line(text))


def one_line(text: str) -> str:
    """Without control characters; any white space is one blank."""
    return " ".join("".join(c if c.isprintable() or c.isspace() else "" for c in text).split())


def _marked_columns(sheet: Sheet) -> set[int]:
    return {column for _, column in sheet.best | sheet.ties}


def _with_mark(k: int, heading: str, marks: set[int]) -> list[str]:
    return [_no_formula(heading), *([f"{heading} mark"] if k in marks else [])]


def _no_formula(text: str) -> str:
    """Spreadsheets compute what begins like a formula: a quotation mark keeps it text, as they do themselves."""
    text = one_line(text)
    is_number = re.fullmatch(r"[+-]?[\d.]+(e[+-]?\d+)?", text) is not None
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") and not is_number and len(text) > 1 else text


def _latex(sheet: Sheet, r: int, c: int) -> str:
    text = escape_latex(sheet.rows[r][c])
    if (r, c) in sheet.best:
        return rf"\textbf{{{text}}}"
    return f"{text}$^{{=}}$" if (r, c) in sheet.ties else text


def _markdown(sheet: Sheet, r: int, c: int) -> str:
    text = escape_markdown(sheet.rows[r][c])
    if (r, c) in sheet.best:
        return f"**{text}**"
    return f"{text} {TIE}" if (r, c) in sheet.ties else text


def _html(sheet: Sheet, r: int, c: int) -> str:
    text = escape(sheet.rows[r][c])
    if (r, c) in sheet.best:
        return f'<td class="best">{text}</td>'
    if (r, c) in sheet.ties:
        return f'<td class="tie" title="not separable from the best">{text} {TIE}</td>'
    return f"<td>{text}</td>"
