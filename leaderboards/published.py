"""Published entries, read as the runs they are the record of."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from harness.errors import HarnessError
from harness.files import read_json
from harness.leaderboards.runs import Run, Unlisted, check_records, sorted_out, stamps
from harness.run_folder import RunFolder

ENTRY = "entry.json"
SCHEMA = 1


def find_published(root: Path) -> tuple[list[Run], list[Unlisted]]:
    """Every entry `<bench>/<split>/<method>-<identity>` below `root`, newest first, and what is none, with the reason.

    Only `entry.json` is read, once for as long as the file stays the same.
    """
    return sorted_out([_read(path, path.relative_to(root).as_posix(), stamps(path, [ENTRY])) for path in _paths(root)])


def _paths(root: Path) -> Iterator[Path]:
    for file in sorted(root.glob(f"*/*/*/{ENTRY}")):
        yield file.parent


@lru_cache(maxsize=8192)
def _read(path: Path, key: str, changed: tuple[tuple[int, int] | None, ...]) -> Run | Unlisted:
    del changed  # part of what the cache goes by
    try:
        entry = read_json(path / ENTRY)
        if entry["schema"] != SCHEMA:
            raise HarnessError(f"{path}/{ENTRY}: schema {entry['schema']!r}, expected {SCHEMA}")
        manifest, summary = entry["manifest"], entry["summary"]
        check_records(manifest, summary)
        return Run(key, RunFolder(path), manifest, summary, str(manifest["started"]), published=True)
    except HarnessError as error:
        return Unlisted(key, "unreadable", str(error))
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        return Unlisted(key, "unreadable", f"not in this version's form ({type(error).__name__}: {error})")
