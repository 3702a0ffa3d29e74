"""What opens first: which benchmarks there are, and the boards of one of them."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit

from harness.leaderboards.benchmarks import KnownBench, known_benchmarks
from harness.leaderboards.board_sheet import board_sheet, stem_of
from harness.leaderboards.board_statistics import board_statistics
from harness.leaderboards.board_table import Statistics, board_html, legend
from harness.leaderboards.board_view import FILTERS, Choice, narrowed, ranked_by, sort_column, values_of
from harness.leaderboards.boards import NAMES, Board, make_boards
from harness.leaderboards.exports import to_csv, to_json, to_latex, to_markdown
from harness.leaderboards.overview import bench_names, missing_html, overview_html
from harness.leaderboards.remembered import keep, remembered, remembered_all, remembered_flag
from harness.leaderboards.runs import Run
from harness.leaderboards.shelf import Shelf, open_shelf
from harness.leaderboards.tables import banner, board_title, boards_address, failure_note, unlisted_html

ABOUT = (
    "How far 3D faces reconstructed from photographs are from a scan of the same person, how well a method's answers "
    "agree, and how long it takes. Every table says whether lower or larger is better. Numbers of different protocols "
    "or data never share a table, and a **mirror**, the synthetic stand-in for a data set that must be asked for, "
    "never shares one with real data."
)
EMPTY = """Nothing has been measured yet: there is no published entry in `{results}` and no finished run in `{root}`.
Make one:

    python -m harness run method=mean_face bench=h3ds

and reload this page. Other folders: `python -m harness leaderboard --runs DIR --results DIR`."""
UNMEASURED = """No method has been measured on **{bench}** yet. On its mirror, which needs no permission:

    python -m harness run method=mean_face bench={bench} data=mirror"""
KINDS = {"real": "real data", "mirror": "mirror"}
ANY = "all"


def show_boards(shelf: Shelf) -> None:
    """Draws the overview, the boards of the chosen benchmark, and the folders that are in none."""
    streamlit.title("3D face reconstruction leaderboard")
    streamlit.markdown(ABOUT)
    known = known_benchmarks()
    names = bench_names(shelf.runs, known)
    if not shelf.runs:
        streamlit.info(EMPTY.format(root=shelf.root, results=shelf.results))
    place = streamlit.empty()
    bench = streamlit.pills("Benchmark", names, key=remembered("bench", names)) or names[0]
    keep("bench", bench)
    place.html(overview_html(shelf.runs, known, bench))
    show_bench(bench, [run for run in shelf.runs if run.manifest["bench"] == bench], known.get(bench))
    if shelf.unlisted:
        count = f"{len(shelf.unlisted)} folder{'' if len(shelf.unlisted) == 1 else 's'}"
        with streamlit.expander(f"{count} not in the tables: unfinished or unreadable runs"):
            streamlit.html(unlisted_html(shelf.unlisted))


def show_bench(name: str, runs: Sequence[Run], known: KnownBench | None) -> None:
    """Draws the boards of one benchmark: real data first, a mirror's apart, under their banner."""
    streamlit.header(name, divider="gray")
    if not runs:
        streamlit.info(UNMEASURED.format(bench=name))
        return
    boards = make_boards(runs)
    protocols = list(dict.fromkeys(board.key.protocol for board in boards))
    protocol = chosen("Protocol", "protocol", protocols)
    boards = [board for board in boards if board.key.protocol == protocol]
    choice, kind = show_filters(boards)
    for data in KINDS:
        members = [board for board in boards if board.key.kind == data] if kind in (ANY, data) else []
        if data == "mirror" and members:
            streamlit.html(banner(data, members[0].lines[0].run.summary.get("data_label")))
        if data == "real" and not members and kind != "mirror":
            streamlit.html(f'<div class="none">Real data {missing_html(known)}</div>')
        for number, board in enumerate(members):
            show_board(board, choice, f"{data} {number}")


def chosen(label: str, name: str, options: Sequence[str]) -> str:
    """One of several options, in the address; drawn only where there is a choice."""
    if len(options) < 2:
        return options[0]
    value = streamlit.segmented_control(label, options, key=remembered(name, options)) or options[0]
    keep(name, value)
    return value


