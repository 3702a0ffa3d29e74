"""A page of many subjects, to look at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from harness.heads.head import Head
from harness.synthesis.cameras import random_camera
from harness.synthesis.render import render
from harness.synthesis.subject import random_subject, stream

_CAMERA = 20


def contact_sheet(
    path: Path,
    count: int = 24,
    size: int = 256,
    columns: int = 6,
    first_seed: int = 0,
    yaw_deg: tuple[float, ...] = (0, 40, -25, 70),
    head: Head | None = None,
) -> None:
    """Writes a PNG of `count` subjects with seeds from `first_seed` on, `size` pixels each, yaws in turn."""
    rows = -(-count // columns)
    page = np.zeros((rows * size, columns * size, 3), np.uint8)
    for index in range(count):
        seed = first_seed + index
        subject = random_subject(seed, head)
        camera = random_camera(stream(seed, _CAMERA), subject.middle, size, yaw_deg[index % len(yaw_deg)])
        row, column = divmod(index, columns)
        tile = page[row * size : (row + 1) * size, column * size : (column + 1) * size]
        tile[:] = render(subject, camera, seed=seed).image
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(page).save(path)
