"""The synthetic stand-in for WFLW, in its layout: one face a picture, with the attributes that a picture can show.

The 98 points are made of the 68 of iBUG, in between where WFLW has more. Nobody wears make-up, so that this subset is
empty. Everything is random by seed and equal on each run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from harness.datasets.portraits import Portraits, between, brow, eye
from harness.samples import Array, Camera
from harness.synthesis.batch import write_all
from harness.synthesis.render import render
from harness.synthesis.subject import MIRROR_SEEDS, Subject, stream

FIRST_SEED = MIRROR_SEEDS + 80_000
COUNTS = {"train": 6, "test": 60}
LOOKS = Portraits((200, 300), (200, 300), yaw=28.0, lean=11.0, covered=0.25)
DARK, BLURRED = 0.2, 0.2
"""Shares of pictures that are darkened, or blurred."""
LARGE_POSE, STRONG_EXPRESSION = 35.0, 0.9
"""Degrees of yaw, and sum of the expression's coefficients, from which on an attribute is set."""

_FINISH = 91


def write_wflw_mirror(
    folder: Path,
    progress: Callable[[float], None] | None = None,
    counts: Mapping[str, int] = COUNTS,
    workers: int = 2,
) -> None:
    """Writes the mirror; the defaults take about a quarter of a minute on two cores.

    Args:
        folder: gets pictures and lists.
        progress: called with the finished share, 0..1.
        counts: pictures in each split.
        workers: processes; 1 works in this one.
    """
    lists = folder / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
    lists.mkdir(parents=True, exist_ok=True)
    for split, count in counts.items():
        (folder / "WFLW_images" / split).mkdir(parents=True, exist_ok=True)
        lines = [line_of(split, index) for index in range(count)]
        (lists / f"list_98pt_rect_attr_{split}.txt").write_text("".join(lines), encoding="utf-8")
    jobs = [(folder, split, index) for split, count in counts.items() for index in range(count)]
    write_all(_write_picture, jobs, workers, progress)


def person_of(split: str, index: int) -> tuple[Subject, Camera, int]:
    """Who is in a picture, the camera, and the seed of light and background."""
    seed = FIRST_SEED + 1000 * list(COUNTS).index(split) + index
    return *LOOKS.person(seed), seed


def _finish(seed: int) -> tuple[bool, bool]:
    """Whether a picture is darkened, and whether it is blurred."""
    dark, blurred = stream(seed, _FINISH).random(2) < (DARK, BLURRED)
    return bool(dark), bool(blurred)


def line_of(split: str, index: int) -> str:
    """A face in the list: points, box, attributes, path."""
    subject, camera, seed = person_of(split, index)
    points = points_98(camera.project(subject.landmarks.astype(np.float64)))
    low, high = points.min(axis=0), points.max(axis=0)
    box = np.round([low[0], low[1] - 0.1 * (high[1] - low[1]), *high]).astype(int)
    towards = camera.centre - subject.middle
    yaw = abs(np.degrees(np.arctan2(towards[0], towards[2])))
    dark, blurred = _finish(seed)
    covered = any(surface.name in ("glasses", "hand", "scarf") for surface in subject.surfaces)
    flags = (yaw > LARGE_POSE, subject.expression.sum() > STRONG_EXPRESSION, dark, False, covered, blurred)
    words = [*(f"{value:.6f}" for value in points.ravel()), *map(str, box), *(str(int(flag)) for flag in flags)]
    return " ".join([*words, f"{split}/{index:04d}.jpg"]) + "\n"


def _write_picture(folder: Path, split: str, index: int) -> None:
    subject, camera, seed = person_of(split, index)
    picture = Image.fromarray(render(subject, camera, seed=seed).image)
    dark, blurred = _finish(seed)
    picture = ImageEnhance.Brightness(picture).enhance(0.35) if dark else picture
    picture = picture.filter(ImageFilter.GaussianBlur(2.5)) if blurred else picture
    picture.save(folder / "WFLW_images" / split / f"{index:04d}.jpg", quality=90)


def points_98(points: Array) -> Array:
    """(68, 2) iBUG points -> (98, 2) in WFLW's order."""
    brows, eyes = [brow(points[i : i + 5]) for i in (17, 22)], [eye(points[i : i + 6]) for i in (36, 42)]
    centres = [points[i : i + 6].mean(axis=0, keepdims=True) for i in (36, 42)]
    return np.concatenate([between(points[:17], 33), *brows, points[27:36], *eyes, points[48:68], *centres])
