"""What isolation costs: `python -m tests.figures.isolation_cost`.

The same adapter in a process of the harness's own interpreter (isolation=none) and in a worker of an environment of
its own (isolation=venv), asked in turns about the same pictures, which are in memory. Prints medians of

- milliseconds per sample for one view of 512x512 and an answer of 5,000 vertices; the adapter looks at a few pixels;
- the same for 16 views, where it also multiplies matrices, 1.8 GFLOP per view: as much as a ResNet-18 does;
- seconds from nothing to the first answer of a worker whose environment is built.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from harness import Sample, View
from harness.isolation.launchers import launcher_for
from harness.isolation.options import IsolationOptions
from harness.isolation.process import WorkerProcess
from harness.isolation.remote import RemoteWorker
from harness.method import MethodSpec

ADAPTER = f"{Path(__file__).parents[1] / 'isolation' / 'adapters.py'}:OneMesh"


def sample(views: int) -> Sample:
    chance = np.random.default_rng(views)
    images = [View(chance.integers(0, 256, (512, 512, 3)).astype(np.uint8)) for _ in range(views)]
    return Sample("s0000", "p0", tuple(images))


def workers(gigaflops: float, log: Path) -> tuple[WorkerProcess, RemoteWorker]:
    method = MethodSpec("one_mesh", ADAPTER, {"gigaflops": gigaflops})
    launcher = launcher_for(method, IsolationOptions("venv"), "cpu")
    assert launcher is not None
    launcher.record()  # builds the environment where it is not there yet
    return WorkerProcess(method, "cpu", 0, None), RemoteWorker(method, "cpu", 0, None, launcher, log)


def compare(views: int, gigaflops: float, calls: int, log: Path) -> tuple[float, float]:
    """Median milliseconds per sample, in-process and isolated."""
    players, question = workers(gigaflops, log), sample(views)
    times: list[list[float]] = [[], []]
    for call in range(calls + 3):
        for player, seen in zip(players, times, strict=True):
            start = time.perf_counter()
            answer = player.predict([question])[0]
            if call >= 3:
                seen.append(1000 * (time.perf_counter() - start))
            assert answer.failure is None, answer.detail
    for player in players:
        player.close()
    return statistics.median(times[0]), statistics.median(times[1])


def start_up(log: Path) -> float:
    """Seconds until the first answer."""
    seen = []
    for _ in range(7):
        _, worker = workers(0.0, log)
        start = time.perf_counter()
        worker.predict([sample(1)])
        seen.append(time.perf_counter() - start)
        worker.close()
    return statistics.median(seen)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        here, away = compare(1, 0.0, 300, log)
        print(
            f"1 view, 5,000 vertices: in-process {here:.2f} ms, venv {away:.2f} ms: {away - here:+.2f} ms (at most +3)"
        )
        here, away = compare(16, 1.8, 15, log)
        print(
            f"16 views, 1.8 GFLOP each: in-process {here:.0f} ms, venv {away:.0f} ms: {away / here:.2f}x (at most 1.2)"
        )
        here, away = compare(16, 0.0, 100, log)
        print(f"16 views, no work: in-process {here:.1f} ms, venv {away:.1f} ms")
        print(f"start-up with the environment built: {start_up(log):.2f} s (below 2)")


if __name__ == "__main__":
    main()
