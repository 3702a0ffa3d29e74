"""The synthetic stand-in for LaPa, in its layout: everyday faces, some covered in part, with exact classes.

Points and classes are those of the head model in three dimensions. The 106 points are made of the 68 of iBUG, in
between where LaPa has more, so that a brow's lower edge, of which iBUG has no points, lies on its upper one. Everything
is random by seed and equal on each run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from harness.protocols.labels import LAPA
from harness.samples import Array, Camera
from harness.synthesis.batch import write_all
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.clothes import OCCLUDERS
from harness.synthesis.render import render
from harness.synthesis.subject import MIRROR_SEEDS, Subject, random_subject, stream

FIRST_SEED = MIRROR_SEEDS + 60_000
COUNTS = {"train": 12, "val": 8, "test": 100}
COVERED = 0.15
"""Share of faces with something before them."""

_PLACE = 90
_SIZES = (220, 340)
"""Range of width and height in pixels."""


def write_lapa_mirror(
    folder: Path,
    progress: Callable[[float], None] | None = None,
    counts: Mapping[str, int] = COUNTS,
    workers: int = 2,
) -> None:
    """Writes the mirror; the defaults take about half a minute on two cores.

    Args:
        folder: gets `train`, `val` and `test`.
        progress: called with the finished share, 0..1.
        counts: pictures in each.
        workers: processes; 1 works in this one.
    """
    jobs = [(folder / split, split, index) for split, count in counts.items() for index in range(count)]
    for split in counts:
        for kind in ("images", "labels", "landmarks"):
            (folder / split / kind).mkdir(parents=True, exist_ok=True)
    write_all(_write_picture, jobs, workers, progress)


def person_of(split: str, index: int) -> tuple[Subject, Camera, int]:
    """Who is in a picture, the camera, and the seed of light and background."""
    seed = FIRST_SEED + 1000 * list(COUNTS).index(split) + index
    rng = stream(seed, _PLACE)
    occluder = OCCLUDERS[int(rng.integers(len(OCCLUDERS)))] if rng.random() < COVERED else None
    subject = random_subject(seed, occluder=occluder)
    size = (int(rng.integers(*_SIZES)), int(rng.integers(*_SIZES)))
    yaw = float(np.clip(rng.normal(0, 22), -60, 60))
    pitch, roll = np.clip(rng.normal(0, 9, 2), -25, 25)
    distance = float(rng.uniform(500, 1500))
    fill = float(rng.uniform(230, 380))
    target = subject.middle - np.array([0, 0, 40]) + rng.normal(0, 0.05, 3) * fill
    camera = orbit_camera(yaw, float(pitch), distance, min(size) * distance / fill, size, target, float(roll))
    return subject, camera, seed


def _write_picture(home: Path, split: str, index: int) -> None:
    subject, camera, seed = person_of(split, index)
    picture = render(subject, camera, seed=seed)
    name = f"{index:06d}_0"
    Image.fromarray(picture.image).save(home / "images" / f"{name}.jpg", quality=90)
    Image.fromarray(LAPA.table()[picture.label_map]).save(home / "labels" / f"{name}.png")
    (home / "landmarks" / f"{name}.txt").write_text(points_text(points_106(picture.landmarks)), encoding="utf-8")


def points_106(points: Array) -> Array:
    """(68, 2) iBUG points -> (106, 2) in LaPa's order."""
    brows = [np.concatenate([points[i : i + 5], _between(points[i : i + 5], 4)[::-1]]) for i in (17, 22)]
    centres = [points[i : i + 6].mean(axis=0, keepdims=True) for i in (36, 42)]
    eyes = [np.concatenate([_eye(points[i : i + 6]), centre]) for i, centre in zip((36, 42), centres, strict=True)]
    nose = [points[27:31], _between(points[31:36], 11)]
    return np.concatenate([_between(points[:17], 33), *brows, *nose, *eyes, points[48:68], *centres])


def _between(line: Array, count: int) -> Array:
    """(count, 2) places along a line through (n, 2) points, evenly by the points' numbers."""
    at = np.linspace(0, len(line) - 1, count)
    return np.stack([np.interp(at, np.arange(len(line)), values) for values in line.T], axis=1)


def _eye(six: Array) -> Array:
    """(6, 2) around an eye -> (8, 2), with one more in the middle of either lid."""
    upper, lower = six[[1, 2]].mean(axis=0), six[[4, 5]].mean(axis=0)
    return np.stack([six[0], six[1], upper, six[2], six[3], six[4], lower, six[5]])


def points_text(points: Array) -> str:
    """The content of a landmark file."""
    return f"{len(points)}\n" + "".join(f"{x:.4f} {y:.4f}\n" for x, y in points)
