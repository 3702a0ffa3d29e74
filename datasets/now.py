"""NoW (Sanyal et al., CVPR 2019): phone photographs of people of whom one neutral face scan each is known.

Layout: `imagepathsvalidation.txt` and `imagepathstest.txt`; photographs and face boxes in
`NoW_Dataset/final_release_version/{iphone_pictures,detected_face}/<subject>/<category>/IMG_xxxx.{jpg,npy}`; for the
validation split `scans/<subject>/*.obj` in millimetres (x right, y up, z forward) with seven points on it,
`scans_lmks_onlypp/<subject>/*.pp`. The test split's scans are the organisers' own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from scipy.spatial.distance import cdist

from harness.benchmark import Access, DataKind, Dataset
from harness.data import check_complete, locate
from harness.datasets.now_files import CATEGORIES, REMEDY, Photo, read_box, read_image_list, read_picked_points
from harness.errors import DataError, HarnessError
from harness.geometry.mesh import Mesh, read_mesh
from harness.protocols.now_truth import NOW_LANDMARKS, NowTruth
from harness.samples import Array, Sample, View

log = logging.getLogger(__name__)

IMAGES = {"validation": 352, "test": 1702}
RELEASE = "final_release_version"
FAR_MM = 10.0  # from the scan: further than a hole in it explains
LOST_MM = 20.0  # from the scan in the median: in another frame altogether


class Now(Dataset):
    """Reader of the official layout, both splits.

    A sample's id is `<subject>__<category>__<IMG_xxxx>`; its condition names the challenge (neutral, expressions,
    occlusions, selfie); `CATEGORIES` has the official folder names of these.
    """

    name: ClassVar[str] = "now"
    access: ClassVar[Access] = Access.CLICK_THROUGH
    ask_at: ClassVar[str] = "https://now.is.tue.mpg.de"
    mirror_version: ClassVar[str] = "mirror-1"
    mirror_heads: ClassVar[tuple[str, ...]] = ("procedural", "ict")
    submission_landmarks: ClassVar[tuple[int, ...]] = tuple(NOW_LANDMARKS.values())
    submission_is_neutral: ClassVar[bool] = True

    def __init__(self, data: str, data_root: str | Path, split: str = "validation", challenge: str = "all") -> None:
        """Finds the files and checks that all are there.

        Args:
            data: "real", "mirror", "mirror-ict" or "auto".
            data_root: folder that holds `now/`.
            split: "validation", or "test", which can be predicted and exported but not scored.
            challenge: "all", or one category by its folder's name or its short one.

        Raises:
            DataError: files are missing (the first are named) or contradict each other.
            HarnessError: there is no such split, or no image of the challenge.
        """
        if split not in IMAGES:
            raise HarnessError(f"bench.split={split}: expected {' or '.join(IMAGES)}")
        wanted = [folder for folder, short in CATEGORIES.items() if challenge in ("all", folder, short)]
        if not wanted:
            raise HarnessError(f"bench.challenge={challenge}: expected all, {', '.join(CATEGORIES)}")
        location = locate(type(self), data, data_root)
        self.folder, self.kind, self._mirror = location.folder, location.kind, location.mirror_version
        self.hidden_truth = split == "test"
        self.image_list = self.folder / f"imagepaths{split}.txt"
        photos = read_image_list(self.image_list)
        if self.kind is DataKind.REAL and len(photos) != IMAGES[split]:
            log.warning("%s: names %d images, the official %s", self.image_list, len(photos), IMAGES[split])
        self.photos = {_id(photo): photo for photo in photos if photo.category in wanted}
        if not self.photos:
            raise HarnessError(f"bench.challenge={challenge}: {self.image_list} has no image of it")
        if len(self.photos) < sum(photo.category in wanted for photo in photos):
            raise DataError(f"{self.image_list}: names an image more than once; {REMEDY}")
        self.subjects = () if self.hidden_truth else tuple(dict.fromkeys(p.subject for p in self.photos.values()))
        places = "NoW_Dataset, scans and scans_lmks_onlypp"
        check_complete(self, f"Register at {self.ask_at} and put {places} there, or use data=mirror")
        for subject in self.subjects:
            check_points(self._landmark_file(subject))

    @staticmethod
    def write_mirror(folder: Path, progress: Callable[[float], None], head: str = "procedural") -> None:
        """Writes the synthetic stand-in, of people of a head model."""
        from harness.datasets.now_mirror import write_now_mirror

        write_now_mirror(folder, progress=progress, head=head)

    @property
    def version(self) -> str:
        """The official release's name; the mirror has its own."""
        return RELEASE if self.kind is DataKind.REAL else self._mirror

    def samples(self) -> Sequence[Sample]:
        """One sample per image, in the order of the official list."""
        return [
            Sample(
                id=name,
                subject=photo.subject,
                views=(View(image=self._photo_file(photo), box=read_box(self._box_file(photo))),),
                condition={"challenge": CATEGORIES[photo.category]},
            )
            for name, photo in self.photos.items()
        ]

    def truth(self, sample: Sample) -> NowTruth:
        """The subject's neutral scan and its seven points.

        Raises:
            DataError: the split's ground truth is hidden, or the points do not lie on the scan.
        """
        if self.hidden_truth:
            raise DataError(f"{sample.id}: only NoW's organisers have the test scans; score on bench.split=validation")
        return _read_truth(self._scan_file(sample.subject), self._landmark_file(sample.subject))

    def submission_path(self, sample: Sample) -> str:
        """`<subject>/<category>/IMG_xxxx`, as the official program looks for predictions."""
        photo = self.photos[sample.id]
        return f"{photo.subject}/{photo.category}/{photo.stem}"

    def files(self) -> Sequence[Path]:
        """The list, the photographs and boxes, and for the validation split the scans and their points."""
        photos = self.photos.values()
        return [
            self.image_list,
            *map(self._photo_file, photos),
            *map(self._box_file, photos),
            *map(self._scan_file, self.subjects),
            *map(self._landmark_file, self.subjects),
        ]

    def _photo_file(self, photo: Photo) -> Path:
        return self.folder.joinpath("NoW_Dataset", RELEASE, "iphone_pictures", *photo)

    def _box_file(self, photo: Photo) -> Path:
        folder = self.folder.joinpath("NoW_Dataset", RELEASE, "detected_face", photo.subject, photo.category)
        return folder / f"{photo.stem}.npy"

    def _scan_file(self, subject: str) -> Path:
        return _only(self.folder / "scans" / subject, ".obj")

    def _landmark_file(self, subject: str) -> Path:
        return _only(self.folder / "scans_lmks_onlypp" / subject, ".pp")


