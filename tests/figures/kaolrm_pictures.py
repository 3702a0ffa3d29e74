"""What KaoLRM makes of pictures: its mesh over them, and its Gaussians from the same and from other sides.

python -m tests.figures.kaolrm_pictures FILE.png [weights]
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from harness.datasets.faceverse import FaceVerse
from harness.datasets.now import Now
from harness.methods.kaolrm.adapter import KaoLRMAdapter
from harness.methods.kaolrm.cameras import DISTANCE
from harness.methods.regression.crops import FaceError
from harness.samples import Sample, View
from harness.synthesis.cameras import orbit_camera
from tests.figures.overlays import OPEN_DATA, TILE

SIDE = 192
YAWS = (0, -40, 40)


def views() -> list[View]:
    """Pictures of both mirrors, and the open photographs and the open scan's where they are at hand."""
    faceverse, now = FaceVerse("mirror", "data").samples(), Now("mirror", "data").samples()
    found = [faceverse[i].views[0] for i in (0, 40, 200)] + [now[i].views[0] for i in (0, 150)]
    for file in sorted((OPEN_DATA / "photos68").glob("*.[jp][pn]g")):
        points = np.loadtxt(file.with_suffix(".pts"), skiprows=3, comments="}") - 1
        found.append(View(image=file, landmarks=points))
    scan = OPEN_DATA / "h3ds" / "james"
    masks = sorted(scan.glob("mask/mask_000[03].png"))
    return found + [View(scan / "image" / f"img_{mask.stem[-4:]}.jpg", mask=mask) for mask in masks]


def tile(pixels: np.ndarray) -> np.ndarray:
    """A picture in a frame of one size."""
    image = Image.fromarray(pixels)
    image.thumbnail(TILE)
    framed = Image.new("RGB", TILE, "white")
    framed.paste(image)
    return np.asarray(framed)


def row(adapter: KaoLRMAdapter, view: View) -> np.ndarray:
    """Picture, mesh over it, Gaussians from the front and from both sides."""
    pixels = view.read_image()
    (found,) = adapter.predict([Sample("one", "one", (view,))])
    over = Image.fromarray(pixels)
    pen = ImageDraw.Draw(over)
    if found.failure is not None or found.projection is None:
        pen.text((4, 4), f"{found.failure}", fill=(255, 0, 0))
    else:
        assert found.vertices is not None and found.faces is not None
        image = found.vertices @ found.projection[:, :3].T + found.projection[:, 3]
        corners = image[:, :2] / image[:, 2:]
        a, b, c = (corners[found.faces[:, i]] for i in range(3))
        towards = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0] < 0
        for triangle in found.faces[towards][::3]:
            pen.polygon([tuple(corners[i]) for i in triangle], outline=(0, 200, 0))
    cameras = [orbit_camera(yaw, 0, DISTANCE, adapter.focal * SIDE, SIDE, np.zeros(3)) for yaw in YAWS]
    try:
        drawn = adapter.draw(view, cameras)
    except FaceError:
        drawn = [np.full((SIDE, SIDE, 3), 255, np.uint8)] * len(cameras)
    return np.hstack([tile(x) for x in (pixels, np.asarray(over), *drawn)])


def main(path: Path, weights: str | None) -> None:
    """Writes the picture."""
    adapter = KaoLRMAdapter(weights=weights)
    adapter.load(torch.device("cpu"))
    Image.fromarray(np.vstack([row(adapter, view) for view in views()])).save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
