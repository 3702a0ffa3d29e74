"""A sheet as CSV, LaTeX, Markdown or JSON text."""

from __future__ import annotations

import csv
import io
import json

from harness.leaderboards.sheet import Sheet

LATEX = {
    **{character: f"\\{character}" for character in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "×": r"$\times$",
}


def to_csv(sheet: Sheet) -> str:
    """Headings and cells only, quoted where needed."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(sheet.columns)
    writer.writerows(sheet.rows)
    return out.getvalue()


def to_latex(sheet: Sheet) -> str:
    """A booktabs table: best cells bold, ties with a dagger, notes below."""

    def mark(text: str, place: tuple[int, int]) -> str:
        plain = latex_escaped(text)
        bold = rf"\textbf{{{plain}}}" if place in sheet.best else plain
        return rf"{bold}$^\dagger$" if place in sheet.ties else bold

    rows = [[mark(text, (r, c)) for c, text in enumerate(row)] for r, row in enumerate(sheet.rows)]
    lines = [" & ".join(cells) + r" \\" for cells in ([latex_escaped(name) for name in sheet.columns], *rows)]
    notes = [rf"\par\small {latex_escaped(note)}" for note in sheet.notes]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{latex_escaped(sheet.title)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(sheet.columns) - 1)}}}",
            *(r"\toprule", lines[0], r"\midrule", *lines[1:], r"\bottomrule"),
            r"\end{tabular}",
            *notes,
            r"\end{table}",
            "",
        ]
    )


def latex_escaped(text: str) -> str:
    """The text with LaTeX's own characters written out."""
    return "".join(LATEX.get(character, character) for character in text)


def to_markdown(sheet: Sheet) -> str:
    """A pipe table: best cells bold, ties with a dagger, notes below."""

    def mark(text: str, place: tuple[int, int]) -> str:
        plain = markdown_escaped(text)
        bold = f"**{plain}**" if place in sheet.best else plain
        return f"{bold}†" if place in sheet.ties else bold

    rows = [[mark(text, (r, c)) for c, text in enumerate(row)] for r, row in enumerate(sheet.rows)]
    head = [markdown_escaped(name) for name in sheet.columns]
    rule = ["---", *["---:"] * (len(head) - 1)]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, rule, *rows)]
    notes = [f"- {markdown_escaped(note)}" for note in sheet.notes]
    return "\n".join([f"### {markdown_escaped(sheet.title)}", "", *lines, "", *notes, ""])


def markdown_escaped(text: str) -> str:
    """The text as itself inside a table: no markup, no HTML, no new cell."""
    kept = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")
    return "".join(f"\\{character}" if character in "\\|*_`[]" else character for character in kept)


def to_json(sheet: Sheet) -> str:
    """All of the sheet; places of best cells and ties as [row, column]."""
    content = {
        "title": sheet.title,
        "columns": sheet.columns,
        "rows": sheet.rows,
        "best": sorted(sheet.best),
        "ties": sorted(sheet.ties),
        "notes": sheet.notes,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
