"""Writing files so that a reader sees either the whole file or none of it."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import DataError, HarnessError
from harness.samples import Array


def write_atomically(path: Path, content: bytes) -> None:
    """Writes under a temporary name, syncs, renames.

    Raises:
        HarnessError: the disk is full or the folder cannot be written; nothing else is touched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        cause = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise HarnessError(
            f"{path}: could not be written ({cause}). What was computed before is kept: make room or fix the "
            "folder, then give the same command again to go on"
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Writes `value` as readable JSON with sorted keys; floats keep all their digits."""
    write_atomically(path, (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Reads a JSON file; raises HarnessError that names the file where it is damaged."""
    try:
        return json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise HarnessError(f"{path}: cannot be read as JSON ({error}); delete the file and run again") from None


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes named arrays as an uncompressed .npz; the same arrays give the same bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def read_arrays(path: Path, names: Iterable[str] | None = None) -> dict[str, Array]:
    """Named arrays of an .npz, those of `names` that are there or all; object arrays are refused.

    Raises:
        DataError: the file is missing, damaged or holds something else.
    """
    with _opened(path) as stored:
        return {name: stored[name] for name in (stored.files if names is None else names) if name in stored.files}


def array_names(path: Path) -> list[str]:
    """Names of the arrays of an .npz, none of which is read. Raises DataError as `read_arrays` does."""
    with _opened(path) as stored:
        return list(stored.files)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with np.load(path, allow_pickle=False) as stored:
            yield stored
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: cannot be read as named arrays ({error or type(error).__name__})") from None


def digest(content: str | bytes) -> str:
    """Sixteen hexadecimal digits of the content's SHA-256."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()[:16]


def digest_files(files: Iterable[Path], root: Path) -> str:
    """One digest over the contents and relative names of `files`."""
    total = hashlib.sha256()
    for path in sorted(set(files)):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else _hash(file.read())
        total.update(f"{path.relative_to(root).as_posix()}\0{content.hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def _hash(content: bytes) -> Any:
    return hashlib.sha256(content)
