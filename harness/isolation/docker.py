"""A worker in a Docker container: no network, nothing to write to but a small /tmp, no rights, bounded in all it uses.

What the container sees of this machine, read-only and at the same paths as here: the worker's one file, the socket
that it answers through, the folder of the adapter, and the files and folders that the method's options name.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.isolation import engine, image
from harness.isolation.bounded_log import BoundedLog
from harness.isolation.image import INTERPRETER
from harness.isolation.options import IsolationOptions
from harness.isolation.source import AdapterSource, option_files
from harness.method import MethodSpec

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

WORKER = Path(__file__).with_name("worker.py")
NOBODY = 65534
SOCKET = "/run/harness.sock"
CPU_S = 24 * 3600
OPEN_FILES = 4096
MEMORY_SHARE = 0.75
PAUSE_S = 5.0
UNKNOWN = 255
NOT_STARTED = {
    125: "the engine could not run it",
    126: f"{INTERPRETER} may not be run",
    127: f"it has no {INTERPRETER}",
}
KEPT_IN_TMP = ("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR")


@dataclass(frozen=True)
class DockerLauncher:
    """Starts one method's worker in containers of one image.

    Attributes:
        folder: of the adapter; it holds the Dockerfile unless an image is named.
        options: limits, and the image that is there already, if any.
        readable: further files and folders that the method may read (weights).
        gpu: whether the container sees this machine's GPUs.
    """

    folder: Path
    options: IsolationOptions
    readable: tuple[Path, ...] = ()
    gpu: bool = False

    @classmethod
    def of(cls, method: MethodSpec, options: IsolationOptions, device: str) -> DockerLauncher:
        """The launcher of a method as configured.

        Raises:
            HarnessError: the adapter's file is not there, or it lies where the container would see too much.
        """
        folder = checked(AdapterSource.of(method).folder)
        readable = tuple(checked(path.resolve()) for path in option_files(method))
        gpu = device.startswith("cuda") if options.gpu is None else options.gpu
        return cls(folder, options, readable, gpu)

    @cached_property
    def client(self) -> docker.DockerClient:
        """The engine; what killed runs left in it is removed on the first use."""
        client = engine.connect()
        engine.remove_leftovers(client)
        return client

    @cached_property
    def image_id(self) -> str:
        """Of the image, built now where it is not there.

        Raises:
            HarnessError: no engine, no Dockerfile, or building it failed.
        """
        if self.options.image:
            return image.named_image(self.client, self.options.image)
        return image.image_of(self.client, self.folder)

    @cached_property
    def memory_mb(self) -> int:
        """What all processes of a container may use together, with /tmp; by default three quarters of the machine's."""
        return self.options.memory_mb or int(self.client.info()["MemTotal"] * MEMORY_SHARE / 2**20)

    def record(self) -> dict[str, Any]:
        """The image, and which Python and numpy it has. Raises HarnessError where it has none."""
        return {"kind": "docker", "image": self.image_id, **image.interpreter(self.client, self.image_id)}

    def inside(self, path: Path) -> str:
        """The same path as here."""
        return str(path.resolve())

    def start(self, socket: Path, log: BoundedLog) -> DockerContainer:
        """Starts a worker that connects to `socket`.

        Raises:
            HarnessError: the engine refuses to start it.
        """
        try:
            container = self.client.containers.create(**self._settings(socket))
            started = DockerContainer(container, log, self.memory_mb)
        except engine.errors() as error:
            raise HarnessError(f"isolation=docker: the engine cannot create a worker: {_remedy(error)}") from None
        try:
            container.start()
        except engine.errors() as error:
            started.close()
            raise HarnessError(f"isolation=docker: the engine cannot start a worker: {_remedy(error)}") from None
        return started

    def _settings(self, socket: Path) -> dict[str, Any]:
        """Arguments of `containers.create`."""
        from docker.types import DeviceRequest, LogConfig, Ulimit

        memory, megabytes = f"{self.memory_mb}m", self.options.file_mb
        user, group = (NOBODY, NOBODY) if os.getuid() == 0 else (os.getuid(), os.getgid())
        threads = {name: os.environ[name] for name in ("OMP_NUM_THREADS",) if name in os.environ}
        return {
            "image": self.image_id,
            "entrypoint": [INTERPRETER, "-I", str(WORKER), "--connect", SOCKET],
            "command": [],
            "environment": {**dict.fromkeys(KEPT_IN_TMP, "/tmp"), **threads, "PYTHONDONTWRITEBYTECODE": "1"},
            "labels": {engine.WORKER_LABEL: "1", engine.OWNER_LABEL: engine.owner_mark()},
            "network_mode": "none",
            "read_only": True,
            "tmpfs": {"/tmp": f"size={megabytes}m,mode=1777"},
            "user": f"{user}:{group}",
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
            "init": True,
            "mem_limit": memory,
            "memswap_limit": memory,
            "shm_size": "64m",
            "pids_limit": self.options.pids,
            "ulimits": [
                Ulimit(name="cpu", soft=CPU_S, hard=CPU_S + 5),
                Ulimit(name="fsize", soft=megabytes * 2**20, hard=megabytes * 2**20),
                Ulimit(name="nofile", soft=OPEN_FILES, hard=OPEN_FILES),
                Ulimit(name="core", soft=0, hard=0),
            ],
            "log_config": LogConfig(type="none"),  # what it prints goes to the run's own bounded log
            "mounts": list(self._mounts(socket)),
            "device_requests": [DeviceRequest(count=-1, capabilities=[["gpu"]])] if self.gpu else None,
        }

    def _mounts(self, socket: Path) -> Iterator[Any]:
        from docker.types import Mount

        yield Mount(target=SOCKET, source=str(socket), type="bind", read_only=True)
        for path in without_nested([WORKER, self.folder, *self.readable]):
            yield Mount(target=str(path), source=str(path), type="bind", read_only=True)


