"""3DFAW-Video (Pillai et al., ICCV workshops 2019): full-head scans with 51 landmarks.

The ground truth is laid out as the official evaluation program reads it, per subject `<id>`:

    mesh<id>.obj               millimetres
    VertexLandmarks<id>.txt    51 vertex indices from 0 (iBUG-68 without the jaw), -1 where unknown
    test.txt                   the subjects to evaluate, one id per line; all that are there where this file is missing

The layout of the videos is not public. This harness's own, for frames that its user took out of them:

    images/<id>/*.jpg, *.png   in the order of their names; a sample of n views has the first n
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from harness.benchmark import Access, Dataset
from harness.data import check_complete, locate, where_to_get
from harness.errors import ContractError, DataError, HarnessError
from harness.geometry.mesh import read_mesh
from harness.protocols.threedfaw import LANDMARKS, ThreedfawTruth
from harness.samples import Sample, View

SUFFIXES = (".jpg", ".jpeg", ".png")
REMEDY = "restore the file from the data set, or use the open synthetic stand-in with data=mirror"


class Threedfaw(Dataset):
    """Reader of the layout above."""

    name: ClassVar[str] = "3dfaw"
    access: ClassVar[Access] = Access.SIGNED_FORM
    ask_at: ClassVar[str] = "https://3dfaw.github.io"
    mirror_version: ClassVar[str] = "mirror-1"

    def __init__(self, data: str, data_root: str | Path, views: int | Sequence[int]) -> None:
        """Finds the files.

        Args:
            data: "real", "mirror" or "auto".
            data_root: folder that holds `3dfaw/`.
            views: how many frames a sample has, e.g. 1 or [1, 3].

        Raises:
            DataError: files are missing (the first are named), or a subject has fewer frames.
            HarnessError: `views` is not positive.
        """
        self.views = (views,) if isinstance(views, int) else tuple(views)
        if not self.views or min(self.views) < 1:
            raise HarnessError(f"bench.views={views}: expected positive numbers of views, e.g. [1, 3]")
        location = locate(type(self), data, data_root)
        self.folder, self.kind = location.folder, location.kind
        self.subjects = self._subjects()
        self._check_files()

    @staticmethod
    def write_mirror(folder: Path, progress: Callable[[float], None]) -> None:
        """Writes the synthetic stand-in."""
        from harness.datasets.threedfaw_mirror import write_threedfaw_mirror

        write_threedfaw_mirror(folder, progress=progress)

    @property
    def version(self) -> str:
        """The mirror's, or the challenge's: there was one release."""
        return self.mirror_version if self.kind.value == "mirror" else "3DFAW-Video"

    def samples(self) -> Sequence[Sample]:
        """One sample per subject and number of views, subject by subject."""
        return [
            Sample(
                id=f"{subject}_{count}",
                subject=subject,
                views=tuple(View(image=path) for path in self._frames(subject)[:count]),
                condition={"views": count},
            )
            for subject in self.subjects
            for count in self.views
        ]

    def truth(self, sample: Sample) -> ThreedfawTruth:
        """The subject's scan and landmarks. Raises DataError if they contradict each other."""
        return _read_truth(*self._truth_files(sample.subject))

    def files(self) -> Sequence[Path]:
        """Scans, landmarks and the frames asked for."""
        listed = [self.folder / "test.txt"] if (self.folder / "test.txt").is_file() else []
        frames = [path for subject in self.subjects for path in self._frames(subject)[: max(self.views)]]
        return [*listed, *(path for subject in self.subjects for path in self._truth_files(subject)), *frames]

    def _subjects(self) -> list[str]:
        listed = self.folder / "test.txt"
        if listed.is_file():
            found = listed.read_text().split()
        else:
            found = sorted(path.stem.removeprefix("mesh") for path in self.folder.glob("mesh*.obj"))
        if not found:
            raise DataError(
                f"{self.folder}: no mesh<id>.obj, and no test.txt that names subjects. {where_to_get(self)}"
            )
        return found

    def _truth_files(self, subject: str) -> tuple[Path, Path]:
        return self.folder / f"mesh{subject}.obj", self.folder / f"VertexLandmarks{subject}.txt"

    def _frames(self, subject: str) -> list[Path]:
        folder = self.folder / "images" / subject
        return sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)

    def _check_files(self) -> None:
        check_complete(self)
        for subject in self.subjects:
            count = len(self._frames(subject))
            if count < max(self.views):
                folder = self.folder / "images" / subject
                raise DataError(
                    f"{folder}: {count} frames, but bench.views asks for {max(self.views)}. Frames of the videos are "
                    "put there as .jpg or .png, in the order of their names"
                )


@lru_cache(maxsize=1)
def _read_truth(mesh: Path, landmarks: Path) -> ThreedfawTruth:
    try:
        indices = np.array(landmarks.read_text().split(), dtype=np.float64)
        if len(indices) != LANDMARKS or (indices != np.round(indices)).any():
            raise ValueError(f"found {len(indices)} numbers")
    except (OSError, ValueError) as error:
        raise DataError(f"{landmarks}: {error}; expected {LANDMARKS} vertex indices or -1; {REMEDY}") from None
    try:
        return ThreedfawTruth(read_mesh(mesh), indices.astype(np.int64))
    except ContractError as error:
        raise DataError(f"{landmarks}: {error}; {REMEDY}") from None
