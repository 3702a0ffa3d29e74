"""Reading published entries: fast, from `entry.json` alone. `harness.publishing.verifier` reads the rest."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.publishing.schema import MOST_FILE_BYTES, Entry, entry_of

ENTRY = "entry.json"
DEPTH = 3  # an entry stands in results/<bench>/<split>/<entry>
MOST_ENTRY_BYTES = 1 << 20
_NEVER_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_BEFORE_BUNDLE = b'{\n "bundle": "'
_BUNDLE = slice(len(_BEFORE_BUNDLE), len(_BEFORE_BUNDLE) + 64)


@dataclass(frozen=True)
class Problem:
    """A folder that cannot be shown as an entry, and why."""

    folder: Path
    reason: str


def find_entries(root: Path) -> tuple[list[Entry], list[Problem]]:
    """Every entry below `root` in the order of their paths, and every folder that cannot be one, with the reason.

    A folder that is not there has no entries. Of entries with the same identity only the first is returned.
    """
    entries: dict[str, Entry] = {}
    problems: list[Problem] = []
    for folder, parts, names in _entry_folders(str(root), (), problems):
        try:
            entry = _read(folder, names)
            _check_place(entry, parts)
            if entry.identity in entries:
                raise HarnessError(f"{folder}: has the identity of {entries[entry.identity].folder}: remove one")
            entries[entry.identity] = entry
        except HarnessError as error:
            problems.append(Problem(Path(folder), str(error)))
    return list(entries.values()), problems


def read_entry(folder: Path) -> Entry:
    """Reads and checks one `entry.json`, and that beside it stands what it names and nothing else.

    Contents of the other files are not read; `verify` does that.

    Raises:
        HarnessError: the entry is damaged, of a newer schema, too large, or holds links or other files.
    """
    try:
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise HarnessError(f"{folder}: is no folder of an entry")
        return _read(str(folder), [path.name for path in folder.iterdir()])
    except OSError as error:
        raise HarnessError(f"{folder}: cannot be read ({error.strerror})") from None


def _read(folder: str, names: Sequence[str]) -> Entry:
    """Reads the entry in `folder`, which has files and folders of these `names`."""
    path = f"{folder}/{ENTRY}"
    if ENTRY not in names:
        raise HarnessError(f"{folder}: has no {ENTRY}")
    content = _content(path)
    entry = entry_of(content, path)
    if bundle_of(content) != entry.bundle:
        raise HarnessError(f"{path}: was changed after publishing: its contents do not give the bundle hash")
    if odd := set(names) - {ENTRY, *entry.files}:
        raise HarnessError(f"{folder}: holds {min(odd)!r}, which the entry does not name")
    for name, record in entry.files.items():
        size = _regular_size(f"{folder}/{name}")
        if size != record["bytes"]:
            raise HarnessError(f"{folder}/{name}: has {size} bytes, the entry says {record['bytes']}")
    entry._folder = Path(folder)
    return entry


def _content(path: str) -> bytes:
    """Of an `entry.json`; neither follows a link, nor waits for a pipe, nor reads more than an entry may have."""
    try:
        file = os.open(path, os.O_RDONLY | _NEVER_FOLLOW)
    except OSError as error:
        link = error.errno == errno.ELOOP
        raise HarnessError(f"{path}: {'is a link' if link else f'cannot be read ({error.strerror})'}") from None
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise HarnessError(f"{path}: is no file")
        if found.st_size > MOST_ENTRY_BYTES:
            raise HarnessError(f"{path}: has {found.st_size} bytes, expected {MOST_ENTRY_BYTES} at most")
        return os.read(file, found.st_size + 1)
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read ({error.strerror})") from None
    finally:
        os.close(file)


def _regular_size(path: str) -> int:
    try:
        found = os.lstat(path)
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(found.st_mode):
        raise HarnessError(f"{path}: is a link or no file; an entry holds plain files only")
    return found.st_size


def _check_place(entry: Entry, parts: Sequence[str]) -> None:
    """Raises HarnessError if the folder is not where its contents belong; a part of the results is a root too."""
    place = entry.place
    if parts and place.parts[-len(parts) :] != tuple(parts):
        raise HarnessError(f"{entry.folder}: its contents belong into {place}")


def _entry_folders(
    folder: str, parts: tuple[str, ...], problems: list[Problem]
) -> Iterator[tuple[str, tuple[str, ...], list[str]]]:
    """Path, parts below the root, and contents of each folder with an `entry.json`; links are problems."""
    try:
        with os.scandir(folder) as found:
            inside = sorted(found, key=lambda one: one.name)
    except OSError as error:
        if parts or not isinstance(error, FileNotFoundError):
            problems.append(Problem(Path(folder), f"{folder}: cannot be read ({error.strerror})"))
        return
    names = [one.name for one in inside]
    if ENTRY in names:
        yield folder, parts, names
        return
    if len(parts) >= DEPTH:
        problems.append(Problem(Path(folder), f"{folder}: has no {ENTRY}"))
        return
    for one in inside:
        if one.is_symlink():
            problems.append(Problem(Path(one.path), f"{one.path}: is a link; entries are plain folders"))
        elif one.is_dir() and not one.name.startswith("."):  # else being written, or a repository's own
            yield from _entry_folders(one.path, (*parts, one.name), problems)


def entry_text(entry: Mapping[str, Any]) -> bytes:
    """The one text that these values have as an `entry.json`, with its bundle hash put in.

    Args:
        entry: plain values by name, whatever `bundle` they have.
    """
    content = canonical_text({**entry, "bundle": "0" * 64})
    bundle = bundle_of(content).encode()
    return content[: _BUNDLE.start] + bundle + content[_BUNDLE.stop :]


def canonical_text(value: Any) -> bytes:
    """JSON with sorted keys, one value a line: the same values have the same text."""
    return (json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def bundle_of(content: bytes) -> str:
    """SHA-256 of the text of an `entry.json` without the digits of its bundle hash; empty if these are not in place."""
    if not content.startswith(_BEFORE_BUNDLE):
        return ""
    return hashlib.sha256(content[: _BUNDLE.start] + content[_BUNDLE.stop :]).hexdigest()


def sha256_of(path: Path) -> str:
    """Of a file's contents. Raises HarnessError if it cannot be read, or is larger than a file of an entry may be."""
    size = _regular_size(str(path))
    if size > MOST_FILE_BYTES:
        raise HarnessError(f"{path}: has {size} bytes, expected {MOST_FILE_BYTES} at most")
    return hashlib.sha256(path.read_bytes()).hexdigest()
