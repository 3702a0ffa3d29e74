"""The synthetic stand-in for CelebAMask-HQ, in its layout: upright portraits with a mask for each part that is seen.

Pictures are drawn at the masks' size and enlarged. Nobody wears glasses, hats or jewels, so that the mean over all
classes, as the official program has it, is not defined here; masks do not overlap as hand-drawn ones do. Everything is
random by seed and equal on each run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from harness.datasets.portraits import Portraits
from harness.heads.head import PARTS
from harness.samples import Camera
from harness.synthesis.batch import write_all
from harness.synthesis.render import render
from harness.synthesis.subject import MIRROR_SEEDS, Subject

FIRST_SEED = MIRROR_SEEDS + 70_000
COUNTS = {"train": 2, "val": 2, "test": 30}
LOOKS = Portraits((512, 513), (512, 513), yaw=15.0, lean=5.0, fill=(260.0, 330.0), covered=0.0)
MASKS = {
    "skin": "skin",
    "nose": "nose",
    "hair": "hair",
    "neck": "neck",
    "cloth": "cloth",
    "mouth": "inner_mouth",
    "u_lip": "upper_lip",
    "l_lip": "lower_lip",
    **{f"{side[0]}_{part}": f"{side}_{part}" for side in ("left", "right") for part in ("brow", "eye", "ear")},
}
"""Suffix of a mask's file -> part. Sides are the image's."""
PARTITION = {"train": 0, "val": 1, "test": 2}


def write_celebamask_hq_mirror(
    folder: Path,
    progress: Callable[[float], None] | None = None,
    counts: Mapping[str, int] = COUNTS,
    workers: int = 2,
) -> None:
    """Writes the mirror; the defaults take about half a minute on two cores.

    Args:
        folder: gets pictures, masks and lists.
        progress: called with the finished share, 0..1.
        counts: pictures in each split.
        workers: processes; 1 works in this one.
    """
    (folder / "CelebA-HQ-img").mkdir(parents=True, exist_ok=True)
    (folder / "CelebAMask-HQ-mask-anno/0").mkdir(parents=True, exist_ok=True)
    splits = [split for split, count in counts.items() for _ in range(count)]
    mapping, partition = ["idx orig_idx orig_file"], []
    for number, split in enumerate(splits):
        original = len(splits) - number  # CelebA's own numbers are others
        mapping.append(f"{number} {original - 1} {original:06d}.jpg")
        partition.append(f"{original:06d}.jpg {PARTITION[split]}")
    (folder / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(mapping) + "\n", encoding="utf-8")
    (folder / "list_eval_partition.txt").write_text("\n".join(sorted(partition)) + "\n", encoding="utf-8")
    write_all(_write_picture, [(folder, number) for number in range(len(splits))], workers, progress)


def person_of(number: int) -> tuple[Subject, Camera, int]:
    """Who is in a picture, the camera, and the seed of light and background."""
    return *LOOKS.person(FIRST_SEED + number), FIRST_SEED + number


def _write_picture(folder: Path, number: int) -> None:
    subject, camera, seed = person_of(number)
    picture = render(subject, camera, seed=seed)
    large = Image.fromarray(picture.image).resize((1024, 1024), Image.Resampling.BICUBIC)
    large.save(folder / "CelebA-HQ-img" / f"{number}.jpg", quality=90)
    for suffix, part in MASKS.items():
        mask = picture.label_map == PARTS.index(part)
        if mask.any():
            grey = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))
            grey.save(folder / "CelebAMask-HQ-mask-anno/0" / f"{number:05d}_{suffix}.png")
