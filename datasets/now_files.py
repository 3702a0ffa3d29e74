"""The file formats of NoW: lists of images, face boxes, and points picked in MeshLab."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.errors import DataError
from harness.pickles import read_pickled_array
from harness.protocols.now_truth import NOW_LANDMARKS
from harness.samples import Array

REMEDY = "restore the file from the data set, or use the open synthetic stand-in with data=mirror"
SIDES = ("left", "top", "right", "bottom")
CATEGORIES = {
    "multiview_neutral": "neutral",
    "multiview_expressions": "expressions",
    "multiview_occlusions": "occlusions",
    "selfie": "selfie",
}
"""Official folder names, and what tables call them."""


class Photo(NamedTuple):
    """One line of an image list; the stem is the file name less four characters, as the official program takes it."""

    subject: str
    category: str
    file: str

    @property
    def stem(self) -> str:
        """The name that predictions of the image have, without their suffix."""
        return self.file[:-4]


def read_image_list(path: Path) -> list[Photo]:
    """The last three parts of each line `<subject>/<category>/<file>.jpg`, as the official program takes them.

    Raises:
        DataError: the list is missing or empty, or a line has another form or an unknown category.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path}: the list of images cannot be read ({error}). It comes with the official evaluation program "
            "(https://github.com/soubhiksanyal/now_evaluation); put it there, or use data=mirror"
        ) from None
    photos = []
    for number, line in enumerate(lines, start=1):
        parts = line.strip().split("/")[-3:]
        if parts == [""]:
            continue
        if len(parts) != 3 or len(parts[2]) < 5 or parts[1] not in CATEGORIES:
            raise DataError(
                f"{path}, line {number}: found {line.strip()[:80]!r}, expected <subject>/<category>/<file>.jpg with "
                f"one of the categories {', '.join(CATEGORIES)}; {REMEDY}"
            )
        photos.append(Photo(*parts))
    if not photos:
        raise DataError(f"{path}: names no image; {REMEDY}")
    return photos


def read_box(path: Path) -> Array:
    """(4,) left, top, right, bottom of the face in pixels.

    Raises:
        DataError: the file is missing, damaged, no pickled dictionary with these keys, or no box.
    """
    stored = read_pickled_array(path)
    try:
        box = np.array([stored[side] for side in SIDES], dtype=np.float64)
    except (KeyError, TypeError, ValueError, IndexError):
        found = sorted(map(str, stored)) if isinstance(stored, dict) else type(stored).__name__
        raise DataError(f"{path}: expected a dictionary of numbers {', '.join(SIDES)}, found {found}") from None
    left, top, right, bottom = box
    if not (np.isfinite(box).all() and left < right and top < bottom):
        raise DataError(f"{path}: left, top, right, bottom are {box.tolist()}, which is no box; {REMEDY}")
    return box


def read_picked_points(path: Path) -> Array:
    """(7, 3) float32 in the file's order, which is that of NOW_LANDMARKS.

    The official program takes lines 9 to 15 of the text; reading the XML gives the same points for files with
    another header, and single precision is kept since the official fit runs in it.

    Raises:
        DataError: the file is missing, no XML, or has not seven points with finite x, y and z.
    """
    try:
        points = ElementTree.parse(path).getroot().findall(".//point")
        values = [[float(point.attrib[axis]) for axis in "xyz"] for point in points]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); {REMEDY}") from None
    except ElementTree.ParseError as error:
        raise DataError(f"{path}: is not the XML that MeshLab writes for picked points ({error}); {REMEDY}") from None
    except (KeyError, ValueError) as error:
        raise DataError(f"{path}: a point lacks a number ({error}), expected x, y and z of each; {REMEDY}") from None
    if len(values) != len(NOW_LANDMARKS):
        raise DataError(f"{path}: has {len(values)} points, expected 7: {', '.join(NOW_LANDMARKS)}; {REMEDY}")
    array = np.array(values, dtype=np.float32)
    if not np.isfinite(array).all():
        raise DataError(f"{path}: has points that are not finite: {array.tolist()}; {REMEDY}")
    return array
