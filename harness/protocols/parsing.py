"""Face parsing: F1 of the classes of pixels, pooled over a data set as FaRL's program does it, and picture by picture.

Answers are compared at the size of the original picture. A network that sees a crop or a warped picture samples its
logits at the position of every pixel of the picture, outside of what it saw as zero, and takes the largest: that is
the method's part (`harness.methods.farl.warp`); a label map of another size is a failure here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ContractError
from harness.protocols.base import Protocol
from harness.protocols.labels import BACKGROUND, LABEL_SETS, LABELS, LabelSet
from harness.protocols.scores import SampleScore, Score, by_condition
from harness.samples import Prediction

Array = NDArray[Any]

MEAN = "mean"
_PICTURE = (
    *("alignment", "scale", "reflection", "distance", "direction", "statistic", "expression", "unit"),
    *("aggregation", "track"),
)


@dataclass(frozen=True, eq=False)
class ParsingTruth:
    """The annotation of one picture.

    Attributes:
        maps: label set -> (H, W) uint8 classes; more than one where a data set's masks are painted in two ways.
        picture: height and width of the picture where it is a multiple of the annotation's: an answer of that size is
            read in the middle of each of the annotation's pixels.
    """

    maps: Mapping[str, Array]
    picture: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        checked: dict[str, Array] = {}
        for name, given in self.maps.items():
            if name not in LABEL_SETS:
                raise ContractError(f"truth.maps[{name}]: expected one of {', '.join(LABEL_SETS)}")
            classes = np.asarray(given)
            if classes.ndim != 2 or not classes.size or classes.dtype.kind not in "ui":
                raise ContractError(f"truth.maps[{name}]: {classes.dtype} {classes.shape}, expected integers (H, W)")
            count = len(LABEL_SETS[name].classes)
            if classes.min() < 0 or classes.max() >= count:
                span = f"{int(classes.min())}..{int(classes.max())}"
                raise ContractError(f"truth.maps[{name}]: classes {span}, expected 0..{count - 1}")
            checked[name] = classes.astype(np.uint8)
        if len({classes.shape for classes in checked.values()}) != 1:
            raise ContractError("truth.maps: none, or of different sizes")
        object.__setattr__(self, "maps", MappingProxyType(checked))
        if self.picture is not None and any(
            large % small for large, small in zip(self.picture, self.shape, strict=True)
        ):
            raise ContractError(f"truth.picture: {self.picture}, expected a multiple of {self.shape}")

    def at_my_size(self, label_map: Array) -> Array:
        """A label map of the picture's size at the annotation's; another one as it is."""
        if self.picture is None or label_map.shape != self.picture:
            return label_map
        down, right = (large // small for large, small in zip(self.picture, self.shape, strict=True))
        return label_map[down // 2 :: down, right // 2 :: right]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = next(iter(self.maps.values())).shape
        return height, width


@dataclass(frozen=True, kw_only=True)
class ParsingF1(Protocol):
    """F1 of each class over the pixels of the whole test set (FaRL, Zheng et al., CVPR 2022; PaCo-FR follows it).

    One confusion matrix H is added up over all pixels of all pictures, rows the annotation and columns the answer;
    F1 = 2 H[c,c] / (sum of row c + sum of column c), and `mean` is the unweighted mean over the classes without the
    background. So a large picture counts more than a small one, and a rare class hangs on few pictures.

    A class that is nowhere, neither annotated nor predicted, has no F1, and in the official program the mean then is
    not a number. `absent="left_out"` gives the mean over the classes that are there. A failed sample counts as
    background everywhere.

    Attributes:
        labels: the label set, a key of `harness.protocols.labels.LABEL_SETS`; the regions are its foreground classes.
        absent: "undefined" (official) or "left_out".
    """

    name: str = "parsing_f1"
    official: bool = True
    alignment: str = "in_picture"
    scale: str = "none"
    reflection: bool = False
    distance: str = "same_pixel"
    direction: str = "pixel"
    regions: tuple[str, ...] = ()
    statistic: str = "f1"
    unit: str = "%"
    aggregation: str = "pixels"
    fallback: str = "background"
    labels: str = "lapa"
    absent: str = "undefined"

    computes = _PICTURE

    def __post_init__(self) -> None:
        if self.labels not in LABEL_SETS:
            raise ContractError(f"protocol {self.name}.labels: {self.labels!r}, expected {', '.join(LABEL_SETS)}")
        if not self.regions:
            object.__setattr__(self, "regions", self.label_set.foreground)
        super().__post_init__()
        if tuple(self.regions) != self.label_set.foreground:
            raise ContractError(f"protocol {self.name}.regions: set by labels={self.labels}; leave them out")
        if self.absent not in ("undefined", "left_out"):
            raise ContractError(f"protocol {self.name}.absent: {self.absent!r}, expected undefined or left_out")
        if self.fallback not in ("background", "none"):
            raise ContractError(f"protocol {self.name}.fallback: {self.fallback!r}, expected background or none")
        if self.official and self.absent != "undefined":
            raise ContractError(f"protocol {self.name}: the official mean needs every class; set official=False")

    @property
    def label_set(self) -> LabelSet:
        """The data set's classes."""
        return LABEL_SETS[self.labels]

    @property
    def columns(self) -> tuple[str, ...]:
        """The foreground classes and their mean."""
        return (*self.label_set.foreground, MEAN)

    def describe(self) -> str:
        """One sentence that says what the number means."""
        absent = "is undefined if a class is nowhere" if self.absent == "undefined" else "is over classes that occur"
        kind = "the official program's" if self.official else "this harness's own"
        return (
            f"{self.name} (version {self.version}, {kind} protocol): F1 in {self.unit} of the {len(self.regions)} "
            f"foreground classes of {self.labels}, from true and predicted labels at the picture's own size, "
            f"{self._words('aggregation')}; their unweighted mean {absent}; {self._words('fallback')}."
        )

    def larger_is_better(self, column: str) -> bool:
        """See Protocol; of every F1."""
        del column
        return True

    def stand_in(self, truth: ParsingTruth) -> Prediction:
        """Background everywhere."""
        return Prediction(label_map=np.full(truth.shape, BACKGROUND))

    def score(self, prediction: Prediction, truth: ParsingTruth) -> Score:
        """One picture's own F1 where a class occurs in it, and its confusion matrix for `summarise`."""
        if prediction.failure is not None:
            return Score.failed(prediction.failure, prediction.detail)
        if prediction.label_map is None:
            return Score.failed("no_label_map", "the prediction has no label map; this protocol needs one")
        answer = truth.at_my_size(prediction.label_map)
        problem = _problem(answer, truth.shape)
        if problem is not None:
            return Score.failed("bad_label_map", problem)
        if self.labels not in truth.maps:
            return Score.failed("bad_input", f"the data set has no labels of {self.labels}; it has {list(truth.maps)}")
        classes = self.label_set.table()[answer]
        matrix = confusion(truth.maps[self.labels], classes, len(self.label_set.classes))
        found = f1_of(matrix)
        values = {name: value for name, value in zip(self.label_set.classes, found, strict=True) if value == value}
        foreground = [values[name] for name in self.label_set.foreground if name in values]
        values |= {MEAN: float(np.mean(foreground))} if foreground else {}
        return Score(values, vectors={"confusion": matrix.ravel()})

    def summarise(self, rows: Sequence[SampleScore]) -> list[dict[str, Any]]:
        """See Protocol.summarise: F1 of the pixels of all pictures of a condition, one picture in memory at a time."""
        return [
            {**condition, **line}
            for condition, members in by_condition(rows)
            for line in self._lines(members, self._pooled(members, False), self._pooled(members, True))
        ]

    def _pooled(self, rows: Sequence[SampleScore], filled: bool) -> dict[str, float] | None:
        """Column -> F1, failed samples left out or (`filled`) replaced; None where nothing can be computed."""
        chosen = [row for row in rows if filled or row.score is not None]
        if not chosen or any(not self._counts(row) for row in chosen):
            return None
        return self._columns(f1_of(total(self._confusion(row) for row in chosen)))

    def _columns(self, found: Array) -> dict[str, float]:
        values = {name: float(v) for name, v in zip(self.label_set.classes, found, strict=True) if np.isfinite(v)}
        known = [values[name] for name in self.regions if name in values]
        if known and (self.absent == "left_out" or len(known) == len(self.regions)):
            values[MEAN] = float(np.mean(known))
        return values

    def _counts(self, row: SampleScore) -> bool:
        """Whether there is something to count a sample with: its own answer, or what stands in for it."""
        return row.score is not None or (row.fallback is not None and self.fallback != "none")

    def _confusion(self, row: SampleScore) -> Array:
        name = "vectors/confusion" if row.score is not None else "fallback/vectors/confusion"
        stored, count = row.arrays(name), len(self.label_set.classes)
        if stored is None or stored.size != count**2:
            raise ContractError(f"sample {row.sample_id}: its array {name!r} is not there; score the run again")
        return stored.reshape(count, count)

    def _lines(
        self, rows: Sequence[SampleScore], worked: Mapping[str, float] | None, filled: Mapping[str, float] | None
    ) -> list[dict[str, Any]]:
        return [
            {
                "protocol": self.id,
                "column": column,
                "value": (filled or {}).get(column),
                "value_dropping_failures": (worked or {}).get(column),
                "evaluated": sum(row.score is not None for row in rows),
                "expected": len(rows),
                "std_subjects": None,
            }
            for column in self.columns
        ]


