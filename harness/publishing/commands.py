"""The commands `publish` and `verify`."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

from harness.config import resolve_workers
from harness.errors import HarnessError
from harness.publishing.entries import ENTRY, find_entries
from harness.publishing.publisher import LICENCE, publish
from harness.publishing.verifier import Verification, verify


def publish_command(arguments: list[str]) -> None:
    """Publishes runs. Raises HarnessError, after the others are done, if one of them may not be."""
    parser = argparse.ArgumentParser(prog="harness publish", description="Adds finished runs to the published results")
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="the run's folder")
    parser.add_argument("--to", type=Path, metavar="DIR", help="folder of results; this repository's by default")
    parser.add_argument("--licence", default=LICENCE, help=f"of the published numbers (default: {LICENCE})")
    parser.add_argument("--note", default="", help="what a reader of these numbers should know")
    parser.add_argument("--custom", action="store_true", help="allow protocols of your own, and mark them as such")
    options = parser.parse_args(arguments)
    root = options.to or repository_results()
    refused = []
    for run in options.runs:
        try:
            place = publish(run, root, options.licence, options.note, options.custom)
            size = sum(file.stat().st_size for file in place.iterdir())
            sys.stdout.write(f"{place} ({size / 1000:.0f} kB)\n")
        except HarnessError as error:
            refused.append(str(error))
    if len(refused) < len(options.runs):
        sys.stdout.write("Next: commit it and open a pull request. `python -m harness verify PATH` checks it again.\n")
    if refused:
        raise HarnessError("\n".join(refused))


def verify_command(arguments: list[str]) -> None:
    """Verifies entries. Raises HarnessError if one does not hold."""
    parser = argparse.ArgumentParser(prog="harness verify", description="Checks published entries")
    parser.add_argument("folders", nargs="+", type=Path, metavar="ENTRY", help="an entry's folder, or one with entries")
    parser.add_argument("--run", type=Path, help="the entry's run: its predictions are scored again")
    parser.add_argument("--workers", type=int, default=0, help="processes that score (default: one per core)")
    options = parser.parse_args(arguments)
    entries, problems = _entries(options.folders)
    if options.run and len(entries) != 1:
        raise HarnessError(f"--run {options.run}: needs one entry, not {len(entries)}")
    for folder in entries:
        found = verify(folder, options.run, resolve_workers(options.workers, "cpu"))
        _show(found)
        problems += found.problems
    if problems:
        raise HarnessError("\n".join(problems))
    sys.stdout.write(f"{len(entries)} of {len(entries)} entries hold\n")


def _entries(folders: list[Path]) -> tuple[list[Path], list[str]]:
    entries, problems = [], []
    for folder in folders:
        if (folder / ENTRY).is_file():
            entries.append(folder)
            continue
        if not folder.is_dir():
            raise HarnessError(f"{folder}: no such folder")
        found, odd = find_entries(folder)
        entries += [entry.folder for entry in found]
        problems += [problem.reason for problem in odd]
        if not found and not odd:
            sys.stdout.write(f"{folder}: has no entries\n")
    return entries, problems


def _show(found: Verification) -> None:
    lines = [f"{found.folder}: {'holds' if found.holds else 'DOES NOT HOLD'}"]
    lines += [f"  checked      {text}" for text in found.checked]
    lines += [f"  not checked  {text}" for text in found.unchecked]
    sys.stdout.write("\n".join(lines) + "\n")


def repository_results() -> Path:
    """`leaderboards/results` of the repository that this is run from.

    Raises:
        HarnessError: the harness is installed and not a checkout of the repository.
    """
    found = importlib.util.find_spec("harness.leaderboards")
    folder = Path(next(iter(found.submodule_search_locations or ()))) if found else Path()
    if not (folder.parent / "pyproject.toml").is_file():
        raise HarnessError("this is no checkout of the harness's repository: say with --to DIR where results belong")
    return folder / "results"
