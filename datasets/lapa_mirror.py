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

from harness.datasets.portraits import Portraits, between, brow, eye
from harness.protocols.labels import LAPA
from harness.samples import Array, Camera
from harness.synthesis.batch import write_all
from harness.synthesis.render import render
from harness.synthesis.subject import MIRROR_SEEDS, Subject

FIRST_SEED = MIRROR_SEEDS + 60_000
COUNTS = {"train": 12, "val": 8, "test": 100}
LOOKS = Portraits()


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
    return *LOOKS.person(seed), seed


def _write_picture(home: Path, split: str, index: int) -> None:
    subject, camera, seed = person_of(split, index)
    picture = render(subject, camera, seed=seed)
    name = f"{index:06d}_0"
    Image.fromarray(picture.image).save(home / "images" / f"{name}.jpg", quality=90)
    Image.fromarray(LAPA.table()[picture.label_map]).save(home / "labels" / f"{name}.png")
    (home / "landmarks" / f"{name}.txt").write_text(points_text(points_106(picture.landmarks)), encoding="utf-8")


def points_106(points: Array) -> Array:
    """(68, 2) iBUG points -> (106, 2) in LaPa's order."""
    brows = [brow(points[i : i + 5]) for i in (17, 22)]
    centres = [points[i : i + 6].mean(axis=0, keepdims=True) for i in (36, 42)]
    eyes = [np.concatenate([eye(points[i : i + 6]), centre]) for i, centre in zip((36, 42), centres, strict=True)]
    nose = [points[27:31], between(points[31:36], 11)]
    return np.concatenate([between(points[:17], 33), *brows, *nose, *eyes, points[48:68], *centres])


def points_text(points: Array) -> str:
    """The content of a landmark file."""
    return f"{len(points)}\n" + "".join(f"{x:.4f} {y:.4f}\n" for x, y in points)
