"""Accuracy against time: which runs were timed as they were scored, and which of them nothing beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.leaderboards.boards import Board
from harness.leaderboards.runs import Run
from harness.run_folder import condition, in_words

TIMING, MEDIAN = "timing", "median"
WEIGHTS = {"weights", "checkpoint", "random_weights"}
"""Options that change a network's numbers, not how many there are: a run with others takes the same time."""


@dataclass(frozen=True)
class TimedCondition:
    """What times may stand in one figure: one hardware, one kind of call ("1 view"), one kind of data."""

    hardware: str
    call: str
    kind: str


@dataclass(frozen=True)
class TimedRun:
    """A run of a board with a measured time: `error` in the board's unit, `time` in ms, `timed` is where from."""

    run: Run
    timed: Run
    error: float
    time: float


def timed_conditions(runs: Sequence[Run], kind: str) -> list[TimedCondition]:
    """Every condition under which some run was timed, in the order of the runs."""
    found = [
        TimedCondition(str(run.protocol(row["protocol_id"]).get("hardware", "unknown")), in_words(condition(row)), kind)
        for run in runs
        if run.kind == kind
        for row in run.rows
        if (row["protocol"], row["column"]) == (TIMING, MEDIAN)
    ]
    return list(dict.fromkeys(found))


def timed_runs(
    board: Board, heading: str, runs: Sequence[Run], where: TimedCondition
) -> tuple[list[TimedRun], list[Run]]:
    """The newest run of each method and set of options with its time, and those that were not timed.

    A run was timed if some other run, of the same adapter with the same options but for those that name weights, was
    measured under the condition; the newest such counts.

    Args:
        board: gives the errors.
        heading: of the board's column.
        runs: newest first, among them those of the timing benchmark.
        where: hardware and call.
    """
    times: dict[str, tuple[Run, float]] = {}
    for run in runs:
        time = median_time(run, where)
        if time is not None:
            times.setdefault(work_of(run), (run, time))
    found, without = [], []
    for line in {work_of(line.run): line for line in reversed(board.lines)}.values():
        cell = line.cells.get(heading)
        timed = times.get(work_of(line.run))
        if cell is not None and cell.value is not None and timed is not None:
            found.append(TimedRun(line.run, timed[0], cell.value, timed[1]))
        else:
            without.append(line.run)
    return sorted(found, key=lambda point: (point.time, point.error)), without


def median_time(run: Run, where: TimedCondition) -> float | None:
    """The median time of a call in ms, if the run measured that under the condition."""
    for row in run.rows:
        if (row["protocol"], row["column"]) == (TIMING, MEDIAN) and row["value"] is not None:
            hardware = str(run.protocol(row["protocol_id"]).get("hardware", "unknown"))
            if TimedCondition(hardware, in_words(condition(row)), run.kind) == where:
                return float(row["value"])
    return None


def work_of(run: Run) -> str:
    """What decides how long a call takes: the method, its adapter and its options but for weights, as one text."""
    method: dict[str, Any] = run.manifest["method"]
    options = {name: value for name, value in method["options"].items() if name not in WEIGHTS and value is not None}
    return repr((method["name"], method["adapter"], sorted(options.items(), key=str)))


def pareto_front(times: Sequence[float], errors: Sequence[float]) -> list[int]:
    """Indices of the points that no other beats: none is as good in both and better in one. Fastest first."""
    front: list[int] = []
    for index in sorted(range(len(times)), key=lambda i: (times[i], errors[i])):
        last = front[-1] if front else None
        same = last is not None and (times[last], errors[last]) == (times[index], errors[index])
        if last is None or errors[index] < errors[last] or same:
            front.append(index)
    return front
