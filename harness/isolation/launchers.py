"""What starts workers: one kind of launcher per kind of isolation, chosen here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from harness.isolation.bounded_log import BoundedLog
from harness.isolation.options import IsolationOptions
from harness.method import MethodSpec


class Launched(Protocol):
    """A worker that was started."""

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""

    def kill(self) -> None:
        """Ends it and whatever it started, at once. Harmless where it has ended."""

    def cause_of_death(self) -> str:
        """How it ended, as the end of a sentence: "ended with exit code 3", "was killed by SIGSEGV"."""

    def out_of_memory(self) -> bool:
        """Whether it ended because it wanted more memory than it may have."""

    def close(self) -> None:
        """Waits for its last output, and gives back what was kept for it."""


class Launcher(Protocol):
    """Starts workers of one method."""

    def record(self) -> dict[str, Any]:
        """What the workers run in, for the manifest and the run's identity: plain JSON values that do not change.

        Builds what is not built yet. Raises HarnessError where that fails.
        """

    def inside(self, path: Path) -> str:
        """How the workers see a file or folder of this machine that belongs to the method or its options."""

    def start(self, socket: Path, log: BoundedLog) -> Launched:
        """Starts a worker that connects to `socket` and whose standard output and error go to `log`.

        Raises HarnessError where it cannot be started.
        """


def launcher_for(method: MethodSpec, isolation: IsolationOptions, device: str) -> Launcher | None:
    """What starts the workers of `method`; None where it runs in a process of this interpreter.

    Raises:
        HarnessError: the method lacks what this kind of isolation needs, or the system does.
    """
    if isolation.kind == "none":
        return None
    if isolation.kind == "venv":
        from harness.isolation.venv import VenvLauncher

        return VenvLauncher(method, isolation, device)
    from harness.isolation.docker import DockerLauncher

    return DockerLauncher.of(method, isolation, device)
