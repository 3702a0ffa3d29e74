"""The synthetic stand-in for 3DFAW-Video: scans of the front of the head with 51 landmarks, and a few frames each.

A few people lack some of their brows' landmarks, as hidden points are unknown in the original.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from harness.geometry.mesh import Mesh, write_mesh
from harness.protocols.threedfaw import JAW, UNKNOWN
from harness.synthesis.batch import write_all
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.lighting import random_light
from harness.synthesis.render import render
from harness.synthesis.scan import Scan, scan_of
from harness.synthesis.subject import MIRROR_SEEDS, Subject, random_subject, stream

Array = np.ndarray

FIRST_SEED = MIRROR_SEEDS + 30_000
YAWS = (0, -30, 30, -15, 15, -45, 45)
"""Degrees of each frame, as the head of someone who turns it before a camera."""

_PLACE, _FRAME, _LIGHT, _UNKNOWN = range(70, 74)
_REACH_MM = 115.0
_SHARE_WITH_UNKNOWN = 0.3


def write_threedfaw_mirror(
    folder: Path,
    progress: Callable[[float], None] | None = None,
    subjects: int = 10,
    views: int = 3,
    size: int = 512,
    workers: int = 2,
) -> None:
    """Writes the mirror; the defaults take about a minute of one core.

    Args:
        folder: what to write into.
        progress: called with the finished share, 0..1.
        subjects: how many people.
        views: frames of each, at most 7.
        size: of the frames, pixels.
        workers: processes; 1 works in this one.
    """
    names = [subject_id(number) for number in range(subjects)]
    for name in names:
        (folder / "images" / name).mkdir(parents=True, exist_ok=True)
    (folder / "test.txt").write_text("".join(f"{name}\n" for name in names), encoding="ascii")
    write_all(_write_subject, [(folder, number, views, size) for number in range(subjects)], workers, progress)


def subject_id(number: int) -> str:
    """Three digits from 001."""
    return f"{number + 1:03d}"


def placed(number: int) -> Subject:
    """A neutral person, turned and moved as in front of a scanner."""
    subject = random_subject(FIRST_SEED + number, expression=False)
    rng = stream(subject.seed, _PLACE)
    turn = Rotation.from_rotvec(rng.normal(0, np.deg2rad(5), 3)).as_matrix()
    return subject.placed(turn, rng.normal(0, 20, 3))


def front_of(subject: Subject, scan: Scan) -> tuple[Mesh, Array]:
    """The scan near the nose tip, and the landmarks (51,) as its vertices or -1; the nose tip is always known."""
    near = np.linalg.norm(scan.vertices - subject.landmarks[30], axis=1) <= _REACH_MM
    faces = scan.faces[near[scan.faces].all(axis=1)]
    used, corners = np.unique(faces, return_inverse=True)
    skin = np.flatnonzero(scan.skin[used])
    landmarks = skin[cKDTree(scan.vertices[used][skin]).query(subject.landmarks[JAW:])[1]]
    rng = stream(subject.seed, _UNKNOWN)
    if rng.random() < _SHARE_WITH_UNKNOWN:
        landmarks[rng.choice(10, rng.integers(1, 4), replace=False)] = UNKNOWN  # the first ten are the brows
    return Mesh(scan.vertices[used], corners.reshape(-1, 3)), landmarks


def _write_subject(folder: Path, number: int, views: int, size: int) -> None:
    subject, name = placed(number), subject_id(number)
    scan, landmarks = front_of(subject, scan_of(subject))
    write_mesh(scan, folder / f"mesh{name}.obj")
    lines = "".join(f"{index}\n" for index in landmarks)
    (folder / f"VertexLandmarks{name}.txt").write_text(lines, encoding="ascii")
    light = random_light(stream(subject.seed, _LIGHT))
    for view, yaw in enumerate(YAWS[:views]):
        rng = stream(subject.seed, _FRAME, view)
        distance, focal = rng.uniform(600, 900), size * rng.normal(2.1, 0.05)
        target = subject.middle + rng.normal(0, 8, 3)
        camera = orbit_camera(yaw + rng.normal(0, 3), rng.normal(0, 4), distance, focal, size, target, rng.normal(0, 3))
        picture = render(subject, camera, light, seed=subject.seed)
        Image.fromarray(picture.image).save(folder / f"images/{name}/frame_{view:02d}.jpg", quality=92)
