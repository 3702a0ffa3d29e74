"""H3DS (Ramon et al. 2021) as its official program computes it, properties that surprise included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from harness.errors import ContractError
from harness.geometry.alignment import Similarity, fit_similarity
from harness.geometry.mesh import Mesh
from harness.geometry.pairs import NearestPairs
from harness.geometry.point_grid import PointGrid
from harness.protocols.base import Protocol
from harness.protocols.checks import check_plausible, fails_without_number
from harness.protocols.scores import Score
from harness.samples import Prediction

Array = NDArray[Any]

# The six H3DS points (inner eye corners, nose, mouth corners; "right" is the subject's) in iBUG-68.
H3DS_LANDMARKS = {
    "right_eye": 39,
    "left_eye": 42,
    "nose_tip": 30,
    "nose_base": 33,
    "right_lips": 48,
    "left_lips": 54,
}
COMPUTES = (
    *("alignment", "scale", "reflection", "distance", "direction", "statistic", "expression", "track", "unit"),
    "aggregation",
)
"""Fields of the two H3DS protocols that have one implementation each."""
NEEDED_LANDMARKS = "the prediction lacks one of the landmarks " + ", ".join(
    f"{name} ({index})" for name, index in H3DS_LANDMARKS.items()
)


@dataclass(frozen=True, eq=False)
class H3dsTruth:
    """The ground truth of one H3DS subject.

    Attributes:
        scan: the full head with hair and shoulders, millimetres.
        landmarks: the six H3DS_LANDMARKS as vertex indices of the scan.
        regions: name -> (N,) vertex indices of the scan; "face" (with ears and neck: for alignment) and
            "face_sphere" (95 mm about the nose tip: for the score) are required.
    """

    scan: Mesh
    landmarks: Mapping[str, int]
    regions: Mapping[str, Array]

    def __post_init__(self) -> None:
        count = len(self.scan.vertices)
        missing = [name for name in H3DS_LANDMARKS if name not in self.landmarks]
        if missing:
            raise ContractError(f"truth.landmarks: lacks {', '.join(missing)}")
        wrong = {name: i for name, i in self.landmarks.items() if not 0 <= i < count}
        if wrong:
            raise ContractError(f"truth.landmarks: {wrong} outside the scan's vertices 0..{count - 1}")
        regions = {}
        for name in ("face", "face_sphere", *self.regions):
            ids = np.asarray(self.regions.get(name, ()), dtype=np.int64)
            if ids.ndim != 1 or not len(ids):
                raise ContractError(f"truth.regions[{name}]: missing or empty")
            if ids.min() < 0 or ids.max() >= count:
                raise ContractError(f"truth.regions[{name}]: {ids.min()}..{ids.max()} outside 0..{count - 1}")
            regions[name] = ids
        object.__setattr__(self, "landmarks", MappingProxyType(dict(self.landmarks)))
        object.__setattr__(self, "regions", MappingProxyType(regions))

    @property
    def landmark_points(self) -> Array:
        """(6, 3) millimetres, in the order of H3DS_LANDMARKS."""
        return self.scan.vertices[[self.landmarks[name] for name in H3DS_LANDMARKS]]

    def vertex_ids(self, region: str) -> Array:
        """The scan's vertices that region "face" (face_sphere) or "head" (all) of a score is measured on."""
        return {"face": self.regions["face_sphere"], "head": np.arange(len(self.scan.vertices))}[region]


def predicted_landmarks(prediction: Prediction) -> Array | None:
    """(6, 3) of the prediction's points in the order of H3DS_LANDMARKS, or None if one is unknown."""
    if prediction.landmarks is None:
        return None
    points = prediction.landmarks[list(H3DS_LANDMARKS.values())]
    return points if np.isfinite(points).all() else None


