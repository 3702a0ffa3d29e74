"""A run on disk: manifest, predictions, scores, summary. Every write is atomic, so a killed run can go on.

manifest.json               what was run on what, by which code and data
predictions/<sample>.npz    one prediction each, in millimetres
scores/<sample>.npz         one sample's values under every protocol, or why there are none (`record`, JSON), with
per-point errors and the aligned mesh, for pictures and other poolings
scores.parquet              all scores as one table, written at the end
summary.json                the numbers of the table, written last: a run that has it is complete
worker.log                  what an isolated method wrote to its standard output and error, up to a limit
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
from filelock import FileLock, Timeout

from harness.errors import ContractError, DataError, HarnessError
from harness.files import array_names, read_arrays, read_json, write_arrays, write_atomically, write_json
from harness.protocols.scores import Score
from harness.samples import Array, Prediction, Sample

SCHEMA = 1
COLUMNS = {"value": pyarrow.float64(), "fallback": pyarrow.float64(), "failure": pyarrow.string()}
ROW_FIELDS = {
    *("protocol", "protocol_id", "column", "unit", "value", "value_dropping_failures"),
    *("evaluated", "expected", "std_subjects"),
}
BETTER = "better"
"""A row's field, "larger" where the larger of two values is the better one; missing elsewhere."""
ARRAY_FIELDS = (
    *("vertices", "faces", "landmarks", "landmarks_2d", "label_map"),
    *("neutral_vertices", "neutral_landmarks", "projection"),
)


