"""A comparison of two results on the terminal, and as JSON."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.compare import Apart, Comparison, Number, compare
from harness.report import LABELS
from harness.results import Result, read_result
from harness.statistics.pairs import LEVEL, POWER

WIDTH = 100
FINE = 0.0995  # below this, differences have three digits
LONGEST = 60  # characters of one field's words in a list of differences


def main(arguments: list[str]) -> None:
    """`harness compare RUN_A RUN_B`."""
    parser = argparse.ArgumentParser(prog="harness compare", description="Two results on the same data, side by side")
    parser.add_argument("first", metavar="RUN_A", type=Path, help="a finished run's folder")
    parser.add_argument("second", metavar="RUN_B", type=Path, help="another's")
    parser.add_argument("--json", action="store_true", help="for machines, instead of tables")
    options = parser.parse_args(arguments)
    found = compare(read_result(options.first), read_result(options.second))
    if options.json:
        sys.stdout.write(json.dumps(as_plain(found), indent=1, allow_nan=False) + "\n")
    else:
        print_comparison(found, Console(width=None if sys.stdout.isatty() else WIDTH))


def print_comparison(found: Comparison, console: Console) -> None:
    """Prints a table per protocol, what the results do not share, and the samples that differ most."""
    summary = found.results[0].summary
    data = summary.get("data_label") or LABELS.get(summary["data"], summary["data"])
    _say(console, f"{summary['bench']} · {data} (version {summary['dataset_version']})", style="bold")
    for name, result in zip(found.names, found.results, strict=True):
        _say(console, f"  {name}: {result.path}")
    for protocol_id in dict.fromkeys(number.protocol_id for number in found.numbers):
        console.print()
        _print_numbers([n for n in found.numbers if n.protocol_id == protocol_id], found, console)
    _print_unshared(found, console)
    for number, samples in found.largest.values():
        console.print()
        _print_samples(number, samples, found.names, console)


def _print_numbers(numbers: Sequence[Number], found: Comparison, console: Console) -> None:
    first = numbers[0]
    units = list(dict.fromkeys(number.unit for number in numbers))
    _say(console, f"{first.protocol} [{first.protocol_id}] · {', '.join(units)}", style="bold")
    tested = any(number.difference is not None for number in numbers)
    keys = list(dict.fromkeys(key for number in numbers for key in number.condition))
    words = ["number", *keys]
    figures = [*found.names, *(["difference [95 %]", "p", "visible"] if tested else [])]
    table = _table(words, figures, ["verdict"])
    for number in numbers:
        unit = f" [{number.unit}]" if len(units) > 1 else ""
        here = [number.condition.get(key, "") for key in keys]
        values = [_value(number, which) for which in (0, 1)]
        test = [_difference(number), _p_value(number.p_value), _finer(number.detectable)] if tested else []
        table.add_row(*(_safe(cell) for cell in (number.column + unit, *here, *values, *test, number.verdict)))
    console.print(table)
    for line in _notes(numbers, found, tested):
        _say(console, line, style="dim")


def _notes(numbers: Sequence[Number], found: Comparison, tested: bool) -> list[str]:
    first, second = found.names
    lines = []
    if tested:
        subjects = sorted({number.difference.subjects for number in numbers if number.difference})
        many = " to ".join(str(count) for count in dict.fromkeys((subjects[0], subjects[-1])))
        lines.append(
            f"difference: {first} minus {second}, mean over {many} subjects on the same samples, with its own 95 % "
            f"interval. p: paired t-test, corrected for the {found.tests} difference(s) printed here (Holm); a verdict "
            f"needs p < {LEVEL}. visible: the true difference that would get one in {POWER:.0%} of data sets like this."
        )
    if tested and not all(number.over_subjects for number in numbers):
        lines.append(
            "The two values are not means over subjects in this protocol (its meaning says what they are); differences "
            "and tests are of means over subjects, and need not be the difference of the values."
        )
    if any(worked < all_ for number in numbers for worked, all_ in number.coverage):
        lines.append("(worked/all): some samples failed; they count with their fall-back.")
    lines.append(str(found.results[0].summary["meaning"].get(numbers[0].protocol_id, "")))
    return lines


def _print_unshared(found: Comparison, console: Console) -> None:
    for unlike in found.unlike:
        console.print()
        (first, first_id), (second, second_id) = unlike.first, unlike.second
        title = f"Other protocols, so nothing is subtracted: {found.names[0]} has {first} [{first_id}], "
        _say(console, title + f"{found.names[1]} has {second} [{second_id}]", style="bold")
        for name, mine, theirs in unlike.fields:
            _say(console, f"  {name}: {_short(mine)} against {_short(theirs)}")
    if found.only:
        console.print()
    for name, what in found.only:
        _say(console, f"Only {name} has {what}.")


def _print_samples(number: Number, samples: Sequence[Apart], names: tuple[str, str], console: Console) -> None:
    if not samples:
        return
    title = f"Samples that differ most: {number.protocol} [{number.protocol_id}], {number.column}, {number.unit}"
    _say(console, title, style="bold")
    keys = list(number.condition)
    table = _table(["sample", "subject", *keys], [*names, "difference"])
    for one in samples:
        values = [f"{_digits(one.values[i])}{' *' if one.failed[i] else ''}" for i in (0, 1)]
        here = [one.condition[key] for key in keys]
        table.add_row(*(_safe(cell) for cell in (one.sample, one.subject, *here, *values, f"{one.difference:+.2f}")))
    console.print(table)
    if any(failed for sample in samples for failed in sample.failed):
        _say(console, "*: the sample failed; this is its fall-back's value.", style="dim")


def _table(words: Sequence[str], figures: Sequence[str], more_words: Sequence[str] = ()) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in words:
        table.add_column(_safe(heading), overflow="fold")
    for heading in figures:
        table.add_column(_safe(heading), justify="right", overflow="fold")
    for heading in more_words:
        table.add_column(_safe(heading), overflow="fold")
    return table


def _say(console: Console, text: str, style: str = "") -> None:
    console.print(_safe(text), style=style, highlight=False)


def _safe(text: object) -> Text:
    """Text as it stands: no markup, and no control characters that a terminal would obey."""
    return Text("".join(letter if letter.isprintable() else "�" for letter in str(text)))


def _short(words: str) -> str:
    return words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}…"


def _value(number: Number, which: int) -> str:
    worked, everyone = number.coverage[which]
    return _digits(number.values[which]) + (f" ({worked}/{everyone})" if worked < everyone else "")


def _digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _finer(value: float | None) -> str:
    return f"{value:.3f}" if value is not None and value < FINE else _digits(value)


def _difference(number: Number) -> str:
    found = number.difference
    if found is None:
        return "–"
    digits = 3 if 0 < max(abs(found.low), abs(found.high)) < FINE else 2
    return f"{found.value:+.{digits}f} [{found.low:+.{digits}f}, {found.high:+.{digits}f}]"


def _p_value(value: float | None) -> str:
    if value is None:
        return "–"
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def as_plain(found: Comparison) -> dict[str, Any]:
    """A comparison as plain values; numbers keep all their digits, null is "not computed"."""
    summary = found.results[0].summary
    return {
        "bench": summary["bench"],
        "data": summary["data"],
        "dataset_version": summary["dataset_version"],
        "results": [_result(name, result) for name, result in zip(found.names, found.results, strict=True)],
        "comparisons": found.tests,
        "numbers": [asdict(number) for number in found.numbers],
        "protocols_that_differ": [asdict(unlike) for unlike in found.unlike],
        "only": [{"name": name, "what": what} for name, what in found.only],
        "largest_differences": {
            protocol_id: {"column": number.column, "samples": [asdict(sample) for sample in samples]}
            for protocol_id, (number, samples) in found.largest.items()
        },
    }


def _result(name: str, result: Result) -> dict[str, str]:
    return {"name": name, "method": result.method, "identity": result.identity, "path": str(result.path)}
