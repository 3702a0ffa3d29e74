"""Two runs on the same samples: is the difference real, where is it, and what does it look like."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pandas
import streamlit

from harness.errors import HarnessError
from harness.leaderboards.choices import choose
from harness.leaderboards.comparison import (
    difference,
    pairs_of,
    protocol_differences,
    shared_protocols,
    verdict,
    why_not_comparable,
)
from harness.leaderboards.names import names_of, options_of, plain
from harness.leaderboards.pair_figures import scatter_figure
from harness.leaderboards.pair_view import show_pair
from harness.leaderboards.runs import Run
from harness.leaderboards.scores import columns_of, conditions_of, counted, larger_is_better, scores_of, unit_of
from harness.leaderboards.shelf import Shelf, open_shelf
from harness.leaderboards.tables import badge, banner

ALL = "all samples"
EMPTY = (
    "Two finished runs of the same benchmark and data are needed; `{root}` has {count}. The boards say how to make one."
)


def show_compare(shelf: Shelf) -> None:
    """Draws the comparison that the address asks for."""
    streamlit.title("Compare two methods")
    if len(shelf.runs) < 2:
        streamlit.info(EMPTY.format(root=shelf.root, count=counted(len(shelf.runs), "run")))
        return
    pair = choose_pair(shelf)
    if pair is None:
        return
    first, second = pair
    streamlit.html(badge(first.kind) + banner(first.kind, first.summary.get("data_label")))
    show_protocol_differences(first, second)
    try:
        show_scores(first, second, scores_of(first), scores_of(second))
    except HarnessError as error:
        streamlit.error(str(error))


def choose_pair(shelf: Shelf) -> tuple[Run, Run] | None:
    """Runs A and B; None, with the reason, where those of the address cannot be compared."""
    runs = sorted(shelf.runs, key=_order)
    asked = {name: asked_run(shelf, name) for name in "ab"}
    words = {run.key: _title(run) for run in runs}
    kinds = Counter(kind for run in runs for kind in _kinds(run))
    paired = [run.key for run in runs if any(kinds[kind] > 1 for kind in _kinds(run))]
    left, right = streamlit.columns(2)
    options = list(words) if asked["a"] else paired or list(words)
    by_key = {run.key: run for run in runs}
    first = by_key[choose("A", options, "a", left.container(), words=words, few=0)]
    partners = {run.key: run for run in _partners(first, runs)}
    other = asked["b"]
    if other is not None and other.key != first.key and other.key not in partners:
        show_refusal(first, other)
    if not partners:
        right.info(f"No other run can be compared with {words[first.key]}.")
        return None
    return first, partners[choose("B", list(partners), "b", right.container(), words=words, few=0)]


def asked_run(shelf: Shelf, name: str) -> Run | None:
    """The run that the address names, under the key that it has now; None, with a message, where there is none."""
    key = streamlit.query_params.get(name)
    run = shelf.run(key) if key else None
    if run is not None:
        streamlit.query_params[name] = run.key
    elif key:
        streamlit.warning(f"{plain(key)}: there is no such run; another one is shown.")
    return run


def show_refusal(first: Run, second: Run) -> None:
    """Why the runs of the address are not compared, and how their protocols differ."""
    names = names_of([first, second])
    both = f"{plain(names[first.key])} and {plain(names[second.key])} cannot be compared."
    streamlit.warning(f"{both} {why_not_comparable(first, second)} Another B is shown.")
    show_protocol_differences(first, second)


def show_protocol_differences(first: Run, second: Run) -> None:
    """One line for each field in which protocols of the two runs differ."""
    for name, lines in protocol_differences(first, second).items():
        with streamlit.expander(f"The protocol {name} is not the same in A and B", expanded=True):
            for line in lines:
                streamlit.text(line)


def show_scores(first: Run, second: Run, table_a: pandas.DataFrame, table_b: pandas.DataFrame) -> None:
    """Draws the verdict, the scatter with the biggest differences beside it, and one sample."""
    places = streamlit.columns([3, 2, 2])
    protocols = shared_protocols(first, second)
    protocol_id = choose("Protocol", list(protocols), "protocol", places[0].container(), protocols, few=3)
    columns = [c for c in columns_of(table_a, protocol_id) if c in columns_of(table_b, protocol_id)]
    if not columns:
        streamlit.info(f"There are no scores per sample of {protocols[protocol_id]} in both runs.")
        return
    column = choose("Column", columns, "column", places[1].container(), few=2)
    pairs = pairs_of(table_a, table_b, protocol_id, column)
    groups = [ALL, *sorted(set(pairs["group"]))] if conditions_of(table_a) else [ALL]
    group = choose("Samples", groups, "group", places[2].container(), few=1)
    pairs = pairs if group == ALL else pairs[pairs["group"] == group]
    if pairs.empty:
        streamlit.info("The two runs have no such sample in common.")
        return
    unit, names = unit_of(first, protocol_id, column), _names(first, second)
    larger = larger_is_better(first, protocol_id, column)
    show_verdict(table_a, table_b, protocol_id, column, pairs, names, unit, larger)
    samples = [str(name) for name in pairs["sample"]]
    asked = streamlit.query_params.get("sample")
    chosen = asked if asked in samples else samples[0]
    show_differences(pairs, names, unit, chosen, larger)
    streamlit.caption(first.summary["meaning"][protocol_id])
    streamlit.subheader("One sample", divider="gray")
    choose("Sample, the biggest difference first", samples, "sample", few=0)
    show_pair((first, second), names, chosen, protocol_id, protocols[protocol_id], column, unit)


def show_verdict(
    table_a: pandas.DataFrame,
    table_b: pandas.DataFrame,
    protocol_id: str,
    column: str,
    pairs: pandas.DataFrame,
    names: tuple[str, str],
    unit: str,
    larger: bool,
) -> None:
    """Whether the difference is more than chance."""
    found = difference(table_a, table_b, protocol_id, column, pairs)
    if isinstance(found, str):
        streamlit.warning(f"No difference with an interval: {found}.")
    elif found.excludes_zero:
        streamlit.success(verdict(found, names, unit, pairs, larger))
    else:
        streamlit.info(verdict(found, names, unit, pairs, larger))
    only = [
        len(set(table["sample"]) - set(other["sample"])) for table, other in ((table_a, table_b), (table_b, table_a))
    ]
    if any(only):
        streamlit.caption(
            f"Left out: {counted(only[0], 'sample')} of A alone, {counted(only[1], 'sample')} of B alone."
        )
    failed = [int(pairs[name].notna().sum()) for name in ("failure_a", "failure_b")]
    if any(failed):
        streamlit.caption(f"Failed samples count as the mean face: {failed[0]} of A, {failed[1]} of B.")


def show_differences(pairs: pandas.DataFrame, names: tuple[str, str], unit: str, chosen: str, larger: bool) -> None:
    """The scatter, and the same samples as a table, the biggest difference first; both can be clicked."""
    left, right = streamlit.columns([1, 1])
    with left:
        side = "above" if larger else "below"
        streamlit.markdown(f"**Every sample** ({side} the dashed line B is better; click one to see it)")
        figure = scatter_figure(pairs, names, unit, chosen)
        streamlit.plotly_chart(figure, on_select=_take_point, selection_mode="points", key="scatter")
    with right:
        streamlit.markdown("**The biggest differences first** (click the left edge of a row to see the sample)")
        lines = table_of(pairs, unit)
        streamlit.session_state["shown pairs"] = list(pairs["sample"])
        streamlit.dataframe(
            lines, hide_index=True, height=430, on_select=_take_row, selection_mode="single-row", key="differences"
        )


def table_of(pairs: pandas.DataFrame, unit: str) -> pandas.DataFrame:
    """The pairs as a reader sees them; columns without content are left out."""
    lines = pandas.DataFrame({
        f"A − B [{unit}]": pairs["difference"].round(3),
        f"A [{unit}]": pairs["a"].round(3),
        f"B [{unit}]": pairs["b"].round(3),
        "sample": pairs["sample"],
        "condition": pairs["group"],
        "A failed": pairs["failure_a"].fillna(""),
        "B failed": pairs["failure_b"].fillna(""),
    })  # fmt: skip
    empty = [name for name in ("condition", "A failed", "B failed") if not lines[name].astype(bool).any()]
    return lines.drop(columns=empty)


def _take_point() -> None:
    points = streamlit.session_state["scatter"]["selection"]["points"]
    if points and points[0].get("customdata"):
        streamlit.query_params["sample"] = str(points[0]["customdata"][0])


def _take_row() -> None:
    rows = streamlit.session_state["differences"]["selection"]["rows"]
    samples = streamlit.session_state.get("shown pairs", [])
    if rows and rows[0] < len(samples):
        streamlit.query_params["sample"] = str(samples[rows[0]])


def _partners(run: Run, runs: Sequence[Run]) -> list[Run]:
    """Runs that can be compared with one: other methods first."""
    others = [other for other in runs if other.key != run.key and why_not_comparable(run, other) is None]
    return sorted(others, key=lambda other: (other.method == run.method, _order(other)))


def _kinds(run: Run) -> set[tuple[str, str, str, str]]:
    """Runs that have one of these in common can be compared."""
    what = (str(run.manifest["bench"]), run.kind, str(run.manifest["data"]["version"]))
    return {(*what, str(protocol["id"])) for protocol in run.manifest["protocols"].values()}


def _order(run: Run) -> tuple[str, str, str]:
    return run.manifest["bench"], run.kind, run.method


def _title(run: Run) -> str:
    options = options_of(run)
    name = f"{run.manifest['bench']} {run.kind.upper()}: {run.method} {run.identity[:8]}"
    return f"{name} ({options})" if options else name


def _names(first: Run, second: Run) -> tuple[str, str]:
    names = names_of([first, second])
    return names[first.key], names[second.key]


show_compare(open_shelf())
