"""Predictions that were made elsewhere, as a method: what `harness evaluate` scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.adapter import MethodAdapter
from harness.errors import ContractError, DataError, HarnessError
from harness.geometry.mesh import read_mesh
from harness.run_folder import read_prediction
from harness.samples import Array, Prediction, Sample

if TYPE_CHECKING:
    import torch

MESHES = (".ply", ".obj")


class StoredPredictions(MethodAdapter):
    """Answers each sample with the files `<sample>.*` of a folder; see `EvaluateConfig` for their form."""

    family = "stored"

    def __init__(self, folder: str, unit: str) -> None:
        """Takes the folder and the unit of its files; raises HarnessError if the folder is not there."""
        self.folder, self.unit = Path(folder), unit
        if not self.folder.is_dir():
            raise HarnessError(f"predictions={folder}: no such folder")

    def files(self) -> Sequence[Path]:
        """Every file of the folder."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    def load(self, device: torch.device) -> None:
        """Nothing to load."""

    def expect(self, samples: Sequence[Sample]) -> None:
        """Raises HarnessError if the folder holds an answer to none of the samples: it is hardly the one meant."""
        suffixes = (*MESHES, ".npz")
        if not any((self.folder / f"{sample.id}{suffix}").exists() for sample in samples for suffix in suffixes):
            names = ", ".join(f"{sample.id}.ply" for sample in samples[:3])
            raise HarnessError(f"{self.folder}: holds no prediction; expected files such as {names} (or .obj, .npz)")

    def predict(self, samples: Sequence[Sample]) -> list[Prediction]:
        """A sample without a file fails as `missing`, an unreadable file as `bad_mesh`."""
        return [self._read(sample.id) for sample in samples]

    def _read(self, name: str) -> Prediction:
        own = self.folder / f"{name}.npz"
        try:
            if own.exists():
                return read_prediction(own)
            for path in (self.folder / f"{name}{suffix}" for suffix in MESHES):
                if path.exists():
                    mesh, landmarks = read_mesh(path), self._landmarks(name)
                    return Prediction(mesh.vertices, mesh.faces, landmarks, in_world_frame=landmarks is None)
        except (DataError, ContractError) as error:
            return Prediction.failed("bad_mesh", str(error))
        return Prediction.failed("missing", f"{self.folder}: has no {name}.ply, .obj or .npz")

    def _landmarks(self, name: str) -> Array | None:
        for suffix, read in ((".npy", np.load), (".txt", np.loadtxt)):
            path = self.folder / f"{name}{suffix}"
            if path.exists():
                try:
                    return np.asarray(read(path), dtype=np.float64)
                except (OSError, ValueError, EOFError) as error:
                    raise DataError(f"{path}: expected 68 rows of x y z ({error})") from None
        return None
