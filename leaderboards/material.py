"""What stands behind a run's scores: its pictures, scans and predictions, as far as they can still be reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from harness.benchmark import Benchmark, Dataset
from harness.data import MIRROR, mirror_folder
from harness.errors import HarnessError
from harness.geometry.mesh import Mesh
from harness.leaderboards.geometry import Surface, with_errors
from harness.leaderboards.runs import Run
from harness.protocols.base import Protocol
from harness.samples import Array, Sample, View

PICTURE_SIZE = 640


def open_benchmark(manifest: dict[str, Any]) -> Benchmark:
    """Builds the benchmark of a run again, on the very folder that the run read.

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

    dataset: type[Dataset] = get_class(target)
    kind, _, head = data.partition("-")
    expected = mirror_folder(dataset, head or None) if kind == MIRROR else folder.parent / dataset.name
    if expected != folder:
        raise HarnessError(f"{folder}: the run read its data there, but it would be looked for in {expected}")


def aligned_surface(run: Run, sample_id: str, protocol: str) -> Surface | None:
    """The prediction in the scan's frame as a protocol placed it, else in its own; None if it has no mesh."""
    if "timing" in run.manifest:
        return None  # a measurement of time keeps no prediction
    answer = run.folder.prediction(sample_id)
    if answer.vertices is None or answer.faces is None:
        return None
    name = f"{protocol}/aligned"
    vertices = run.folder.surfaces(sample_id, [name]).get(name, answer.vertices)
    return Surface(vertices, answer.faces)


def scan_surface(benchmark: Benchmark, run: Run, sample: Sample, protocol: str, column: str) -> Surface | None:
    """The sample's scan with the errors of one protocol, of the region that `column` is about where there are several.

    None for a benchmark without scans.

    Raises:
        HarnessError: unreadable data, or scores that do not fit the scan.
    """
    scan = getattr(benchmark.truth(sample), "scan", None)
    if not isinstance(scan, Mesh):
        return None
    regions = run.folder.measured_regions(sample.id, protocol)
    region = column if column in regions else next(iter(regions), "")
    names = [f"{protocol}/{region}/{what}" for what in ("ids", "distances")]
    stored = run.folder.surfaces(sample.id, names)
    ids, distances = (stored.get(name, np.zeros(0, np.int64)) for name in names)
    try:
        return with_errors(scan.vertices, scan.faces, ids, distances)
    except IndexError as error:
        folder = run.manifest["data_folder"]
        raise HarnessError(f"{sample.id}: the scores belong to another scan than {folder} holds ({error})") from None


def picture(view: View, size: int = PICTURE_SIZE) -> Array:
    """(H, W, 3) uint8, the view's image with its longer side at most `size` pixels."""
    image = Image.fromarray(view.read_image())
    image.thumbnail((size, size))
    return np.asarray(image)
