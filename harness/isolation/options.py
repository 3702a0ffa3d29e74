"""Where a method's adapter runs, as the configuration says it."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import HarnessError

KINDS = ("none", "venv", "docker")


@dataclass(frozen=True)
class IsolationOptions:
    """The keys below `isolation`.

    Attributes:
        kind: "none": a process of the harness's own interpreter; "venv": an environment of its own; "docker": a
            container.
        python: venv: the interpreter that the environment is made with, a path or a name such as python3.9; the
            harness's own by default.
        memory_mb: of the worker, in MiB; None is all of the machine's (venv, on the CPU) or no limit.
        pids: processes and threads that the worker may have.
        file_mb: largest file that the worker may write, in MiB.
        silence_s: seconds without a sign of life after which a worker counts as dead.
        gpu: docker: pass the GPU through; None does so where the run's device is a CUDA device.
        image: docker: an image that is there already, instead of one built from the method's Dockerfile.
    """

    kind: str = "none"
    python: str | None = None
    memory_mb: int | None = None
    pids: int = 512
    file_mb: int = 1024
    silence_s: float = 60.0
    gpu: bool | None = None
    image: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise HarnessError(f"isolation={self.kind}: expected one of {', '.join(KINDS)}")
        for name in ("memory_mb", "pids", "file_mb", "silence_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise HarnessError(f"isolation.{name}={value}: expected a positive number")
