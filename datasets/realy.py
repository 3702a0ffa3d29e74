"""REALY (Chai et al., ECCV 2022): Headspace scans of 100 people in four regions, with rendered pictures.

Layout, as the official repository and the programs of its users name it:

    REALY_HIFI3D_keypoints/<id>.obj                       85 keypoints (`v` lines; faces, if any, are not read)
    REALY_scan_region/<id>/{nose,mouth,forehead,cheek}.obj  scan units
    REALY_image/crop_image_frontal_512x512/<id>.jpg       one frontal picture of each person
    REALY_image/<another crop_image_*_512x512>/<id>_<view>.jpg  the multi-view set; its official name is not public, so
                                                          any is taken
    metrical_scale.txt                                    line n: millimetres per unit of person n's scan; it comes
                                                          with the official repository, in data/
    <template>.obj, <template>.txt, <template>_mask.txt   topologies, see harness.protocols.realy_keypoints; the
                                                          official repository has six, in data/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from harness.benchmark import Access, Dataset
from harness.data import check_complete, locate, where_to_get
from harness.errors import ContractError, DataError, HarnessError
from harness.files import digest_files
from harness.geometry.mesh import read_mesh
from harness.protocols.realy import REGIONS, RealyTruth
from harness.protocols.realy_keypoints import COUNT, Topology, read_topologies, topology_files
from harness.samples import Array, Sample, View

FRONTAL = "crop_image_frontal_512x512"
SETS = ("frontal", "side")
SUFFIXES = (".jpg", ".png")
REMEDY = "restore the file from the data set, or use the open synthetic stand-in with data=mirror"


class Realy(Dataset):
    """Reader of the layout above."""

    name: ClassVar[str] = "realy"
    access: ClassVar[Access] = Access.SIGNED_FORM
    ask_at: ClassVar[str] = "https://www-users.york.ac.uk/~np7/research/Headspace/ (name REALY in the agreement)"
    mirror_version: ClassVar[str] = "mirror-1"

    def __init__(self, data: str, data_root: str | Path, images: str | Sequence[str], topologies: str = "") -> None:
        """Finds the files.

        Args:
            data: "real", "mirror" or "auto".
            data_root: folder that holds `realy/`.
            images: "frontal", "side" or both.
            topologies: folder of further templates with their keypoints, for methods whose mesh is not that of the
                procedural head; the data set's own folder is always searched.

        Raises:
            DataError: files are missing (the first are named).
            HarnessError: another word for `images`, or `topologies` is no folder or holds no template.
        """
        self.images = (images,) if isinstance(images, str) else tuple(images)
        unknown = [word for word in self.images if word not in SETS]
        if unknown or not self.images:
            raise HarnessError(f"bench.images={images}: expected frontal, side or [frontal, side]")
        self._more = [] if not topologies else topology_files(Path(topologies).expanduser())
        if topologies and not self._more:
            raise HarnessError(f"bench.topologies={topologies}: holds no template (NAME.obj with NAME.txt beside it)")
        self._more_root = Path(topologies).expanduser()
        location = locate(type(self), data, data_root)
        self.folder, self.kind = location.folder, location.kind
        self._check_files()

    @staticmethod
    def write_mirror(folder: Path, progress: Callable[[float], None]) -> None:
        """Writes the synthetic stand-in."""
        from harness.datasets.realy_mirror import write_realy_mirror

        write_realy_mirror(folder, progress=progress)

    @property
    def version(self) -> str:
        """The release, of which there is one, or the mirror's; with a digest of further topologies."""
        release = self.mirror_version if self.kind.value == "mirror" else "2022"
        return f"{release}+{digest_files(self._more, self._more_root)}" if self._more else release

    def samples(self) -> Sequence[Sample]:
        """One sample per picture, named as the official program wants the prediction to be named."""
        return [
            Sample(id=path.stem, subject=path.stem.split("_")[0], views=(View(image=path),), condition={"images": name})
            for name in self.images
            for path in self._pictures[name]
        ]

    def truth(self, sample: Sample) -> RealyTruth:
        """The subject's regions, keypoints and scale. Raises DataError if a file is damaged."""
        return _read_truth(self.folder, int(sample.subject), tuple(self._topology_files()), tuple(self._more))

    def files(self) -> Sequence[Path]:
        """Everything that is read below the folder; further topologies count in `version`."""
        people = sorted({int(path.stem.split("_")[0]) for name in self.images for path in self._pictures[name]})
        pictures = [path for name in self.images for path in self._pictures[name]]
        truths = [path for person in people for path in _truth_files(self.folder, person)]
        return [self.folder / "metrical_scale.txt", *pictures, *truths, *self._topology_files()]

    def _topology_files(self) -> list[Path]:
        return topology_files(self.folder)

    @cached_property
    def _pictures(self) -> dict[str, list[Path]]:
        root = self.folder / "REALY_image"
        others = sorted(p for p in root.glob("crop_image_*_512x512") if p.is_dir() and p.name != FRONTAL)
        return {"frontal": _named(root / FRONTAL), "side": [path for folder in others for path in _named(folder)]}

    def _check_files(self) -> None:
        for name in self.images:
            if not self._pictures[name]:
                place = FRONTAL if name == "frontal" else "another crop_image_*_512x512"
                raise DataError(f"{self.folder / 'REALY_image'}: no pictures <id>.jpg in {place}. {where_to_get(self)}")
        check_complete(self)


