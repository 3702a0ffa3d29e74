"""The synthetic stand-in for FaceVerse: scans of random heads with expressions, and pictures of them.

Everything is random by seed and equal on each run. Scans and pictures end at the neck.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from harness.data import versioned
from harness.datasets.faceverse_views import (
    SIZE,
    Index,
    Placement,
    camera_at,
    on_white,
    view_angles,
    write_scan_files,
    write_views,
)
from harness.errors import ContractError
from harness.geometry.mesh import Mesh, write_mesh
from harness.heads.build import build_head
from harness.protocols.now_truth import NOW_LANDMARKS
from harness.synthesis.batch import write_all
from harness.synthesis.lighting import random_light
from harness.synthesis.render import render
from harness.synthesis.scan import scan_of
from harness.synthesis.subject import MIRROR_SEEDS, Subject, random_subject, stream

Array = np.ndarray

VERSION = "mirror-1"
FIRST_SEED = MIRROR_SEEDS + 2_000
FIRST_PERSON = 111
EXPRESSIONS: tuple[dict[str, float], ...] = (
    {},
    {"smile": 0.9, "cheek_raise": 0.6, "lips_part": 0.5},
    {"jaw_open": 0.9, "brow_inner_up": 0.8, "brow_outer_up": 0.8, "eye_wide": 0.6},
)
"""Names are those of the head model's components, without `_left` and `_right` where both take part."""
ICT_EXPRESSIONS: tuple[dict[str, float], ...] = (
    {},
    {"mouthSmile": 0.9, "cheekSquint": 0.6, "mouthUpperUp": 0.3, "mouthLowerDown": 0.3},
    {"jawOpen": 0.6, "browInnerUp": 0.8, "browOuterUp": 0.8, "eyeWide": 0.6},
)
"""The same faces in ICT-FaceKit's components."""
# What public code says of the released files: y points down and z away from the face.
AXES = np.diag([1.0, -1.0, -1.0])
NOSE_BASE, BELOW_NOSE_MM = 33, 130.0

_PLACE, _LIGHT = 60, 61


def write_faceverse_mirror(
    folder: Path,
    progress: Callable[[float], None] | None = None,
    people: int = 6,
    expressions: int = 3,
    size: int = SIZE,
    workers: int = 2,
    grids: bool = True,
    head: str = "procedural",
) -> None:
    """Writes the mirror; the defaults take about a minute and a half on two cores.

    Args:
        folder: gets a folder per scan, and `rendered`.
        progress: called with the finished share, 0..1.
        people: how many, numbered from 111.
        expressions: of each, at most three; the first is neutral.
        size: of the pictures, pixels.
        workers: processes; 1 works in this one.
        grids: whether the neutral scans are also rendered on the grid.
        head: name of the people's head model.
    """
    scans = [(seed, index) for seed in range(FIRST_SEED, FIRST_SEED + people) for index in range(expressions)]
    jobs = [(folder, head, *scan, ("random", "grid") if grids and not scan[1] else ("random",), size) for scan in scans]
    write_all(_write_scan, jobs, workers, progress)
    views = ("random", "grid") if grids else ("random",)
    names = {v: tuple(scan_name(*scan) for scan, job in zip(scans, jobs, strict=True) if v in job[4]) for v in views}
    Index(versioned(VERSION, head), names).write(folder / "rendered")


def scan_name(seed: int, expression: int) -> str:
    """Person and expression, as FaceVerse names its scans; `expression` counts from 0."""
    return f"{FIRST_PERSON + seed - FIRST_SEED:03d}_{expression + 1:02d}"


def placed_subject(seed: int, expression: int, head: str = "procedural") -> Subject:
    """A person with one of EXPRESSIONS, turned a little; the place and the turn differ from scan to scan."""
    weights = (ICT_EXPRESSIONS if head == "ict" else EXPRESSIONS)[expression]
    subject = with_expression(random_subject(seed, build_head(head), expression=False), weights)
    rng = stream(seed, _PLACE, expression)
    turn = Rotation.from_rotvec(rng.normal(0, np.deg2rad(3), 3)).as_matrix()
    middle = subject.middle - [0, 0, 80]
    return subject.placed(turn, middle - turn @ middle + rng.normal(0, 20, 3))


def with_expression(subject: Subject, weights: dict[str, float]) -> Subject:
    """The same unplaced person with components of the expression at these weights.

    Raises:
        ContractError: the head model has no such component.
    """
    names = subject.head.expression_names
    expression = np.zeros(len(names))
    for name, weight in weights.items():
        chosen = [index for index, full in enumerate(names) if full in (name, f"{name}_left", f"{name}_right")]
        if not chosen:
            raise ContractError(f"expression {name}: head {subject.head.name} has no such component")
        expression[chosen] = weight
    shape, values = (torch.as_tensor(v, dtype=torch.float32)[None] for v in (subject.shape, expression))
    with torch.no_grad():
        vertices = subject.head.vertices(shape, values)
        landmarks = subject.head.landmarks(vertices)
    return replace(subject, expression=expression, vertices=vertices[0].numpy(), landmarks=landmarks[0].numpy())


def _write_scan(folder: Path, head: str, seed: int, expression: int, view_sets: Sequence[str], size: int) -> None:
    name, subject = scan_name(seed, expression), placed_subject(seed, expression, head)
    end = float(subject.landmarks[NOSE_BASE, 1]) - BELOW_NOSE_MM
    scan = scan_of(subject)
    mesh = _above(Mesh(scan.vertices, scan.faces), end)
    to_file = Placement(AXES, 1.0, np.zeros(3), 1.0)  # the subject's world and the file differ by axes only
    placement = Placement.of_scan(to_file.invert(mesh.vertices), AXES, 1.0)
    rendered = folder / "rendered" / name
    for path in (folder / name, rendered):
        path.mkdir(parents=True, exist_ok=True)
    write_mesh(Mesh(to_file.invert(mesh.vertices), mesh.faces), folder / name / f"{name}.obj")
    tree = cKDTree(np.where(scan.skin[:, None], scan.vertices, 1e6))
    points = scan.vertices[tree.query(subject.landmarks[list(NOW_LANDMARKS.values())])[1]]
    write_scan_files(rendered, placement, to_file.invert(points))
    shown = subject.placed(np.eye(3), -placement.centre).cut_below(end - float(placement.centre[1]))
    light = random_light(stream(seed, _LIGHT, expression))
    for views in view_sets:
        angles = view_angles(views, name)
        cameras = [camera_at(a, placement.divisor, size) for a in angles]
        pictures = (render(shown, camera, light, seed=seed) for camera in cameras)
        write_views(rendered, views, angles, [on_white(picture.image, picture.mask) for picture in pictures])


def _above(mesh: Mesh, height: float) -> Mesh:
    """The triangles above a height, with their vertices."""
    faces = mesh.faces[(mesh.vertices[mesh.faces, 1] > height).all(axis=1)]
    used, corners = np.unique(faces, return_inverse=True)
    return Mesh(mesh.vertices[used], corners.reshape(-1, 3))
