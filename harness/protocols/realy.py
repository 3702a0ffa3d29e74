"""REALY (Chai et al., ECCV 2022) as its official program computes it: four regions, each with its own alignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from harness.errors import ContractError
from harness.files import write_atomically
from harness.geometry.alignment import Similarity
from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh
from harness.protocols.base import Protocol
from harness.protocols.checks import check_plausible, fails_without_number
from harness.protocols.over_samples import over_samples
from harness.protocols.realy_icp import RegionFit, global_fit, region_fit
from harness.protocols.realy_keypoints import COUNT, Topology, find_topology
from harness.protocols.realy_nonrigid import ANCHOR_KEYPOINTS, deform
from harness.protocols.scores import SampleScore, Score, by_condition
from harness.samples import MILLIMETRES_PER, Prediction

Array = NDArray[Any]

REGIONS = ("nose", "mouth", "forehead", "cheek")
ALL = "all"
COMPUTES = (
    *("alignment", "scale", "reflection", "distance", "direction", "statistic", "expression", "track", "unit"),
    *("aggregation", "regions"),
)
_MERGED_DIGITS = 8


@dataclass(frozen=True, eq=False)
class RealyTruth:
    """The ground truth of one REALY subject.

    Attributes:
        regions: the scan's REGIONS, in the scan's own unit.
        keypoints: (85, 3) HIFI3D keypoints in the scan's frame and unit.
        millimetres: per scan unit (the subject's metrical scale).
        topologies: known to the data set, besides the procedural head's.
    """

    regions: Mapping[str, Mesh]
    keypoints: Array
    millimetres: float
    topologies: tuple[Topology, ...] = ()

    def __post_init__(self) -> None:
        missing = [name for name in REGIONS if name not in self.regions]
        if missing:
            raise ContractError(f"truth.regions: lacks {', '.join(missing)}")
        keypoints = np.asarray(self.keypoints, dtype=np.float64)
        if keypoints.shape != (COUNT, 3) or not np.isfinite(keypoints).all():
            raise ContractError(f"truth.keypoints: shape {keypoints.shape}, expected (85, 3) finite numbers")
        if not 0 < self.millimetres < np.inf:
            raise ContractError(f"truth.millimetres: {self.millimetres}, expected a positive number")
        object.__setattr__(self, "keypoints", keypoints)
        object.__setattr__(self, "regions", MappingProxyType(dict(self.regions)))

    @cached_property
    def scan(self) -> Mesh:
        """The four regions, in their order, as one mesh in millimetres: what scores' vertex ids count through."""
        meshes = [self.regions[name] for name in REGIONS]
        vertices = np.concatenate([mesh.vertices for mesh in meshes]) * self.millimetres
        faces = [mesh.faces + self.first_id(name) for name, mesh in zip(REGIONS, meshes, strict=True)]
        return Mesh(vertices, np.concatenate(faces))

    def first_id(self, region: str) -> int:
        """The number of a region's first vertex in `scan`."""
        return sum(len(self.regions[name].vertices) for name in REGIONS[: REGIONS.index(region)])

    def __reduce__(self) -> tuple[Any, ...]:
        return RealyTruth, (dict(self.regions), self.keypoints, self.millimetres, self.topologies)


@dataclass(frozen=True, kw_only=True)
class Realy(Protocol):
    """The official REALY score (repository czh-98/REALY at 3f13e9a), per region and over all four.

    1. Seven keypoints align the prediction to the scan: rotation, or reflection where that fits better, and a scale
       that is the ratio of the sums of absolute coordinates (neither least squares nor RMS).
    2. For each region on its own, ICP moves the prediction without scale: closest points of the region's vertices on
       the predicted surface, and the region's keypoints, replicated to weigh about as much.
    3. The scan's region is deformed towards the prediction; of each deformed vertex the closest point on the predicted
       surface is its counterpart.
    4. The score is the mean distance from the scan's vertices, where they were before the deformation, to their
       counterparts, in millimetres by the subject's metrical scale. The official name, NMSE, is misleading: nothing
       is squared or normalised. Equal vertices of the scan are merged in steps 3 and 4, and not in step 2.

    Numbers are rounded to single precision where the official program does so. Its table is made from values cut after
    nine characters, ours is not. Where it speaks of "all", this is the mean of the four regions.

    All meshes must have one fixed topology, whose 85 keypoints are known (see `read_topologies`).
    """

    name: str = "realy"
    official: bool = True
    alignment: str = "keypoints+regional_icp"
    scale: str = "l1"
    reflection: bool = True
    distance: str = "counterpart"
    regions: tuple[str, ...] = REGIONS
    aggregation: str = "sample>set"

    computes = COMPUTES
    knows_regions = REGIONS

    @property
    def columns(self) -> tuple[str, ...]:
        """The four regions and their mean."""
        return (*self.regions, ALL)

    @fails_without_number
    def score(self, prediction: Prediction, truth: RealyTruth) -> Score:
        """Scores a prediction in millimetres; see the class."""
        assert prediction.faces is not None and prediction.vertices is not None
        if prediction.faces.min() > 0:
            return Score.failed("bad_mesh", "no face uses vertex 0; REALY's official program refuses such meshes")
        topology = find_topology(prediction.faces, truth.topologies)
        if topology is None:
            return Score.failed("no_landmarks", _unknown_topology(prediction, truth.topologies))
        return self._score(prediction, topology, truth)

    def _score(self, prediction: Prediction, topology: Topology, truth: RealyTruth) -> Score:
        assert prediction.vertices is not None
        raw = (prediction.vertices / MILLIMETRES_PER[prediction.source_unit]).astype(np.float32)
        targets = truth.keypoints.astype(np.float32)
        placed = global_fit(topology.keypoints(raw), targets)
        vertices = placed.apply(raw)
        surface, keypoints = ClosestPoints(Mesh(vertices, topology.faces), self.device), topology.keypoints(vertices)
        size = placed.scale * truth.millimetres / MILLIMETRES_PER[prediction.source_unit]
        diagnostics = {
            "vertices": float(len(vertices)),
            "faces_without_area": float(surface.dropped_faces),
            "size_change": size,
            "determinant": placed.determinant,
        }
        values, per_point, warnings = {}, {}, _warnings(prediction, placed)
        aligned = None
        for region in REGIONS:
            points = truth.regions[region].vertices.astype(np.float32)
            fit = region_fit(region, surface, points, keypoints, targets)
            ids, distances, solves = _distances(region, fit, topology, truth, self.device)
            values[region] = float(distances.mean()) * truth.millimetres
            per_point[region] = (
                (ids + truth.first_id(region)).astype(np.int32),
                (distances * truth.millimetres).astype(np.float32),
            )
            aligned = (fit.vertices * truth.millimetres).astype(np.float32) if aligned is None else aligned
            if fit.transform.determinant < 0:
                warnings.append(f"{region}: ICP mirrored the prediction")
            diagnostics |= {
                f"{region}_icp_iterations": float(fit.iterations),
                f"{region}_icp_rms": float(np.sqrt(fit.error)) * truth.millimetres,
                f"{region}_icp_determinant": fit.transform.determinant,
                f"{region}_solves": float(solves),
            }
        values[ALL] = float(np.mean([values[region] for region in REGIONS]))
        return Score(values, diagnostics, per_point, aligned, warnings=tuple(warnings))

    def summarise(self, rows: Sequence[SampleScore]) -> list[dict[str, Any]]:
        """As the base class, but the means are over samples without regard to their subject, as the official ones."""
        return [
            {
                **condition,
                **self._summarise_group(column, members),
                **over_samples(self, members, column, np.mean),
            }
            for condition, members in by_condition(rows)
            for column in self.columns
        ]

    def write_official_files(
        self, folder: Path, identifier: str, rows: Sequence[SampleScore], names: Mapping[str, str]
    ) -> Sequence[Path]:
        """Writes `REALY_error.txt` and `REALY_table.txt`, both of the samples that worked only.

        The first is the official program's: name and regions of each sample, nine characters a number. The second
        holds REALY's table: mean, median and standard deviation (n - 1) of each region, for each set of pictures.
        """
        worked = [row for row in rows if row.score is not None]
        lines = [
            f"{names[row.sample_id]}\t\t" + "\t".join(f"{row.score[region]:.9f}"[:9] for region in self.regions) + "\n"
            for row in worked
            if row.score is not None
        ]
        table = ["set\tregion\tmean\tmedian\tstd\n"]
        for condition, members in by_condition(worked):
            name = "-".join(str(value) for value in condition.values())
            for column in self.columns:
                values = [row.score[column] for row in members if row.score is not None]
                spread = f"{np.median(values):.4f}\t{np.std(values, ddof=1) if len(values) > 1 else np.nan:.4f}"
                table.append(f"{name}\t{column}\t{np.mean(values):.4f}\t{spread if column != ALL else ''}\n")
        paths = [folder / "REALY_error.txt", folder / "REALY_table.txt"]
        for path, text in zip(paths, (lines, table), strict=True):
            write_atomically(path, "".join(text).encode())
        return paths


def _distances(
    region: str, fit: RegionFit, topology: Topology, truth: RealyTruth, device: str
) -> tuple[Array, Array, int]:
    """Steps 3 and 4: the region's vertices that count, their distances in scan units, the number of solves."""
    points, faces, ids = merged(truth.regions[region])
    # The official program draws towards, and measures to, the masked surface only.
    surface = ClosestPoints(Mesh(fit.vertices, topology.scored_faces), device)
    targets = surface.query(points).points
    anchors: tuple[Array, ...] = ()
    if region in ANCHOR_KEYPOINTS:
        chosen = list(ANCHOR_KEYPOINTS[region])
        nearest = cKDTree(points).query(truth.keypoints[chosen].astype(np.float32))[1]
        anchors = (np.asarray(nearest), topology.keypoints(fit.vertices)[chosen])
    deformed = deform(points, faces, targets, *anchors)
    counterparts = surface.query(deformed.vertices).points
    return ids, np.linalg.norm(counterparts - points, axis=1), deformed.solves


def merged(mesh: Mesh) -> tuple[Array, Array, Array]:
    """Vertices (N, 3) float64 in single precision, faces, and the old number of each: equal and unused ones left out.

    Equal means equal to eight decimals, as for the library that the official program reads the scan with.
    """
    single = mesh.vertices.astype(np.float32).astype(np.float64)
    used, corners = np.unique(mesh.faces, return_inverse=True)
    _, first, same = np.unique(np.round(single[used], _MERGED_DIGITS), axis=0, return_index=True, return_inverse=True)
    ids = used[first]
    return single[ids], np.asarray(same).reshape(-1)[corners.reshape(-1, 3)], ids


def _warnings(prediction: Prediction, placed: Similarity) -> list[str]:
    warnings = []
    problem = check_plausible(prediction)
    if problem:
        warnings.append(f"{problem}; this protocol forgives it, since its scale is free")
    if placed.determinant < 0:
        warnings.append("the keypoints fit a mirrored prediction better; the official program mirrors it")
    return warnings


def _unknown_topology(prediction: Prediction, topologies: Sequence[Topology]) -> str:
    assert prediction.vertices is not None and prediction.faces is not None
    known = ", ".join([*(topology.name for topology in topologies), "procedural"])
    return (
        f"REALY needs 85 keypoints on a fixed topology, and the mesh ({len(prediction.vertices)} vertices, "
        f"{len(prediction.faces)} faces) has the faces of none of the known ones ({known}). Put a template NAME.obj "
        "with the official barycentric NAME.txt beside the data, or into the folder that bench.topologies names; a "
        "method without a fixed topology must be registered to one first"
    )
