"""The synthetic stand-in for H3DS, written in the official layout: scans, photographs, masks, cameras, regions.

Everything is random by seed and equal on each run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from harness.data import versioned
from harness.geometry.mesh import Mesh, write_mesh
from harness.heads.build import build_head
from harness.heads.head import Head
from harness.protocols.h3ds import H3DS_LANDMARKS
from harness.samples import Camera
from harness.synthesis.batch import write_all
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.lighting import random_light
from harness.synthesis.render import render
from harness.synthesis.scan import Scan, scan_of
from harness.synthesis.subject import MIRROR_SEEDS, Subject, random_subject, stream

Array = np.ndarray

VERSION = "mirror-1"
FIRST_SEED = MIRROR_SEEDS
YAWS = (0, -13, 13, -26, 26, -39, 39, -52, 52, -65, 65, -78, 78, -90, 90, 7)
"""Degrees of each view; the first is frontal."""
VIEW_SETS = {
    1: (0,),
    3: (0, 5, 6),
    4: (3, 4, 9, 10),
    6: (0, 3, 4, 7, 8, 15),
    8: (0, 1, 2, 5, 6, 9, 10, 15),
    16: tuple(range(16)),
}
"""As in H3DS the sets of 1, 3, 6 and 8 views contain the frontal one and the set of 4 does not."""

_PLACE, _VIEW, _LIGHT = 40, 41, 43


def write_h3ds_mirror(
    folder: Path,
    progress: Callable[[float], None] | None = None,
    subjects: int = 12,
    views: int = 16,
    size: int = 512,
    workers: int = 2,
    head: str = "procedural",
) -> None:
    """Writes the mirror; the defaults take about a minute on two cores.

    Args:
        folder: gets `config.toml`, `version.txt` and a folder per subject.
        progress: called with the finished share, 0..1.
        subjects: how many people.
        views: pictures of each, at most 16; only the view sets that they suffice for are listed.
        size: of the pictures, pixels.
        workers: processes; 1 works in this one.
        head: name of the people's head model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seeds = [FIRST_SEED + index for index in range(subjects)]
    jobs = [(folder / subject_id(seed), head, seed, views, size) for seed in seeds]
    write_all(_write_subject, jobs, workers, progress)
    version = versioned(VERSION, head)
    (folder / "config.toml").write_text(_config(version, [subject_id(seed) for seed in seeds], views), encoding="utf-8")
    (folder / "version.txt").write_text(version, encoding="utf-8")


def subject_id(seed: int) -> str:
    """Sixteen hexadecimal digits, as H3DS names its people."""
    return hashlib.sha256(f"h3ds mirror {seed}".encode()).hexdigest()[:16]


def _config(version: str, names: list[str], views: int) -> str:
    lines = [f'version = "{version}"', "", "[scenes]"]
    for name in names:
        lines += [f"    [scenes.{name}]", '    tags = ["mirror"]', f"    views = {views}"]
        lines += [f"        [scenes.{name}.default_views_configs]"]
        lines += [f"        {n} = {list(ids)}" for n, ids in VIEW_SETS.items() if max(ids) < views]
    return "\n".join(lines) + "\n"


def _write_subject(folder: Path, head: str, seed: int, views: int, size: int) -> None:
    subject = _placed(seed, build_head(head))
    for name in ("image", "mask", "regions"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    scan = scan_of(subject)
    write_mesh(Mesh(scan.vertices, scan.faces), folder / "full_head.obj")
    _write_labels(folder, subject, scan)
    light = random_light(stream(seed, _LIGHT))
    matrices: dict[str, Array] = {}
    for index, camera in enumerate(_cameras(subject, views, size)):
        picture = render(subject, camera, light, seed=seed)
        Image.fromarray(picture.image).save(folder / f"image/img_{index:04d}.jpg", quality=92)
        Image.fromarray(picture.mask.astype(np.uint8) * 255).save(folder / f"mask/mask_{index:04d}.png")
        matrices[f"world_mat_{index}"] = np.vstack([camera.projection, [0, 0, 0, 1]]).astype(np.float32)
        matrices[f"scale_mat_{index}"] = _scale_matrix(subject).astype(np.float32)
    np.savez(folder / "cameras.npz", **matrices)  # type: ignore[arg-type]


def _placed(seed: int, head: Head) -> Subject:
    """A neutral face, a little turned and moved as a person who sits in front of cameras."""
    subject = random_subject(seed, head, expression=False)
    rng = stream(seed, _PLACE)
    turn = Rotation.from_rotvec(rng.normal(0, np.deg2rad(4), 3)).as_matrix()
    middle = subject.middle - [0, 0, 80]
    return subject.placed(turn, middle - turn @ middle + rng.normal(0, 6, 3))


def _cameras(subject: Subject, views: int, size: int) -> list[Camera]:
    cameras = []
    for index, yaw in enumerate(YAWS[:views]):
        rng = stream(subject.seed, _VIEW, index)
        distance, pitch = rng.uniform(700, 900), 0.0 if index == 0 else rng.normal(0, 5)
        pitch = 16.0 if index == 15 else float(np.clip(pitch, -10, 14))
        focal = size * rng.normal(2.15, 0.03)
        target = subject.middle - [0, 5, 60] + rng.normal(0, 6, 3)
        camera = orbit_camera(yaw, pitch, distance, focal, size, target, roll_deg=rng.normal(0, 1.5))
        intrinsics = camera.intrinsics.copy()
        intrinsics[1, 1] *= rng.normal(1, 0.002)
        intrinsics[:2, 2] += rng.normal(0, 0.008, 2) * size
        cameras.append(Camera(intrinsics, camera.rotation, camera.translation, size, size))
    return cameras


def _scale_matrix(subject: Subject) -> Array:
    """(4, 4) unit ball -> the head in the world."""
    head = subject.vertices[subject.vertices[:, 1] > subject.landmarks[8, 1] - 20]
    centre = (head.min(0) + head.max(0)) / 2
    matrix = np.diag([1.0, 1.0, 1.0, 1.0])
    matrix[:3, :3] *= 1.25 * np.linalg.norm(head - centre, axis=1).max()
    matrix[:3, 3] = centre
    return matrix


def _write_labels(folder: Path, subject: Subject, scan: Scan) -> None:
    """Landmarks and regions: indices into the scan's vertices."""
    tree = cKDTree(np.where(scan.skin[:, None], scan.vertices, 1e6))
    nearest = {name: int(tree.query(subject.landmarks[index])[1]) for name, index in H3DS_LANDMARKS.items()}
    lines = [f"{name} {index}\n" for name, index in nearest.items()]
    (folder / "landmarks.txt").write_text("".join(lines), encoding="utf-8")
    tip = scan.vertices[nearest["nose_tip"]]
    frontal = scan.skin & (scan.depth > subject.anatomy.middle_depth - 40)
    regions = {
        "face": frontal,
        "face_sphere": np.linalg.norm(scan.vertices - tip, axis=1) <= 95,
        "nose": scan.nose & scan.skin,
    }
    for name, chosen in regions.items():
        text = "".join(f"{index}\n" for index in np.flatnonzero(chosen))
        (folder / f"regions/{name}.txt").write_text(text, encoding="utf-8")
