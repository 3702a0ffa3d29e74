"""Writes a run's predictions in the layout of the benchmark's own submissions, for those who score them elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from harness.benchmark import Benchmark, Dataset
from harness.errors import HarnessError
from harness.geometry.mesh import Mesh, write_mesh
from harness.run_folder import RunFolder
from harness.runner import sample_score
from harness.samples import MILLIMETRES_PER, Prediction, Sample

log = logging.getLogger(__name__)
FORMATS = ("obj", "ply")


@dataclass(frozen=True)
class ExportOptions:
    """What to write.

    Attributes:
        out: new or empty folder.
        unit: "m", "cm" or "mm", of meshes and landmarks.
        format: "obj" or "ply".
        official_files: also what the official program would write of a scored run.
    """

    out: Path
    unit: str = "m"
    format: str = "obj"
    official_files: bool = False

    def __post_init__(self) -> None:
        if self.unit not in MILLIMETRES_PER:
            raise HarnessError(f"unit={self.unit}: expected {', '.join(MILLIMETRES_PER)}")
        if self.format not in FORMATS:
            raise HarnessError(f"format={self.format}: expected {' or '.join(FORMATS)}")


def export(folder: RunFolder, benchmark: Benchmark, options: ExportOptions) -> None:
    """Writes a mesh and its landmarks (`.npy`) for each sample that has an answer, and says what it left out.

    Raises:
        HarnessError: the run is not one of this benchmark or not yet predicted, or `out` already holds something.
    """
    samples = benchmark.samples()
    check_run(folder, benchmark, samples)
    if options.out.exists() and (not options.out.is_dir() or any(options.out.iterdir())):
        raise HarnessError(f"out={options.out}: already holds something; name a new folder")
    unanswered, expressive = [], 0
    for sample in tqdm(samples, desc=f"Exporting for {benchmark.name}", unit="sample"):
        prediction = folder.prediction(sample.id)
        problem = export_sample(sample, prediction, benchmark.dataset, options)
        if problem is None:
            expressive += benchmark.dataset.submission_is_neutral and not prediction.has_neutral
        else:
            unanswered.append(sample.id)
            log.warning("%s: not written, %s", sample.id, problem)
    log.info("%d of %d samples written to %s", len(samples) - len(unanswered), len(samples), options.out)
    log.info("Their unit is %s: say so to whoever evaluates them", options.unit)
    if options.official_files:
        write_official_files(folder, benchmark, samples, options.out / "results")
    if unanswered:
        log.warning("Samples without an answer: %d; official programs leave such samples out", len(unanswered))
    if expressive:
        log.warning("Meshes with expression and pose: %d; the method gave no neutral ones for these", expressive)


def write_official_files(folder: RunFolder, benchmark: Benchmark, samples: Sequence[Sample], out: Path) -> None:
    """Writes what the official program would of a scored run. Raises HarnessError if the run is not scored."""
    if not folder.is_complete():
        raise HarnessError(f"run={folder.path}: is not scored, so there are no official_files of it")
    records = {sample.id: folder.score(sample.id)["protocols"] for sample in samples}
    names = {sample.id: benchmark.dataset.submission_path(sample) for sample in samples}
    identifier = folder.manifest()["method"]["name"]
    for protocol in benchmark.protocols:
        rows = [sample_score(folder, sample, protocol, records[sample.id][protocol.name]) for sample in samples]
        for file in protocol.write_official_files(out, identifier, rows, names):
            log.info("%s", file)


def check_run(folder: RunFolder, benchmark: Benchmark, samples: Sequence[Sample]) -> None:
    """Raises HarnessError if the run is of another benchmark, data or split, or has samples not yet predicted."""
    if not (folder.path / "manifest.json").is_file():
        raise HarnessError(f"run={folder.path}: there is no run (no manifest.json); see the folder `runs`")
    manifest = folder.manifest()
    if manifest["bench"] != benchmark.name:
        raise HarnessError(f"run={folder.path}: is a run of bench={manifest['bench']}, not of {benchmark.name}")
    kind = manifest["data"]["kind"]
    if kind != benchmark.dataset.kind.value or manifest["samples"] != [sample.id for sample in samples]:
        raise HarnessError(
            f"run={folder.path}: has {len(manifest['samples'])} samples of {kind} data, other than the {len(samples)} "
            f"of {benchmark.dataset.kind.value} data asked for; give data and bench.KEY (split, ...) as for the run"
        )
    waiting = [sample.id for sample in samples if not folder.has_prediction(sample.id)]
    if waiting:
        raise HarnessError(
            f"run={folder.path}: {len(waiting)} of {len(samples)} samples are not predicted yet ({waiting[0]}, ...); "
            "give the run's command again"
        )


def export_sample(sample: Sample, prediction: Prediction, dataset: Dataset, options: ExportOptions) -> str | None:
    """Writes one sample's files; returns why it could not, or None."""
    if prediction.failure is not None:
        return f"{prediction.failure}: {prediction.detail}"
    answer = prediction.neutral() if dataset.submission_is_neutral else prediction
    if answer.vertices is None or answer.faces is None or answer.landmarks is None:
        return "the method gives no mesh with landmarks"
    numbers = list(dataset.submission_landmarks)
    points = answer.landmarks[numbers]
    if len(numbers) < 68 and not np.isfinite(points).all():
        return f"one of the landmarks {numbers} is unknown"
    factor = MILLIMETRES_PER[options.unit]
    stem = options.out / dataset.submission_path(sample)
    stem.parent.mkdir(parents=True, exist_ok=True)
    write_mesh(Mesh(answer.vertices / factor, answer.faces), stem.with_name(f"{stem.name}.{options.format}"))
    np.save(stem.with_name(f"{stem.name}.npy"), points / factor)
    return None
