"""A benchmark: which samples, which truth, which protocols."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import HarnessError
from harness.protocols.base import Protocol
from harness.samples import Sample


class Access(str, Enum):
    """What one has to do to get a data set."""

    OPEN = "open"
    CLICK_THROUGH = "click-through"
    SIGNED_FORM = "signed-form"
    HIDDEN_GROUND_TRUTH = "hidden-ground-truth"


class DataKind(str, Enum):
    """Whether results stand for the real data set or for its synthetic stand-in. Never mixed in one table."""

    REAL = "real"
    MIRROR = "mirror"


class Dataset(ABC):
    """The reader of one official on-disk layout. Mirrors are written in that layout and read by the same class.

    Class attributes:
        name: also the folder's name below `data_root`.
        access, ask_at: how the real data is had.
        mirror_version: changes whenever the mirror's content does; empty for a data set without one.
        mirror_heads: names of the head models that the mirror can be made of; `write_mirror` of a data set with more
            than the first one takes another one's name as `head`.
        submission_landmarks: iBUG numbers of the points in the landmark files of the benchmark's own submissions.
        submission_is_neutral: whether these are meshes with neutral expression and pose, since the truth is.
    """

    name: ClassVar[str]
    access: ClassVar[Access]
    ask_at: ClassVar[str]
    mirror_version: ClassVar[str]
    mirror_heads: ClassVar[tuple[str, ...]] = ("procedural",)
    submission_landmarks: ClassVar[tuple[int, ...]] = tuple(range(68))
    submission_is_neutral: ClassVar[bool] = False

    folder: Path
    kind: DataKind
    hidden_truth: bool = False
    """True where only the data set's owners can score: such samples can be predicted and exported."""

    @staticmethod
    @abstractmethod
    def write_mirror(folder: Path, progress: Callable[[float], None]) -> None:
        """Writes the mirror into the empty `folder`; `progress` takes the finished share, 0..1."""

    @property
    @abstractmethod
    def version(self) -> str:
        """The data set's own version string."""

    @abstractmethod
    def samples(self) -> Sequence[Sample]:
        """All samples, in a fixed order: the denominator. Raises DataError naming what is missing."""

    @abstractmethod
    def truth(self, sample: Sample) -> Any:
        """The ground truth of one sample, in the form that the benchmark's protocols take."""

    @abstractmethod
    def files(self) -> Sequence[Path]:
        """Every file that the samples and their truth are read from."""

    def submission_path(self, sample: Sample) -> str:
        """Where a submission to the benchmark has the sample's files: relative, with `/`, without suffix."""
        return sample.id


@dataclass(frozen=True)
class Benchmark:
    """A data set with the protocols that score predictions on it."""

    name: str
    dataset: Dataset
    protocols: tuple[Protocol, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "protocols", tuple(self.protocols))
        names = [protocol.name for protocol in self.protocols]
        if not names or len(set(names)) != len(names):
            raise HarnessError(f"bench {self.name}: protocols {names} must be at least one, each with its own name")

    def on(self, device: str) -> Benchmark:
        """The same benchmark, whose protocols compute on `device` ("cpu", "cuda", ...)."""
        return replace(self, protocols=tuple(p.on(device) for p in self.protocols))

    def samples(self) -> Sequence[Sample]:
        """All samples, in a fixed order. Raises HarnessError if there is none, or two share an id."""
        samples = self.dataset.samples()
        if not samples:
            raise HarnessError(f"bench {self.name}: selects no sample of {self.dataset.folder}")
        repeated = [name for name, count in Counter(sample.id for sample in samples).items() if count > 1]
        if repeated:
            raise HarnessError(f"bench {self.name}: selects samples more than once: {', '.join(repeated[:5])}")
        return samples

    def truth(self, sample: Sample) -> Any:
        """The ground truth of one sample."""
        return self.dataset.truth(sample)
