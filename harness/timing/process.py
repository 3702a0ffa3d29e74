"""A method that is timed: an adapter in a process of its own, with a stopwatch around each call."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from harness.adapter import MethodAdapter
from harness.isolation import calls
from harness.isolation.process import WorkerProcess, loaded
from harness.method import MethodSpec
from harness.samples import Prediction, Sample
from harness.stages import StageClock

END_TO_END = "end to end"
MEBIBYTE = 2.0**20


@dataclass(frozen=True)
class Call:
    """What became of one call.

    Attributes:
        seconds: "end to end" and stage -> wall-clock time; empty if the call failed.
        failure: a reason and what happened, or None.
        dead: whether the method's process is gone.
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    failure: tuple[str, str] | None = None
    dead: bool = False


class TimedProcess(WorkerProcess):
    """One method in a process of its own, which is started on first use and not again after a death."""

    def __init__(self, method: MethodSpec, device: str, seed: int, timeout_s: float | None) -> None:
        super().__init__(method, device, seed, timeout_s)
        self.stages_apart = device.startswith("cuda")  # waiting for the device between stages costs time there
        self._dead: Call | None = None

    def call(self, samples: Sequence[Sample], staged: bool) -> Call:
        """Times one call of `predict`.

        Args:
            samples: the call's batch.
            staged: time the stages too; on a CUDA device then not end to end.

        Raises:
            HarnessError: the adapter cannot be loaded.
        """
        answer: Call | None = self._request((list(samples), staged))
        if answer is not None:
            return answer
        assert self._dead is not None
        return self._dead

    def forget_peak(self) -> None:
        """Begins a new measurement of the largest memory."""
        self._request("forget peak")

    def facts(self) -> dict[str, Any]:
        """Parameters, iterations, precision, threads, and the largest memory since `forget_peak`; plain JSON values."""
        return self._request("facts") or {}

    def _request(self, what: Any) -> Any | None:
        if self._dead is not None:
            return None
        answer = self._ask(what)
        if answer is None:
            self._dead = Call(failure=(str(self._last_failure.failure), self._last_failure.detail), dead=True)
        return answer

    @staticmethod
    def serve(pipe: Connection, method: MethodSpec, device: str, seed: int) -> None:
        """What the child process does."""
        before = resident_memory()[0]
        adapter = loaded(pipe, method, device)
        if adapter is None:
            return
        stopwatch = Stopwatch(adapter, torch.device(device))
        while True:
            try:
                request = pipe.recv()
            except (EOFError, OSError):
                return
            if request == "forget peak":
                forget_peak(stopwatch.device)
                pipe.send(True)
            elif request == "facts":
                pipe.send({**describe(adapter), **peak_memory(stopwatch.device, before)})
            else:
                samples, staged = request
                pipe.send(stopwatch.measure(samples, staged, seed))


class Stopwatch(MethodAdapter):
    """An adapter whose calls are timed, device synchronised at both ends.

    Args:
        adapter: loaded.
        device: that it was loaded on.
        clock: seconds, monotonic.
    """

    def __init__(
        self, adapter: MethodAdapter, device: torch.device, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.adapter, self.device, self.unit, self._clock = adapter, device, adapter.unit, clock
        self._stages = StageClock(self.synchronise, clock)
        self._times: list[float] = []

    def synchronise(self) -> None:
        """Waits until the device has done all that it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def measure(self, samples: Sequence[Sample], staged: bool, seed: int) -> Call:
        """One call; what goes wrong is a failure, as in any other run."""
        self._stages.clear()
        self._times = []
        self.adapter.stage_clock = self._stages if staged else None
        predictions = calls.predict(self, samples, seed)
        failed = next((p for p in predictions if p.failure is not None), None)
        if failed is not None:
            return Call(failure=(str(failed.failure), failed.detail))
        if len(self._times) != 1:
            return Call(failure=("crash", f"a batch of {len(samples)} samples failed; one by one they worked"))
        end_to_end = {} if staged and self.device.type == "cuda" else {END_TO_END: self._times[0]}
        return Call({**end_to_end, **self._stages.seconds})

    def load(self, device: torch.device) -> None:
        """The adapter is loaded already."""

    def predict(self, samples: Sequence[Sample]) -> list[Prediction]:
        """The adapter's answer, timed."""
        self.synchronise()
        start = self._clock()
        predictions = list(self.adapter.predict(samples))
        self.synchronise()
        self._times.append(self._clock() - start)
        return predictions


def describe(adapter: MethodAdapter) -> dict[str, Any]:
    """Parameters, iterations, threads and precision of a loaded adapter."""
    parameters = {id(p): p for module in modules(adapter) for p in module.parameters()}
    types = sorted({str(p.dtype).removeprefix("torch.") for p in parameters.values()})
    steps = getattr(adapter, "steps", None)
    return {
        "parameters": sum(p.numel() for p in parameters.values()) if parameters else None,
        "parameter_types": types,
        "iterations": steps if isinstance(steps, int) else None,
        "threads": torch.get_num_threads(),
        "float32_matmul": torch.get_float32_matmul_precision(),
        "tf32_convolutions": bool(torch.backends.cudnn.allow_tf32) if torch.cuda.is_available() else None,
    }


def modules(adapter: MethodAdapter) -> Iterator[torch.nn.Module]:
    """The torch modules among an adapter's attributes, those in lists and dictionaries included."""
    for value in vars(adapter).values():
        members: Iterable[Any] = value.values() if isinstance(value, dict) else [value]
        members = value if isinstance(value, (list, tuple)) else members
        yield from (member for member in members if isinstance(member, torch.nn.Module))


def resident_memory() -> tuple[float, float]:
    """Memory of this process now and at its largest, in MiB; NaN where the system does not say."""
    try:
        lines = [line.split() for line in Path("/proc/self/status").read_text().splitlines()]
        found = {line[0]: float(line[1]) / 1024 for line in lines if line and line[0] in ("VmRSS:", "VmHWM:")}
        return found["VmRSS:"], found["VmHWM:"]
    except (OSError, KeyError):
        return _largest_memory(), _largest_memory()


def _largest_memory() -> float:
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 1.0 if sys.platform == "darwin" else 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEBIBYTE


def forget_peak(device: torch.device) -> None:
    """Sets the largest memory so far to the present one, where the system lets us."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # the peak then is that since the start


def peak_memory(device: torch.device, before: float) -> dict[str, float | None]:
    """MiB: torch's largest allocation on a CUDA device, and how far resident memory grew above `before` loading."""
    grown = resident_memory()[1] - before
    return {
        "gpu_peak_mib": torch.cuda.max_memory_allocated(device) / MEBIBYTE if device.type == "cuda" else None,
        "resident_growth_mib": grown if grown == grown else None,
    }
