"""The synthetic stand-in for H3DS, written in the official layout: scans, photographs, masks, cameras, regions.

Everything is random by seed and equal on each run. The scan is the surface that can be seen from outside (skin, hair,
collar), sampled anew, so its vertices are not those of the head model; it carries 0.1 mm of noise as a scanner's does.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from harness.geometry.mesh import Mesh, write_mesh
from harness.heads.head import PARTS
from harness.protocols.h3ds import H3DS_LANDMARKS
from harness.samples import Camera
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.lighting import random_light
from harness.synthesis.render import render
from harness.synthesis.subject import MATERIALS, MIRROR_SEEDS, Subject, random_subject, stream

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

_PLACE, _VIEW, _SCAN, _LIGHT = range(40, 44)
_NOISE_MM = 0.1
_BELOW_CHIN_MM = 135.0


def write_h3ds_mirror(
    folder: Path,
    progress: Callable[[float], None] | None = None,
    subjects: int = 12,
    views: int = 16,
    size: int = 512,
    workers: int = 2,
) -> None:
    """Writes the mirror; the defaults take about a minute on two cores.

    Args:
        folder: gets `config.toml`, `version.txt` and a folder per subject.
        progress: called with the finished share, 0..1.
        subjects: how many people.
        views: pictures of each, at most 16; only the view sets that they suffice for are listed.
        size: of the pictures, pixels.
        workers: processes; 1 works in this one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    seeds = [FIRST_SEED + index for index in range(subjects)]
    jobs = [(folder / subject_id(seed), seed, views, size) for seed in seeds]
    report = progress or (lambda share: None)
    if workers == 1:
        for done, job in enumerate(jobs, start=1):
            _write_subject(*job)
            report(done / subjects)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            futures = [pool.submit(_write_subject, *job) for job in jobs]
            for done, future in enumerate(as_completed(futures), start=1):
                future.result()
                report(done / subjects)
    (folder / "config.toml").write_text(_config([subject_id(seed) for seed in seeds], views), encoding="utf-8")
    (folder / "version.txt").write_text(VERSION, encoding="utf-8")


def subject_id(seed: int) -> str:
    """Sixteen hexadecimal digits, as H3DS names its people."""
    return hashlib.sha256(f"h3ds mirror {seed}".encode()).hexdigest()[:16]


def _config(names: list[str], views: int) -> str:
    lines = [f'version = "{VERSION}"', "", "[scenes]"]
    for name in names:
        lines += [f"    [scenes.{name}]", '    tags = ["mirror"]', f"    views = {views}"]
        lines += [f"        [scenes.{name}.default_views_configs]"]
        lines += [f"        {n} = {list(ids)}" for n, ids in VIEW_SETS.items() if max(ids) < views]
    return "\n".join(lines) + "\n"


def _write_subject(folder: Path, seed: int, views: int, size: int) -> None:
    subject = _placed(seed)
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


def _placed(seed: int) -> Subject:
    """A neutral face, a little turned and moved as a person who sits in front of cameras."""
    subject = random_subject(seed, expression=False)
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


# -- the scan ----------------------------------------------------------------------------------------------------


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
