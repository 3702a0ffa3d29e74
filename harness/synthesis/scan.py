"""What a scanner makes of a subject: the surface that can be seen from outside (skin, hair, collar), sampled anew.

Its vertices are not those of the head model, and they carry 0.1 mm of noise as a scanner's do.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from harness.heads.head import PARTS
from harness.synthesis.subject import MATERIALS, Subject, stream

Array = np.ndarray

_SCAN = 42
_NOISE_MM = 0.1
_BELOW_CHIN_MM = 135.0
_FINE = 15_000
"""A head model with as many vertices is not subdivided at first."""


class Scan:
    """A scanned surface.

    Attributes:
        vertices: (N, 3) float64 world millimetres.
        faces: (M, 3) int64.
        skin: (N,) bool, on the head model and not where hair grows.
        nose: (N,) bool.
        depth: (N,) z on the head model's template, for vertices on it.
    """

    def __init__(self, vertices: Array, faces: Array, skin: Array, nose: Array, depth: Array) -> None:
        self.vertices, self.faces, self.skin, self.nose, self.depth = vertices, faces, skin, nose, depth


def scan_of(subject: Subject, least_vertices: int = 40_000) -> Scan:
    """Scans a subject: the surface seen from outside, of at least so many vertices, with noise."""
    scene, rng = subject.scene, stream(subject.seed, _SCAN)
    # Columns: position, height above the hairline, template z; rows follow the subdivision.
    values = np.hstack([scene.vertices, scene.attributes[:, [9, 5]]]).astype(np.float64)
    faces, material, part = scene.faces.astype(np.int64), scene.material, scene.part
    low = values[faces, 1].mean(1) > subject.landmarks[8, 1] - _BELOW_CHIN_MM
    faces, material, part = faces[low], material[low], part[low]
    if len(subject.vertices) < _FINE:
        values, faces = _midpoint_subdivided(values, faces)
        material, part = np.tile(material, 4), np.tile(part, 4)
    seen = _largest_pieces(faces, _seen_from_outside(subject, values[:, :3], faces), len(values))
    used, corners = np.unique(faces[seen], return_inverse=True)
    values, faces, origin = values[used], corners.reshape(-1, 3), seen
    while len(values) < least_vertices:
        values, faces, parent = _longest_edges_split(values, faces)
        origin = origin[parent]
    material, part = material[origin], part[origin]
    values = _slid_along_edges(rng, values, faces)
    skin, nose = np.zeros(len(values), bool), np.zeros(len(values), bool)
    skin[faces[material == MATERIALS.index("head")]] = True
    nose[faces[(material == MATERIALS.index("head")) & (part == PARTS.index("nose"))]] = True
    vertices = values[:, :3] + rng.normal(0, _NOISE_MM, (len(values), 3))
    return Scan(vertices, faces, skin & (values[:, 3] < 0), nose, values[:, 4])


def _midpoint_subdivided(values: Array, faces: Array) -> tuple[Array, Array]:
    """Each triangle becomes four; row f of the faces becomes rows f, f + F, f + 2F and f + 3F."""
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]], axis=2).reshape(-1, 2)
    unique, inverse = np.unique(edges[:, 0] * len(values) + edges[:, 1], return_inverse=True)
    ends = np.stack(np.divmod(unique, len(values)), -1)
    middle = inverse.reshape(-1, 3) + len(values)
    a, b, c = faces.T
    ab, bc, ca = middle.T
    corners = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.vstack([values, values[ends].mean(1)]), np.concatenate([np.stack(t, -1) for t in corners])


def _longest_edges_split(values: Array, faces: Array) -> tuple[Array, Array, Array]:
    """Halves each edge that is the longest one of all its triangles; also returns the old row of each triangle."""
    rows = np.arange(len(faces))
    directed = faces[:, [[0, 1], [1, 2], [2, 0]]]
    longest = np.linalg.norm(values[directed[..., 0], :3] - values[directed[..., 1], :3], axis=2).argmax(1)
    key = directed.min(2) * len(values) + directed.max(2)
    unique, edge, count = np.unique(key, return_inverse=True, return_counts=True)
    mine = edge.reshape(-1, 3)[rows, longest]
    split = np.bincount(mine, minlength=len(unique)) == count
    ends = np.stack(np.divmod(unique[split], len(values)), -1)
    halved = rows[split[mine]]
    start = longest[halved]
    a, b, c = (faces[halved, (start + step) % 3] for step in range(3))
    middle = len(values) + (np.cumsum(split) - 1)[mine[halved]]
    changed = faces.copy()
    changed[halved] = np.stack([a, middle, c], -1)
    extra = np.stack([middle, b, c], -1)
    return np.vstack([values, values[ends].mean(1)]), np.vstack([changed, extra]), np.concatenate([rows, halved])


def _seen_from_outside(subject: Subject, vertices: Array, faces: Array) -> Array:
    """(F,) bool: whether a scanner that walks around (and not below) can see the middle of a triangle."""
    corners = vertices[faces]
    middle = corners.mean(1).astype(np.float32)
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal = (normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)).astype(np.float32)
    seen = np.zeros(len(faces), bool)
    for elevation, count in ((0.1, 12), (0.9, 8), (-0.5, 10), (1.5, 1)):
        for turn in np.arange(count) * 2 * np.pi / count:
            towards = np.array(
                [np.sin(turn) * np.cos(elevation), np.sin(elevation), np.cos(turn) * np.cos(elevation)], np.float32
            )
            ask = np.flatnonzero(~seen & (np.abs(normal @ towards) > 0.12))
            seen[ask] = ~subject.scene.caster.blocked(middle[ask] + np.float32(0.15) * towards, towards, 1000.0)
    return seen


def _largest_pieces(faces: Array, seen: Array, count: int, least_faces: int = 400) -> Array:
    """Indices of seen faces in connected pieces that are not just crumbs."""
    chosen = np.flatnonzero(seen)
    edges = faces[chosen][:, [[0, 1], [1, 2]]].reshape(-1, 2)
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(count, count))
    piece = connected_components(graph, directed=False)[1][faces[chosen, 0]]
    return chosen[np.bincount(piece)[piece] >= least_faces]


def _slid_along_edges(rng: np.random.Generator, values: Array, faces: Array) -> Array:
    """Moves each vertex some way along one of its edges: it stays on the surface but is no longer the model's.

    Vertices on the border keep their place, so that the outline does not fray.
    """
    directed = faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    key, back = directed[:, 0] * len(values) + directed[:, 1], directed[:, 1] * len(values) + directed[:, 0]
    border = np.unique(directed[~np.isin(key, back)])
    neighbour = np.arange(len(values))
    shuffled = directed[rng.permutation(len(directed))]
    neighbour[shuffled[:, 0]] = shuffled[:, 1]
    share = rng.uniform(0.08, 0.35, (len(values), 1))
    share[border] = 0
    return values + (values[neighbour] - values) * share
