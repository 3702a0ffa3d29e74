"""Starts one program with as little of this machine as its system lets an ordinary user take away.

Runs as a program of its own, before any thread is started: `python -I -S confine.py SPECIFICATION`, a JSON object with

    command         the program and its arguments; `--fd NUMBER` of a socket connected to `socket` is added
    socket          path of the harness's Unix socket
    read, write     files and folders that it may read and execute, or also change; all others are closed to it
    memory          bytes of address space, or null;   file: bytes of the largest file;   processes: number of them
    sockets         whether it may open some (CUDA does, for itself); the network is closed either way

What this kernel does not offer is left out, and the first line that goes to standard error says so. Nothing here needs
rights of the superuser. Sources: landlock(7), user_namespaces(7), pid_namespaces(7), seccomp(2), prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any, NoReturn

LIBC = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS = 1, 22, 28, 38
NO_ROOT_LOCKED = 0b11  # the user 0 of a namespace gets no capabilities from starting a program
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}  # by the version of Landlock, the last for later ones
NET_TCP, SCOPES = 0b11, 0b11  # no TCP ports; no signals to, and no abstract sockets of, processes outside

ARCHITECTURES = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}  # audit name, number of socket()
IO_URING_SETUP = 425
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000


class NotHere(Exception):
    """The kernel does not offer it, or not to us."""


def main() -> NoReturn:
    """Confines this process and becomes the program, or its parent."""
    specification = json.loads(sys.argv[1])
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(specification["socket"])
    connection.set_inheritable(True)
    command = [*specification["command"], "--fd", str(connection.fileno())]
    missing = []
    try:
        namespaces()
    except (NotHere, OSError) as error:
        missing.append(f"processes and network of its own ({error})")
        become(command, specification, missing)
    status = in_own_processes(command, specification, missing, connection)
    if os.WIFSIGNALED(status):
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL) if os.WTERMSIG(status) != signal.SIGKILL else None
        os.kill(os.getpid(), os.WTERMSIG(status))
    os._exit(os.WEXITSTATUS(status))


def in_own_processes(command: list[str], specification: dict[str, Any], missing: list[str], held: socket.socket) -> int:
    """Runs the program below a first process whose end ends all that it started; returns its status."""
    out, into = os.pipe()
    if not os.fork():  # the first process of the new namespace
        _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        program = os.fork()
        if not program:
            become(command, specification, missing)
        held.close()
        while True:
            process, status = os.wait()
            if process == program:
                os.write(into, struct.pack("i", status))
                os._exit(0)
    held.close()
    os.close(into)
    told = os.read(out, 4)
    os.wait()
    return struct.unpack("i", told)[0] if len(told) == 4 else int(signal.SIGKILL)


def become(command: list[str], specification: dict[str, Any], missing: list[str]) -> NoReturn:
    """Takes away the rest and starts the program in this process."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # the first to go when memory runs out
    limits(specification)
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    for what, take in (("files", lambda: files(specification)), ("sockets", lambda: sockets(specification))):
        try:
            take()
        except (NotHere, OSError) as error:
            missing.append(f"{what} ({error})")
    note = f"not confined: {', '.join(missing)}" if missing else "confined: processes, network, files, sockets"
    os.write(2, f"[{note}]\n".encode())
    try:
        os.execve(command[0], command, dict(os.environ))
    except OSError as error:
        os.write(2, f"{command[0]}: {error}\n".encode())
        os._exit(127)


def limits(specification: dict[str, Any]) -> None:
    """Memory, processes, size of files; no memory dumps."""
    wanted = {
        resource.RLIMIT_AS: specification["memory"],
        resource.RLIMIT_NPROC: specification["processes"],
        resource.RLIMIT_FSIZE: specification["file"],
        resource.RLIMIT_CORE: 0,
    }
    for kind, value in wanted.items():
        hard = resource.getrlimit(kind)[1]
        if value is not None:
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (value, value))


def namespaces() -> None:
    """Processes, network and shared memory of its own, in a user namespace that maps the user to itself."""
    user, group = os.getuid(), os.getgid()
    _call("unshare", CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _call("prctl", PR_SET_SECUREBITS, NO_ROOT_LOCKED, 0, 0, 0)


def files(specification: dict[str, Any]) -> None:
    """Closes all files and folders but those of the specification (Landlock)."""
    version = LIBC.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        raise NotHere("this kernel has no Landlock")
    rights = RIGHTS[min(version, 3)]
    attributes = [rights, *([NET_TCP] if version >= 4 else []), *([SCOPES] if version >= 6 else [])]
    ruleset = _syscall(CREATE_RULESET, struct.pack(f"{len(attributes)}Q", *attributes), 8 * len(attributes), 0)
    for path in specification["read"]:
        _allow(ruleset, path, (EXECUTE | READ_FILE | READ_DIR) & rights)
    for path in specification["write"]:
        _allow(ruleset, path, rights)
    _syscall(RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no permission
    rights = rights if Path(path).is_dir() else rights & OF_FILES
    _syscall(ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, descriptor), 0)
    os.close(descriptor)


def sockets(specification: dict[str, Any]) -> None:
    """Refuses new sockets of every kind (seccomp); pairs of connected ones stay possible."""
    if specification["sockets"]:
        raise NotHere("CUDA opens some")
    if os.uname().machine not in ARCHITECTURES:
        raise NotHere(f"no filter for {os.uname().machine}")
    name, socket_number = ARCHITECTURES[os.uname().machine]
    no_access, unknown = REFUSE | errno.EACCES, REFUSE | errno.ENOSYS
    program = [
        (LOAD, 0, 0, 4),
        (JUMP_EQUAL, 0, 5, name),  # else the system calls of another architecture
        (LOAD, 0, 0, 0),
        (JUMP_AT_LEAST, 3, 0, 0x40000000),
        (JUMP_EQUAL, 3, 0, socket_number),
        (JUMP_EQUAL, 1, 0, IO_URING_SETUP),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, unknown),
        (RETURN, 0, 0, no_access),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code)))
    _call("prctl", PR_SET_SECCOMP, 2, head, 0, 0)


def _call(name: str, *arguments: Any) -> int:
    return _checked(name, getattr(LIBC, name)(*[_wide(a) for a in arguments]))


def _syscall(number: int, *arguments: Any) -> int:
    return _checked(f"system call {number}", LIBC.syscall(number, *[_wide(a) for a in arguments]))


def _wide(argument: Any) -> Any:
    return ctypes.c_ulong(argument) if isinstance(argument, int) else argument


def _checked(name: str, result: int) -> int:
    if result < 0:
        raise NotHere(f"{name}: {os.strerror(ctypes.get_errno())}")
    return result


if __name__ == "__main__":
    main()
