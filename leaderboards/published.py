"""Published entries, read as the runs they are the record of."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from harness.leaderboards.runs import Run, Stamps, Unlisted, sorted_out, stamps
from harness.publishing import Entry, find_entries
from harness.run_folder import RunFolder


def find_published(root: Path) -> tuple[list[Run], list[Unlisted]]:
    """Every entry below `root`, newest first, and what is none, with the reason.

    They are read again when one has come or gone; entries never change. What is no entry is looked at anew when a
    file of it changes: it may be one that is being copied.
    """
    state = _folders(root)
    _, problems = _read(root, state)
    if problems:
        state += tuple(stamp for problem in problems for stamp in _files(root / problem.key))
    runs, problems = _read(root, state)
    return list(runs), list(problems)


@lru_cache(maxsize=4)
def _read(root: Path, state: Stamps) -> tuple[tuple[Run, ...], tuple[Unlisted, ...]]:
    del state  # part of what the cache goes by
    entries, problems = find_entries(root)
    unlisted = [Unlisted(_key(problem.folder, root), "unreadable", problem.reason) for problem in problems]
    runs, unlisted = sorted_out([*(run_of(entry, root) for entry in entries), *unlisted])
    return tuple(runs), tuple(unlisted)


def run_of(entry: Entry, root: Path) -> Run:
    """The run that an entry below `root` is the record of."""
    words = f"{entry.published}, licence {entry.licence}{'; ' + entry.note if entry.note else ''}"
    key = _key(entry.folder, root)
    manifest, summary = dict(entry.manifest), dict(entry.summary)
    return Run(key, RunFolder(entry.folder), manifest, summary, entry.finished, published=True, publication=words)


def _key(folder: Path, root: Path) -> str:
    return folder.relative_to(root).as_posix()


def _folders(root: Path) -> Stamps:
    """Of the folders that entries stand in: they change when an entry comes or goes."""
    benches = [one.path for one in _below(str(root))]
    splits = [one.path for bench in benches for one in _below(bench)]
    return stamps(root, ["", *benches, *splits])


def _files(folder: Path) -> Stamps:
    return stamps(folder, ["", *sorted(one.path for one in _below(str(folder), files=True))])


def _below(folder: str, files: bool = False) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(
                (one for one in found if files or one.is_dir(follow_symlinks=False)), key=lambda one: one.name
            )
    except OSError:
        return []
