"""3DFAW: the challenge's official ARMSE, and the one-way Chamfer distance of a line of papers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from harness.errors import AlignmentError, ContractError
from harness.geometry.alignment import Similarity
from harness.geometry.mesh import Mesh
from harness.geometry.neighbours import MovingNeighbours
from harness.geometry.point_grid import PointGrid
from harness.protocols.base import Protocol
from harness.protocols.checks import check_plausible, fails_without_number
from harness.protocols.h3ds import H3DS_LANDMARKS, H3ds, H3dsTruth
from harness.protocols.over_samples import over_samples
from harness.protocols.scores import SampleScore, Score, by_condition
from harness.protocols.threedfaw_distance import adjacent_surface_distances
from harness.samples import MILLIMETRES_PER, Prediction

Array = NDArray[Any]

LANDMARKS = 51
JAW = 17
"""The 51 landmarks are iBUG's 68 without these first."""
NOSE_TIP = 13
RADIUS_MM = 95.0
UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class ThreedfawTruth:
    """The ground truth of one 3DFAW subject.

    Attributes:
        scan: millimetres.
        landmarks: (51,) vertex indices of the scan, -1 where unknown; the nose tip (13) is known.

    Raises:
        ContractError: landmarks of another shape, out of range, unknown at 13, or on a vertex that no face uses.
    """

    scan: Mesh
    landmarks: Array

    def __post_init__(self) -> None:
        landmarks = np.asarray(self.landmarks, dtype=np.int64)
        if landmarks.shape != (LANDMARKS,):
            raise ContractError(f"truth.landmarks: shape {landmarks.shape}, expected (51,): iBUG-68 without the jaw")
        known = landmarks[landmarks != UNKNOWN]
        if len(known) and (known.min() < 0 or known.max() >= len(self.scan.vertices)):
            last = len(self.scan.vertices) - 1
            raise ContractError(f"truth.landmarks: {known.min()}..{known.max()} outside -1 and the scan's 0..{last}")
        if landmarks[NOSE_TIP] == UNKNOWN:
            raise ContractError(f"truth.landmarks[{NOSE_TIP}]: the nose tip is unknown (-1), but the crop needs it")
        free = np.setdiff1d(known, self.scan.faces)
        if len(free):
            raise ContractError(f"truth.landmarks: vertex {free[0]} is used by no face, so it would be removed")
        object.__setattr__(self, "landmarks", landmarks)

    def as_h3ds(self) -> H3dsTruth:
        """The same for H3DS's program: six landmarks, and the vertices within 95 mm of the nose tip as the face.

        Raises:
            AlignmentError: one of the six is unknown.
        """
        six = {name: int(self.landmarks[index - JAW]) for name, index in H3DS_LANDMARKS.items()}
        unknown = [name for name, vertex in six.items() if vertex == UNKNOWN]
        if unknown:
            raise AlignmentError(f"the scan's landmarks {', '.join(unknown)} are unknown (-1)")
        tip = self.scan.vertices[self.landmarks[NOSE_TIP]]
        face = np.flatnonzero(np.linalg.norm(self.scan.vertices - tip, axis=1) <= RADIUS_MM)
        return H3dsTruth(self.scan, six, {"face": face, "face_sphere": face})


@dataclass(frozen=True, kw_only=True)
class ThreedfawChamfer(H3ds):
    """One-way Chamfer distance from the scan's face to the prediction, as H3D-Net, SIRA++ and GLVD report on 3DFAW.

    Which subjects, frames and region those papers used is not published: numbers of this protocol are this harness's
    own and do not reproduce theirs. The region is the scan's vertices within 95 mm of the nose tip, and the steps are
    those of H3DS's official program, by the same authors: six landmarks, ICP with free scale, nearest predicted
    vertices (so a denser mesh scores better, and a wrong size costs nothing).
    """

    name: str = "3dfaw_chamfer"
    official: bool = False
    regions: tuple[str, ...] = ("face",)

    knows_regions = ("face",)  # type: ignore[assignment]

    def score(self, prediction: Prediction, truth: ThreedfawTruth) -> Score:  # type: ignore[override]
        """Scores a prediction in millimetres; see the class."""
        try:
            return super().score(prediction, truth.as_h3ds())
        except AlignmentError as error:
            return Score.failed("no_alignment", str(error))


