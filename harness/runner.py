"""The main loop: predict what is not yet predicted, score what is not yet scored, summarise.

Samples are fixed first: they are the denominator. Predictions and scores are on disk as soon as they exist, so a
run that was stopped goes on where it was, and its result is the same as that of one that was not.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from harness import provenance
from harness.benchmark import Benchmark
from harness.errors import HarnessError
from harness.files import digest, digest_files, write_json
from harness.geometry import backend
from harness.isolation.launchers import launcher_for
from harness.isolation.process import WorkerProcess
from harness.isolation.remote import RemoteWorker
from harness.method import MethodSpec
from harness.protocols.base import Protocol
from harness.protocols.scores import SampleScore
from harness.run_folder import BETTER, RunFolder
from harness.samples import Array, Prediction, Sample
from harness.scoring import score_samples

log = logging.getLogger(__name__)
T = TypeVar("T")
Records = dict[str, dict[str, Any]]  # sample id -> protocol name -> what RunFolder.keep_score kept


@dataclass(frozen=True)
class RunOptions:
    """How to run. All but the folders and `workers` are part of the run's identity.

    Attributes:
        root: folder of all runs; this one gets a sub-folder named after bench, data, method and identity.
        output: this run's folder, instead of one below `root`.
        device: torch's name of the device.
        seed: of every method's random numbers.
        batch_size: samples per call of `predict`.
        timeout_s: after which a call of `predict` is given up; None waits for ever.
        geometry: what finds closest points, "warp" or "pytorch3d".
        workers: processes that score; no part of the identity, since it changes no number.
    """

    root: Path
    output: Path | None = None
    device: str = "cpu"
    seed: int = 0
    batch_size: int = 1
    timeout_s: float | None = None
    geometry: str = "warp"
    workers: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise HarnessError(f"batch_size={self.batch_size}: expected at least 1")
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise HarnessError(f"timeout_s={self.timeout_s}: expected a positive number of seconds")
        backend.checked(self.geometry)


def run(benchmark: Benchmark, method: MethodSpec, config: dict[str, Any], options: RunOptions) -> RunFolder:
    """Scores one method on one benchmark, or returns the finished run if there is one.

    Where only others have the ground truth, the run ends with its predictions.

    Args:
        benchmark: samples, truth, protocols.
        method: what to run.
        config: what the user asked for, as plain values, for the manifest.
        options: where and how.

    Raises:
        HarnessError: bad configuration, unreadable truth, full disk, or the run is being worked on elsewhere.
    """
    samples = benchmark.samples()
    manifest = describe(benchmark, method, config, options, samples, isolation_record(method, options))
    folder = RunFolder(options.output or options.root / folder_name(benchmark, method, manifest["identity"]))
    with folder.lock():
        folder.create(manifest)
        if folder.is_complete():
            log.info("Already complete: %s", folder.path)
            return folder
        predict_missing(folder, samples, method, options)
        if benchmark.dataset.hidden_truth:
            return folder
        with backend.using(backend.checked(options.geometry)):
            score_missing(folder, samples, benchmark, options.workers)
        records = {sample.id: folder.score(sample.id)["protocols"] for sample in samples}
        write_json(folder.path / "finished.json", {"finished": now()})
        folder.finish(score_table(records, samples, benchmark), summarise(folder, records, samples, benchmark))
    return folder


def predict_missing(folder: RunFolder, samples: Sequence[Sample], method: MethodSpec, options: RunOptions) -> None:
    """Asks the method for every prediction that is not on disk; whole batches, so that a resumed run repeats them."""
    size = max(1, options.batch_size)
    batches = [samples[i : i + size] for i in range(0, len(samples), size)]
    missing = [batch for batch in batches if not all(folder.has_prediction(sample.id) for sample in batch)]
    if not missing:
        return
    worker = worker_for(method, options, folder)
    try:
        for batch in tracked(missing, f"Predicting with {method.name}"):
            for sample, prediction in zip(batch, worker.predict(batch), strict=True):
                report_failure(sample, prediction)
                folder.keep_prediction(sample.id, prediction)
    finally:
        worker.close()


def worker_for(method: MethodSpec, options: RunOptions, folder: RunFolder) -> WorkerProcess | RemoteWorker:
    """What runs the adapter: a process of this interpreter, or a worker in another environment."""
    launcher = launcher_for(method, method.isolation, options.device)
    if launcher is None:
        return WorkerProcess(method, options.device, options.seed, options.timeout_s)
    output, silence = folder.path / "worker.log", method.isolation.silence_s
    return RemoteWorker(method, options.device, options.seed, options.timeout_s, launcher, output, silence)


def score_missing(folder: RunFolder, samples: Sequence[Sample], benchmark: Benchmark, workers: int) -> None:
    """Scores every prediction that has no score on disk, under every protocol of the benchmark."""
    missing = [sample for sample in samples if not folder.has_score(sample.id)]
    if not missing:
        return
    with logging_redirect_tqdm(), tqdm(total=len(missing), desc=f"Scoring on {benchmark.name}", unit="sample") as bar:
        for done in score_samples(folder, missing, benchmark, workers):
            bar.update(len(done))


def score_table(records: Records, samples: Sequence[Sample], benchmark: Benchmark) -> list[dict[str, Any]]:
    """One row per sample, protocol and column: the contents of `scores.parquet`."""
    rows = []
    for sample in samples:
        for protocol in benchmark.protocols:
            result = records[sample.id][protocol.name]
            for column in protocol.columns:
                rows.append(
                    {
                        "sample": sample.id,
                        "subject": sample.subject,
                        **sample.condition,
                        "protocol": protocol.name,
                        "protocol_id": protocol.id,
                        "column": column,
                        "value": result["values"].get(column),
                        "fallback": (result["fallback"] or {}).get(column),
                        "failure": result["failure"],
                        "detail": result["detail"],
                        "warnings": "; ".join(result["warnings"]),
                    }
                )
    return rows


def summarise(folder: RunFolder, records: Records, samples: Sequence[Sample], benchmark: Benchmark) -> dict[str, Any]:
    """The numbers of the run's table, each with what it means. Holds no time of day: equal runs, equal bytes."""
    rows: list[dict[str, Any]] = []
    for protocol in benchmark.protocols:
        lines = [sample_score(folder, sample, protocol, records[sample.id][protocol.name]) for sample in samples]
        for row in protocol.summarise(lines):
            unit = protocol.unit_of(row["column"])
            better = {BETTER: "larger"} if protocol.larger_is_better(row["column"]) else {}
            rows.append({**row, "protocol": protocol.name, "protocol_id": protocol.id, "unit": unit, **better})
    manifest = folder.manifest()
    return {
        "identity": manifest["identity"],
        "method": manifest["method"]["name"],
        "bench": benchmark.name,
        "data": benchmark.dataset.kind.value,
        "dataset_version": benchmark.dataset.version,
        "data_digest": manifest["data_digest"],
        "samples_digest": digest(" ".join(sample.id for sample in samples)),
        "meaning": {protocol.id: protocol.describe() for protocol in benchmark.protocols},
        "rows": rows,
    }


