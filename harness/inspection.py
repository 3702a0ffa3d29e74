"""What stands behind a run's scores: its pictures, scans and predictions, as far as they can still be reached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness.benchmark import Benchmark, Dataset
from harness.data import MIRROR
from harness.errors import HarnessError
from harness.geometry.mesh import Mesh
from harness.protocols.base import Protocol
from harness.run_folder import RunFolder
from harness.samples import Array, Sample


@dataclass(frozen=True, eq=False)
class Surface:
    """A mesh to look at.

    Attributes:
        vertices: (V, 3) mm.
        faces: (F, 3).
        errors: (V,) mm, NaN where a vertex was not scored; None for a mesh without errors.
    """

    vertices: Array
    faces: Array
    errors: Array | None = None

    @property
    def scored_faces(self) -> Array:
        """(F,) bool: triangles all of whose corners were scored."""
        if self.errors is None:
            return np.zeros(len(self.faces), dtype=bool)
        return np.asarray(np.isfinite(self.errors)[self.faces].all(axis=1))


def with_errors(vertices: Array, faces: Array, ids: Array, distances: Array) -> Surface:
    """Puts distances (N,) on the vertices `ids` (N,); all others are unscored.

    Raises:
        IndexError: an id is beyond the mesh: the scores belong to other data.
    """
    errors = np.full(len(vertices), np.nan)
    errors[ids] = distances
    return Surface(vertices, faces, errors)


class Inspection:
    """A run together with the data that it read.

    Args:
        run: finished.

    Raises:
        HarnessError: the data cannot be opened again, see `open_benchmark`.
    """

    def __init__(self, run: RunFolder) -> None:
        self.run, self.benchmark = run, open_benchmark(run.manifest())

    @cached_property
    def _samples(self) -> dict[str, Sample]:
        return {sample.id: sample for sample in self.benchmark.samples()}

    def sample(self, sample_id: str) -> InspectedSample:
        """One sample. Raises HarnessError if the data has no such sample."""
        if sample_id not in self._samples:
            raise HarnessError(f"{self.benchmark.dataset.folder}: has no sample {sample_id}")
        return InspectedSample(self.run, self.benchmark, self._samples[sample_id])


@dataclass(frozen=True, eq=False)
class InspectedSample:
    """What a method saw of one sample, and what its answer was measured against."""

    run: RunFolder
    benchmark: Benchmark
    sample: Sample

    @property
    def views(self) -> int:
        """How many pictures there are."""
        return len(self.sample.views)

    def picture(self, view: int, size: int) -> Array:
        """(H, W, 3) uint8, one view's image with its longer side at most `size` pixels.

        Raises:
            HarnessError: it cannot be read.
        """
        image = Image.fromarray(self.sample.views[view].read_image())
        image.thumbnail((size, size))
        return np.asarray(image)

    def scan(self, protocol: str, column: str) -> Surface | None:
        """The scan with the errors of one protocol, of the region that `column` is about where there are several.

        None for a benchmark without scans.

        Raises:
            HarnessError: unreadable data, or scores that do not fit the scan.
        """
        scan = getattr(self.benchmark.truth(self.sample), "scan", None)
        if not isinstance(scan, Mesh):
            return None
        regions = self.run.measured_regions(self.sample.id, protocol)
        region = column if column in regions else next(iter(regions), "")
        names = [f"{protocol}/{region}/{what}" for what in ("ids", "distances")]
        stored = self.run.surfaces(self.sample.id, names)
        ids, distances = (stored.get(name, np.zeros(0, np.int64)) for name in names)
        try:
            return with_errors(scan.vertices, scan.faces, ids, distances)
        except IndexError as error:
            folder, name = self.benchmark.dataset.folder, self.sample.id
            raise HarnessError(f"{name}: the scores belong to another scan than {folder} holds ({error})") from None


def predicted_surface(run: RunFolder, sample_id: str, protocol: str) -> Surface | None:
    """The prediction in the scan's frame as a protocol placed it, else in its own; None if it has no mesh.

    Raises:
        HarnessError: its file is missing or damaged.
    """
    if "timing" in run.manifest():
        return None  # a measurement of time keeps no prediction
    answer = run.prediction(sample_id)
    if answer.vertices is None or answer.faces is None:
        return None
    name = f"{protocol}/aligned"
    vertices = run.surfaces(sample_id, [name]).get(name, answer.vertices)
    return Surface(vertices, answer.faces)


def open_benchmark(manifest: dict[str, Any]) -> Benchmark:
    """Builds the benchmark of a run again, on the very folder that the run read.

    Args:
        manifest: of the run.

    Raises:
        HarnessError: the folder is gone or holds another version, or the configuration names anything but
            benchmarks, data sets and protocols (a run folder may come from elsewhere; it must not start code).
    """
    from omegaconf import OmegaConf

    from harness.config import benchmark

    folder = Path(manifest["data_folder"])
    if not folder.is_dir():
        raise HarnessError(f"{folder}: the data set is not there any more")
    config = {**manifest["config"], "data": manifest["data"]["kind"], "data_root": str(folder.parent)}
    try:
        # the manifest holds what was asked for (data=auto, a relative data_root): say instead what was found
        dataset = dict(config["bench"]["dataset"])
        if str(dataset.get("data", "")).startswith(f"{MIRROR}-"):
            config["data"] = dataset["data"]  # another head model's
        dataset |= {key: config[key] for key in ("data", "data_root") if key in dataset}
        config["bench"] = {**config["bench"], "dataset": dataset}
        check_targets(config["bench"])
        check_place(dataset["_target_"], folder, config["data"])
    except (KeyError, TypeError) as error:
        raise HarnessError(f"the run's manifest does not say how its benchmark was built ({error!r})") from None
    built = benchmark(OmegaConf.create(config))
    if built.dataset.version != manifest["data"]["version"]:
        found, expected = built.dataset.version, manifest["data"]["version"]
        raise HarnessError(f"{folder}: holds version {found} of the data, the run read {expected}")
    return built


def check_targets(node: Any) -> None:
    """Raises HarnessError if a configuration would build anything but a Benchmark, a Dataset or a Protocol."""
    from hydra.utils import get_class

    for target in _targets(node):
        try:
            allowed = issubclass(get_class(target), (Benchmark, Dataset, Protocol))
        except Exception as error:  # whatever importing it raises
            raise HarnessError(f"{target}: cannot be imported here ({error})") from None
        if not allowed:
            raise HarnessError(f"{target}: is no benchmark, data set or protocol; it is not built for a page")


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _targets(value)


def check_place(target: str, folder: Path, data: str) -> None:
    """Raises HarnessError if building the data set would look elsewhere, or write a mirror, instead of reading."""
    from hydra.utils import get_class

    from harness.data import mirror_folder

    dataset: type[Dataset] = get_class(target)
    kind, _, head = data.partition("-")
    expected = mirror_folder(dataset, head or None) if kind == MIRROR else folder.parent / dataset.name
    if expected != folder:
        raise HarnessError(f"{folder}: the run read its data there, but it would be looked for in {expected}")
