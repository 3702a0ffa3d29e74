"""`harness data`: what data is there."""

from __future__ import annotations

from pathlib import Path

import yaml
from rich.console import Console
from rich.table import Table

from harness import catalogue
from harness.benchmark import Dataset
from harness.data import ensure_mirror, mirror_folder, mirror_is_intact
from harness.errors import HarnessError
from harness.method import load_object


def datasets() -> dict[str, type[Dataset]]:
    """Name -> reader, of every data set that a configured benchmark uses."""
    found: dict[str, type[Dataset]] = {}
    for file in sorted((catalogue.CONFIGS / "bench").glob("*.yaml")):
        module, _, name = yaml.safe_load(file.read_text())["dataset"]["_target_"].rpartition(".")
        reader: type[Dataset] = load_object(f"{module}:{name}")
        found[reader.name] = reader
    return found


def status(data_root: Path) -> None:
    """Prints, for each data set, its access class, whether the real data and the mirror are there, and where to ask."""
    table = Table(title=f"Data sets (data_root={data_root})", title_justify="left")
    for heading in ("data set", "access", "real data", "mirror", "ask at"):
        table.add_column(heading, overflow="fold")
    for name, reader in datasets().items():
        real = data_root / name
        there = str(real) if real.is_dir() and any(real.iterdir()) else "not here"
        table.add_row(name, reader.access.value, there, _mirror_state(reader), reader.ask_at)
    Console().print(table)


def _mirror_state(reader: type[Dataset]) -> str:
    if not reader.mirror_version:
        return "none"
    folder = mirror_folder(reader)
    if not folder.exists():
        return "not yet written (a run writes it)"
    return str(folder) if mirror_is_intact(reader) else f"damaged, will be written again: {folder}"


def make(name: str, head: str = "procedural") -> None:
    """Writes a data set's mirror, unless it is there; `head` is the people's head model.

    Raises:
        HarnessError: the data set has no mirror of that head model.
    """
    reader = datasets()[name]
    if head not in reader.mirror_heads:
        raise HarnessError(f"{name} has no mirror of head {head}. There are: {', '.join(reader.mirror_heads)}")
    Console().print(f"{name} mirror: {ensure_mirror(reader, head)}", soft_wrap=True)


def get_ict(source: Path) -> None:
    """Puts ICT-FaceKit's model into the cache, from a clone of its repository or from a packed file."""
    from harness.heads import ict_file

    Console().print(f"ict head: {ict_file.get(source)}", soft_wrap=True)
