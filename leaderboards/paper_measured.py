"""What this harness has measured of what a paper's table reports: on real data beside it, on a mirror apart from it."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from harness.benchmark import Access
from harness.catalogue import CONFIGS
from harness.errors import HarnessError
from harness.leaderboards.benchmarks import NEEDS
from harness.leaderboards.paper_specs import Measure
from harness.leaderboards.paper_tables import PaperTable
from harness.leaderboards.runs import Run
from harness.run_folder import condition


@dataclass(frozen=True)
class Measured:
    """One number that a run of this harness gives: never a reported one.

    Attributes:
        run: it is from.
        row: of the run's summary.
    """

    run: Run
    row: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The value with two decimals, or words where there is none."""
        value = self.row["value"]
        return "not computed" if value is None else f"{value:.2f}"

    @property
    def comparability(self) -> tuple[str, ...]:
        """What two numbers must share to stand in one column: data, samples, and the protocol's id."""
        summary = self.run.summary
        names = ("data", "dataset_version", "data_digest", "samples_digest")
        return (*(str(summary.get(name)) for name in names), str(self.row["protocol_id"]))


Found = Mapping[int, Mapping[str, Measured]]
"""Column -> method's name here -> what was measured."""


def check_real(found: Found) -> None:
    """Raises HarnessError unless everything was measured on real data: nothing else stands beside a reported number."""
    mirror = [m.run.key for column in found.values() for m in column.values() if m.run.kind != "real"]
    if mirror:
        raise HarnessError(f"{mirror[0]}: measured on a mirror; only real data may stand beside a reported number")


def measured_columns(
    table: PaperTable, runs: Sequence[Run], names: Mapping[str, str], kind: str
) -> dict[int, dict[str, Measured]]:
    """Per column that is measured on one kind of data: the number of each of the table's methods, by its name here.

    Args:
        table: with the columns' measures.
        runs: all there are.
        names: method as printed -> its name here.
        kind: "real" or "mirror"; the two are never in one answer.
    """
    methods = {names[row.method] for row in table.rows if row.method in names}
    fitting = [run for run in runs if run.kind == kind and run.method in methods and _may_stand_for_method(run)]
    found = {
        c: _column(column.measure, fitting) for c, column in enumerate(table.columns) if column.measure is not None
    }
    return {c: column for c, column in found.items() if column}


def _may_stand_for_method(run: Run) -> bool:
    return not run.manifest["method"]["options"].get("random_weights")


def _column(measure: Measure, runs: Sequence[Run]) -> dict[str, Measured]:
    """The newest run's group of comparable numbers: per method the published size if there is one, else the newest."""
    all_numbers = sorted((m for run in runs for m in _of_run(measure, run)), key=lambda m: m.run.date, reverse=True)
    comparable = [m for m in all_numbers if m.comparability == all_numbers[0].comparability]
    by_size = sorted(comparable, key=lambda m: m.run.manifest["method"]["options"].get("size") == "mini")
    chosen: dict[str, Measured] = {}
    for measured in by_size:
        chosen.setdefault(measured.run.method, measured)
    return chosen


def _of_run(measure: Measure, run: Run) -> Iterator[Measured]:
    if run.summary["bench"] != measure.bench:
        return
    real = run.kind == "real"
    if real and measure.versions and run.summary["dataset_version"] not in measure.versions:
        return
    for row in run.rows:
        same = (row["protocol"], row["column"]) == (measure.protocol, measure.column)
        if (
            same
            and condition(row) == measure.condition
            and not (real and measure.samples is not None and row["expected"] != measure.samples)
        ):
            yield Measured(run, row)


def why_not_measured(table: PaperTable, found: Mapping[int, object], runs: Sequence[Run]) -> list[str]:
    """One sentence for each bench of the table of which nothing is measured on real data, with where to ask."""
    if table.hidden:
        _, ask_at = access_of(table.hidden)
        return [f"{table.hidden}: not measured, since the ground truth is hidden: its owners score ({ask_at})."]
    here: dict[str, bool] = {}
    for c, column in enumerate(table.columns):
        if column.measure is not None:
            here[column.measure.bench] = here.get(column.measure.bench, False) or c in found
    if not here:
        return ["Nothing that this harness measures stands beside this table."]
    return [_why(bench, runs) for bench, measured in here.items() if not measured]


def _why(bench: str, runs: Sequence[Run]) -> str:
    if any(run.kind == "real" and run.summary["bench"] == bench for run in runs):
        return f"{bench}: measured on real data, but for none of these methods and columns."
    access, ask_at = access_of(bench)
    if access is None:
        return f"{bench}: measured on the mirror only."
    return f"{bench}: not measured: {NEEDS[access]} ({ask_at})."


@lru_cache(maxsize=64)
def access_of(bench: str) -> tuple[Access | None, str]:
    """How the real data of a configured bench is had, and where to ask; None where it is always its mirror.

    Raises:
        HarnessError: the data set's reader does not state both as plain values.
    """
    config = yaml.safe_load((CONFIGS / "bench" / f"{bench}.yaml").read_text())["dataset"]
    if config.get("data") == "mirror":
        return None, ""
    stated = _class_attributes(config["_target_"])
    try:
        return Access[stated["access"].rpartition(".")[2]], str(ast.literal_eval(stated["ask_at"]))
    except (KeyError, ValueError) as error:
        raise HarnessError(f"{config['_target_']}: must state access and ask_at as plain values ({error})") from None


def _class_attributes(target: str) -> dict[str, str]:
    """Name -> expression of a class's annotated attributes, read as text: importing a reader may take seconds."""
    module, _, name = target.rpartition(".")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise HarnessError(f"{target}: there is no module {module}")
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    bodies = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    return {
        ast.unparse(node.target): ast.unparse(node.value)
        for body in bodies
        for node in body
        if isinstance(node, ast.AnnAssign) and node.value is not None
    }