def sample_score(folder: RunFolder, sample: Sample, protocol: Protocol, result: dict[str, Any]) -> SampleScore:
    """One stored result in the form that protocols summarise."""

    def stored(name: str) -> Array | None:
        name = f"{protocol.name}/{name}"
        return folder.surfaces(sample.id, [name]).get(name)

    worked = result["failure"] is None
    return SampleScore(
        sample_id=sample.id,
        subject=sample.subject,
        condition=sample.condition,
        score=result["values"] if worked else None,
        fallback=result["fallback"],
        failure=result["failure"],
        arrays=stored,
        group=sample.group,
    )


def describe(
    benchmark: Benchmark,
    method: MethodSpec,
    config: dict[str, Any],
    options: RunOptions,
    samples: Sequence[Sample],
    further: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The manifest; its `identity` covers all that may change a number, with what `further` names."""
    dataset = benchmark.dataset
    declared = method.declared()
    what = {
        "code": provenance.code_digest(),
        "packages": provenance.packages(),
        "method": {"name": method.name, "adapter": method.adapter, "options": dict(method.options)},
        "method_digests": method.digests(),
        "bench": benchmark.name,
        "data": {"kind": dataset.kind.value, "version": dataset.version},
        "data_digest": digest_files(dataset.files(), dataset.folder),
        "samples": [sample.id for sample in samples],
        "protocols": {p.name: {"id": p.id, "canonical": p.canonical_json()} for p in benchmark.protocols},
        "device": options.device,
        "seed": options.seed,
        "batch_size": options.batch_size,
        "timeout_s": options.timeout_s,
        "geometry": options.geometry,
        **(further or {}),
    }
    return {
        **what,
        "identity": digest(repr(sorted(what.items()))),
        **declared,
        "access": dataset.access.value,
        "data_folder": str(dataset.folder),
        "config": config,
        "environment": provenance.environment(options.device),
        "started": now(),
    }


def isolation_record(method: MethodSpec, options: RunOptions) -> dict[str, Any]:
    """What an isolated method runs in, and its limits, for the manifest; nothing of one that is not isolated.

    Builds the environment or image where it is not there. Raises HarnessError where that fails.
    """
    launcher = launcher_for(method, method.isolation, options.device)
    if launcher is None:
        return {}
    limits = {name: asdict(method.isolation)[name] for name in ("memory_mb", "pids", "file_mb", "silence_s")}
    return {"isolation": {**launcher.record(), "limits": limits}}


def folder_name(benchmark: Benchmark, method: MethodSpec, identity: str) -> Path:
    """`<bench>-<real or mirror>/<method>-<identity>`."""
    return Path(f"{benchmark.name}-{benchmark.dataset.kind.value}") / f"{method.name}-{identity[:8]}"


def report_failure(sample: Sample, prediction: Prediction) -> None:
    """Says at once that a sample failed; its row stays in the table."""
    if prediction.failure is not None:
        log.warning("%s: %s. %s", sample.id, prediction.failure, prediction.detail)


def tracked(items: Sequence[T], what: str) -> Iterator[T]:
    """Iterates with a progress bar that shows count, rate and time left; log lines appear above it."""
    with logging_redirect_tqdm():
        yield from tqdm(items, desc=what, unit="sample")


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
