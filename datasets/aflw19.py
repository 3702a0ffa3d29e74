"""AFLW-19 (Koestinger et al., ICCVW 2011; the 19 points of Zhu et al., CVPR 2016): faces of every pose.

Layout: `AFLWinfo_release.mat` with a face per row of `data` (x1..x19, y1..y19), `bbox` (left, right, top, bottom),
`mask_new` (whether a point is seen), `nameList` (its photograph) and `ra`, a permutation counted from 1 whose first
20,000 faces are for training; photographs as AFLW's archive has them, in `data/flickr/<folder>/<file>.jpg`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from harness.benchmark import Access, DataKind, Dataset
from harness.data import check_complete, locate
from harness.datasets.point_files import AFLW19, REMEDY, check_order, plain_name
from harness.errors import DataError, HarnessError
from harness.protocols.landmarks import LandmarkTruth
from harness.protocols.subsets import joined
from harness.samples import Array, Sample, View

log = logging.getLogger(__name__)

POINTS = 19
FACES, TRAINING, FRONTAL = 24_386, 20_000, 1_314
FIELDS = {"data": 2 * POINTS, "bbox": 4, "mask_new": POINTS}
"""Numbers in a row of each table."""
SPLITS = ("train", "test")
LARGEST_FILE = 200_000_000  # bytes; the official file has some 10 million


@dataclass(frozen=True, eq=False)
class Face:
    """A row: points (19, 2) and box (4,) left, top, right, bottom in pixels, whether all are seen, the photograph."""

    points: Array
    box: Array
    frontal: bool
    path: Path


class Aflw19(Dataset):
    """Reader of the official layout.

    A sample is one face of a photograph; its id is its row and the file's name; the table's row over all is what papers
    call full, that of the subset "frontal" the faces whose points are all seen. All points count, seen or not.
    """

    name: ClassVar[str] = "aflw19"
    access: ClassVar[Access] = Access.SIGNED_FORM
    ask_at: ClassVar[str] = "https://www.tugraz.at/institute/icg/research/team-bischof/lrs/downloads/aflw/"
    mirror_version: ClassVar[str] = "mirror-1"

    def __init__(self, data: str, data_root: str | Path, split: str = "test") -> None:
        """Reads the tables and finds the photographs.

        Args:
            data: "real", "mirror" or "auto".
            data_root: folder that holds `aflw19/`.
            split: "train" or "test".

        Raises:
            DataError: files are missing (the first are named), or a table has another form.
            HarnessError: there is no such split.
        """
        if split not in SPLITS:
            raise HarnessError(f"bench.split={split}: expected {' or '.join(SPLITS)}")
        location = locate(type(self), data, data_root)
        self.folder, self.kind, self._mirror = location.folder, location.kind, location.mirror_version
        self.table = self.folder / "AFLWinfo_release.mat"
        tables = read_tables(self.table)
        # A mirror has fewer faces, in the same proportion.
        first = round(len(tables["data"]) * TRAINING / FACES)
        order = tables["ra"][:first] if split == "train" else tables["ra"][first:]
        self.faces = dict(self._face(tables, int(row)) for row in order)
        frontal = sum(face.frontal for face in self.faces.values())
        if self.kind is DataKind.REAL and split == "test" and (len(self.faces), frontal) != (FACES - TRAINING, FRONTAL):
            log.warning(
                "%s: the test has %d faces, %d of them frontal; the official one %d and %d",
                *(self.table, len(self.faces), frontal, FACES - TRAINING, FRONTAL),
            )
        check_complete(self)

    def _face(self, tables: Mapping[str, Array], row: int) -> tuple[str, Face]:
        points = tables["data"][row].reshape(2, POINTS).T
        left, right, top, bottom = tables["bbox"][row]
        where = f"{self.table}, row {row + 1}"
        check_order(where, points, AFLW19)
        if not (left < right and top < bottom):
            raise DataError(f"{where}: left, right, top, bottom are {tables['bbox'][row].tolist()}, no box; {REMEDY}")
        name = PurePosixPath(str(tables["nameList"][row]))
        if name.is_absolute() or ".." in name.parts:
            raise DataError(f"{where}: the path {str(name)[:80]!r} leaves the data set's folder; {REMEDY}")
        path = self.folder / "data" / "flickr" / name.with_suffix(".jpg")
        frontal = bool(tables["mask_new"][row].all())
        face = Face(points, np.array([left, top, right, bottom]), frontal, path)
        return f"{row + 1:05d}__{plain_name(name.stem)}", face

    @staticmethod
    def write_mirror(folder: Path, progress: Callable[[float], None]) -> None:
        """Writes the synthetic stand-in."""
        from harness.datasets.aflw19_mirror import write_aflw19_mirror

        write_aflw19_mirror(folder, progress)

    @property
    def version(self) -> str:
        """The data set has one version only; the mirror has its own."""
        return "aflw19" if self.kind is DataKind.REAL else self._mirror

    def samples(self) -> Sequence[Sample]:
        """One sample per face, in the order of the official permutation."""
        return [
            Sample(
                id=name,
                subject=name,
                views=(View(image=face.path, box=face.box),),
                condition={"subset": joined(["frontal"] if face.frontal else [])},
            )
            for name, face in self.faces.items()
        ]

    def truth(self, sample: Sample) -> LandmarkTruth:
        """The face's points and its box."""
        face = self.faces[sample.id]
        return LandmarkTruth(face.points, "aflw19", face.box)

    def files(self) -> Sequence[Path]:
        """The tables and the photographs."""
        return [self.table, *dict.fromkeys(face.path for face in self.faces.values())]


