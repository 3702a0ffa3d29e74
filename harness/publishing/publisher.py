"""Publishing a run: checked against itself, stripped of what belongs to one machine, written once and for all.

An entry holds numbers only: summary, scores per sample, counts of distances, and the manifest. Predictions are never
part of it, since meshes of a licensed head model may not be passed on; nor is ground truth, nor the distance of any
single point of a scan.
"""

from __future__ import annotations

import datetime
import hashlib
import logging
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from filelock import FileLock, Timeout

from harness.errors import HarnessError
from harness.files import write_atomically
from harness.publishing.distances import write_distances
from harness.publishing.entries import ENTRY, entry_text, read_entry
from harness.publishing.material import Material, checked_run
from harness.publishing.records import read_parquet
from harness.publishing.schema import SCHEMA, Entry, entry_of, place_of
from harness.run_folder import RunFolder

log = logging.getLogger(__name__)

LICENCE = "CC-BY-4.0"
WAIT_S = 60


def publish(run: Path, root: Path, licence: str = LICENCE, note: str = "", custom: bool = False) -> Path:
    """Writes the entry of a finished run below `root`; says so and does nothing if it is there already.

    Args:
        run: the run's folder.
        root: the folder of all results; `<bench>/<split>/<method>-<identity>` is added.
        licence: under which the numbers are published.
        note: anything a reader should know.
        custom: whether protocols that are not the harness's own may be published, marked as such.

    Returns:
        The entry's folder.

    Raises:
        HarnessError: the run is unfinished, damaged, contradicts itself, or may not be published; or another entry of
            the same run is there, which is never overwritten.
    """
    material = checked_run(RunFolder(run), custom)
    place = root / place_of(material.manifest)
    root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root / ".lock", timeout=WAIT_S):
            return _keep(material, place, licence, note)
    except Timeout:
        raise HarnessError(f"{root}: another process has been publishing for {WAIT_S} s; try again later") from None


def _keep(material: Material, place: Path, licence: str, note: str) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    for left_over in place.parent.glob(".*.tmp"):  # of a process that was killed while it wrote
        shutil.rmtree(left_over, ignore_errors=True)
    temporary = place.parent / f".{place.name}.{os.getpid()}.tmp"
    temporary.mkdir()
    try:
        entry = _write(material, temporary, licence, note)
        if place.exists():
            _check_same(entry, place)
            log.info("Is there already: %s", place)
            return place
        temporary.rename(place)
    except OSError as error:
        raise HarnessError(f"{place}: could not be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return place


def _write(material: Material, folder: Path, licence: str, note: str) -> Entry:
    pyarrow.parquet.write_table(material.table, folder / "scores.parquet", compression="zstd")
    if material.distances:
        write_distances(folder / "distances.parquet", material.distances)
    if material.groups:
        pairs = {"sample": list(material.groups), "group": list(material.groups.values())}
        pyarrow.parquet.write_table(pyarrow.table(pairs), folder / "groups.parquet", compression="zstd")
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    content = entry_text(
        {
            "schema": SCHEMA,
            "manifest": material.manifest,
            "summary": material.summary,
            "finished": material.finished,
            "published": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
            "licence": licence,
            "note": note,
            "custom_protocols": list(material.custom),
            "files": {n: {"sha256": hashlib.sha256(c).hexdigest(), "bytes": len(c)} for n, c in files.items()},
        }
    )
    entry_of(content, "what would be published")
    write_atomically(folder / ENTRY, content)
    return read_entry(folder)


def _check_same(new: Entry, place: Path) -> None:
    """Raises HarnessError unless the entry that is there says the same, but for the day and the form of its tables."""
    there = read_entry(place)
    for name in type(new).model_fields:
        if name not in ("published", "bundle", "files") and getattr(new, name) != getattr(there, name):
            what = _first_difference(getattr(new, name), getattr(there, name), name)
            raise HarnessError(f"{place}: is there already and differs in {what}; entries are never overwritten")
    same = new.files.keys() == there.files.keys() and all(
        read_parquet(new.folder / name).equals(read_parquet(place / name)) for name in new.files
    )
    if not same:
        raise HarnessError(f"{place}: is there already with other scores; entries are never overwritten")


def _first_difference(new: Any, there: Any, name: str) -> str:
    if isinstance(new, dict) and isinstance(there, dict):
        for key in sorted(new.keys() | there.keys()):
            if new.get(key) != there.get(key):
                return _first_difference(new.get(key), there.get(key), f"{name}.{key}")
    return name
