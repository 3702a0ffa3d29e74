"""Reading published entries: fast, from `entry.json` alone. `harness.publishing.verifier` reads the rest."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.publishing.schema import MOST_FILE_BYTES, Entry, entry_of

ENTRY = "entry.json"
DEPTH = 4  # folders below a root in which an entry may stand
MOST_ENTRY_BYTES = 1 << 20
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
    for folder, names in _entry_folders(root, problems):
        try:
            entry = _read(folder, names)
            _check_place(entry, root)
            if entry.identity in entries:
                raise HarnessError(f"{folder}: has the identity of {entries[entry.identity].folder}: remove one")
            entries[entry.identity] = entry
        except HarnessError as error:
            problems.append(Problem(folder, str(error)))
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
        return _read(folder, [path.name for path in folder.iterdir()])
    except OSError as error:
        raise HarnessError(f"{folder}: cannot be read ({error.strerror})") from None


def _read(folder: Path, names: list[str]) -> Entry:
    path = os.path.join(folder, ENTRY)  # noqa: PTH118  (thousands of files: strings are faster than Path)
    if ENTRY not in names:
        raise HarnessError(f"{folder}: has no {ENTRY}")
    size = _regular_size(path)
    if size > MOST_ENTRY_BYTES:
        raise HarnessError(f"{path}: has {size} bytes, expected {MOST_ENTRY_BYTES} at most")
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            content = file.read(MOST_ENTRY_BYTES + 1)
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read ({error.strerror})") from None
    entry = entry_of(content, path)
    if bundle_of(content) != entry.bundle:
        raise HarnessError(f"{path}: was changed after publishing: its contents do not give the bundle hash")
    if odd := set(names) - {ENTRY, *entry.files}:
        raise HarnessError(f"{folder}: holds {sorted(odd)[0]!r}, which the entry does not name")
    for name, record in entry.files.items():
        size = _regular_size(os.path.join(folder, name))  # noqa: PTH118
        if size != record["bytes"]:
            raise HarnessError(f"{folder}/{name}: has {size} bytes, the entry says {record['bytes']}")
    entry._folder = folder
    return entry


def _regular_size(path: str) -> int:
    try:
        found = os.lstat(path)
    except OSError as error:
        raise HarnessError(f"{path}: cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(found.st_mode):
        raise HarnessError(f"{path}: is a link or no file; an entry holds plain files only")
    return found.st_size


def _check_place(entry: Entry, root: Path) -> None:
    """Raises HarnessError if the folder is not where its contents belong; a part of the results is a root too."""
    found = entry.folder.relative_to(root).parts
    expected = entry.place.parts
    if found and expected[-len(found) :] != found:
        raise HarnessError(f"{entry.folder}: its contents belong into {entry.place}")


def _entry_folders(root: Path, problems: list[Problem]) -> Iterator[tuple[Path, list[str]]]:
    for place, folders, files in os.walk(root):
        path = Path(place)
        depth = len(path.relative_to(root).parts)
        if ENTRY in files:
            yield path, files + folders
            folders.clear()
            continue
        for name in list(folders):
            if name.startswith("."):  # being written, or a repository's own
                folders.remove(name)
            elif (path / name).is_symlink():
                problems.append(Problem(path / name, f"{path / name}: is a link; entries are plain folders"))
                folders.remove(name)
        if depth == 3:
            problems.append(Problem(path, f"{path}: has no {ENTRY}"))
        if depth >= DEPTH:
            folders.clear()
        folders.sort()


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
