"""Label maps of the pictures that mini models train on, made once from the same subjects and cameras."""

from __future__ import annotations

import logging
import multiprocessing
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from harness.errors import HarnessError
from harness.files import digest, digest_files, write_json
from harness.geometry.alignment import fit_similarity
from harness.geometry.raycast import Hits
from harness.heads.head import PARTS, Head
from harness.synthesis.shading import points_at, surfacing
from harness.synthesis.subject import MATERIALS, Subject, random_subject
from harness.training_data import TrainingSet
from harness.training_pictures import PictureSettings, codes_of_training_set

log = logging.getLogger(__name__)
Array = NDArray[np.float64]

_DONE = 255  # of a picture's first pixel while its map is missing


def render_label_maps(settings: PictureSettings, pictures: TrainingSet, folder: Path, head: Head) -> NDArray[np.uint8]:
    """(N, n, s, s) indices into `harness.heads.head.PARTS`, memory-mapped; computes those that are missing.

    Args:
        settings: the pictures'.
        pictures: the finished pictures.
        folder: that holds the pictures' folder; the maps' stands beside it.
        head: the model that is drawn.

    Raises:
        HarnessError: the folder holds maps of another size.
    """
    code = Path(__file__).parent
    target = folder / f"{pictures.name}-labels-{digest(digest_files([Path(__file__)], code))[:8]}"
    path = target / "labels.npy"
    shape = pictures.arrays["images"].shape[:4]
    if not path.exists():
        target.mkdir(parents=True, exist_ok=True)
        fresh = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
        fresh[:, 0, 0, 0] = _DONE
        fresh.flush()
    maps = np.load(path, mmap_mode="r" if (target / "manifest.json").exists() else "r+")
    if maps.shape != shape:
        raise HarnessError(f"{path}: shape {maps.shape}, expected {shape}; delete {target} to make it anew")
    if not (target / "manifest.json").exists():
        _fill(maps, settings, pictures, head)
        write_json(target / "manifest.json", {"pictures": pictures.name})
    return maps


def _fill(maps: NDArray[np.uint8], settings: PictureSettings, pictures: TrainingSet, head: Head) -> None:
    missing = np.flatnonzero(maps[:, 0, 0, 0] == _DONE)
    log.info("label maps of %d subjects", len(missing))
    expressive = [bool(codes.any()) for codes in codes_of_training_set(settings, head)[1]]
    views = (pictures.arrays["projection"], pictures.arrays["rotation"])
    jobs = [(int(i), expressive[i], *(np.asarray(array[i]) for array in views)) for i in missing]
    work = partial(_subject, settings.first_seed, settings.size)
    # Fresh interpreters: threads of numerical libraries do not survive a fork.
    with multiprocessing.get_context("spawn").Pool(settings.processes) as pool:
        for index, found in tqdm(pool.imap_unordered(work, jobs, chunksize=4), total=len(jobs), desc="label maps"):
            maps[index] = found


def _subject(first_seed: int, size: int, job: tuple[int, bool, Array, Array]) -> tuple[int, NDArray[np.uint8]]:
    from harness.heads.procedural import procedural_head

    index, expressive, projections, rotations = job
    head = procedural_head()
    subject = random_subject(first_seed + index, head, expression=expressive)
    template = head.landmarks(head.template[None])[0].double().numpy()
    place = fit_similarity(template, subject.landmarks, scale="none")
    to_world = np.eye(4)
    to_world[:3, :3], to_world[:3, 3] = place.rotation, place.translation
    maps = [
        label_map(subject, projection @ np.linalg.inv(to_world), rotation @ place.rotation.T, size)
        for projection, rotation in zip(projections, rotations, strict=True)
    ]
    return index, np.stack(maps)


def label_map(subject: Subject, projection: Array, rotation: Array, size: int) -> NDArray[np.uint8]:
    """(size, size) indices into PARTS, as `harness.synthesis.render` has them.

    Args:
        subject: whom.
        projection: (3, 4) world -> homogeneous pixels.
        rotation: (3, 3) world to camera.
        size: side of the picture in pixels.
    """
    intrinsics = projection[:, :3] @ rotation.T
    centre = np.asarray(-np.linalg.solve(projection[:, :3], projection[:, 3]), np.float32)
    row, column = np.mgrid[:size, :size]
    pixels = np.stack([column.ravel(), row.ravel(), np.ones(size * size)], axis=1)
    directions = (pixels @ np.linalg.inv(intrinsics).T @ rotation).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    hits = subject.scene.caster.cast(centre, directions)
    met = np.flatnonzero(hits.face >= 0)
    labels = np.full(size * size, PARTS.index("background"), np.uint8)
    if len(met):
        points = points_at(subject.scene, Hits(*(value[met] for value in hits)), centre, directions[met])
        footprint = float(np.median(hits.distance[met]) / (intrinsics[0, 0] / intrinsics[2, 2]))
        parts = surfacing(subject, points, footprint).part
        labels[met] = np.where(points.material <= MATERIALS.index("torso"), parts, PARTS.index("background"))
    return labels.reshape(size, size)
