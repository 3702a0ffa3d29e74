"""Notes what a process does besides computing: connections, files written, programs started.

Python reports these as audit events (PEP 578). A hook cannot be taken out again, so it runs in the method's process
only. Libraries that call the operating system from C (CUDA, libcurl in a wheel) report nothing: no finding is no proof.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST = 40  # events that are kept
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = {
    "os.mkdir": (0, 2),
    "os.remove": (0, 1),
    "os.rmdir": (0, 1),
    "os.rename": (1, 3),
    "os.link": (1, 3),
    "os.symlink": (1, 2),
    "os.truncate": (0, None),
}
"""Which of an event's arguments is the path, and which the open folder that it is relative to."""
_NETWORK = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1, "socket.getaddrinfo": 0}
_PROGRAMS = {"subprocess.Popen": 1, "os.system": 0, "os.posix_spawn": 0, "os.exec": 0, "os.spawn": 1}


@dataclass(frozen=True)
class Event:
    """Something that a method did.

    Attributes:
        kind: "network", "write", "cache" (a write into the user's cache folder) or "program".
        what: the address, path or command.
        place: file and line of the caller outside of the libraries; empty if there is none.
        phase: "load" or "predict".
    """

    kind: str
    what: str
    place: str
    phase: str


class Watch:
    """An audit hook: `sys.addaudithook(watch)`.

    Files may be written in the system's temporary folder, unless the process was started there; Python's compiled
    modules and the kernels that NVIDIA's compilers keep count as none.
    """

    def __init__(self) -> None:
        self.phase, self.events, self._busy = "load", list[Event](), False
        self._here = Path.cwd()
        self._temporary = [Path(tempfile.gettempdir()).resolve(), Path("/dev"), Path("/proc")]
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self._compiled = [cache / "warp", cache / "nvidia", Path.home() / ".nv"]
        self._cache = [cache, Path(os.environ.get("HARNESS_CACHE") or cache)]
        self._libraries = tuple({sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")})

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Called by the interpreter; an exception in here would end up in the method."""
        if self._busy or len(self.events) >= MOST:
            return
        self._busy = True
        try:
            kind, what = self._judged(event, arguments)
            if kind:
                self._note(kind, what)
        except Exception:  # the method must not suffer from being watched
            return
        finally:
            self._busy = False

    def _judged(self, event: str, arguments: tuple[Any, ...]) -> tuple[str, str]:
        """The event's kind and what it is about; an empty kind if it is of no interest."""
        if event in _NETWORK:
            return self._kind_of_address(event, arguments)
        if event in _PROGRAMS:
            return "program", _text(arguments[_PROGRAMS[event]])
        if event == "open":
            path, mode, flags = arguments
            writes = any(c in mode for c in "wax+") if isinstance(mode, str) else bool((flags or 0) & _WRITING)
            return self._kind_of_path(path) if writes else ("", "")
        if event not in _PATHS:
            return "", ""
        path, folder = _PATHS[event]
        within = (
            ""
            if folder is None or arguments[folder] < 0
            else str(Path(f"/proc/self/fd/{arguments[folder]}").readlink())
        )
        return self._kind_of_path(arguments[path], within)

    def _kind_of_address(self, event: str, arguments: tuple[Any, ...]) -> tuple[str, str]:
        address = arguments[_NETWORK[event]]
        if event == "socket.getaddrinfo":
            return ("network", _text((address, arguments[1]))) if address else ("", "")
        return ("network", _text(address)) if isinstance(address, tuple) else ("", "")  # else a Unix socket

    def _kind_of_path(self, path: Any, within: str = "") -> tuple[str, str]:
        if isinstance(path, int):
            return "", ""
        place = Path(os.path.abspath(os.path.join(within, os.fsdecode(path))))  # noqa: PTH100, PTH118 - resolve() would follow links
        if "__pycache__" in place.parts or any(place.is_relative_to(folder) for folder in self._compiled):
            return "", ""
        if any(place.is_relative_to(folder) for folder in self._cache):
            return "cache", str(place)
        if not place.is_relative_to(self._here) and any(place.is_relative_to(folder) for folder in self._temporary):
            return "", ""
        return "write", str(place)

    def _note(self, kind: str, what: str) -> None:
        event = Event(kind, what, self._place(), self.phase)
        if event not in self.events:
            self.events.append(event)

    def _place(self) -> str:
        """The innermost caller that belongs to no library."""
        frame = sys._getframe(2)
        own = str(Path(__file__).parent)
        while frame is not None:
            name = frame.f_code.co_filename
            if not name.startswith((*self._libraries, own, "<")) and Path(name).is_file():
                return f"{name}:{frame.f_lineno}"
            frame = frame.f_back  # type: ignore[assignment]
        return ""


def _text(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ":".join(map(_text, value[:2])) if isinstance(value, tuple) else " ".join(map(_text, value))
    return os.fsdecode(value) if isinstance(value, (bytes, os.PathLike)) else str(value)