@dataclass(frozen=True, kw_only=True)
class ParsingF1PerImage(ParsingF1):
    """F1 of each picture on its own, then the mean over the pictures: each counts alike, however large it is.

    A class counts in the pictures where it is annotated or predicted; `mean` is the mean over pictures of the mean over
    their classes. Not comparable with `ParsingF1`.
    """

    name: str = "parsing_f1_per_image"
    official: bool = False
    aggregation: str = "sample>set"
    absent: str = "left_out"

    def _pooled(self, rows: Sequence[SampleScore], filled: bool) -> dict[str, float] | None:
        chosen = [row for row in rows if filled or row.score is not None]
        if not chosen or any(not self._counts(row) for row in chosen):
            return None
        scores = [row.score if row.score is not None else row.fallback or {} for row in chosen]
        known = {column: [score[column] for score in scores if column in score] for column in self.columns}
        return {column: float(np.mean(values)) for column, values in known.items() if values}


def confusion(truth: Array, answer: Array, count: int) -> Array:
    """(count, count) int64 numbers of pixels: rows the true class, columns the answered one.

    Args:
        truth: uint8 classes below `count`.
        answer: uint8 classes below `count`, of the same shape.
        count: of classes, at most 256.
    """
    pairs = truth.astype(np.uint16) * np.uint16(count) + answer
    return np.bincount(pairs.ravel(), minlength=count**2).reshape(count, count)


