"""Which methods and benchmarks there are: the names in configs/ and in a user's own configuration folder."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

import harness.configs
from harness.errors import HarnessError

CONFIGS = Path(harness.configs.__file__).parent
GROUPS = ("method", "bench")


def entries(group: str, config_dir: str | None = None) -> dict[str, str]:
    """Name -> what it is (the first comment line of its YAML), of one group."""
    return {name: _about(file) for name, file in _files(group, config_dir).items()}


def file_of(group: str, name: str, config_dir: str | None = None) -> Path:
    """The YAML of an entry that there is (see `check`)."""
    return _files(group, config_dir)[name]


def _files(group: str, config_dir: str | None) -> dict[str, Path]:
    folders = [CONFIGS, *([Path(config_dir)] if config_dir else [])]
    return {file.stem: file for folder in folders for file in sorted((folder / group).glob("*.yaml"))}


def _about(file: Path) -> str:
    first = file.read_text().partition("\n")[0]
    return first.lstrip("# ") if first.startswith("#") else ""


def check(group: str, name: str, config_dir: str | None = None) -> None:
    """Raises HarnessError with the nearest names if the group has no such entry."""
    known = entries(group, config_dir)
    if name not in known:
        raise HarnessError(f"{group}={name}: unknown{nearest(name, known)}. There are: {', '.join(known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """Words that offer the known names which resemble `name`; empty if none does."""
    close = difflib.get_close_matches(name, list(known), n=2, cutoff=0.5)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def print_all(config_dir: str | None = None) -> None:
    """Prints both groups."""
    console = Console()
    for group in GROUPS:
        table = Table(title=group, title_justify="left", show_header=False, box=None)
        for name, about in entries(group, config_dir).items():
            table.add_row(name, about)
        console.print(table)
        console.print()
