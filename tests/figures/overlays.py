"""What the regressors see in pictures: their meshes over mirror pictures and, where they are at hand, real photographs.

python -m tests.figures.overlays FILE.png [method ...]
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from harness.datasets.now import Now
from harness.methods.regression.adapter import RegressorAdapter
from harness.samples import Prediction, Sample, View

METHODS = ("deca", "emoca", "smirk", "teaser")
OPEN_DATA = Path(__file__).resolve().parents[2] / "../shared/data"
TILE = (260, 320)
MIRROR_PICTURES = (0, 60, 150, 250)


def views() -> list[tuple[View, str]]:
    """Pictures with the track that finds the face in them."""
    samples = Now("mirror", "data").samples()
    found = [(samples[i].views[0], "shared") for i in MIRROR_PICTURES]
    for file in sorted((OPEN_DATA / "photos68").glob("*.[jp][pn]g")):
        points = np.loadtxt(file.with_suffix(".pts"), skiprows=3, comments="}") - 1
        found.append((View(image=file, landmarks=points), "landmarks"))
    scan = OPEN_DATA / "h3ds" / "james" / "image"
    return found + [(View(image=file), "own") for file in sorted(scan.glob("img_000[035].jpg"))]


def drawn(view: View, found: Prediction) -> np.ndarray:
    """The picture with the wire of what faces the camera, and the landmarks."""
    image = Image.fromarray(view.read_image())
    pen, dot = ImageDraw.Draw(image), 2 * max(image.size) / 400
    if found.failure is not None:
        pen.text((4, 4), found.failure, fill=(255, 0, 0))
    elif found.projection is not None and found.vertices is not None and found.faces is not None:
        pixels = found.vertices @ found.projection[:2, :3].T + found.projection[:2, 3]
        a, b, c = (pixels[found.faces[:, i]] for i in range(3))
        towards = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0] < 0
        for triangle in found.faces[towards][::3]:
            pen.polygon([tuple(pixels[i]) for i in triangle], outline=(0, 255, 0))
        for x, y in found.landmarks_2d if found.landmarks_2d is not None else ():
            pen.ellipse((x - dot, y - dot, x + dot, y + dot), fill=(255, 0, 0))
    image.thumbnail(TILE)
    tile = Image.new("RGB", TILE)
    tile.paste(image)
    return np.asarray(tile)


def row(method: str) -> np.ndarray:
    """One method on all pictures."""
    tiles = []
    for view, track in views():
        cls = getattr(importlib.import_module(f"harness.methods.{method}.adapter"), f"{method.capitalize()}Adapter")
        adapter: RegressorAdapter = cls(track=track)
        adapter.load(torch.device("cpu"))
        tiles.append(drawn(view, adapter.predict([Sample("x", "s", (view,))])[0]))
    return np.hstack(tiles)


if __name__ == "__main__":
    file, *methods = sys.argv[1:]
    Image.fromarray(np.vstack([row(method) for method in methods or METHODS])).save(file)
