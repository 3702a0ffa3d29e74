"""What workers write to their standard output and error: kept in a file, up to a limit."""

from __future__ import annotations

import os
import select
import threading
from pathlib import Path

from harness.isolation.wire import shown

LIMIT = 8 * 2**20
CONTROL = bytes(c for c in range(32) if c not in b"\n\r\t") + b"\x7f"
HARMLESS = bytes.maketrans(CONTROL, b"?" * len(CONTROL))


class BoundedLog:
    """A file that takes so much and no more, and says at its end that there was more.

    Args:
        path: the file; what it holds already counts.
        limit: in bytes.

    Attributes:
        written: bytes that came, dropped ones included.
    """

    def __init__(self, path: Path, limit: int = LIMIT) -> None:
        self.path, self.written = path, 0
        self._file = path.open("ab")
        self._left = limit - self._file.tell()
        self._lock = threading.Lock()

    def write(self, data: bytes) -> None:
        """Keeps what there is room for; control characters, which a terminal would obey, become question marks."""
        with self._lock:
            self.written += len(data)
            if self._left <= 0:
                return
            self._file.write(data[: self._left].translate(HARMLESS))
            self._left -= len(data)
            if self._left <= 0:
                self._file.write(b"\n[the log is full: what came after this was dropped]\n")
            self._file.flush()

    def tail(self, lines: int = 5) -> str:
        """The last lines, in one; empty if there are none."""
        with self.path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
            last = file.read().decode(errors="replace").strip().splitlines()[-lines:]
        return " / ".join(shown(line) for line in last if line.strip())

    def close(self) -> None:
        """Closes the file; what comes later is dropped."""
        with self._lock:
            self._left = 0
            self._file.close()


class Pump:
    """Moves what comes out of a pipe into a log, in a thread, until the pipe ends or `stop` is called."""

    def __init__(self, descriptor: int, log: BoundedLog) -> None:
        self._descriptor, self._log = descriptor, log
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Takes what is in the pipe, and closes it: a process that outlived its worker may hold the other end."""
        self._stop.set()
        self._thread.join()
        os.close(self._descriptor)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        while True:
            stopping = self._stop.is_set()
            if not poll.poll(0 if stopping else 100):
                if stopping:
                    return
                continue
            data = os.read(self._descriptor, 2**16)
            if not data:
                return
            self._log.write(data)
