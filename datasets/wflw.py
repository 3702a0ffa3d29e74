"""WFLW (Wu et al., CVPR 2018): photographs with 98 points per face, and what makes a face hard.

Layout: `WFLW_images/<event>/<file>.jpg` and, in `WFLW_annotations/list_98pt_rect_attr_train_test`, lists with a face
per line: 196 coordinates, the face box (left, top, right, bottom), six 0 or 1 (ATTRIBUTES), the photograph's path.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np

from harness.benchmark import Access, DataKind, Dataset
from harness.data import check_complete, locate
from harness.datasets.point_files import REMEDY, WFLW98, check_inside, check_order, finite_points, plain_name
from harness.datasets.w300 import size_of
from harness.errors import DataError, HarnessError
from harness.protocols.landmarks import LandmarkTruth
from harness.protocols.subsets import joined
from harness.samples import Array, Sample, View

log = logging.getLogger(__name__)

FACES = {"train": 7_500, "test": 2_500}
ATTRIBUTES = ("pose", "expression", "illumination", "make_up", "occlusion", "blur")
POINTS = 98
_WORDS = 2 * POINTS + 4 + len(ATTRIBUTES) + 1


@dataclass(frozen=True, eq=False)
class Face:
    """One line of a list: points (98, 2) and box (4,) in pixels, the subsets that it is in, the photograph's path."""

    points: Array
    box: Array
    subsets: tuple[str, ...]
    path: str


class Wflw(Dataset):
    """Reader of the official layout.

    A sample is one face of a photograph; its id is the line in the list and the file's name; its condition names every
    subset that it is in, of which a table has a row each, and one over all.
    """

    name: ClassVar[str] = "wflw"
    access: ClassVar[Access] = Access.CLICK_THROUGH
    ask_at: ClassVar[str] = "https://wywu.github.io/projects/LAB/WFLW.html"
    mirror_version: ClassVar[str] = "mirror-1"

    def __init__(self, data: str, data_root: str | Path, split: str = "test") -> None:
        """Reads the list and finds the photographs.

        Args:
            data: "real", "mirror" or "auto".
            data_root: folder that holds `wflw/`.
            split: "train" or "test".

        Raises:
            DataError: files are missing (the first are named), or a line of the list has another form.
            HarnessError: there is no such split.
        """
        if split not in FACES:
            raise HarnessError(f"bench.split={split}: expected {' or '.join(FACES)}")
        location = locate(type(self), data, data_root)
        self.folder, self.kind, self._mirror = location.folder, location.kind, location.mirror_version
        lists = self.folder / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
        self.list = lists / f"list_98pt_rect_attr_{split}.txt"
        self.faces = {_id(number, face): face for number, face in enumerate(read_faces(self.list), start=1)}
        if self.kind is DataKind.REAL and len(self.faces) != FACES[split]:
            log.warning("%s: has %d faces, the official %d", self.list, len(self.faces), FACES[split])
        check_complete(self)

    @staticmethod
    def write_mirror(folder: Path, progress: Callable[[float], None]) -> None:
        """Writes the synthetic stand-in."""
        from harness.datasets.wflw_mirror import write_wflw_mirror

        write_wflw_mirror(folder, progress)

    @property
    def version(self) -> str:
        """The data set has one version only; the mirror has its own."""
        return "wflw" if self.kind is DataKind.REAL else self._mirror

    def samples(self) -> Sequence[Sample]:
        """One sample per face, in the order of the list."""
        return [
            Sample(
                id=name,
                subject=name,
                views=(View(image=self._picture(face), box=face.box),),
                condition={"subset": joined(face.subsets)},
            )
            for name, face in self.faces.items()
        ]

    def truth(self, sample: Sample) -> LandmarkTruth:
        """The face's points and its box. Raises DataError if most of the points lie outside the photograph."""
        face = self.faces[sample.id]
        check_inside(f"{self.list}, {sample.id}", face.points, size_of(self._picture(face)))
        return LandmarkTruth(face.points, "wflw98", face.box)

    def files(self) -> Sequence[Path]:
        """The list and the photographs."""
        return [self.list, *dict.fromkeys(map(self._picture, self.faces.values()))]

    def _picture(self, face: Face) -> Path:
        return self.folder / "WFLW_images" / face.path


def read_faces(path: Path) -> list[Face]:
    """The faces of a list. Raises DataError if it is missing or empty, or a line has another form."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); {REMEDY}") from None
    faces = [_face(f"{path}, line {number}", line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    if not faces:
        raise DataError(f"{path}: has no face; {REMEDY}")
    return faces


def _face(where: str, words: list[str]) -> Face:
    if len(words) != _WORDS:
        raise DataError(f"{where}: has {len(words)} words, expected {_WORDS}: 196 + 4 + 6 numbers and a path; {REMEDY}")
    numbers = finite_points(where, [words[i : i + 2] for i in range(0, 2 * POINTS + 4, 2)])
    points, box = numbers[:POINTS], numbers[POINTS:].ravel()
    check_order(where, points, WFLW98)
    if not (box[0] < box[2] and box[1] < box[3]):
        raise DataError(f"{where}: left, top, right, bottom are {box.tolist()}, which is no box; {REMEDY}")
    flags = words[2 * POINTS + 4 : -1]
    if not set(flags) <= {"0", "1"}:
        raise DataError(f"{where}: the six attributes are {' '.join(flags)[:60]!r}, expected 0 or 1 each; {REMEDY}")
    inside = PurePosixPath(words[-1])
    if inside.is_absolute() or ".." in inside.parts:
        raise DataError(f"{where}: the path {words[-1][:80]!r} leaves the data set's folder; {REMEDY}")
    chosen = tuple(name for name, flag in zip(ATTRIBUTES, flags, strict=True) if flag == "1")
    return Face(points, np.asarray(box), chosen, words[-1])


def _id(number: int, face: Face) -> str:
    return f"{number:04d}__{plain_name(PurePosixPath(face.path).stem)}"