def _named(folder: Path) -> list[Path]:
    """Pictures whose names begin with a person's number, in the order of the numbers."""
    found = [
        path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES and path.stem.replace("_", "").isdigit()
    ]
    return sorted(found, key=lambda path: [int(part) for part in path.stem.split("_") if part])


def _truth_files(folder: Path, person: int) -> list[Path]:
    regions = folder / "REALY_scan_region" / str(person)
    keypoints = folder / "REALY_HIFI3D_keypoints" / f"{person}.obj"
    return [keypoints, *(regions / f"{region}.obj" for region in REGIONS)]


@lru_cache(maxsize=1)
def _read_truth(folder: Path, person: int, own: tuple[Path, ...], more: tuple[Path, ...]) -> RealyTruth:
    keypoints, *regions = _truth_files(folder, person)
    try:
        return RealyTruth(
            regions={name: read_mesh(path) for name, path in zip(REGIONS, regions, strict=True)},
            keypoints=_read_keypoints(keypoints),
            millimetres=_read_scale(folder / "metrical_scale.txt", person),
            topologies=_read_topologies(own) + _read_topologies(more),
        )
    except ContractError as error:
        raise DataError(f"{folder}, person {person}: {error}; {REMEDY}") from None


@lru_cache(maxsize=2)
def _read_topologies(files: tuple[Path, ...]) -> tuple[Topology, ...]:
    return read_topologies(files)


def _read_keypoints(path: Path) -> Array:
    """(85, 3) of the `v` lines of an OBJ that need not have faces."""
    try:
        rows = [line.split()[1:4] for line in path.read_text().splitlines() if line.startswith(("v ", "v\t"))]
        points = np.array(rows, dtype=np.float64)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as keypoints ({error}); {REMEDY}") from None
    if points.shape != (COUNT, 3) or not np.isfinite(points).all():
        raise DataError(f"{path}: found {len(rows)} keypoints, expected {COUNT} with three finite numbers; {REMEDY}")
    return points


def _read_scale(path: Path, person: int) -> float:
    try:
        values = np.array(path.read_text().split(), dtype=np.float64)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected one number per line ({error}); {REMEDY}") from None
    if not 1 <= person <= len(values):
        raise DataError(f"{path}: has {len(values)} numbers, but person {person} is asked for; {REMEDY}")
    return float(values[person - 1])
