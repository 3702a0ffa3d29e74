"""FaceVerse's detailed scans (Wang et al., CVPR 2022) as KaoLRM evaluates on them: one rendered picture per sample.

The scans, as their authors release them: 128 people with 21 expressions each, one folder per scan named
`<person>_<expression>`, both counted from 1:

    001_01/001_01.obj        a head with hair, triangles and texture coordinates; beside it
           001_01.mtl .jpg   the texture, and
           001_01.ply        the FaceVerse model fitted to it, the same topology for all scans

Known of them from public code: the y and z axes of the OBJ point down and away from the face. Not known: the unit.
There is no official evaluation and no official rendering, so the rest of the layout is this harness's own:

    rendered/index.json                   {"version": one word that stands beside every result,
                                           "scans": {"random": [names], "grid": [names]}}: the denominators
    rendered/001_01/scan.json             axes (rotation of the file's axes to x left, y up, z forward), unit_mm,
                                          centre_mm and divisor_mm (of the box: half of its longest side)
                    landmarks.txt         seven lines `name x y z` in the coordinates of the OBJ; names as in
                                          harness.protocols.now_truth.NOW_LANDMARKS
                    random.npz, grid.npz  cameras in normalised units (millimetres / divisor_mm about the centre):
                                          intrinsics, rotation, translation, yaw, pitch, size
                    random/00.png ...     32 views, RGBA, white where nothing is seen
                    grid/00.png ...       39 views: pitch -15, 0, 15 times yaw -90, -75, ..., 90

`python -m harness.datasets.faceverse_render` makes the rendered part from the scans; see its help.

KaoLRM's list of test scans is not public; its length, 376 = 18 * 21 - 2, fits 18 people, and the 110 others that public
lists of training scans name are 001 to 110. `split="test"` is therefore the people 111 to 128.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar

from harness.benchmark import Access, Dataset
from harness.data import check_complete, locate
from harness.datasets.faceverse_views import (
    VIEW_SETS,
    Index,
    picture_name,
    placed_mesh,
    read_cameras,
    read_index,
    read_landmarks,
    read_placement,
    require_upright,
)
from harness.errors import ContractError, DataError, HarnessError
from harness.geometry.mesh import read_mesh
from harness.protocols.faceverse import FaceVerseTruth
from harness.samples import Sample, View

FIRST_TEST_PERSON = 111
SPLITS = ("test", "all")
RENDER = "python -m harness.datasets.faceverse_render"


class FaceVerse(Dataset):
    """Reader of the layout above; the mirror is written in it."""

    name: ClassVar[str] = "faceverse"
    access: ClassVar[Access] = Access.SIGNED_FORM
    ask_at: ClassVar[str] = "https://github.com/LizhenWangT/FaceVerse-Dataset"
    mirror_version: ClassVar[str] = "mirror-1"
    mirror_heads: ClassVar[tuple[str, ...]] = ("procedural", "ict")

    def __init__(self, data: str, data_root: str | Path, views: str = "random", split: str = "test") -> None:
        """Finds the files.

        Args:
            data: "real", "mirror", "mirror-ict" or "auto".
            data_root: folder that holds `faceverse/`.
            views: "random" (32 per scan) or "grid" (39, results broken down by yaw).
            split: "test" (people 111 to 128) or "all".

        Raises:
            DataError: files are missing (the first are named), or there are none.
            HarnessError: another word for `views` or `split`.
        """
        for key, value, words in (("views", views, VIEW_SETS), ("split", split, SPLITS)):
            if value not in words:
                raise HarnessError(f"bench.{key}={value}: expected {' or '.join(words)}")
        location = locate(type(self), data, data_root)
        self.folder, self.kind = location.folder, location.kind
        self.views, self.split = views, split
        self.scans = self._find_scans()
        where = f"Scans are had at {self.ask_at} ({self.access.value})"
        check_complete(self, f"{where}; pictures and cameras are made by {RENDER}")

    @staticmethod
    def write_mirror(folder: Path, progress: Callable[[float], None], head: str = "procedural") -> None:
        """Writes the synthetic stand-in, of people of a head model."""
        from harness.datasets.faceverse_mirror import write_faceverse_mirror

        write_faceverse_mirror(folder, progress=progress, head=head)

    @property
    def version(self) -> str:
        """The word in `rendered/index.json`."""
        return self._index.version

    def samples(self) -> Sequence[Sample]:
        """One sample per scan and view, scan by scan; the scan is the sample's group."""
        return [sample for scan in self.scans for sample in self._samples_of(scan)]

    def truth(self, sample: Sample) -> FaceVerseTruth:
        """The scan in the world of its pictures, with its landmarks. Raises DataError if files contradict it."""
        return _read_truth(self.folder, sample.group)

    def files(self) -> Sequence[Path]:
        """Scans, landmarks, cameras, and the pictures of the view set."""
        index = self.folder / "rendered" / "index.json"
        return [index, *(path for scan in self.scans for path in self._files_of(scan))]

    def _samples_of(self, scan: str) -> list[Sample]:
        folder = self.folder / "rendered" / scan
        placement = read_placement(folder / "scan.json")
        listed = read_cameras(folder / f"{self.views}.npz", self.views)
        samples = []
        for index, angles in enumerate(listed.angles):
            picture = folder / picture_name(self.views, index)
            view = View(image=picture, mask=picture, camera=listed.in_millimetres(index, placement.divisor))
            condition = {"yaw": round(angles.yaw)} if self.views == "grid" else {}
            identifier = f"{scan}_{self.views[0]}{index:02d}"
            samples.append(Sample(identifier, subject=scan[:3], views=(view,), condition=condition, group=scan))
        return samples

    def _files_of(self, scan: str) -> list[Path]:
        rendered = self.folder / "rendered" / scan
        cameras = rendered / f"{self.views}.npz"
        own = [self.folder / scan / f"{scan}.obj", rendered / "scan.json", rendered / "landmarks.txt", cameras]
        if not cameras.is_file():
            return own
        count = len(read_cameras(cameras, self.views).angles)
        return [*own, *(rendered / picture_name(self.views, index) for index in range(count))]

    def _find_scans(self) -> list[str]:
        """Names of the split's scans. Raises DataError if there are none, or a folder holds two meshes."""
        named = self._index.scans[self.views]
        scans = [name for name in named if self.split == "all" or int(name[:3]) >= FIRST_TEST_PERSON]
        if not scans:
            raise DataError(
                f"{self.folder / 'rendered/index.json'}: lists {len(named)} scans with {self.views} views, "
                f"none of them in the {self.split} split; render some with {RENDER}"
            )
        for scan in scans:
            meshes = sorted(path.name for path in (self.folder / scan).glob("*.obj"))
            if len(meshes) > 1:
                raise DataError(
                    f"{self.folder / scan}: holds {', '.join(meshes)}; expected {scan}.obj and no other OBJ"
                )
        return scans

    @cached_property
    def _index(self) -> Index:
        path = self.folder / "rendered" / "index.json"
        if not path.is_file():
            raise DataError(f"{path}: is missing. FaceVerse comes without pictures: render the scans with {RENDER}")
        return read_index(path)


@lru_cache(maxsize=1)
def _read_truth(folder: Path, scan: str) -> FaceVerseTruth:
    rendered = folder / "rendered" / scan
    path = folder / scan / f"{scan}.obj"
    placement = read_placement(rendered / "scan.json")
    landmarks = placement.apply(read_landmarks(rendered / "landmarks.txt"))
    require_upright(landmarks, rendered / "landmarks.txt")
    try:
        return FaceVerseTruth(placed_mesh(read_mesh(path), placement, path), landmarks, placement.divisor)
    except ContractError as error:
        raise DataError(f"{rendered / 'landmarks.txt'}: {error}; annotate the scan again") from None
