"""CelebAMask-HQ (Lee et al., CVPR 2020): portraits of 1024 pixels with a mask of 512 pixels for each of 18 parts.

Layout: `CelebA-HQ-img/<i>.jpg`, `CelebAMask-HQ-mask-anno/<i // 2000>/<i, five digits>_<part>.png` (a part that is not
seen has no file), `CelebA-HQ-to-CelebA-mapping.txt`, and CelebA's own `list_eval_partition.txt`, which splits it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from harness.benchmark import Access, DataKind, Dataset
from harness.data import check_complete, locate
from harness.datasets.label_files import painted, read_mask
from harness.datasets.point_files import REMEDY
from harness.errors import DataError, HarnessError
from harness.protocols.parsing import ParsingTruth
from harness.samples import Sample, View

log = logging.getLogger(__name__)

SPLITS = {"train": ("0", 24_183), "val": ("1", 2_993), "test": ("2", 2_824)}
"""CelebA's number of a split, and how many pictures it has here."""
SIZE, PICTURE = (512, 512), (1024, 1024)
PER_FOLDER = 2000
FARL_ORDER = (
    *("neck", "skin", "cloth", "l_ear", "r_ear", "l_brow", "r_brow", "l_eye", "r_eye", "nose", "mouth"),
    *("l_lip", "u_lip", "hair", "eye_g", "hat", "ear_r", "neck_l"),
)
OWN_ORDER = (
    *("skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear", "mouth", "u_lip", "l_lip"),
    *("hair", "hat", "ear_r", "neck_l", "neck", "cloth"),
)
"""Masks in the order in which they are painted, later over earlier ones, numbered from 1: as FaRL does it, and as the
data set's own program does. `ear_r` is an earring and `neck_l` a necklace; `l_` and `r_` are the image's sides, but
`l_lip` the lower lip."""


class CelebAMaskHQ(Dataset):
    """Reader of the official layout; a sample's id is the picture's number in five digits."""

    name: ClassVar[str] = "celebamask_hq"
    access: ClassVar[Access] = Access.CLICK_THROUGH
    ask_at: ClassVar[str] = "https://github.com/switchablenorms/CelebAMask-HQ"
    mirror_version: ClassVar[str] = "mirror-1"

    def __init__(self, data: str, data_root: str | Path, split: str = "test") -> None:
        """Finds the files.

        Args:
            data: "real", "mirror" or "auto".
            data_root: folder that holds `celebamask_hq/`.
            split: "train", "val" or "test", by CelebA's own partition.

        Raises:
            DataError: files are missing (the first are named), or the lists have another form.
            HarnessError: there is no such split.
        """
        if split not in SPLITS:
            raise HarnessError(f"bench.split={split}: expected {', '.join(SPLITS)}")
        location = locate(type(self), data, data_root)
        self.folder, self.kind, self._mirror = location.folder, location.kind, location.mirror_version
        self.lists = [self.folder / "CelebA-HQ-to-CelebA-mapping.txt", self.folder / "list_eval_partition.txt"]
        word, count = SPLITS[split]
        parts = dict(_rows(self.lists[1], (0, 1)))
        pairs = list(_rows(self.lists[0], (0, 2)))[1:]  # the first names the columns
        unknown = [name for _, name in pairs if name not in parts]
        if unknown:
            raise DataError(f"{self.lists[1]}: lacks {unknown[0]}, which {self.lists[0].name} names; {REMEDY}")
        if not all(number.isdecimal() for number, _ in pairs):
            raise DataError(f"{self.lists[0]}: expected lines `idx orig_idx orig_file` of numbers; {REMEDY}")
        self.numbers = sorted(int(number) for number, name in pairs if parts[name] == word)
        if not self.numbers:
            raise DataError(f"{self.lists[1]}: has no picture of the split {split} ({word}); {REMEDY}")
        if self.kind is DataKind.REAL and len(self.numbers) != count:
            log.warning("%s: the split has %d pictures, the official %d", self.folder, len(self.numbers), count)
        self.masks = self._masks()
        check_complete(self)

    def _masks(self) -> dict[int, dict[str, Path]]:
        """Number -> part -> file. Raises DataError if a picture has no mask at all, or one of an unknown part."""
        found: dict[int, dict[str, Path]] = {number: {} for number in self.numbers}
        home = self.folder / "CelebAMask-HQ-mask-anno"
        for folder in sorted({number // PER_FOLDER for number in self.numbers}):
            for path in sorted((home / str(folder)).glob("*.png")):
                number, _, part = path.stem.partition("_")
                if path.name.startswith(".") or not number.isdecimal() or int(number) not in found:
                    continue
                if part not in FARL_ORDER:
                    raise DataError(f"{path}: {part!r} is no part, expected one of {', '.join(FARL_ORDER)}; {REMEDY}")
                found[int(number)][part] = path
        bare = [number for number, parts in found.items() if not parts]
        if bare:
            place = home / str(bare[0] // PER_FOLDER)
            raise DataError(f"{place}: has no mask {bare[0]:05d}_*.png ({len(bare)} pictures have none); {REMEDY}")
        return found

    @staticmethod
    def write_mirror(folder: Path, progress: Callable[[float], None]) -> None:
        """Writes the synthetic stand-in."""
        from harness.datasets.celebamask_hq_mirror import write_celebamask_hq_mirror

        write_celebamask_hq_mirror(folder, progress)

    @property
    def version(self) -> str:
        """The data set has one version only; the mirror has its own."""
        return "celebamask_hq" if self.kind is DataKind.REAL else self._mirror

    def samples(self) -> Sequence[Sample]:
        """One sample per picture, in the order of their numbers."""
        return [
            Sample(id=f"{number:05d}", subject=f"{number:05d}", views=(View(image=self._picture(number)),))
            for number in self.numbers
        ]

    def truth(self, sample: Sample) -> ParsingTruth:
        """The masks painted in both orders. Raises DataError if one is damaged or of another size."""
        masks = {part: read_mask(path, SIZE) for part, path in self.masks[int(sample.id)].items()}
        orders = {"celebamask_farl": FARL_ORDER, "celebamask_own": OWN_ORDER}
        return ParsingTruth({name: painted(masks, order, SIZE) for name, order in orders.items()}, PICTURE)

    def files(self) -> Sequence[Path]:
        """Lists, pictures and masks."""
        masks = [path for parts in self.masks.values() for path in parts.values()]
        return [*self.lists, *map(self._picture, self.numbers), *masks]

    def _picture(self, number: int) -> Path:
        return self.folder / "CelebA-HQ-img" / f"{number}.jpg"


def _rows(path: Path, columns: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """Two columns of a table of words. Raises DataError if the file is missing or a line is too short."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); {REMEDY}") from None
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if words and len(words) <= max(columns):
            raise DataError(f"{path}, line {number}: found {line[:60]!r}, expected {max(columns) + 1} words; {REMEDY}")
        if words:
            yield words[columns[0]], words[columns[1]]
