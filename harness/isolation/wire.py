"""The harness's end of the wire to a worker: what it sends, and what it lets in.

The format is described in `harness.isolation.worker`, which is the other end. Whatever comes from there may be hostile:
lengths are bounded before anything is allocated, arrays have types from a fixed list, and a message that is not exactly
as it must be is refused with the reason.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import select
import socket
import time
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.errors import HarnessError
from harness.isolation.worker import DTYPES, HEAD, MAGIC, MAX_HEADER, aligned, laid_out, read_array
from harness.samples import Array

MAX_BODY = 2**28
MAX_ARRAYS = 10_000
MAX_DIMENSIONS = 4
INLINE = 2**16
"""Bodies up to this many bytes go over the socket, larger ones through shared memory."""
CHUNK = 2**18
SLICE_MS = 200
"""How long to wait for the other end before the caller looks whether to go on waiting."""
MESSAGE_LIMIT_S = 60.0
KINDS = ("hello", "alive", "loaded", "error", "answer", "raised")
Check = Callable[[], None]


class WireError(HarnessError):
    """The worker broke the wire format; the message says how."""


class Closed(WireError):
    """The other end closed the connection between two messages."""


@dataclass(frozen=True)
class Message:
    """What a worker said.

    Attributes:
        kind: one of KINDS.
        header: the rest of its header; nothing in it has been checked.
        arrays: by name; they own their memory.
    """

    kind: str
    header: Mapping[str, Any]
    arrays: Mapping[str, Array]


class Connection:
    """The harness's end of a connected Unix socket.

    Args:
        connection: the socket.
        check: called again and again while waiting; raises to give up.
    """

    def __init__(self, connection: socket.socket, check: Check) -> None:
        self._socket, self._check = connection, check
        self._socket.setblocking(False)
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)

    def send(self, header: Mapping[str, Any], arrays: Mapping[str, Array] | None = None) -> None:
        """Sends one message; large arrays through shared memory where the system has it.

        Raises:
            HarnessError: the header is larger than the format allows.
            OSError: the other end is gone.
        """
        arrays = {name: np.asarray(values, order="C") for name, values in (arrays or {}).items()}
        entries, length = laid_out(arrays)
        shared = length > INLINE and hasattr(os, "memfd_create")
        text = json.dumps({**header, "arrays": entries, **({"shared": True} if shared else {})}).encode()
        if len(text) > MAX_HEADER:
            raise HarnessError(
                f"a request of {len(entries)} arrays does not fit the wire format; choose a smaller batch_size"
            )
        if not shared:
            self._send_all(HEAD.pack(MAGIC, len(text), length) + text + b"".join(_buffers(entries, arrays)))
            return
        descriptor = shared_memory(entries, arrays)
        try:
            ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [descriptor]))]
            start = HEAD.pack(MAGIC, len(text), 0)
            self._wait(select.POLLOUT)
            sent = self._socket.sendmsg([start], ancillary)
            self._send_all(start[sent:] + text)
        finally:
            os.close(descriptor)

    def receive(self) -> Message:
        """The next message.

        Raises:
            Closed: the other end is gone.
            WireError: the message is truncated, oversized or malformed.
        """
        start = self._read(1)
        deadline = time.monotonic() + MESSAGE_LIMIT_S
        magic, header_length, body_length = HEAD.unpack(bytes(start + self._read(HEAD.size - 1, deadline)))
        if magic != MAGIC:
            raise WireError(f"a message begins with {magic!r}, expected {MAGIC!r}")
        if header_length > MAX_HEADER:
            raise WireError(f"a header of {header_length} bytes, at most {MAX_HEADER} are taken")
        if body_length > MAX_BODY:
            raise WireError(f"a body of {body_length} bytes, at most {MAX_BODY} are taken")
        header = parsed(bytes(self._read(header_length, deadline)))
        entries = checked_entries(header.pop("arrays", []), body_length)
        body = self._read(body_length, deadline)
        kind = header.pop("kind", None)
        if kind not in KINDS:
            raise WireError(f"a message of kind {shown(kind)}, expected one of {', '.join(KINDS)}")
        return Message(kind, header, {entry["name"]: read_array(entry, body) for entry in entries})

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def _read(self, count: int, deadline: float | None = None) -> bytearray:
        """So many bytes; memory is taken as they arrive. Without a deadline, the first of a message."""
        data = bytearray()
        while len(data) < count:
            if deadline is not None and time.monotonic() > deadline:
                raise WireError(f"a message was not complete after {MESSAGE_LIMIT_S:g} s")
            self._wait(select.POLLIN)
            try:
                piece = self._socket.recv(min(count - len(data), CHUNK))
            except BlockingIOError:
                continue
            if not piece and deadline is None:
                raise Closed("the connection was closed")
            if not piece:
                raise WireError(f"a message was cut off: {len(data)} of {count} bytes came")
            data += piece
        return data

    def _send_all(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self._wait(select.POLLOUT)
            try:
                left = left[self._socket.send(left[:CHUNK]) :]
            except BlockingIOError:
                continue

    def _wait(self, event: int) -> None:
        self._poll.modify(self._socket, event)
        while not self._poll.poll(SLICE_MS):
            self._check()


def shared_memory(entries: list[dict[str, Any]], arrays: Mapping[str, Array]) -> int:
    """A descriptor of a memory file that holds the arrays and can no longer be changed. The caller closes it."""
    descriptor = os.memfd_create("harness", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        for entry in entries:
            left = memoryview(arrays[entry["name"]].reshape(-1).view(np.uint8))  # type: ignore[arg-type]
            position = entry["offset"]
            while left:
                written = os.pwrite(descriptor, left, position)
                left, position = left[written:], position + written
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _buffers(entries: list[dict[str, Any]], arrays: Mapping[str, Array]) -> list[bytes]:
    pieces, end = [], 0
    for entry in entries:
        content = arrays[entry["name"]].tobytes()
        pieces += [bytes(entry["offset"] - end), content]
        end = entry["offset"] + len(content)
    return pieces


def parsed(text: bytes) -> dict[str, Any]:
    """A header's JSON; raises WireError where it is none, or no object."""

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no JSON")

    try:
        header = json.loads(text.decode(), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise WireError(f"a header that is no JSON ({type(error).__name__}: {shown(str(error))})") from None
    if not isinstance(header, dict):
        raise WireError(f"a header that is a {type(header).__name__}, expected an object")
    return header


def checked_entries(entries: Any, length: int) -> list[dict[str, Any]]:
    """The entries of a header, each with its array inside a body of `length` bytes and none over another.

    Raises:
        WireError: they are not a list of {name, dtype, shape, offset} that fills the body.
    """
    if not isinstance(entries, list) or len(entries) > MAX_ARRAYS:
        raise WireError(f"arrays: expected a list of at most {MAX_ARRAYS}")
    names, end = set(), 0
    for entry in entries:
        if not isinstance(entry, dict) or set(entry) != {"name", "dtype", "shape", "offset"}:
            raise WireError(f"arrays: {shown(entry)}, expected name, dtype, shape and offset")
        name, dtype, shape, offset = (entry[key] for key in ("name", "dtype", "shape", "offset"))
        if not isinstance(name, str) or len(name) > 200 or name in names:
            raise WireError(f"arrays: name {shown(name)} is too long, given twice or no text")
        if dtype not in DTYPES:
            raise WireError(f"array {shown(name)}: dtype {shown(dtype)}, expected one of {', '.join(DTYPES)}")
        if not _is_shape(shape):
            raise WireError(f"array {shown(name)}: shape {shown(shape)}, expected at most {MAX_DIMENSIONS} lengths")
        if type(offset) is not int or offset != aligned(end):
            raise WireError(f"array {shown(name)}: offset {shown(offset)}, expected {aligned(end)}")
        names.add(name)
        end = offset + math.prod(shape) * np.dtype(dtype).itemsize
        if end > length:
            raise WireError(f"array {shown(name)}: ends at byte {end} of a body of {length}")
    if end != length:
        raise WireError(f"a body of {length} bytes, of which the arrays are {end}")
    return entries


def _is_shape(shape: Any) -> bool:
    return (
        isinstance(shape, list)
        and len(shape) <= MAX_DIMENSIONS
        and all(type(size) is int and size >= 0 for size in shape)
        and math.prod(max(size, 1) for size in shape) <= MAX_BODY
    )


def shown(value: Any, limit: int = 200) -> str:
    """A value of the worker's in words: short, and without control characters, which a terminal would obey."""
    text = value if isinstance(value, str) else repr(value)
    text = "".join(c if c.isprintable() else "?" for c in text[: limit + 1])
    return text if len(text) <= limit else text[:limit] + "..."