class RunFolder:
    """Reads and writes one run's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Makes the folder and writes the manifest, unless a run with this manifest already stands there.

        Raises:
            HarnessError: another run stands there, or one of another schema.
        """
        for name in ("predictions", "scores"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        file = self.path / "manifest.json"
        if not file.exists():
            write_json(file, {"schema": SCHEMA, **manifest})
            return
        found = self.manifest()
        if found.get("identity") != manifest["identity"]:
            raise HarnessError(f"{self.path}: holds another run; name another folder with output=PATH")

    def lock(self) -> FileLock:
        """Held while the run is worked on. Raises HarnessError if another process holds it."""
        lock = FileLock(self.path / ".lock")
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            raise HarnessError(
                f"{self.path}: another process is working on this very run; wait for it, then give the command again"
            ) from None
        except OSError as error:
            why = error.strerror or str(error)
            raise HarnessError(f"{self.path}: cannot be written ({why}); name another with output=PATH") from error
        for left_over in self.path.rglob(".*.tmp"):  # of a process that was killed while it wrote
            left_over.unlink(missing_ok=True)
        return lock

    def manifest(self) -> dict[str, Any]:
        """Raises HarnessError if it is damaged or of a schema that this version does not read."""
        manifest: dict[str, Any] = read_json(self.path / "manifest.json")
        if manifest.get("schema") != SCHEMA:
            raise HarnessError(f"{self.path}/manifest.json: schema {manifest.get('schema')}, expected {SCHEMA}")
        return manifest

    # predictions ----------------------------------------------------------------------------------------------

    def has_prediction(self, sample_id: str) -> bool:
        """Whether an answer, or the reason why there is none, is on disk."""
        return self._prediction_file(sample_id).exists()

    def keep_prediction(self, sample_id: str, prediction: Prediction) -> None:
        """Writes one prediction."""
        arrays = {k: getattr(prediction, k) for k in ARRAY_FIELDS if getattr(prediction, k) is not None}
        if prediction.faces is not None:
            arrays["faces"] = prediction.faces.astype(np.int32)  # half of the file otherwise
        if prediction.label_map is not None:
            arrays["label_map"] = _compact(prediction.label_map)
        arrays |= {f"parameters/{name}": value for name, value in prediction.parameters.items()}
        state = {k: getattr(prediction, k) for k in ("source_unit", "in_world_frame", "failure", "detail")}
        write_arrays(self._prediction_file(sample_id), {"state": np.array(json.dumps(state)), **arrays})

    def prediction(self, sample_id: str) -> Prediction:
        """Reads one prediction back. Raises HarnessError if its file is damaged."""
        path = self._prediction_file(sample_id)
        try:
            return read_prediction(path)
        except (DataError, ContractError) as error:
            raise HarnessError(f"{error}. Delete {path} and give the command again") from error

    def _prediction_file(self, sample_id: str) -> Path:
        return self.path / "predictions" / f"{sample_id}.npz"

    # scores ---------------------------------------------------------------------------------------------------

    def has_score(self, sample_id: str) -> bool:
        """Whether the sample has been scored."""
        return self._score_file(sample_id).exists()

    def keep_score(self, sample: Sample, scores: Mapping[str, Score], fallbacks: Mapping[str, Score]) -> None:
        """Writes one sample's scores (protocol name -> Score), with the fall-back's where a protocol failed."""
        record = {
            "subject": sample.subject,
            "group": sample.group,
            "condition": dict(sample.condition),
            "protocols": {name: _plain(score, fallbacks.get(name)) for name, score in scores.items()},
        }
        arrays: dict[str, Any] = {"record": np.array(json.dumps(record, sort_keys=True, allow_nan=False))}
        for protocol, score in scores.items():
            arrays |= _arrays_of(score, protocol)
        for protocol, score in fallbacks.items():
            arrays |= _arrays_of(score, f"{protocol}/fallback")
        write_arrays(self._score_file(sample.id), arrays)

    def score(self, sample_id: str) -> dict[str, Any]:
        """One sample's record: `subject`, `group`, `condition`, and by protocol values, fall-back, failure, ..."""
        stored = self.surfaces(sample_id, ["record"])
        if "record" not in stored:
            raise HarnessError(f"{self._score_file(sample_id)}: has no record; delete it and give the command again")
        record: dict[str, Any] = json.loads(str(stored["record"]))
        return record

    def surfaces(self, sample_id: str, names: Sequence[str]) -> dict[str, Array]:
        """Arrays kept with a score, those of `names` that are there.

        `<protocol>/aligned` is (V, 3) float32, the prediction in the scan's frame; `<protocol>/<region>/ids` and
        `.../distances` are the scored scan vertices and their distances; `<protocol>/vectors/<name>` what else the
        protocol keeps; `<protocol>/fallback/...` the same of the mean face, where the sample failed. Raises
        HarnessError on a damaged file.
        """
        try:
            return read_arrays(self._score_file(sample_id), names)
        except DataError as error:
            raise HarnessError(f"{error}; delete it and give the command again") from None

    def measured_regions(self, sample_id: str, protocol: str) -> list[str]:
        """Regions of the scan with errors per point, of the prediction itself and not of what stood in for it."""
        try:
            names = [name.split("/") for name in array_names(self._score_file(sample_id))]
        except DataError as error:
            raise HarnessError(f"{error}; delete it and give the command again") from None
        return [parts[1] for parts in names if parts[0] == protocol and len(parts) == 3 and parts[2] == "ids"]

    def _score_file(self, sample_id: str) -> Path:
        return self.path / "scores" / f"{sample_id}.npz"

    # the finished run -----------------------------------------------------------------------------------------

    def finish(self, table: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> None:
        """Writes `scores.parquet` and, last, `summary.json`."""
        sink = pyarrow.BufferOutputStream()
        columns = dict.fromkeys(name for row in table for name in row)
        arrays = {name: pyarrow.array([row.get(name) for row in table], COLUMNS.get(name)) for name in columns}
        pyarrow.parquet.write_table(pyarrow.table(arrays), sink)
        write_atomically(self.path / "scores.parquet", sink.getvalue().to_pybytes())
        write_json(self.path / "summary.json", summary)

    def is_complete(self) -> bool:
        """Whether the run has its summary."""
        return (self.path / "summary.json").exists()

    def summary(self) -> dict[str, Any]:
        """The finished run's summary."""
        summary: dict[str, Any] = read_json(self.path / "summary.json")
        return summary

    def failures(self) -> Counter[str]:
        """Of the finished run: reason -> how many samples failed for it, under any protocol."""
        table = pyarrow.parquet.read_table(self.path / "scores.parquet", columns=["sample", "failure", "detail"])
        rows = table.to_pylist()
        failed = {(row["sample"], f"{row['failure']}. {row['detail']}") for row in rows if row["failure"]}
        return Counter(reason for _, reason in sorted(failed))


def condition(row: Mapping[str, Any]) -> dict[str, str | int]:
    """The part of a summary row that says which samples it is about, e.g. {"views": 3}."""
    return {key: value for key, value in row.items() if key not in ROW_FIELDS and key != BETTER}


def larger_is_better(row: Mapping[str, Any]) -> bool:
    """Which of two values of a summary row's column is the better one."""
    return row.get(BETTER) == "larger"


def in_words(what: Mapping[str, str | int]) -> str:
    """A condition as a heading: "1 view", "3 views", "challenge selfie"; empty where there is none."""
    words = [
        f"{value} view{'' if value == 1 else 's'}" if key == "views" else f"{key} {value}"
        for key, value in what.items()
    ]
    return ", ".join(words)


def read_prediction(path: Path) -> Prediction:
    """Reads what `RunFolder.keep_prediction` wrote. Raises DataError or ContractError if it is something else."""
    stored = read_arrays(path)
    try:
        state = json.loads(str(stored.get("state", "{}")))
        parameters = {k.removeprefix("parameters/"): v for k, v in stored.items() if k.startswith("parameters/")}
        arrays: dict[str, Any] = {k: stored[k] for k in ARRAY_FIELDS if k in stored}
        return Prediction(**arrays, parameters=parameters, **state)
    except (TypeError, json.JSONDecodeError) as error:
        raise DataError(f"{path}: is not a stored prediction ({error})") from None


def _compact(labels: Array) -> Array:
    """Labels as bytes where these hold them: an eighth of the file."""
    fits = labels.size and labels.min() >= 0 and labels.max() <= np.iinfo(np.uint8).max
    return labels.astype(np.uint8) if fits else labels


def _arrays_of(score: Score, prefix: str) -> dict[str, Array]:
    arrays: dict[str, Array] = {f"{prefix}/vectors/{name}": vector for name, vector in score.vectors.items()}
    if score.aligned_vertices is not None:
        arrays[f"{prefix}/aligned"] = score.aligned_vertices
    for region, (ids, distances) in score.per_point.items():
        arrays[f"{prefix}/{region}/ids"] = ids
        arrays[f"{prefix}/{region}/distances"] = distances
    return arrays


def _plain(score: Score, fallback: Score | None) -> dict[str, Any]:
    return {
        "values": dict(score.values),
        "fallback": dict(fallback.values) if fallback is not None and fallback.values else None,
        "diagnostics": {k: float(v) if math.isfinite(v) else None for k, v in score.diagnostics.items()},
        "failure": score.failure,
        "detail": score.detail,
        "warnings": list(score.warnings),
    }
