"""`harness report`: the boards as files that need no server."""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from harness.errors import HarnessError
from harness.files import write_atomically
from harness.leaderboards.board_sheet import board_sheet, stem_of
from harness.leaderboards.board_statistics import board_statistics
from harness.leaderboards.board_view import Choice, narrowed
from harness.leaderboards.boards import Board, make_boards
from harness.leaderboards.exports import escape_latex, escape_markdown, to_csv, to_html, to_latex, to_markdown
from harness.leaderboards.sheet import Sheet
from harness.leaderboards.shelf import add_folders, read_shelf
from harness.leaderboards.tables import MIRROR_BANNER

log = logging.getLogger(__name__)

TITLE = "3D face reconstruction benchmarks"
REAL_HEADING, MIRROR_HEADING = "Real data", f"MIRROR: {MIRROR_BANNER[0].lower()}{MIRROR_BANNER[1:]}"
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
:root {{color-scheme: light dark; --line: #8884; --mark: #4084d622; --warn: #d67e14;}}
body {{font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1.5rem;}}
h2 {{border-bottom: 1px solid var(--line); margin-top: 2.5rem;}}
.banner {{border-left: 4px solid var(--warn); background: #d67e1420; padding: .5rem .8rem; border-radius: 4px;}}
.scroll {{overflow-x: auto;}}
table {{border-collapse: collapse; font-variant-numeric: tabular-nums;}}
th, td {{padding: .35rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap;}}
th:first-child, td:first-child {{text-align: left; position: sticky; left: 0; background: Canvas;}}
.best {{font-weight: 700;}}
.tie {{background: var(--mark);}}
section p {{font-size: .85rem; opacity: .75; margin: .4rem 0;}}
@media (prefers-color-scheme: dark) {{body {{background: #121212; color: #e8e8e8;}}
  th:first-child, td:first-child {{background: #121212;}}}}
</style></head><body><h1>{title}</h1>{body}</body></html>
"""


@dataclass(frozen=True)
class Part:
    """One board as files: `stem` names its CSV file; `sheet` is what fits on a page, `full` what goes into the CSV."""

    bench: str
    kind: str
    stem: str
    sheet: Sheet
    full: Sheet


def main(arguments: Sequence[str]) -> None:
    """The command line. Raises HarnessError where there is nothing to report."""
    parser = argparse.ArgumentParser(prog="harness report", description="The boards as Markdown, LaTeX, CSV and HTML")
    add_folders(parser)
    parser.add_argument("--out", required=True, help="folder to write into; it need not exist")
    parser.add_argument("--older", action="store_true", help="runs too that a newer one has replaced")
    options = parser.parse_args(arguments)
    shelf = read_shelf(Path(options.runs), Path(options.results))
    for entry in shelf.unlisted:
        log.warning("Not in the report: %s is %s (%s)", entry.key, entry.state, entry.reason)
    if not shelf.runs:
        raise HarnessError(
            f"{shelf.root}: has no finished run, and {shelf.results} no published entry; make one with `python -m "
            "harness run method=mean_face bench=h3ds`, or name other folders with --runs and --results"
        )
    for path in write_report(make_boards(shelf.runs), Path(options.out), options.older):
        log.info("Written: %s", path)


def write_report(boards: Sequence[Board], out: Path, older: bool = False) -> list[Path]:
    """Writes report.md, report.tex, report.html and one CSV file per board; gives their paths.

    Args:
        boards: in the order of the report.
        out: the folder.
        older: whether runs are shown that a newer one of the same method and options has replaced.

    Raises:
        HarnessError: the folder cannot be written.
    """
    parts = parts_of(boards, older)
    files = {
        "report.md": _markdown(parts),
        "report.tex": _latex(parts),
        "report.html": _html(parts),
        **{f"{part.stem}.csv": to_csv(part.full) for part in parts},
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"--out {out}: cannot be made a folder ({error.strerror})") from None
    for name, content in files.items():
        write_atomically(out / name, content.encode())
    return [out / name for name in files]


def parts_of(boards: Sequence[Board], older: bool) -> list[Part]:
    """The boards as sheets, with names of files that are safe and differ."""
    parts: list[Part] = []
    for board in boards:
        shown = narrowed(board, Choice(older=older))
        statistics = board_statistics(shown, board)
        stem = stem_of(board)
        same = sum(re.fullmatch(rf"{re.escape(stem)}(-\d+)?", part.stem) is not None for part in parts)
        stem = f"{stem}-{same + 1}" if same else stem
        sheets = [board_sheet(shown, statistics, full=full) for full in (False, True)]
        parts.append(Part(board.key.bench, board.key.kind, stem, *sheets))
    return parts


def _heading(kind: str) -> str:
    return MIRROR_HEADING if kind == "mirror" else REAL_HEADING


def _sections(parts: Sequence[Part]) -> list[tuple[str, str, list[Part]]]:
    """Benchmark, kind of data, and their parts."""
    keys = dict.fromkeys((part.bench, part.kind) for part in parts)
    return [(bench, kind, [p for p in parts if (p.bench, p.kind) == (bench, kind)]) for bench, kind in keys]


def _markdown(parts: Sequence[Part]) -> str:
    texts = [f"# {TITLE}\n"]
    for bench, kind, members in _sections(parts):
        texts.append(f"## {escape_markdown(bench)}: {_heading(kind)}\n")
        texts += [to_markdown(part.sheet) for part in members]
    return "\n".join(texts)


def _latex(parts: Sequence[Part]) -> str:
    texts = [
        "% pdflatex report.tex, or \\input the tables one by one",
        "\\documentclass{article}\n\\usepackage[utf8]{inputenc}\n\\usepackage[T1]{fontenc}\n\\usepackage{textcomp}",
        "\\usepackage{booktabs,graphicx}\n\\usepackage[margin=2cm,landscape]{geometry}\n\\begin{document}",
    ]
    for bench, kind, members in _sections(parts):
        texts.append(f"\\clearpage\\section*{{{escape_latex(bench)}: {escape_latex(_heading(kind))}}}")
        texts += [to_latex(part.sheet) for part in members]
    return "\n".join([*texts, "\\end{document}\n"])


def _html(parts: Sequence[Part]) -> str:
    body = []
    for bench, kind, members in _sections(parts):
        body.append(f"<h2>{escape(bench)}</h2>")
        if kind == "mirror":
            body.append(f'<div class="banner"><b>MIRROR</b> · {escape(MIRROR_BANNER)}.</div>')
        body += [to_html(part.sheet) for part in members]
    return PAGE.format(title=TITLE, body="".join(body))