def _id(photo: Photo) -> str:
    return f"{photo.subject}__{photo.category}__{photo.stem}"


def _only(folder: Path, suffix: str) -> Path:
    """The one file with this suffix in a folder; a path that does not exist where there is none.

    Raises:
        DataError: there are several: the official program would take any.
    """
    found = sorted(path for path in folder.glob(f"*{suffix}") if not path.name.startswith("."))
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise DataError(f"{folder}: holds {len(found)} {suffix} files ({names}), expected one; remove the others")
    return found[0] if found else folder / f"*{suffix}"


@lru_cache(maxsize=1)
def _read_truth(scan_file: Path, landmark_file: Path) -> NowTruth:
    scan, points = read_mesh(scan_file), read_picked_points(landmark_file)
    check_on_scan(scan_file, scan, landmark_file, points)
    return NowTruth(scan, points)


def check_on_scan(scan_file: Path, scan: Mesh, landmark_file: Path, points: Array) -> None:
    """Warns of points that are more than FAR_MM from the scan's vertices.

    Raises:
        DataError: most of them are far off: swapped axes, another unit, another scan.
    """
    distance = _distance(points, scan)
    if np.median(distance) > LOST_MM:
        guesses = (
            ("the y and z axes of one of the two are swapped", points[:, [0, 2, 1]], LOST_MM),
            ("the scan is in metres", points / 1000, LOST_MM / 1000),
        )
        off = float(np.median(distance))
        fits = [words for words, moved, near in guesses if np.median(_distance(moved, scan)) < near]
        raise DataError(
            f"{landmark_file}: its points are {off:.3g} mm from the scan {scan_file.name}: "
            f"{fits[0] if fits else 'they belong to another scan or frame'}; {REMEDY}"
        )
    for name, far in zip(NOW_LANDMARKS, distance, strict=True):
        if far > FAR_MM:
            log.warning("%s: %s is %.1f mm from the scan; its numbers will suffer", landmark_file, name, far)


def _distance(points: Array, scan: Mesh) -> Array:
    return np.asarray(cdist(points.astype(np.float64), scan.vertices).min(1))


def check_points(path: Path) -> None:
    """Checks that the seven points of a file make a face in millimetres, and warns where it does not stand upright.

    Raises:
        DataError: the face has an impossible size or is a mirror image, as with two axes swapped.
    """
    points = read_picked_points(path).astype(np.float64)
    wide = float(np.linalg.norm(points[3] - points[0]))
    if not 50 < wide < 200:
        hint = " (metres taken for millimetres?)" if 0.05 < wide < 0.2 else ""
        raise DataError(f"{path}: the outer eye corners are {wide:.3g} mm apart, expected 50 to 200{hint}; {REMEDY}")
    right, up = points[3] - points[0], points[[1, 2]].mean(0) - points[[5, 6]].mean(0)
    forward = np.cross(right, up)
    axes = [f"{'-' if d[np.abs(d).argmax()] < 0 else '+'}{'xyz'[np.abs(d).argmax()]}" for d in (right, up, forward)]
    if forward @ (points[4] - points[[0, 3, 5, 6]].mean(0)) < 0:  # the nose points into the head
        swapped = ": its y and z axes look swapped" if axes[:2] == ["+x", "+z"] else ""
        raise DataError(f"{path}: the face is a mirror image, or its points are in another order{swapped}; {REMEDY}")
    if axes != ["+x", "+y", "+z"]:
        log.warning("%s: the face looks along %s and up is %s, expected +z and +y", path, axes[2], axes[1])