def read_tables(path: Path) -> dict[str, Array]:
    """The tables by name: numbers as float64 (N, ...), `nameList` (N,) texts, `ra` (N,) counted from 0.

    Raises:
        DataError: the file is missing, is no MATLAB file, or a table is missing or has another form.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise DataError(f"{path}: has {path.stat().st_size:,} bytes, which this file never has; {REMEDY}")
        content = loadmat(str(path), variable_names=[*FIELDS, "nameList", "ra"])
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); {REMEDY}") from None
    except (MatReadError, ValueError, TypeError, NotImplementedError, KeyError, IndexError, MemoryError) as error:
        raise DataError(f"{path}: is no MATLAB file, or a damaged one ({str(error)[:80]}); {REMEDY}") from None
    missing = [name for name in (*FIELDS, "nameList", "ra") if name not in content]
    if missing:
        raise DataError(f"{path}: lacks {', '.join(missing)}; {REMEDY}")
    found = {name: _numbers(path, name, content[name]) for name in FIELDS}
    count = len(found["data"])
    if any(len(values) != count for values in found.values()):
        raise DataError(f"{path}: tables have {[len(v) for v in found.values()]} rows, expected as many each; {REMEDY}")
    order = _numbers(path, "ra", content["ra"]).ravel()
    if not np.array_equal(np.sort(order), np.arange(1, count + 1)):
        raise DataError(f"{path}: ra is no permutation of 1..{count}; {REMEDY}")
    names = [_text(value) for value in np.asarray(content["nameList"]).ravel()]
    if len(names) != count or not all(names):
        raise DataError(f"{path}: nameList has {sum(map(bool, names))} names, expected {count}; {REMEDY}")
    return {**found, "ra": order.astype(np.int64) - 1, "nameList": np.array(names)}


def _numbers(path: Path, name: str, values: Any) -> Array:
    columns = FIELDS.get(name)
    array = np.asarray(values)
    fits = array.dtype.kind in "biuf" and array.ndim == 2 and columns in (None, array.shape[1])
    if not fits or not np.isfinite(array).all():
        wanted = f"(N, {columns})" if columns else "a list"
        raise DataError(f"{path}: {name} is {array.dtype} {array.shape}, expected finite numbers {wanted}; {REMEDY}")
    return array.astype(np.float64)


def _text(value: Any) -> str:
    """A cell's text, empty if it has none."""
    inside = np.asarray(value).ravel()
    return str(inside[0]).strip() if inside.size == 1 and inside.dtype.kind in "UO" else ""
