"""The finished rounds of a measurement, each of them one process of every method: a stopped one goes on after them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.files import read_json, write_atomically
from harness.timing.process import Call
from harness.timing.results import Measured

FILE = "rounds.json"


@dataclass(frozen=True)
class Rounds:
    """Where the rounds of methods that take turns are kept until the measurement is finished.

    Attributes:
        path: the file.
        runs: the identity of each method's run, in their order. Rounds of others are not taken.
    """

    path: Path
    runs: tuple[str, ...]

    def keep(self, done: int, results: Sequence[Measured]) -> None:
        """Writes what was measured in the first `done` rounds."""
        state = {"runs": self.runs, "done": done, "results": [_plain(result) for result in results]}
        write_atomically(self.path, json.dumps(state, allow_nan=False).encode())

    def read(self) -> tuple[int, list[Measured]]:
        """How many rounds are kept, and what was measured in them; 0 and nothing yet where there are none.

        Raises:
            HarnessError: the file is damaged.
        """
        state = read_json(self.path) if self.path.exists() else {"runs": []}
        if state["runs"] != list(self.runs):
            return 0, [Measured() for _ in self.runs]
        return state["done"], [_measured(values) for values in state["results"]]

    def forget(self) -> None:
        """Removes the file."""
        self.path.unlink(missing_ok=True)


def _plain(result: Measured) -> dict[str, Any]:
    calls = {
        sample: [(process, order, dict(call.seconds), call.failure, call.dead) for process, order, call in entries]
        for sample, entries in result.calls.items()
    }
    return {"calls": calls, "failure": result.failure, "record": result.record}


def _measured(values: dict[str, Any]) -> Measured:
    def pair(failure: list[str] | None) -> tuple[str, str] | None:
        return None if failure is None else (failure[0], failure[1])

    calls = {
        sample: [
            (process, order, Call(seconds, pair(failure), dead)) for process, order, seconds, failure, dead in entries
        ]
        for sample, entries in values["calls"].items()
    }
    for here in values["record"]["conditions"].values():
        if "batches" in here:  # JSON has made words of the sizes
            here["batches"] = {int(size): seconds for size, seconds in here["batches"].items()}
    return Measured(defaultdict(list, calls), pair(values["failure"]), record=values["record"])
