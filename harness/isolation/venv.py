"""isolation=venv: workers in a Python environment of the method's own, with as few rights as the system allows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.isolation import confine, worker
from harness.isolation.bounded_log import BoundedLog, Pump
from harness.isolation.environments import Environment, environment
from harness.isolation.options import IsolationOptions
from harness.isolation.source import AdapterSource, option_files
from harness.method import MethodSpec

MEBIBYTE = 2**20
SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/proc", "/sys"),
    *("/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/nsswitch.conf"),
    *("/etc/passwd", "/etc/group", "/etc/fonts", "/etc/ssl", "/etc/alternatives", "/etc/mime.types"),
)
"""What programs need of a system to run; secrets, and everyone's own files, are elsewhere."""
KEPT = (
    *("LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"),
    *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"),
)
"""Variables of the environment that workers see."""


class VenvLauncher:
    """Starts workers of one method in its environment, which is built on first use."""

    def __init__(self, method: MethodSpec, isolation: IsolationOptions, device: str) -> None:
        if not sys.platform.startswith("linux"):
            raise HarnessError("isolation=venv: needs Linux; use isolation=none")
        self._method, self._isolation, self._device = method, isolation, device
        self._source = AdapterSource.of(method)
        self._environment: Environment | None = None

    def record(self) -> dict[str, Any]:
        """Key, interpreter and packages of the environment; see `Launcher`."""
        built = self._built()
        return {"kind": "venv", "environment": built.key, **built.contents}

    def inside(self, path: Path) -> str:
        """The same path; see `Launcher`."""
        return str(path)

    def start(self, socket: Path, log: BoundedLog) -> VenvProcess:
        """See `Launcher`."""
        built = self._built()
        work = socket.parent / "work"
        work.mkdir(exist_ok=True)
        devices = self._devices()
        specification = {
            "command": [str(built.python), "-I", "-B", "-u", str(Path(worker.__file__).resolve())],
            "socket": str(socket),
            "read": [*SYSTEM, *self._readable(built)],
            "write": [str(work), "/dev/null", *devices],
            "memory": self._memory(),
            "processes": self._isolation.pids,
            "file": self._isolation.file_mb * MEBIBYTE,
            "sockets": self._device.startswith("cuda"),
        }
        command = [sys.executable, "-I", "-S", str(Path(confine.__file__).resolve()), json.dumps(specification)]
        variables = {name: os.environ[name] for name in KEPT if name in os.environ}
        variables |= {"PATH": f"{built.folder}/bin:/usr/local/bin:/usr/bin:/bin", "VIRTUAL_ENV": str(built.folder)}
        variables |= {"HOME": str(work), "TMPDIR": str(work)}
        try:
            return VenvProcess(command, work, variables, log)
        except OSError as error:
            raise HarnessError(f"method {self._method.name}: its worker could not be started ({error})") from error

    def _built(self) -> Environment:
        if self._environment is None:
            file = self._source.folder / "requirements.txt"
            self._environment = environment(file.read_text() if file.is_file() else "", self._isolation.python)
        return self._environment

    def _readable(self, built: Environment) -> list[str]:
        """Files and folders of this machine that workers may read, apart from the system's."""
        folder = self._source.folder
        whole = Path.home() != folder and not Path.home().is_relative_to(folder)  # else only the file itself
        libraries = os.environ.get("LD_LIBRARY_PATH", "").split(":")
        named = [str(path.resolve()) for path in option_files(self._method)]
        own = [built.folder, built.prefix, Path(worker.__file__).resolve(), folder if whole else self._source.file]
        return [*map(str, own), *named, *filter(None, libraries)]

    def _devices(self) -> list[str]:
        return [str(path) for path in Path("/dev").glob("nvidia*")] if self._device.startswith("cuda") else []

    def _memory(self) -> int | None:
        """Bytes of address space. CUDA reserves far more of it than there is memory: no limit there by default."""
        if self._isolation.memory_mb is not None:
            return self._isolation.memory_mb * MEBIBYTE
        if self._device.startswith("cuda"):
            return None
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


class VenvProcess:
    """One worker and all that it starts; see `Launched`."""

    def __init__(self, command: list[str], folder: Path, variables: dict[str, str], log: BoundedLog) -> None:
        self._killed, self._kills_before = False, _out_of_memory_kills()
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._pump: Pump | None = Pump(os.dup(self._process.stdout.fileno()), log)
        self._process.stdout.close()

    def poll(self) -> int | None:
        """See `Launched`. The process stays unreaped, so that its group's number is not given to another."""
        if self._process.returncode is not None:
            return self._process.returncode
        ended = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status

    def kill(self) -> None:
        """See `Launched`: the whole process group, and with it the namespace that holds all further processes."""
        if self._process.returncode is None:
            self._killed = self.poll() is None
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def cause_of_death(self) -> str:
        """See `Launched`."""
        code = self.poll()
        if code is None:
            return "has not ended"
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def out_of_memory(self) -> bool:
        """See `Launched`: it was killed, and not by us, while the system killed for want of memory."""
        return self.poll() == -signal.SIGKILL and not self._killed and _out_of_memory_kills() > self._kills_before

    def close(self) -> None:
        """See `Launched`."""
        if self._pump is not None:
            self._pump.stop()
        self._pump = None


def _out_of_memory_kills() -> int:
    """How often this system killed a process because memory ran out; 0 where it does not say."""
    try:
        lines = dict(line.split() for line in Path("/proc/vmstat").read_text().splitlines())
        return int(lines.get("oom_kill", 0))
    except (OSError, ValueError):
        return 0
