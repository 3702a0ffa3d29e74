"""Finds and checks the runs that a leaderboard shows. A folder that cannot be read is listed, never fatal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pandas

from harness.errors import HarnessError
from harness.publishing.records import LOCAL_FIELDS, TABLE_FIELDS, check_records
from harness.run_folder import RunFolder

DEPTH = 4  # folders below the runs folder in which a run may stand
Stamps = tuple[tuple[int, int] | None, ...]  # time of change and size of files, None for one that is not there


@dataclass(frozen=True, eq=False)
class Run:
    """A complete run whose records agree with each other: on this machine, published, or both.

    Attributes:
        key: the folder's path below the folder of runs or of published entries; names the run in addresses.
        folder: `scores.parquet`; of a run on this machine also predictions and per-point errors.
        manifest, summary: as harness.runner writes them; a published manifest has no samples and no path.
        date: when it was finished, else started; ISO 8601, UTC.
        published: whether it is among the published entries.
        publication: when it was published, its licence and note.
    """

    key: str
    folder: RunFolder
    manifest: dict[str, Any]
    summary: dict[str, Any]
    date: str
    published: bool = False
    publication: str = ""

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.manifest["method"]["name"])

    @property
    def identity(self) -> str:
        """The digest of all that may change one of the run's numbers."""
        return str(self.manifest["identity"])

    @property
    def kind(self) -> str:
        """What was measured on: "real" or "mirror"."""
        return str(self.summary["data"])

    @property
    def local(self) -> bool:
        """Whether predictions and per-point errors are on this machine."""
        return "samples" in self.manifest

    @cached_property
    def samples(self) -> tuple[str, ...]:
        """Ids of all samples, in the benchmark's order. Raises HarnessError if an entry's table is damaged."""
        return tuple(self.manifest["samples"] if self.local else dict.fromkeys(sample_table(self)["sample"]))

    @property
    def options(self) -> dict[str, Any]:
        """What was chosen of the method; what is off or left open is not listed."""
        chosen = self.manifest["method"]["options"].items()
        return {name: value for name, value in chosen if value not in (None, False)}

    @property
    def variant(self) -> str:
        """The method with its options: of runs that share it, the newest one counts."""
        return f"{self.method} {json.dumps(self.options, sort_keys=True, default=str)}"

    @property
    def family(self) -> str:
        """The kind of method."""
        return str(self.manifest.get("family") or "other")

    @property
    def track(self) -> str:
        """Who finds the face: the method's option of that name, else as its protocols say."""
        protocols = (json.loads(p["canonical"]).get("track") for p in self.manifest["protocols"].values())
        return str(self.options.get("track") or next(filter(None, protocols), "own"))

    @property
    def hardware(self) -> str:
        """What the method ran on, e.g. "cpu: AMD EPYC"."""
        environment = self.manifest["environment"]
        on_cpu = str(self.manifest["device"]).startswith("cpu")
        name = environment["cpu"] if on_cpu else environment["accelerator"] or environment["cpu"]
        return f"{self.manifest['device']}: {name}"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """The summary's rows: one per protocol, condition and region."""
        rows: list[dict[str, Any]] = self.summary["rows"]
        return rows

    def protocol(self, protocol_id: str) -> dict[str, Any]:
        """The fields of one of the run's protocols, by its id."""
        for protocol in self.manifest["protocols"].values():
            if protocol["id"] == protocol_id:
                values: dict[str, Any] = json.loads(protocol["canonical"])
                return values
        raise HarnessError(f"{self.key}: no protocol {protocol_id} in its manifest")


@dataclass(frozen=True)
class Unlisted:
    """A folder that is no row of a table: `state` is "unfinished" or "unreadable", `reason` says why."""

    key: str
    state: str
    reason: str


def find_runs(root: Path) -> tuple[list[Run], list[Unlisted]]:
    """Every run below `root`, newest first, and every folder that cannot be one, with the reason."""
    found = [_known_run(path, path.relative_to(root).as_posix(), stamps(path)) for path in _run_paths(root)]
    return sorted_out(found)


def sorted_out(found: Sequence[Run | Unlisted]) -> tuple[list[Run], list[Unlisted]]:
    """Runs, newest first, and what is none."""
    runs = sorted((one for one in found if isinstance(one, Run)), key=lambda run: run.date, reverse=True)
    return runs, [one for one in found if isinstance(one, Unlisted)]


RECORDS = ("manifest.json", "summary.json", "finished.json")


def stamps(path: Path, names: Sequence[str] = RECORDS) -> Stamps:
    """Of files in a folder, to see whether they are still those that were read."""
    found: list[tuple[int, int] | None] = []
    for name in names:
        try:
            state = os.stat(os.path.join(path, name))  # noqa: PTH116, PTH118  (thousands at each visit)
            found.append((state.st_mtime_ns, state.st_size))
        except OSError:
            found.append(None)
    return tuple(found)


def _known_run(path: Path, key: str, changed: Stamps) -> Run | Unlisted:
    """A run as it was read before, unless its files have changed since; what is unfinished is looked at anew."""
    return _read_complete(path, key, changed) if changed[1] is not None else read_run(path, key)


@lru_cache(maxsize=8192)
def _read_complete(path: Path, key: str, changed: Stamps) -> Run | Unlisted:
    del changed  # part of what the cache goes by
    return read_run(path, key)


def read_run(path: Path, key: str) -> Run | Unlisted:
    """Reads one run's manifest and summary, or says why it cannot be shown."""
    folder = RunFolder(path)
    try:
        manifest = folder.manifest()
        if not folder.is_complete():
            return Unlisted(key, "unfinished", _progress(path, manifest))
        summary = folder.summary()
        if missing := LOCAL_FIELDS - set(manifest):
            raise HarnessError(f"manifest.json: manifest lacks {', '.join(sorted(missing))}")
        check_records(manifest, summary)
        return Run(key, folder, manifest, summary, _date(path, manifest))
    except HarnessError as error:
        return Unlisted(key, "unreadable", str(error))
    except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:
        return Unlisted(key, "unreadable", f"not in this version's form ({type(error).__name__}: {error})")


def sample_table(run: Run) -> pandas.DataFrame:
    """The run's `scores.parquet`: one row per sample, protocol and region. Raises HarnessError if it is damaged."""
    path = run.folder.path / "scores.parquet"
    remedy = "delete summary.json and run again" if run.local else "fetch the published entry again"
    try:
        table = pandas.read_parquet(path)
    except Exception as error:  # pyarrow and the file system each raise their own
        raise HarnessError(f"{path}: cannot be read ({error}); {remedy}") from error
    if missing := TABLE_FIELDS - set(table.columns):
        raise HarnessError(f"{path}: lacks the columns {', '.join(sorted(missing))}")
    if table.empty:
        raise HarnessError(f"{path}: holds no sample; {remedy}")
    return table


def _run_paths(root: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(root):
        path = Path(folder)
        if "manifest.json" in files:
            names.clear()  # a run holds no runs, but thousands of files
            yield path
        elif len(path.relative_to(root).parts) >= DEPTH:
            names.clear()
        names.sort()


def _progress(path: Path, manifest: dict[str, Any]) -> str:
    done = {name: len(list((path / name).glob("*.npz"))) for name in ("predictions", "scores")}
    total = len(manifest["samples"])
    return f"{done['predictions']} of {total} samples predicted, {done['scores']} scored; the same command goes on"


def _date(path: Path, manifest: dict[str, Any]) -> str:
    try:
        return str(json.loads((path / "finished.json").read_text())["finished"])
    except (OSError, ValueError, KeyError, TypeError):
        return str(manifest["started"])
