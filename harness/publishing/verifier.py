"""Verifying an entry: hashes, form, denominator, every number that its own scores give, and on request new scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas

from harness.errors import HarnessError
from harness.files import digest
from harness.publishing.denominator import check_denominator, condition_columns
from harness.publishing.distances import Distances, read_distances
from harness.publishing.entries import ENTRY, canonical_text, read_entry, sha256_of
from harness.publishing.known_protocols import protocols_at_hand, unknown_protocols
from harness.publishing.records import protocol_values, read_parquet, read_table
from harness.publishing.recount import Evidence, check_summary
from harness.publishing.schema import Entry


@dataclass
class Verification:
    """What was found of one entry: sentences about what holds, what could not be looked at, and what is wrong."""

    folder: Path
    checked: list[str] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(folder: Path, run: Path | None = None, workers: int = 1) -> Verification:
    """Verifies one entry.

    Args:
        folder: of the entry.
        run: the run that it is of; its predictions are scored again if its data are there too.
        workers: processes that score.

    Returns:
        What was found; a problem ends the checks.
    """
    found = Verification(folder)
    try:
        entry = read_entry(folder)
        found.checked.append(f"form (schema {entry.schema_version}) and bundle hash {entry.bundle[:16]}...")
        _verify_hashes(entry, found)
        evidence = _verify_scores(entry, found)
        if run is None:
            found.unchecked.append("whether the predictions give these scores; --run PATH scores them again")
        else:
            from harness.publishing.rescoring import verify_against_run

            verify_against_run(entry, evidence.table, run, workers, found)
    except HarnessError as error:
        found.problems.append(str(error))
    except (OSError, KeyError, TypeError, ValueError) as error:
        found.problems.append(f"{folder}: is damaged ({type(error).__name__}: {error})")
    return found


def _verify_hashes(entry: Entry, found: Verification) -> None:
    content = (entry.folder / ENTRY).read_bytes()
    if canonical_text(json.loads(content)) != content:
        raise HarnessError(f"{entry.folder / ENTRY}: is not written as these values are; was it edited?")
    for name, record in entry.files.items():
        if sha256_of(entry.folder / name) != record["sha256"]:
            raise HarnessError(f"{entry.folder / name}: was changed after publishing: its hash is another one")
    found.checked.append(f"hashes of {', '.join(sorted(entry.files))}")


def _verify_scores(entry: Entry, found: Verification) -> Evidence:
    manifest, summary = entry.manifest, entry.summary
    unknown = {i: n for n, i in unknown_protocols(manifest).items() if i not in entry.custom_protocols}
    if unknown:
        names = ", ".join(f"{name} [{identity}]" for identity, name in unknown.items())
        raise HarnessError(f"protocol {names} is none of this version's and not declared as custom")
    table = read_table(entry.folder / "scores.parquet").to_pandas()
    samples = list(dict.fromkeys(table["sample"]))
    if digest(" ".join(samples)) != summary["samples_digest"]:
        raise HarnessError("scores.parquet: its samples are not those of the summary (samples_digest)")
    check_denominator(table, manifest, samples)
    found.checked.append(f"{len(samples)} samples, each with a number or a reason in every protocol and column")
    distances = read_distances(entry.folder / "distances.parquet") if "distances.parquet" in entry.files else []
    _check_distances(distances, manifest, table)
    evidence = Evidence(table, _groups(entry), None, distances)
    recount = check_summary(manifest, summary, evidence, protocols_at_hand(manifest))
    found.checked += recount.checked
    found.unchecked += recount.unchecked
    return evidence


def _groups(entry: Entry) -> Mapping[str, str]:
    if "groups.parquet" not in entry.files:
        return {}
    table = read_parquet(entry.folder / "groups.parquet").to_pydict()
    return dict(zip(table["sample"], table["group"], strict=True))


def _check_distances(distances: list[Distances], manifest: Mapping[str, object], table: pandas.DataFrame) -> None:
    """Raises HarnessError if counts are of no protocol of the entry, or of another number of samples than scored."""
    protocols = manifest["protocols"]
    assert isinstance(protocols, dict)
    known = {name: record["id"] for name, record in protocols.items() if protocol_values(record).get("unit") == "mm"}
    samples = table.drop_duplicates(["protocol", "sample"])
    for row in distances:
        if known.get(row.protocol) != row.protocol_id:
            raise HarnessError(f"distances.parquet: protocol {row.protocol} [{row.protocol_id}] is not in the manifest")
        here = samples[samples["protocol"] == row.protocol]
        if set(row.condition) != set(condition_columns(here)):
            raise HarnessError(f"distances.parquet: condition {dict(row.condition)} is none of the samples'")
        for name, value in row.condition.items():
            here = here[here[name] == value]
        counts = (len(here), int(here["failure"].notna().sum()))
        if counts != (row.samples, row.failed):
            raise HarnessError(
                f"distances.parquet: {row.protocol} {row.region} {dict(row.condition)} is of {row.samples} samples, "
                f"{row.failed} of them failed; scores.parquet has {counts[0]} and {counts[1]}"
            )
