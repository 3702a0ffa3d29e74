"""LaPa (Liu et al., AAAI 2020): photographs with eleven classes of pixels and 106 points.

Layout: `train`, `val` and `test`, each with `images/*.jpg`, `labels/*.png` (a class per pixel, of the photograph's
size) and `landmarks/*.txt` (the number 106, then as many points).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from harness.benchmark import Access, DataKind, Dataset
from harness.data import check_complete, locate
from harness.datasets.label_files import read_label_map
from harness.datasets.point_files import LAPA106, REMEDY, check_order, face_box, finite_points, plain_name
from harness.datasets.w300 import size_of
from harness.errors import DataError, HarnessError
from harness.protocols.labels import LAPA
from harness.protocols.parsing import ParsingTruth
from harness.samples import Array, Sample, View

log = logging.getLogger(__name__)

PICTURES = {"train": 18_176, "val": 2_000, "test": 2_000}
POINTS = 106


class Lapa(Dataset):
    """Reader of the official layout.

    A sample's id is the photograph's name, blanks replaced. A view has a face box, that of the true points with some
    forehead, and landmarks, since published methods align faces by the true ones in tests too: see `ibug_points`.
    """

    name: ClassVar[str] = "lapa"
    access: ClassVar[Access] = Access.CLICK_THROUGH
    ask_at: ClassVar[str] = "https://github.com/lucia123/lapa-dataset"
    mirror_version: ClassVar[str] = "mirror-1"

    def __init__(self, data: str, data_root: str | Path, split: str = "test") -> None:
        """Finds the files.

        Args:
            data: "real", "mirror" or "auto".
            data_root: folder that holds `lapa/`.
            split: "train", "val" or "test".

        Raises:
            DataError: files are missing (the first are named).
            HarnessError: there is no such split.
        """
        if split not in PICTURES:
            raise HarnessError(f"bench.split={split}: expected {', '.join(PICTURES)}")
        location = locate(type(self), data, data_root)
        self.folder, self.kind, self._mirror = location.folder, location.kind, location.mirror_version
        home = self.folder / split
        found = sorted(path for path in (home / "images").glob("*.jpg") if not path.name.startswith("."))
        if not found:
            raise DataError(
                f"{home / 'images'}: has no .jpg file, expected {PICTURES[split]}; get them at {self.ask_at}"
            )
        if self.kind is DataKind.REAL and len(found) != PICTURES[split]:
            log.warning("%s: has %d photographs, the official %d", home, len(found), PICTURES[split])
        self.pictures = {plain_name(path.stem): path for path in found}
        if len(self.pictures) < len(found):
            raise DataError(f"{home / 'images'}: two names differ in blanks or signs only; {REMEDY}")
        check_complete(self)

    @staticmethod
    def write_mirror(folder: Path, progress: Callable[[float], None]) -> None:
        """Writes the synthetic stand-in."""
        from harness.datasets.lapa_mirror import write_lapa_mirror

        write_lapa_mirror(folder, progress)

    @property
    def version(self) -> str:
        """The data set has one version only; the mirror has its own."""
        return "lapa" if self.kind is DataKind.REAL else self._mirror

    def samples(self) -> Sequence[Sample]:
        """One sample per photograph, in the order of their names."""
        found = []
        for name, path in self.pictures.items():
            points = self.points(path)
            view = View(image=path, box=face_box(points), landmarks=ibug_points(points))
            found.append(Sample(id=name, subject=name, views=(view,)))
        return found

    def points(self, path: Path) -> Array:
        """(106, 2) pixels of a photograph. Raises DataError if they are not those of a face."""
        file = _beside(path, "landmarks", ".txt")
        points = read_points(file)
        check_order(file, points, LAPA106)
        return points

    def truth(self, sample: Sample) -> ParsingTruth:
        """The photograph's classes. Raises DataError if they are of another size than the photograph."""
        path = self.pictures[sample.id]
        file = _beside(path, "labels", ".png")
        classes = read_label_map(file, len(LAPA.classes))
        width, height = size_of(path)
        if classes.shape != (height, width):
            sizes = f"{classes.shape[1]}x{classes.shape[0]} pixels, the photograph {width}x{height}"
            raise DataError(f"{file}: has {sizes}; {REMEDY}")
        return ParsingTruth({"lapa": classes})

    def files(self) -> Sequence[Path]:
        """Photographs, labels and points."""
        kinds = (("images", ".jpg"), ("labels", ".png"), ("landmarks", ".txt"))
        return [_beside(path, kind, suffix) for path in self.pictures.values() for kind, suffix in kinds]


def ibug_points(points: Array) -> Array:
    """(106, 2) of LaPa -> (68, 2) of iBUG, NaN for the nose's base; an eye's six all stand at its centre.

    So the middle of an eye's points is the one by which FaRL's program aligns faces.
    """
    found = np.full((68, 2), np.nan)
    found[:17], found[17:22], found[22:27], found[27:31] = points[:33:2], points[33:38], points[42:47], points[51:55]
    found[36:42], found[42:48], found[48:68] = points[104], points[105], points[84:104]
    return found


def read_points(path: Path) -> Array:
    """(106, 2) pixels. Raises DataError if the file has another form or number of points."""
    try:
        words = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); {REMEDY}") from None
    if not words or words[0] != str(POINTS) or len(words) != 1 + 2 * POINTS:
        said = words[0][:20] if words else "nothing"
        raise DataError(
            f"{path}: begins with {said} and has {max(len(words) - 1, 0)} numbers, expected 106 and 212; {REMEDY}"
        )
    return finite_points(path, [words[i : i + 2] for i in range(1, len(words), 2)])


def _beside(picture: Path, kind: str, suffix: str) -> Path:
    return picture.parents[1] / kind / f"{picture.stem}{suffix}"
