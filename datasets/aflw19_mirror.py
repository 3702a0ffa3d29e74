"""The synthetic stand-in for AFLW-19, in its layout: one face a picture, from the front to the profile.

The 19 points are some of the 68 of iBUG and the middles of the eyes; one is seen where nothing stands before it.
Everything is random by seed and equal on each run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

from harness.datasets.portraits import Portraits
from harness.samples import Array, Camera
from harness.synthesis.batch import write_all
from harness.synthesis.render import render, visible_landmarks
from harness.synthesis.subject import MIRROR_SEEDS, Subject

FIRST_SEED = MIRROR_SEEDS + 90_000
COUNT = 70
"""Faces in all; 57 are for training, as in the proportion of the original."""
LOOKS = Portraits((200, 300), (200, 300), yaw=35.0, lean=10.0, covered=0.1)
SAME = {0: 17, 1: 19, 2: 21, 3: 22, 4: 24, 5: 26, 6: 36, 8: 39, 9: 42, 11: 45}
SAME |= {12: 31, 13: 30, 14: 35, 15: 48, 16: 62, 17: 54, 18: 8}
"""Point -> that of iBUG."""
PUPILS = {7: range(36, 42), 10: range(42, 48)}
"""Point -> those of iBUG that it is the middle of."""


def write_aflw19_mirror(
    folder: Path, progress: Callable[[float], None] | None = None, count: int = COUNT, workers: int = 2
) -> None:
    """Writes the mirror; the default takes about a quarter of a minute on two cores.

    Args:
        folder: gets pictures and tables.
        progress: called with the finished share, 0..1.
        count: faces.
        workers: processes; 1 works in this one.
    """
    (folder / "data/flickr/0").mkdir(parents=True, exist_ok=True)
    rows = [row_of(index) for index in range(count)]
    names = np.empty((count, 1), dtype=object)
    names[:, 0] = [f"0/image{index:05d}.jpg" for index in range(count)]
    tables = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    order = np.arange(1, count + 1)[None]
    savemat(folder / "AFLWinfo_release.mat", {**tables, "nameList": names, "ra": order}, do_compression=True)
    write_all(_write_picture, [(folder, index) for index in range(count)], workers, progress)


def person_of(index: int) -> tuple[Subject, Camera, int]:
    """Who is in a picture, the camera, and the seed of light and background."""
    return *LOOKS.person(FIRST_SEED + index), FIRST_SEED + index


def row_of(index: int) -> dict[str, Array]:
    """A face in the tables."""
    subject, camera, _ = person_of(index)
    all_points = camera.project(subject.landmarks.astype(np.float64))
    seen = visible_landmarks(subject, camera, all_points)
    points = points_19(all_points)
    low, high = all_points.min(axis=0), all_points.max(axis=0)
    box = np.round([low[0], high[0], low[1] - 0.15 * (high[1] - low[1]), high[1]])
    return {"data": points.T.ravel(), "bbox": box, "mask_new": points_19(seen[:, None].astype(float))[:, 0] > 0.5}


def points_19(values: Array) -> Array:
    """(68, n) of iBUG's points -> (19, n)."""
    found = np.empty((19, values.shape[1]))
    for point, same in SAME.items():
        found[point] = values[same]
    for point, around in PUPILS.items():
        found[point] = values[list(around)].mean(axis=0)
    return found


def _write_picture(folder: Path, index: int) -> None:
    subject, camera, seed = person_of(index)
    picture = Image.fromarray(render(subject, camera, seed=seed).image)
    picture.save(folder / f"data/flickr/0/image{index:05d}.jpg", quality=90)
