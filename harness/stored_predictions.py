"""Predictions that were made elsewhere, as a method: what `harness evaluate` scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.adapter import MethodAdapter
from harness.benchmark import Benchmark
from harness.errors import ContractError, DataError, HarnessError
from harness.geometry.mesh import read_mesh
from harness.method import MethodSpec
from harness.run_folder import read_prediction
from harness.samples import Array, Prediction, Sample

if TYPE_CHECKING:
    import torch

MESHES = (".obj", ".ply")  # of two that are there, the first is taken, as NoW's official program does
LANDMARKS = (".npy", ".txt")


class StoredPredictions(MethodAdapter):
    """Answers each sample with files of a folder; see `EvaluateConfig` for their form."""

    family = "stored"

    def __init__(
        self,
        folder: str,
        unit: str,
        paths: Mapping[str, str] | None = None,
        landmarks: Sequence[int] = (),
        neutral: bool = False,
    ) -> None:
        """Takes what is known of the files.

        Args:
            folder: of the predictions.
            unit: of these.
            paths: sample id -> its files' relative path without suffix, where the benchmark's submissions have a
                layout of their own; `<sample id>.*` is looked for as well.
            landmarks: iBUG numbers of the points in such a submission's landmark files; a mesh must then have one.
            neutral: whether the meshes were prepared with neutral expression and pose.

        Raises:
            HarnessError: the folder is not there.
        """
        self.folder, self.unit = Path(folder), unit
        self.paths, self.numbers, self.neutral = dict(paths or {}), list(landmarks), neutral
        if not self.folder.is_dir():
            raise HarnessError(f"predictions={folder}: no such folder")

    def files(self) -> Sequence[Path]:
        """Every file of the folder."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def load(self, device: torch.device) -> None:
        """Nothing to load."""

    def expect(self, samples: Sequence[Sample]) -> None:
        """Raises HarnessError if the folder holds an answer to none of the samples: it is hardly the one meant."""
        if not any(self._first(stem, (".npz", *MESHES)) for sample in samples for stem in self._stems(sample.id)):
            names = ", ".join(f"{self.paths.get(sample.id, sample.id)}.ply" for sample in samples[:3])
            raise HarnessError(f"{self.folder}: holds no prediction; expected files such as {names} (or .obj, .npz)")

    def predict(self, samples: Sequence[Sample]) -> list[Prediction]:
        """A sample without its files fails as `missing`, an unreadable file as `bad_mesh`."""
        return [self._read(sample.id) for sample in samples]

    def _read(self, name: str) -> Prediction:
        try:
            for stem in self._stems(name):
                own, mesh = self._first(stem, (".npz",)), self._first(stem, MESHES)
                if own is not None:
                    return read_prediction(own)
                if mesh is not None:
                    return self._with_landmarks(mesh, stem)
        except (DataError, ContractError) as error:
            return Prediction.failed("bad_mesh", str(error))
        return Prediction.failed("missing", f"{self.folder}: has no {self.paths.get(name, name)}.obj, .ply or .npz")

    def _with_landmarks(self, mesh_file: Path, stem: str) -> Prediction:
        file = self._first(stem, LANDMARKS)
        if file is None and self.numbers:
            return Prediction.failed("missing", f"{self.folder}: has no {stem}.npy or .txt beside {mesh_file.name}")
        mesh, landmarks = read_mesh(mesh_file), None if file is None else self._landmarks(file)
        answer = Prediction(mesh.vertices, mesh.faces, landmarks, in_world_frame=landmarks is None)
        return replace(answer, neutral_vertices=mesh.vertices, neutral_landmarks=landmarks) if self.neutral else answer

    def _landmarks(self, path: Path) -> Array:
        """(68, 3) from a file with all of them, or, where the benchmark has points of its own, with those."""
        expected = [f"({count}, 3)" for count in dict.fromkeys((len(self.numbers), 68)) if count]
        try:
            points = np.asarray((np.load if path.suffix == ".npy" else np.loadtxt)(path), dtype=np.float64)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path}: expected landmarks {' or '.join(expected)} ({error})") from None
        if points.ndim == 3 and len(points) == 1:  # NoW's official program takes these too
            points = points[0]
        if points.shape == (68, 3):
            return points
        if points.shape != (len(self.numbers), 3):
            raise DataError(f"{path}: landmarks have shape {points.shape}, expected {' or '.join(expected)}")
        known = np.full((68, 3), np.nan)
        # NoW's official program reads text in single precision, and numpy's files as they are.
        known[self.numbers] = points.astype(np.float32) if path.suffix == ".txt" else points
        return known

    def _stems(self, name: str) -> list[str]:
        return [self.paths[name], name] if name in self.paths else [name]

    def _first(self, stem: str, suffixes: Sequence[str]) -> Path | None:
        candidates = (self.folder / f"{stem}{suffix}" for suffix in suffixes)
        return next((path for path in candidates if path.exists()), None)


def stored_method(name: str, folder: Path, unit: str, benchmark: Benchmark) -> MethodSpec:
    """The folder as a method for one benchmark, in whose submission layout the files may be.

    Raises:
        HarnessError: there is no such folder, or it has an answer to none of the samples.
    """
    dataset, samples = benchmark.dataset, benchmark.samples()
    paths = {sample.id: dataset.submission_path(sample) for sample in samples}
    options: dict[str, Any] = {"folder": str(folder), "unit": unit}
    if any(path != name for name, path in paths.items()):
        options |= {"paths": paths, "landmarks": list(dataset.submission_landmarks)}
    if dataset.submission_is_neutral:
        options["neutral"] = True
    StoredPredictions(**options).expect(samples)
    return MethodSpec(name=name, adapter="harness.stored_predictions:StoredPredictions", options=options)