class DockerContainer:
    """A container: made, and its output listened to, before it is started."""

    def __init__(self, container: Container, log: BoundedLog, memory_mb: int) -> None:
        self._container, self._memory_mb = container, memory_mb
        self._state: dict[str, Any] = {}
        self._output = container.attach(stream=True, stdout=True, stderr=True)
        self._pump = threading.Thread(target=_move, args=(self._output, log), daemon=True)
        self._pump.start()

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        if self._pump.is_alive():  # its output ends with it: no need to ask the engine
            return None
        state = self._inspected()
        if state.get("Running") or state.get("Status") == "created":
            return None
        code = int(state.get("ExitCode", UNKNOWN))
        return 128 - code if code > 128 and code - 128 in set(signal.Signals) else code

    def kill(self) -> None:
        """Ends it with everything that it started."""
        with contextlib.suppress(*engine.errors()):  # it has ended already
            self._container.kill()

    def out_of_memory(self) -> bool:
        """Whether the kernel stopped it for using more than its memory."""
        return bool(self._inspected().get("OOMKilled"))

    def cause_of_death(self) -> str:
        """How it ended, as the end of a sentence."""
        if self.out_of_memory():
            return f"was killed because it used more than its {self._memory_mb} MiB of memory"
        code = self.poll()
        if not self._state:
            return "is gone, and the engine says nothing of it"
        if code is None:
            return "still runs"
        if code < 0:
            return f"was killed by {signal.Signals(-code).name}"
        return f"ended with exit code {code}" + (f": {NOT_STARTED[code]}" if code in NOT_STARTED else "")

    def close(self) -> None:
        """Ends and removes it, after its last output."""
        self.kill()
        self._pump.join(PAUSE_S)
        with contextlib.suppress(*engine.errors()):
            self._container.remove(force=True)

    def _inspected(self) -> dict[str, Any]:
        """The engine's record of it; the last one known where the container is gone."""
        with contextlib.suppress(*engine.errors()):
            self._container.reload()
            self._state = dict(self._container.attrs.get("State", {}))
        return self._state


def _move(output: Iterable[bytes], log: BoundedLog) -> None:
    """Moves what a container prints into the log until it ends."""
    with contextlib.suppress(OSError, ValueError):  # the engine ended, or the log was closed
        for piece in output:
            log.write(piece)


def checked(path: Path) -> Path:
    """A path that a container may see. Raises HarnessError for one that would show far more than one method's files."""
    home = Path.home()
    system = {
        Path("/dev"),
        Path("/etc"),
        Path("/proc"),
        Path("/root"),
        Path("/run"),
        Path("/sys"),
        Path("/tmp"),
        Path("/usr"),
        Path("/var"),
    }
    if path in {home, *home.parents, Path(tempfile.gettempdir())} | system:
        raise HarnessError(
            f"isolation=docker: the container would see all of {path}; put the adapter (or the weights) into a folder "
            "of its own"
        )
    return path


def without_nested(paths: Iterable[Path]) -> list[Path]:
    """The paths without those that lie inside another of them, each once."""
    kept: list[Path] = []
    for path in sorted(set(paths)):
        if not any(path.is_relative_to(other) for other in kept):
            kept.append(path)
    return kept


def _remedy(error: Exception) -> str:
    """The engine's words, with what to do where they are known."""
    text = str(getattr(error, "explanation", None) or error)
    if "could not select device driver" in text:
        return f"{text}. Install NVIDIA's container toolkit, or run with device=cpu"
    if "bind source path does not exist" in text:
        return f"{text}. The engine runs elsewhere (another machine, a container) and does not see these files"
    return text
