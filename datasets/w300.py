"""300W (Sagonas et al., ICCVW 2013): photographs with 68 hand-placed points each, in the layout of its archives.

`helen/testset` (330) and `lfpw/testset` (224) make the common set, `ibug` (135) the challenging one, both together the
full one; an image stands beside its `.pts` file, whose pixels count from 1. The training sets and the private test
set of 600 are not used.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from PIL import Image

from harness.benchmark import Access, DataKind, Dataset
from harness.data import check_complete, locate
from harness.datasets.point_files import (
    IBUG68,
    REMEDY,
    check_inside,
    check_order,
    face_box,
    plain_name,
    read_pts,
)
from harness.errors import DataError, HarnessError
from harness.protocols.landmarks import LandmarkTruth
from harness.samples import Sample, View

log = logging.getLogger(__name__)

FOLDERS = {"helen/testset": ("common", 330), "lfpw/testset": ("common", 224), "ibug": ("challenge", 135)}
"""Folder -> its subset, and how many pictures it has."""
SPLITS = {"full": ("common", "challenge"), "common": ("common",), "challenge": ("challenge",)}
SUFFIXES = (".jpg", ".png", ".jpeg")


class W300(Dataset):
    """Reader of the official layout.

    A sample's id is `<folder>__<file>`, blanks replaced; its condition names the subset; the table's row over all
    is what papers call full. Who is in the pictures is not known: each is a subject of its own. A view has a face
    box, that of the true points with some forehead, and not the points themselves.
    """

    name: ClassVar[str] = "300w"
    access: ClassVar[Access] = Access.CLICK_THROUGH
    ask_at: ClassVar[str] = "https://ibug.doc.ic.ac.uk/resources/facial-point-annotations/"
    mirror_version: ClassVar[str] = "mirror-1"

    def __init__(self, data: str, data_root: str | Path, split: str = "full") -> None:
        """Finds the files and reads the points.

        Args:
            data: "real", "mirror" or "auto".
            data_root: folder that holds `300w/`.
            split: "full", "common" or "challenge".

        Raises:
            DataError: files are missing (the first are named), or points are not those of a face.
            HarnessError: there is no such split.
        """
        if split not in SPLITS:
            raise HarnessError(f"bench.split={split}: expected {', '.join(SPLITS)}")
        location = locate(type(self), data, data_root)
        self.folder, self.kind, self._mirror = location.folder, location.kind, location.mirror_version
        self.pictures: dict[str, Path] = {}
        self.subsets: dict[str, str] = {}
        for folder, (subset, count) in FOLDERS.items():
            if subset in SPLITS[split]:
                self._add(folder, subset, count)
        check_complete(self)
        self.points = {name: read_pts(path.with_suffix(".pts"), 68) for name, path in self.pictures.items()}
        for name, points in self.points.items():
            check_order(self.pictures[name].with_suffix(".pts"), points, IBUG68)

    def _add(self, folder: str, subset: str, count: int) -> None:
        found = sorted(path for path in (self.folder / folder).glob("*.pts") if not path.name.startswith("."))
        if not found:
            raise DataError(
                f"{self.folder / folder}: has no .pts file; unpack the archives of {self.ask_at} so that it has "
                f"{count}, or use data=mirror"
            )
        if self.kind is DataKind.REAL and len(found) != count:
            log.warning("%s: has %d annotated pictures, the official %d", self.folder / folder, len(found), count)
        for path in found:
            name = f"{folder.replace('/', '_')}__{plain_name(path.stem)}"
            if name in self.pictures:
                raise DataError(f"{path}: its name differs from another's in blanks or signs only; {REMEDY}")
            self.pictures[name], self.subsets[name] = picture_of(path), subset

    @staticmethod
    def write_mirror(folder: Path, progress: Callable[[float], None]) -> None:
        """Writes the synthetic stand-in."""
        from harness.datasets.w300_mirror import write_w300_mirror

        write_w300_mirror(folder, progress)

    @property
    def version(self) -> str:
        """The data set has one version only; the mirror has its own."""
        return "300w" if self.kind is DataKind.REAL else self._mirror

    def samples(self) -> Sequence[Sample]:
        """One sample per picture: the common ones first, in the order of their names."""
        return [
            Sample(
                id=name,
                subject=name,
                views=(View(image=path, box=face_box(self.points[name])),),
                condition={"subset": self.subsets[name]},
            )
            for name, path in self.pictures.items()
        ]

    def truth(self, sample: Sample) -> LandmarkTruth:
        """The picture's points. Raises DataError if most of them lie outside the picture."""
        path, points = self.pictures[sample.id], self.points[sample.id]
        check_inside(path.with_suffix(".pts"), points, size_of(path))
        return LandmarkTruth(points)

    def files(self) -> Sequence[Path]:
        """Pictures and points."""
        return [file for path in self.pictures.values() for file in (path, path.with_suffix(".pts"))]


def picture_of(path: Path) -> Path:
    """The picture beside an annotation; where there is none, a name that does not exist."""
    candidates = (path.with_suffix(suffix) for suffix in SUFFIXES)
    return next((file for file in candidates if file.is_file()), path.with_suffix(SUFFIXES[0]))


def size_of(path: Path) -> tuple[int, int]:
    """Width and height of a picture, whose pixels are not read. Raises DataError if it cannot be read."""
    try:
        with Image.open(path) as image:
            return image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: cannot be read as an image ({error}); {REMEDY}") from None
