"""How long the leaderboard takes with many results, in a real browser.

python -m tests.figures.leaderboard_speed [--methods 200 --benches 20 --samples 2000] [--results DIR]

Makes up published entries (once, if --results names a folder), starts a server, opens a browser, and prints seconds
of wall clock and of the server's processor, and the server's memory. Limits: first page 3 s, filter 0.5 s, 1 GiB.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from tests.leaderboards.browser import Server, browsing, serving
from tests.leaderboards.made_up import make_entries

ROWS = "document.querySelectorAll('.board:not(.overview .board) tbody tr').length"
RANKS = "[...document.querySelectorAll('.board th')].some(th => th.textContent.startsWith('rank'))"
INTERVALS = "document.querySelectorAll('.board .number .small').length >= 10 * {rows}"


class Watch:
    """Prints how long things take, on the wall and on the server's processor."""

    def __init__(self, page: Any, server: Server) -> None:
        self.page, self.server = page, psutil.Process(server.process.pid)

    def measure(self, what: str, act: Callable[[], Any], *until: tuple[str, str]) -> None:
        """Does something, then waits for one condition after the other; each gets a line."""
        start, used = time.perf_counter(), self._used()
        act()
        for words, condition in until:
            self.page.wait_for_function(condition, polling=20)
            wall, processor = time.perf_counter() - start, self._used() - used
            print(
                f"{what + ': ' + words:62s} {wall:7.2f} s   processor {processor:6.2f} s   memory {self._memory()} MiB"
            )

    def _used(self) -> float:
        times = self.server.cpu_times()
        return float(times.user + times.system)

    def _memory(self) -> int:
        return int(self.server.memory_info().rss / 2**20)


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description="Seconds and memory of the leaderboard with many results.")
    for name, value in {"methods": 200, "benches": 20, "samples": 2000}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = options.results or Path(scratch) / "results"
        if not results.exists():
            make_entries(results, options.methods, options.benches, options.samples)
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        print(f"{sum(1 for _ in results.glob('*/*/*'))} entries; load of the machine {load:.1f} per core")
        with serving(Path(scratch) / "runs", results) as server, browsing() as page:
            print(f"{'server answers':62s} {server.seconds:7.2f} s")
            look(Watch(page, server), page, server.address, options.methods)


def look(watch: Watch, page: Any, address: str, methods: int) -> None:
    """Opens pages, filters and sorts."""
    fewer = methods // 4
    first = f"{address}?bench=bench_00"

    def parts(rows: int) -> tuple[tuple[str, str], ...]:
        table = f"{ROWS} == {rows}"
        done = INTERVALS.format(rows=rows)
        return ("table", table), ("ranks", f"{table} && {RANKS}"), ("all intervals", f"{table} && {done}")

    watch.measure("first page", lambda: page.goto(first), *parts(methods))
    watch.measure("the same page again", lambda: page.goto(first), *parts(methods))

    def choose() -> None:
        page.get_by_role("option", name="regressor").click()

    page.get_by_label("Family of methods").first.click()
    watch.measure("filter", choose, *parts(fewer))
    page.keyboard.press("Escape")
    last = "[...document.querySelectorAll('.board .first a')].at(-1)?.textContent"
    before = page.evaluate(last)
    watch.measure("sort", lambda: page.get_by_text("Reverse order").click(), ("table", f"{last} != {before!r}"))
    other = "document.querySelector('h2')?.textContent.includes('bench_01') && "
    pick = page.get_by_role("radio", name="bench_01")
    watch.measure("another benchmark", pick.click, *((words, other + until) for words, until in parts(fewer)))


if __name__ == "__main__":
    main()