@dataclass(frozen=True, kw_only=True)
class ThreedfawArmse(Protocol):
    """The official score of the 3DFAW-Video challenge (program version 12.8), properties that surprise included.

    1. 51 landmarks give a rough scale. Unknown ones (-1) count as the mesh's last vertex here, on either side.
    2. The prediction is cut to what lies within 95 mm, by the rough scale, of its own nose tip; the scan is not cut.
    3. Similarity alignment (no reflection, least-squares scale): once by the landmarks that both know, then 19 times
       by the nearest scan vertex of every predicted one.
    4. Distances both ways from every fourth vertex to the other surface, of which only the nearest vertex and the
       triangles and sides that touch it are looked at (`adjacent_surface_distances`).
    5. ARMSE is the mean of the two root mean squares. Since the scan is whole, missing parts of the head cost.

    Vertices that no face uses are left out of both meshes. As the official program does, everything up to the
    distances is computed in single precision, in the prediction's own unit; the distances are in double precision.
    The program sets distances that are no number to 0; here such predictions have failed before. A prediction's
    landmark is its nearest vertex.

    Columns: `armse`, and the two root mean squares that it is the mean of: of the predicted vertices `to_scan`, of the
    scan's `to_prediction`.
    """

    name: str = "3dfaw_armse"
    official: bool = True
    alignment: str = "landmarks51+icp"
    scale: str = "least_squares"
    reflection: bool = False
    distance: str = "adjacent_surface"
    direction: str = "mean_of_both"
    statistic: str = "rms"
    regions: tuple[str, ...] = ("head",)
    aggregation: str = "sample>set"
    radius_mm: float = RADIUS_MM
    icp_iterations: int = 20
    every: int = 4

    computes = (
        *("alignment", "scale", "reflection", "distance", "direction", "statistic", "expression", "track", "unit"),
        *("aggregation", "regions"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.official and (self.radius_mm, self.icp_iterations, self.every) != (RADIUS_MM, 20, 4):
            raise ContractError(
                f"protocol {self.name}: officially radius_mm=95, icp_iterations=20, every=4; set official=False"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """ARMSE and its two halves."""
        return ("armse", "to_scan", "to_prediction")

    @fails_without_number
    def score(self, prediction: Prediction, truth: ThreedfawTruth) -> Score:
        """Scores a prediction in millimetres; see the class."""
        if prediction.landmarks is None or not np.isfinite(prediction.landmarks[JAW + NOSE_TIP]).all():
            return Score.failed("no_landmarks", "the prediction's nose tip (landmark 30) is unknown; the crop needs it")
        return self._score(prediction, truth)

    def _score(self, prediction: Prediction, truth: ThreedfawTruth) -> Score:
        scan = _Indexed.of(truth.scan.vertices, truth.scan.faces, truth.landmarks)
        source = _predicted(prediction)
        rough = fit(source.marks, scan.marks)[1]
        face = source.cropped(self.radius_mm / rough)
        known = (source.landmarks != UNKNOWN) & (scan.landmarks != UNKNOWN)
        tree = cKDTree(scan.vertices)
        points, scale = _icp(face.vertices, scan, (source.marks[known], scan.marks[known]), self.icp_iterations)
        there = adjacent_surface_distances(points[:: self.every], Mesh(scan.vertices, scan.faces), tree)
        asked = np.arange(0, len(scan.vertices), self.every)
        back = adjacent_surface_distances(scan.vertices[asked], Mesh(points, face.faces))
        halves = [float(np.sqrt(np.mean(distances**2))) for distances in (there, back)]
        values = dict(zip(self.columns, (sum(halves) / 2, *halves), strict=True))
        diagnostics = {
            "vertices": float(len(source.vertices)),
            "cropped_vertices": float(len(points)),
            "landmarks": float(known.sum()),
            "rough_scale": rough / MILLIMETRES_PER[prediction.source_unit],
            "scale": scale / MILLIMETRES_PER[prediction.source_unit],
        }
        return Score(
            values,
            diagnostics,
            {"to_prediction": (scan.ids[asked].astype(np.int32), back.astype(np.float32))},
            points.astype(np.float32),
            {"to_scan": there.astype(np.float32)},
            warnings=_warnings(prediction, int((~known).sum()), rough / scale),
        )

    def summarise(self, rows: Sequence[SampleScore]) -> list[dict[str, Any]]:
        """As the base class, and `armse std`, the official standard deviation (n) over samples, for each condition."""
        return super().summarise(rows) + [
            {**condition, **over_samples(self, members, "armse", np.std), "column": "armse std", "std_subjects": None}
            for condition, members in by_condition(rows)
        ]


@dataclass(frozen=True, eq=False)
class _Indexed:
    """A mesh of the official program: vertices (V, 3) float32 that faces use, landmarks (51,) among them or -1.

    `ids` (V,) are the vertices' old numbers.
    """

    vertices: Array
    faces: Array
    landmarks: Array
    ids: Array

    @classmethod
    def of(cls, vertices: Array, faces: Array, landmarks: Array) -> _Indexed:
        ids, corners = np.unique(faces, return_inverse=True)
        kept = np.where(landmarks == UNKNOWN, UNKNOWN, np.searchsorted(ids, landmarks))
        return cls(vertices[ids].astype(np.float32), corners.reshape(-1, 3), kept, ids)

    @property
    def marks(self) -> Array:
        """(51, 3) landmarks; an unknown one, -1, is the last vertex."""
        return self.vertices[self.landmarks]

    def cropped(self, radius: float) -> Mesh:
        """What lies within a radius of the nose tip, in the prediction's unit."""
        tip = self.vertices[self.landmarks[NOSE_TIP]]
        inside = np.linalg.norm(self.vertices - tip, axis=1) <= radius
        faces = self.faces[inside[self.faces].all(axis=1)]
        if not len(faces):
            raise AlignmentError(f"no face of the prediction lies within {RADIUS_MM:g} mm of its nose tip")
        return Mesh(self.vertices[inside], (np.cumsum(inside) - 1)[faces])


def _predicted(prediction: Prediction) -> _Indexed:
    """The prediction in its own unit, its landmarks as nearest vertices of those that faces use."""
    assert prediction.vertices is not None and prediction.faces is not None and prediction.landmarks is not None
    used = np.unique(prediction.faces)
    points = prediction.landmarks[JAW:]
    known = np.isfinite(points).all(axis=1)
    landmarks = np.full(LANDMARKS, UNKNOWN)
    landmarks[known] = used[cKDTree(prediction.vertices[used]).query(points[known])[1]]
    vertices = prediction.vertices / MILLIMETRES_PER[prediction.source_unit]
    return _Indexed.of(vertices, prediction.faces, landmarks)


def fit(source: Array, target: Array) -> tuple[Array, float, Array]:
    """(3, 3) R, scale s, (3,) t of the similarity s x R + t (row vectors) from `source` (N, 3) to `target` (N, 3).

    Rotation without reflection and least-squares scale, in the precision of the points.

    Raises:
        AlignmentError: fewer than 3 points, or they lie in one place or on one line, or the best scale is not positive.
    """
    if len(source) < 3:
        raise AlignmentError(f"{len(source)} landmarks are known to both meshes; at least 3 are needed")
    middle_source, middle_target = source.mean(axis=0), target.mean(axis=0)
    x, y = source - middle_source, target - middle_target
    left, singular, right = np.linalg.svd(y.T @ x)
    if not singular[1] > 1e-6 * singular[0]:
        raise AlignmentError(f"the {len(source)} points to align lie in one place or on one line; no rotation fits")
    flip = np.diag([1, 1, np.linalg.det(right.T @ left.T)]).astype(source.dtype)
    rotation = right.T @ flip @ left.T
    turned = x @ rotation
    scale = float((turned * y).sum() / (turned * turned).sum())
    if not scale > 0:
        raise AlignmentError(f"the two point sets do not correspond: the best scale is {scale:.3g}")
    return rotation, scale, middle_target - scale * (middle_source @ rotation)


def _icp(vertices: Array, scan: _Indexed, landmarks: tuple[Array, Array], iterations: int) -> tuple[Array, float]:
    """The vertices after so many alignments, the first by landmarks, and the product of their scales."""
    points, total = vertices.astype(np.float32), 1.0
    targets = PointGrid(scan.vertices.astype(np.float64))
    neighbours, here = MovingNeighbours(points, targets), Similarity.identity()
    for number in range(iterations):
        neighbours.points[:] = points
        pair = (points, scan.vertices[targets.numbers[neighbours.query(here)]]) if number else landmarks
        rotation, scale, shift = fit(*pair)
        points, total = (np.float32(scale) * (points @ rotation) + shift).astype(np.float32), total * scale
    return points, total


def _warnings(prediction: Prediction, unknown: int, change: float) -> tuple[str, ...]:
    warnings = []
    problem = check_plausible(prediction)
    if problem:
        warnings.append(f"{problem}; this protocol forgives it, since its scale is free")
    if unknown and not 0.95 < change < 1.05:
        warnings.append(
            f"{unknown} landmarks are unknown; the official program takes the last vertex for them, and its crop is "
            f"{RADIUS_MM / change:.0f} mm instead of {RADIUS_MM:g}"
        )
    return tuple(warnings)