def total(matrices: Iterable[Array]) -> Array:
    """The sum of confusion matrices, of which only one needs to be in memory."""
    found: Array | None = None
    for matrix in matrices:
        found = matrix.astype(np.int64) if found is None else found + matrix
    assert found is not None
    return found


def f1_of(matrix: Array) -> Array:
    """(C,) percent: 2 TP / (2 TP + FP + FN) of each class; NaN for one that is neither annotated nor predicted."""
    sums = matrix.sum(axis=0) + matrix.sum(axis=1)
    with np.errstate(invalid="ignore"):
        return np.asarray(100.0 * 2 * matrix.diagonal() / sums)


def _problem(label_map: Array, shape: tuple[int, int]) -> str | None:
    """Why a predicted label map cannot be compared; None if it can."""
    if label_map.shape != shape:
        sizes = [f"{width}x{height}" for height, width in (label_map.shape, shape)]
        return f"the label map has {sizes[0]} pixels, the picture {sizes[1]}; warp it back to the picture"
    if label_map.min() < 0 or label_map.max() >= len(LABELS):
        unknown = np.unique(label_map[(label_map < 0) | (label_map >= len(LABELS))])[:5].tolist()
        return f"unknown labels {unknown}, expected 0..{len(LABELS) - 1} (harness.protocols.labels.LABELS)"
    return None
