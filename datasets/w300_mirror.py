"""The synthetic stand-in for 300W, in its layout: faces in everyday poses, and a set of hard ones.

The points are those of the head model in three dimensions: where a cheek hides the jaw, 300W's annotators follow the
contour that is seen, and this mirror the jaw. Everything is random by seed and equal on each run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from harness.samples import Array, Camera
from harness.synthesis.batch import write_all
from harness.synthesis.cameras import orbit_camera
from harness.synthesis.clothes import OCCLUDERS
from harness.synthesis.render import render
from harness.synthesis.subject import MIRROR_SEEDS, Subject, random_subject, stream

FIRST_SEED = MIRROR_SEEDS + 50_000
COUNTS = {"helen/testset": 24, "lfpw/testset": 20, "ibug": 20}
SUFFIXES = {"helen/testset": ".jpg", "lfpw/testset": ".png", "ibug": ".jpg"}
HARD = "ibug"
BLANK = 9
"""The picture of the hard set whose name has a blank, as one of the original's has."""

_PLACE = 80
_SIZES = ((260, 380), (230, 330))
"""Ranges of width and height in pixels."""


def write_w300_mirror(
    folder: Path,
    progress: Callable[[float], None] | None = None,
    counts: Mapping[str, int] = COUNTS,
    workers: int = 2,
) -> None:
    """Writes the mirror; the defaults take about half a minute on two cores.

    Args:
        folder: gets `helen`, `lfpw` and `ibug`.
        progress: called with the finished share, 0..1.
        counts: pictures in each folder.
        workers: processes; 1 works in this one.
    """
    jobs = [(folder, place, index) for place, count in counts.items() for index in range(count)]
    for place in counts:
        (folder / place).mkdir(parents=True, exist_ok=True)
    write_all(_write_picture, jobs, workers, progress)


def picture_name(place: str, index: int) -> str:
    """Without suffix; numbers as in the original."""
    return f"image_{index + 1:03d}" + (" _01" if (place, index) == (HARD, BLANK) else "")


def person_of(place: str, index: int) -> tuple[Subject, Camera, int]:
    """Who is in a picture, the camera, and the seed of light and background."""
    seed = FIRST_SEED + 1000 * list(COUNTS).index(place) + index
    rng, hard = stream(seed, _PLACE), place == HARD
    occluder = OCCLUDERS[int(rng.integers(len(OCCLUDERS)))] if hard and rng.random() < 0.4 else None
    subject = random_subject(seed, occluder=occluder)
    size = (int(rng.integers(*_SIZES[0])), int(rng.integers(*_SIZES[1])))
    return subject, _camera(rng, subject, size, hard), seed


def _camera(rng: np.random.Generator, subject: Subject, size: tuple[int, int], hard: bool) -> Camera:
    """The face fills a third to two thirds of the picture's height; hard ones turn up to 45 degrees and tilt."""
    yaw = float(rng.uniform(-45, 45) if hard else np.clip(rng.normal(0, 16), -40, 40))
    pitch = float(np.clip(rng.normal(0, 12 if hard else 6), -30, 30))
    roll = float(np.clip(rng.normal(0, 18 if hard else 6), -45, 45))
    distance = float(rng.uniform(500, 1500))
    fill = float(rng.uniform(190, 320))
    target = subject.middle - np.array([0, 0, 40]) + rng.normal(0, 0.06, 3) * fill
    return orbit_camera(yaw, pitch, distance, min(size) * distance / fill, size, target, roll)


def _write_picture(folder: Path, place: str, index: int) -> None:
    subject, camera, seed = person_of(place, index)
    picture = render(subject, camera, seed=seed)
    home = folder / place / picture_name(place, index)
    Image.fromarray(picture.image).save(home.with_name(home.name + SUFFIXES[place]), quality=90)
    home.with_name(f"{home.name}.pts").write_text(pts_text(picture.landmarks), encoding="utf-8")


def pts_text(points: Array) -> str:
    """The content of a `.pts` file: pixels counted from 1."""
    lines = "".join(f"{x:.6f} {y:.6f}\n" for x, y in points + 1.0)
    return f"version: 1\nn_points: {len(points)}\n{{\n{lines}}}\n"
