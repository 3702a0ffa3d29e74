"""Parts of the scored region that the answers leave out."""

from __future__ import annotations

import numpy as np

from harness.doctor.exam import Truth
from harness.doctor.findings import Finding, ok, undecided, warning, wrong
from harness.doctor.reading import Reading
from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh
from harness.samples import Array, Prediction

REGION_MM = 95.0
"""About the tip of the nose: the region that H3DS scores, and about NoW's."""
BEYOND_MM = 8.0
"""A point is left out if the nearest place of the answer is on the border of its mesh and farther than this: inside a
mesh the nearest place is on no border, however wrong the shape; a face's outline is off by 2 to 5 mm."""
CROPPED, TRIMMED = 0.3, 0.1
"""Shares of a zone's points: a third of a forehead that is missing moves scores by tenths of a millimetre."""


def chin(reading: Reading) -> Finding:
    """Below the lower lip."""
    return _zone(reading, "chin")


def forehead(reading: Reading) -> Finding:
    """Above the brows, as far as it is scored."""
    return _zone(reading, "forehead")


def _zone(reading: Reading, zone: str) -> Finding:
    name = f"cropped {zone}"
    if reading.no_landmarks:
        return undecided(name, f"{reading.no_landmarks}, so that the answer cannot be laid on the truth")
    measured = [m for a, t in reading.pointed[:3] if not t.expressive and (m := _left_out(reading, a, t, zone))]
    if not measured:
        return undecided(name, "no answer could be laid on the truth")
    share, reach = (float(np.median(column)) for column in zip(*measured, strict=True))
    words = f"{100 * share:.0f} % of the {zone}'s scored points lie beyond the border of the mesh, up to {reach:.0f} mm"
    if share < TRIMMED:
        return ok(name, words)
    remedy = f"let the mesh reach {reach:.0f} mm farther; distances to what is missing are scored as errors"
    return wrong(name, words, remedy) if share > CROPPED else warning(name, words, remedy)


def _left_out(reading: Reading, answer: Prediction, truth: Truth, zone: str) -> tuple[float, float] | None:
    """Share of the zone's points beyond the answer's border, and the largest distance among these."""
    fit = reading.fit(answer, truth)
    if fit is None or answer.vertices is None or answer.faces is None:
        return None
    mesh = merged(Mesh(fit.apply(answer.vertices), answer.faces))
    points = truth.vertices[_chosen(truth, zone)]
    closest = ClosestPoints(mesh).query(points)
    beyond = (closest.distances > BEYOND_MM) & on_border(mesh, closest.faces, closest.barycentric)
    return float(beyond.mean()), float(closest.distances[beyond].max(initial=0.0))


def _chosen(truth: Truth, zone: str) -> Array:
    """(V,) bool: the true head's vertices of a zone."""
    points, vertices = truth.landmarks, truth.vertices
    scored = truth.skin & (np.linalg.norm(vertices - points[30], axis=1) < REGION_MM)
    up = points[[36, 45]].mean(0) - points[[48, 54]].mean(0)
    height = vertices @ (up / np.linalg.norm(up))
    marks = points @ (up / np.linalg.norm(up))
    ahead = points[30] - points[[36, 45, 48, 54]].mean(0)
    front = (vertices - points[[0, 16]].mean(0)) @ (ahead / np.linalg.norm(ahead)) > 0
    if zone == "forehead":
        return np.asarray(scored & front & (height > marks[[19, 24]].mean() + 8.0))
    # From below the lower lip to the point of the chin, not the underside that the neck begins with.
    return np.asarray(scored & front & (height < marks[57] - 4.0) & (height > marks[8] - 2.0) & _between(truth))


def _between(truth: Truth) -> Array:
    """(V,) bool: between the corners of the jaw's outline at 5 and 11, the width of a chin."""
    points = truth.landmarks
    across = points[11] - points[5]
    along = (truth.vertices - points[5]) @ across / float(across @ across)
    return np.asarray((along > 0) & (along < 1))


def merged(mesh: Mesh) -> Mesh:
    """The mesh with vertices at the same place made one: seams and triangle soups have no borders."""
    _, first, index = np.unique(mesh.vertices.round(4), axis=0, return_index=True, return_inverse=True)
    return Mesh(mesh.vertices[first], index.reshape(-1)[mesh.faces])


def on_border(mesh: Mesh, faces: Array, barycentric: Array) -> Array:
    """(N,) bool: whether points of the mesh, given by face and weights, lie on an edge that only one triangle has."""
    edges = np.sort(mesh.faces[:, [[1, 2], [2, 0], [0, 1]]], axis=2)  # edge i is opposite to corner i
    key = edges[..., 0] * len(mesh.vertices) + edges[..., 1]
    _, index, count = np.unique(key, return_inverse=True, return_counts=True)
    single = count[index.reshape(key.shape)] == 1
    border = np.zeros(len(mesh.vertices), bool)
    border[edges[single]] = True
    zero = barycentric <= 1e-9
    on_edge = (single[faces] & zero).any(1)
    on_corner = zero.sum(1) == 2
    corner = mesh.faces[faces, barycentric.argmax(1)]
    return np.asarray(on_edge | (on_corner & border[corner]))
