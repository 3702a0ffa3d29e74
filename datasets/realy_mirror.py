"""The synthetic stand-in for REALY, written in the official layout: regions of scans, keypoints, pictures.

The regions are the scanned face, coarsened, in four parts; borders, the units' scales and the seventeen keypoints
beyond iBUG's are this harness's own.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.transform import Rotation

from harness.geometry.closest import ClosestPoints
from harness.geometry.mesh import Mesh, write_mesh
from harness.protocols.realy import REGIONS
from harness.protocols.realy_keypoints import procedural_topology
from harness.synthesis.batch import write_all
from harness.synthesis.cameras import random_camera
from harness.synthesis.render import render
from harness.synthesis.scan import Scan, scan_of
from harness.synthesis.subject import MIRROR_SEEDS, Subject, random_subject, stream

Array = np.ndarray

FIRST_SEED = MIRROR_SEEDS + 40_000
FOLDERS = ("crop_image_frontal_512x512", "crop_image_multiview_512x512")
UNIT_MM = (8.95, 0.6, 6.49, 10.24)
"""Millimetres per scan unit: mean, spread, least and most, as in the official file."""

_UNIT, _VIEW, _PLACE = range(60, 63)
_CELL_MM = 2.4
_SIDE_DEG = (25.0, 45.0)


def write_realy_mirror(
    folder: Path,
    progress: Callable[[float], None] | None = None,
    people: int = 20,
    size: int = 512,
    workers: int = 2,
) -> None:
    """Writes the mirror; the defaults take about two minutes of one core.

    Args:
        folder: what to write into.
        progress: called with the finished share, 0..1.
        people: how many, each with one frontal and one side picture.
        size: of the pictures, pixels; the folders' names stay.
        workers: processes; 1 works in this one.
    """
    names = ["REALY_HIFI3D_keypoints", *(f"REALY_image/{name}" for name in FOLDERS)]
    for name in [*names, *(f"REALY_scan_region/{person}" for person in range(1, people + 1))]:
        (folder / name).mkdir(parents=True, exist_ok=True)
    scales = [f"{unit_mm(person):.6f}\n" for person in range(1, people + 1)]
    (folder / "metrical_scale.txt").write_text("".join(scales), encoding="ascii")
    write_all(_write_person, [(folder, person, size) for person in range(1, people + 1)], workers, progress)


def unit_mm(person: int) -> float:
    """Millimetres per unit of a person's scan."""
    mean, spread, least, most = UNIT_MM
    return float(np.clip(stream(FIRST_SEED + person, _UNIT).normal(mean, spread), least, most))


def person_of(number: int) -> Subject:
    """The neutral person of a number from 1."""
    return random_subject(FIRST_SEED + number, expression=False)


def _write_person(folder: Path, person: int, size: int) -> None:
    subject = person_of(person)
    to_scan = _scan_frame(subject, person)
    for name, mesh in regions_of(subject, scan_of(subject)).items():
        write_mesh(Mesh(to_scan(mesh.vertices), mesh.faces), folder / f"REALY_scan_region/{person}/{name}.obj")
    keypoints = to_scan(procedural_topology().keypoints(subject.vertices.astype(np.float64)))
    lines = "".join(f"v {x!r} {y!r} {z!r}\n" for x, y, z in keypoints.tolist())
    (folder / f"REALY_HIFI3D_keypoints/{person}.obj").write_text(lines, encoding="ascii")
    for view, name in enumerate(FOLDERS):
        rng = stream(subject.seed, _VIEW, view)
        yaw = rng.uniform(*_SIDE_DEG) * rng.choice([-1, 1]) if view else float(rng.normal(0, 2))
        camera = random_camera(rng, subject.middle, size, float(yaw), fill_mm=(250, 300))
        file = f"{person}_{view}.jpg" if view else f"{person}.jpg"
        picture = render(subject, camera, seed=subject.seed + view)
        Image.fromarray(picture.image).save(folder / "REALY_image" / name / file, quality=92)


def _scan_frame(subject: Subject, person: int) -> Callable[[Array], Array]:
    """World millimetres -> scan units, about a place inside the head, a little turned."""
    rng = stream(subject.seed, _PLACE)
    turn = Rotation.from_rotvec(rng.normal(0, np.deg2rad(2), 3)).as_matrix()
    centre = subject.middle - [0, 0, 60] + rng.normal(0, 3, 3)
    return lambda points: (points - centre) @ turn.T / unit_mm(person)


def regions_of(subject: Subject, scan: Scan) -> dict[str, Mesh]:
    """The scanned face without hair in four parts, coarsened; world millimetres.

    Borders are drawn on the head model's template, so that they lie on the same features of every person.
    """
    head = subject.head
    faces = head.faces.numpy()
    on_head = ClosestPoints(Mesh(subject.vertices, faces)).query(scan.vertices)
    template = head.template.numpy().astype(np.float64)[faces[on_head.faces]]
    x, y, z = np.einsum("nk,nkd->dn", on_head.barycentric, template)
    face = scan.skin & (np.abs(x) < 64) & (y > -104) & (z > 30)
    mouth = ((x / 34) ** 2 + ((y + 58) / 19) ** 2 < 1) & (z > 60)
    part = np.select([~face, scan.nose, mouth, y > -2], [-1, 0, 1, 2], default=3)
    return {name: _cut(scan, part == number) for number, name in enumerate(REGIONS)}


def _cut(scan: Scan, chosen: Array) -> Mesh:
    """The largest connected piece of the chosen vertices, one vertex left of each cubic cell."""
    faces = scan.faces[chosen[scan.faces].all(axis=1)]
    cell = np.unique(np.floor(scan.vertices / _CELL_MM).astype(np.int64), axis=0, return_inverse=True)[1].reshape(-1)
    used, corners = np.unique(cell[faces], return_inverse=True)
    corners = corners.reshape(-1, 3)
    mine = np.flatnonzero(chosen & np.isin(cell, used))
    number = np.searchsorted(used, cell[mine])
    sums = np.stack([np.bincount(number, scan.vertices[mine, axis], len(used)) for axis in range(3)], axis=1)
    vertices = sums / np.bincount(number, minlength=len(used))[:, None]
    a, b, c = corners.T
    corners = corners[(a != b) & (b != c) & (c != a)]
    corners = corners[np.unique(np.sort(corners, axis=1), axis=0, return_index=True)[1]]
    edges = corners[:, [[0, 1], [1, 2]]].reshape(-1, 2)
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(len(used), len(used)))
    piece = connected_components(graph, directed=False)[1][corners[:, 0]]
    corners = corners[piece == np.bincount(piece).argmax()]
    kept, corners = np.unique(corners, return_inverse=True)
    return Mesh(vertices[kept], corners.reshape(-1, 3))
