"""What methods of faces in the picture make of it: label maps and points, on mirrors and the open photographs.

python -m tests.figures.face_pictures FILE.png [method]

Of LaPa's mirror: picture, truth, answer. Of 300W's mirror and the photographs: true points green, found ones red.
"""

from __future__ import annotations

import importlib
import sys

import numpy as np
import torch
from PIL import Image, ImageDraw

from harness.adapter import MethodAdapter
from harness.datasets.lapa import Lapa
from harness.datasets.point_files import face_box, read_pts
from harness.datasets.w300 import W300
from harness.protocols.labels import LAPA
from harness.samples import Sample, View
from tests.figures.overlays import OPEN_DATA

SIDE, COLUMNS = 180, 6
PARSED, POINTED = range(0, 84, 7), (*range(0, 44, 6), *range(44, 64, 5))
COLOURS = np.array(
    [
        *((0, 0, 0), (230, 180, 150), (140, 80, 30), (200, 140, 60), (60, 120, 255), (0, 220, 255)),
        *((255, 120, 0), (255, 0, 90), (120, 0, 0), (200, 0, 200), (90, 60, 160)),
    ],
    dtype=np.uint8,
)


def adapter_of(method: str) -> MethodAdapter:
    """The shipped one."""
    module = importlib.import_module(f"harness.methods.{method}.adapter")
    found: MethodAdapter = getattr(module, "".join(part.capitalize() for part in method.split("_")))()
    found.load(torch.device("cpu"))
    return found


def tile(pixels: np.ndarray) -> np.ndarray:
    """Made square and small."""
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.NEAREST))


def parsed(method: MethodAdapter) -> list[np.ndarray]:
    """Three tiles of each picture."""
    data, table, tiles = Lapa("mirror", "data"), LAPA.table(), []
    for sample in (data.samples()[i] for i in PARSED):
        truth, answer = data.truth(sample).maps["lapa"], method.predict([sample])[0].label_map
        assert answer is not None
        tiles += [tile(x) for x in (sample.views[0].read_image(), COLOURS[truth], COLOURS[table[answer]])]
    return tiles


def pointed(method: MethodAdapter) -> list[np.ndarray]:
    """A tile of each picture."""
    data = W300("mirror", "data")
    every = [(sample, data.truth(sample).points) for sample in (data.samples()[i] for i in POINTED)]
    for file in sorted((OPEN_DATA / "photos68").glob("*.[jp][pn]g")):
        points = read_pts(file.with_suffix(".pts"), 68)
        every.append((Sample(file.stem, file.stem, (View(file, box=face_box(points)),)), points))
    tiles = []
    for sample, truth in every:
        image = Image.fromarray(sample.views[0].read_image())
        pen, dot = ImageDraw.Draw(image), max(image.size) / 120
        answer = method.predict([sample])[0].landmarks_2d
        assert answer is not None
        for points, colour in ((truth, (0, 255, 0)), (answer, (255, 0, 0))):
            for x, y in points:
                pen.ellipse((x - dot, y - dot, x + dot, y + dot), fill=colour)
        tiles.append(tile(np.asarray(image)))
    return tiles


def main(file: str, name: str = "paco_fr") -> None:
    """Writes the sheet."""
    method = adapter_of(name)
    tiles = parsed(method) + pointed(method)
    tiles += [np.zeros((SIDE, SIDE, 3), np.uint8)] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    Image.fromarray(np.vstack(rows)).save(file)


if __name__ == "__main__":
    main(*sys.argv[1:])
