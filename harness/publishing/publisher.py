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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
from filelock import FileLock, Timeout

from harness.benchmark import Access
from harness.errors import HarnessError
from harness.files import read_json, write_atomically
from harness.inspection import open_benchmark
from harness.publishing.denominator import check_denominator
from harness.publishing.distances import Distances, distances_of_run, write_distances
from harness.publishing.entries import ENTRY, entry_text, read_entry
from harness.publishing.known_protocols import configured_protocols, protocols_at_hand, unknown_protocols
from harness.publishing.privacy import Scrubber, last_part
from harness.publishing.records import (
    LOCAL_FIELDS,
    check_records,
    check_rows,
    protocol_values,
    read_parquet,
    read_table,
)
from harness.publishing.recount import Arrays, Evidence, Recount, check_summary
from harness.publishing.schema import SCHEMA, Entry, entry_of, place_of
from harness.run_folder import RunFolder
from harness.samples import Array

log = logging.getLogger(__name__)

LICENCE = "CC-BY-4.0"
WAIT_S = 60
STORED = "harness.stored_predictions:StoredPredictions"


@dataclass(frozen=True, eq=False)
class _Material:
    """A checked run: what goes into its entry."""

    manifest: dict[str, Any]
    summary: dict[str, Any]
    finished: str
    table: pyarrow.Table
    groups: Mapping[str, str]
    distances: Sequence[Distances]
    custom: Sequence[str]


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
    material = _checked_run(RunFolder(run), custom)
    place = root / place_of(material.manifest)
    root.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(root / ".lock", timeout=WAIT_S):
            return _keep(material, place, licence, note)
    except Timeout:
        raise HarnessError(f"{root}: another process has been publishing for {WAIT_S} s; try again later") from None


def _checked_run(run: RunFolder, custom: bool) -> _Material:
    if not (run.path / "manifest.json").is_file():
        raise HarnessError(f"{run.path}: is no run: it has no manifest.json")
    try:
        return _checked(run, custom)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, HarnessError):
            raise
        text = f"{type(error).__name__}: {error}"
        raise HarnessError(f"{run.path}: is not a run in this version's form ({text}); run again") from error
    except HarnessError as error:
        raise HarnessError(str(error) if str(run.path) in str(error) else f"{run.path}: {error}") from None


def _checked(run: RunFolder, custom: bool) -> _Material:
    manifest = run.manifest()
    hidden = manifest["access"] == Access.HIDDEN_GROUND_TRUTH.value and manifest["data"]["kind"] == "real"
    if hidden:
        raise HarnessError(
            "the ground truth of this data is hidden; scores per sample would reveal it and are not published"
        )
    if not run.is_complete():
        raise HarnessError("is not finished; the same `run` command goes on (unless the truth is hidden)")
    if missing := LOCAL_FIELDS - set(manifest):
        raise HarnessError(f"manifest.json lacks {', '.join(sorted(missing))}")
    summary = run.summary()
    check_records(manifest, summary)
    check_rows(manifest, summary)
    unknown = unknown_protocols(manifest)
    if unknown and not custom:
        names = ", ".join(f"{name} [{identity}]" for name, identity in unknown.items())
        raise HarnessError(f"protocol {names} is none of this version's; if it is your own, publish with --custom")
    table = read_table(run.path / "scores.parquet")
    groups, distances = _groups(run, manifest), distances_of_run(run)
    _check_numbers(run, manifest, summary, table, Evidence(table.to_pandas(), groups, _arrays(run), distances))
    scrubber = Scrubber.of(manifest, run.path)
    return _Material(
        manifest=_public_manifest(manifest, scrubber),
        summary=_public_summary(summary, scrubber),
        finished=str(read_json(run.path / "finished.json")["finished"]),
        table=_public_table(table, scrubber),
        groups=groups,
        distances=distances,
        custom=sorted(unknown.values()),
    )


def _check_numbers(
    run: RunFolder, manifest: dict[str, Any], summary: dict[str, Any], table: pyarrow.Table, evidence: Evidence
) -> None:
    check_denominator(evidence.table, manifest, manifest["samples"])
    order = table.column("sample").unique().to_pylist()
    if order != list(manifest["samples"]):
        raise HarnessError("scores.parquet: samples are in another order than in the manifest")
    protocols = {**configured_protocols(manifest), **protocols_at_hand(manifest)}
    recount: Recount = check_summary(manifest, summary, evidence, protocols)
    for what in recount.unchecked:
        log.warning("Not computed again: %s", what)


def _arrays(run: RunFolder) -> Arrays:
    def read(sample: str, protocol: str, name: str) -> Array | None:
        name = f"{protocol}/{name}"
        return run.surfaces(sample, [name]).get(name)

    return read


def _groups(run: RunFolder, manifest: dict[str, Any]) -> dict[str, str]:
    """Sample -> group, where it is not the sample's subject; from the data set where the run is of an older version.

    Raises:
        HarnessError: a protocol needs them, and neither the run nor the data set is there to say.
    """
    records = {sample: run.score(sample) for sample in manifest["samples"]}
    groups = {sample: record.get("group") for sample, record in records.items()}
    protocols = [protocol_values(record) for record in manifest["protocols"].values()]
    if None in groups.values() and any(values.get("aggregation") == "sample>scan>set" for values in protocols):
        groups = {sample.id: sample.group for sample in open_benchmark(manifest).samples()}
    return {name: str(groups[name]) for name in records if groups[name] not in (None, records[name]["subject"])}


def _public_manifest(manifest: dict[str, Any], scrubber: Scrubber) -> dict[str, Any]:
    public = {name: value for name, value in manifest.items() if name not in LOCAL_FIELDS}
    method = scrubber.value(public["method"])
    if method["adapter"] == STORED:
        method["options"].pop("paths", None)  # one path per sample
    digests: dict[str, str] = {}
    for path, digest in public["method_digests"].items():
        name = last_part(path)
        digests[name if name not in digests else f"{name} {digest}"] = digest
    return {**public, "method": method, "method_digests": digests, "config": scrubber.value(public["config"])}


def _public_summary(summary: dict[str, Any], scrubber: Scrubber) -> dict[str, Any]:
    notes = {"notes": [scrubber.text(note) for note in summary["notes"]]} if "notes" in summary else {}
    return {**summary, **notes}


def _public_table(table: pyarrow.Table, scrubber: Scrubber) -> pyarrow.Table:
    for name in ("detail", "warnings"):
        texts = [scrubber.text(text) if text else text for text in table.column(name).to_pylist()]
        table = table.set_column(table.column_names.index(name), name, pyarrow.array(texts, pyarrow.string()))
    return table.replace_schema_metadata(None)


def _keep(material: _Material, place: Path, licence: str, note: str) -> Path:
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


def _write(material: _Material, folder: Path, licence: str, note: str) -> Entry:
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