def show_filters(boards: Sequence[Board]) -> tuple[Choice, str]:
    """Draws filters that would change something, and the order; gives the choice and the kind of data."""
    runs = [line.run for board in boards for line in board.lines]
    columns = list(dict.fromkeys(column for board in boards for column in board.columns))
    places = streamlit.columns(len(FILTERS) + 1)
    options = [*columns, *NAMES]
    by = places[0].selectbox("Sort by", options, key=remembered("sort", options))
    keep("sort", by, columns[0])
    filters, place = [], 1
    for name, (label, _) in FILTERS.items():
        values = values_of(runs, name)
        if len(values) > 1:
            picked = places[place].multiselect(label, values, key=remembered_all(name, values), placeholder="all")
            keep(name, picked)
            filters.append((name, tuple(picked)))
            place += 1
    left, middle, right, _ = streamlit.columns([1, 1, 1, 2])
    descending = left.toggle("Reverse order", key=remembered_flag("descending"))
    keep("descending", descending, False)
    older = False
    if any(not line.newest for board in boards for line in board.lines):
        older = middle.toggle("Older runs too", key=remembered_flag("older"))
        keep("older", older, False)
    kinds = [ANY, *(kind for kind in KINDS if any(board.key.kind == kind for board in boards))]
    kind = ANY
    if len(kinds) > 2:
        with right:
            kind = chosen("Data", "data", kinds)
    return Choice(tuple(filters), older, by, descending), kind


def show_board(board: Board, choice: Choice, name: str) -> None:
    """Draws one board, at first without statistics, since these may take a moment; then what to take away."""
    shown = narrowed(board, choice)
    streamlit.html(board_title(shown))
    if not shown.lines:
        streamlit.info("No run of this board passes the filters.")
        return
    ranked = ranked_by(shown, choice)
    statistics = show_table(shown, board, choice)
    streamlit.caption(" ".join(filter(None, (legend(shown, statistics, ranked), failure_note(shown)))))
    left, right = streamlit.columns([1, 3])
    with left.popover("Download", icon=":material/download:"):
        show_downloads(shown, statistics, ranked, name)
    with right.expander("What the number means"):
        streamlit.markdown(shown.meaning)


def show_table(shown: Board, everyone: Board, choice: Choice) -> Statistics:
    """Draws the table: the first time as it is, then with the ranks, then with all columns' intervals."""
    place, by, ranked = streamlit.empty(), sort_column(shown, choice), ranked_by(shown, choice)

    def draw(statistics: Statistics) -> None:
        place.html(board_html(shown, statistics, by, choice.descending, sort_link))

    seen = streamlit.session_state.setdefault("seen", set())
    members = (shown.key, frozenset(line.run.key for line in shown.lines))
    if members not in seen:
        draw({})
        draw(board_statistics(shown, everyone, [ranked]))
        seen.add(members)
    statistics = board_statistics(shown, everyone)
    draw(statistics)
    return statistics


def show_downloads(board: Board, statistics: Statistics, ranked: str, name: str) -> None:
    """A button per format, written when it is pressed."""
    stem = stem_of(board)
    formats = {
        "CSV": ("csv", "text/csv", lambda: to_csv(board_sheet(board, statistics, ranked, full=True))),
        "LaTeX": ("tex", "text/plain", lambda: to_latex(board_sheet(board, statistics, ranked))),
        "Markdown": ("md", "text/markdown", lambda: to_markdown(board_sheet(board, statistics, ranked))),
        "JSON": ("json", "application/json", lambda: to_json(board_sheet(board, statistics, ranked, full=True))),
    }
    for label, (suffix, mime, write) in formats.items():
        streamlit.download_button(label, write, f"{stem}.{suffix}", mime, key=f"{name} {suffix}", on_click="ignore")


def sort_link(heading: str) -> str:
    """The page as it is, sorted by another column; the other way round where it is sorted by this one."""
    state: dict[str, list[str]] = {name: streamlit.query_params.get_all(name) for name in streamlit.query_params}
    turned = state.get("sort") == [heading] and "descending" not in state
    state |= {"sort": [heading], "descending": ["1"] if turned else []}
    return boards_address(**state)


show_boards(open_shelf())