@dataclass(frozen=True, kw_only=True)
class H3ds(Protocol):
    """The official H3DS score (package h3ds at 9c4c90c with trimesh 3.4).

    1. Six landmarks, each the prediction's nearest vertex, fix a similarity whose scale is the ratio of the RMS
       radii (not least squares), without reflection. A prediction that stands in the world frame and has no
       landmarks skips this step, as in the official program.
    2. ICP moves the scan's region onto the prediction's vertices (nearest vertex, not surface), with free RMS
       scale, reflections allowed; the inverse is applied to the prediction.
    3. The score is the mean distance from the region's vertices to the nearest predicted vertex.

    Region "face" is scored and aligned on the scan's `face_sphere`; "head" is scored on the whole scan and
    aligned on `face`: two alignments. Since distances go to vertices, a denser prediction scores better, and
    wrong absolute size costs nothing; `H3dsSurface` has neither property. Always computed on the CPU.

    Attributes:
        icp_iterations: at most so many.
        icp_tolerance: stop when the mean squared coordinate difference (mm^2, over all 3N coordinates, as in
            trimesh 3.4) falls by less; that last step is kept.
    """

    name: str = "h3ds"
    official: bool = True
    alignment: str = "landmarks+icp"
    scale: str = "rms"
    reflection: bool = True
    distance: str = "vertex"
    regions: tuple[str, ...] = ("face", "head")
    icp_iterations: int = 20
    icp_tolerance: float = 1e-5

    computes = COMPUTES
    knows_regions = ("face", "head")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.official and (self.icp_iterations, self.icp_tolerance) != (20, 1e-5):
            raise ContractError("protocol h3ds: official ICP stops at 20 iterations or 1e-5 mm^2; set official=False")

    @fails_without_number
    def score(self, prediction: Prediction, truth: H3dsTruth) -> Score:
        """Scores a prediction in millimetres; see the class."""
        return self._score(prediction, truth)

    def _score(self, prediction: Prediction, truth: H3dsTruth) -> Score:
        assert prediction.vertices is not None
        landmarks = predicted_landmarks(prediction)
        if landmarks is None and not prediction.in_world_frame:
            return Score.failed("no_landmarks", NEEDED_LANDMARKS)
        coarse = Similarity.identity()
        if landmarks is not None:
            nearest = prediction.vertices[cdist(landmarks, prediction.vertices, "sqeuclidean").argmin(axis=1)]
            coarse = fit_similarity(nearest, truth.landmark_points, scale="rms")
        target = PointGrid(coarse.apply(prediction.vertices))
        values, per_point, warnings = {}, {}, _size_warning(prediction)
        diagnostics = {"vertices": float(len(prediction.vertices)), "coarse_scale": coarse.scale}
        aligned = None
        for region in self.regions:
            ids = truth.vertex_ids(region)
            source = truth.regions["face"] if region == "head" else ids
            fit = icp(truth.scan.vertices[source], target, self.icp_iterations, self.icp_tolerance)
            distances = _distances(truth.scan.vertices, ids, source, target, fit)
            values[region] = float(distances.mean())
            per_point[region] = (ids.astype(np.int32), distances.astype(np.float32))
            whole = fit.transform.inverse().compose(coarse)
            aligned = whole.apply(prediction.vertices).astype(np.float32) if aligned is None else aligned
            diagnostics |= {
                f"{region}_scale": whole.scale,
                f"{region}_icp_scale": 1 / fit.transform.scale,
                f"{region}_determinant": whole.determinant,
                f"{region}_icp_iterations": float(fit.iterations),
                f"{region}_icp_cost": fit.cost,
            }
            warnings += _icp_warnings(region, fit.transform)
        return Score(values, diagnostics, per_point, aligned, warnings=tuple(warnings))


class IcpFit(NamedTuple):
    """What ICP found: source -> target, the iterations it took, its last cost (mm^2), and the source's pairs."""

    transform: Similarity
    iterations: int
    cost: float
    pairs: NearestPairs

    def distances(self) -> Array:
        """(N,) float64 as of `nearest_vertex_distances`, for the source."""
        self.pairs.move(self.transform, last=True)
        return self.pairs.distances() / self.transform.scale


def icp(source: Array, target: PointGrid, max_iterations: int, tolerance: float) -> IcpFit:
    """Iterated closest vertices with RMS scale and reflections, as trimesh 3.4 runs it; see H3ds for the stop.

    Where each step starts makes no difference to such a fit, so all go from where the source was given.

    Args:
        source: (N, 3) points, which move.
        target: what they move to.
        max_iterations: steps at most.
        tolerance: stop when the cost falls by less.
    """
    pairs = NearestPairs(source, target)
    transform, iterations, cost, fall = Similarity.identity(), 0, np.inf, np.inf
    while iterations < max_iterations and not fall < tolerance:
        pairs.move(transform)
        transform, iterations = pairs.fit(), iterations + 1
        before, cost = cost, pairs.cost(transform)
        fall = before - cost
    return IcpFit(transform, iterations, cost, pairs)


def nearest_vertex_distances(points: Array, target: PointGrid, transform: Similarity) -> Array:
    """(N,) float64 from `points` to the nearest target vertex moved by the inverse of `transform`.

    The official program moves the target; moving the points instead spares a second tree, and distances then
    only differ by the scale.
    """
    pairs = NearestPairs(points, target)
    pairs.move(transform, last=True)
    return pairs.distances() / transform.scale


def _distances(scan: Array, ids: Array, source: Array, target: PointGrid, fit: IcpFit) -> Array:
    """(N,) float64 as of `nearest_vertex_distances` for the scan's vertices `ids`, of which ICP has paired `source`."""
    distances = np.full(len(scan), np.nan)
    distances[source] = fit.distances()
    rest = ids[np.isnan(distances[ids])]
    if len(rest):
        distances[rest] = nearest_vertex_distances(scan[rest], target, fit.transform)
    return distances[ids]


def _size_warning(prediction: Prediction) -> list[str]:
    problem = check_plausible(prediction)
    return [f"{problem}; this protocol forgives it, since its scale is free"] if problem else []


def _icp_warnings(region: str, moved: Similarity) -> list[str]:
    warnings = []
    if moved.determinant < 0:
        warnings.append(f"{region}: ICP mirrored the prediction")
    if not 0.9 < moved.scale < 1 / 0.9:
        warnings.append(f"{region}: ICP changed the prediction's size by a factor of {1 / moved.scale:.3g}")
    return warnings
