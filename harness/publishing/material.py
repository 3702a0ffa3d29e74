"""A finished run, checked against itself and stripped of what belongs to one machine: what an entry is made of."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas
import pyarrow

from harness.benchmark import Access
from harness.errors import HarnessError
from harness.files import read_json
from harness.inspection import open_benchmark
from harness.publishing.denominator import check_denominator
from harness.publishing.distances import Distances, distances_of_run
from harness.publishing.known_protocols import configured_protocols, protocols_at_hand, unknown_protocols
from harness.publishing.privacy import Scrubber, last_part
from harness.publishing.records import LOCAL_FIELDS, check_records, protocol_values, read_table
from harness.publishing.recount import Arrays, Evidence, check_summary
from harness.run_folder import RunFolder
from harness.samples import Array

log = logging.getLogger(__name__)

MOST_WORDS = 1000  # letters of what is said of one sample
STORED = "harness.stored_predictions:StoredPredictions"
Records = Mapping[str, dict[str, Any]]  # sample -> what RunFolder.score gives


@dataclass(frozen=True, eq=False)
class Material:
    """A checked run: what goes into its entry."""

    manifest: dict[str, Any]
    summary: dict[str, Any]
    finished: str
    table: pyarrow.Table
    groups: Mapping[str, str]
    distances: Sequence[Distances]
    custom: Sequence[str]


def checked_run(run: RunFolder, custom: bool) -> Material:
    """Checks a run and takes from it what may be published.

    Args:
        run: its folder.
        custom: whether protocols that are not the harness's own are allowed.

    Raises:
        HarnessError: it is unfinished, damaged, contradicts itself, or may not be published.
    """
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


def _checked(run: RunFolder, custom: bool) -> Material:
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
    unknown = unknown_protocols(manifest)
    if unknown and not custom:
        names = ", ".join(f"{name} [{identity}]" for name, identity in unknown.items())
        raise HarnessError(f"protocol {names} is none of this version's; if it is your own, publish with --custom")
    table = read_table(run.path / "scores.parquet")
    records = {sample: run.score(sample) for sample in manifest["samples"]}
    groups, distances = _groups(records, manifest), distances_of_run(run)
    evidence = Evidence(table.to_pandas(), groups, _arrays(run), distances)
    _check_numbers(manifest, summary, evidence)
    _check_scores(records, evidence.table)
    scrubber = Scrubber.of(manifest, run.path)
    return Material(
        manifest=_public_manifest(manifest, scrubber),
        summary=_public_summary(summary, scrubber),
        finished=str(read_json(run.path / "finished.json")["finished"]),
        table=_public_table(table, scrubber),
        groups=groups,
        distances=distances,
        custom=sorted(unknown.values()),
    )


def _check_numbers(manifest: dict[str, Any], summary: dict[str, Any], evidence: Evidence) -> None:
    check_denominator(evidence.table, manifest, manifest["samples"])
    if list(dict.fromkeys(evidence.table["sample"])) != list(manifest["samples"]):
        raise HarnessError("scores.parquet: samples are in another order than in the manifest")
    protocols = {**configured_protocols(manifest), **protocols_at_hand(manifest)}
    recount = check_summary(manifest, summary, evidence, protocols)
    for what in recount.unchecked:
        log.warning("Not computed again: %s", what)


def _check_scores(records: Records, table: pandas.DataFrame) -> None:
    """Raises HarnessError if the table has another number than what was kept when the sample was scored."""
    for row in table.itertuples():
        kept = records[str(row.sample)]["protocols"][row.protocol]
        fallback = (kept["fallback"] or {}).get(row.column)
        found = tuple(map(_or_none, (row.value, row.fallback, row.failure)))
        if found != (kept["values"].get(row.column), fallback, kept["failure"]):
            raise HarnessError(
                f"scores.parquet: sample {row.sample}, protocol {row.protocol}, column {row.column} is not what "
                f"scores/{row.sample}.npz holds; delete summary.json and run again"
            )


def _or_none(value: Any) -> Any:
    return None if pandas.isna(value) else value


def _arrays(run: RunFolder) -> Arrays:
    def read(sample: str, protocol: str, name: str) -> Array | None:
        name = f"{protocol}/{name}"
        return run.surfaces(sample, [name]).get(name)

    return read


def _groups(records: Records, manifest: dict[str, Any]) -> dict[str, str]:
    """Sample -> group, where it is not the sample's subject; from the data set where the run is of an older version.

    Raises:
        HarnessError: a protocol needs them, and neither the run nor the data set is there to say.
    """
    groups = {sample: record.get("group") for sample, record in records.items()}
    protocols = [protocol_values(record) for record in manifest["protocols"].values()]
    if None in groups.values() and any(values.get("aggregation") == "sample>scan>set" for values in protocols):
        groups = {sample.id: sample.group for sample in open_benchmark(manifest).samples()}
    return {name: str(groups[name]) for name in records if groups[name] not in (None, records[name]["subject"])}


def _public_manifest(manifest: dict[str, Any], scrubber: Scrubber) -> dict[str, Any]:
    public = {name: value for name, value in manifest.items() if name not in LOCAL_FIELDS}
    method = dict(public["method"])
    method |= {"adapter": scrubber.setting(method["adapter"]), "options": scrubber.value(method["options"])}
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
        texts = [scrubber.text(text)[:MOST_WORDS] if text else text for text in table.column(name).to_pylist()]
        table = table.set_column(table.column_names.index(name), name, pyarrow.array(texts, pyarrow.string()))
    return table.replace_schema_metadata(None)
