"""A leaderboard on a free port, and a browser to look at it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"),
]
ROOT = Path(__file__).parents[2]  # data sets of the tests are opened by the server too
PATIENCE = 60  # seconds: other programs may have the cores


@dataclass(frozen=True)
class Server:
    """A leaderboard that answers: its address, its process, and how long it took to answer."""

    address: str
    process: subprocess.Popen[bytes]
    seconds: float


def chromium() -> str | None:
    """The browser's program, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@contextmanager
def serving(runs: Path, results: Path) -> Iterator[Server]:
    """Starts `python -m harness leaderboard` and ends it afterwards."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "harness", "leaderboard", "--headless", "--port", str(port)]
    command += ["--runs", str(runs), "--results", str(results)]
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    try:
        wait_for(f"http://localhost:{port}/_stcore/health", process)
        yield Server(f"http://localhost:{port}/", process, time.perf_counter() - start)
    finally:
        process.terminate()
        process.wait(30)


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    """Returns once the address answers."""
    for _ in range(10 * PATIENCE):
        assert process.poll() is None, f"the server ended with {process.returncode}"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{address}: no answer within {PATIENCE} s")


@contextmanager
def browsing(**options: Any) -> Iterator[Any]:
    """A page of Playwright's, 1300 x 1000."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1300, "height": 1000}, **options)
        page.set_default_timeout(1000 * PATIENCE)
        try:
            yield page
        finally:
            browser.close()
