"""The labels of pixels: those of predictions, those of data sets, and what becomes of one in the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from harness.heads.head import PARTS
from harness.samples import Array

LABELS = (*PARTS, "glasses", "hat", "earring", "necklace")
"""What the numbers of a `Prediction.label_map` mean, whatever the data set. Left and right are the image's."""

BACKGROUND = LABELS.index("background")


@dataclass(frozen=True)
class LabelSet:
    """The classes of a data set.

    Attributes:
        classes: names, the background first; a class's number in label files is its place here.
        merged: labels that count as a class of another name; those that are neither count as background.
    """

    classes: tuple[str, ...]
    merged: Mapping[str, str]

    @property
    def foreground(self) -> tuple[str, ...]:
        """All classes but the background."""
        return self.classes[1:]

    def table(self) -> Array:
        """(len(LABELS),) uint8: the class of each label."""
        names = [self.merged.get(label, label) for label in LABELS]
        return np.array([self.classes.index(name) if name in self.classes else 0 for name in names], np.uint8)

    def labels(self) -> Array:
        """(len(classes),) the label of each class: turns a map of classes into one of labels."""
        return np.array([LABELS.index(name) for name in self.classes], np.int64)


LAPA = LabelSet(PARTS[:11], MappingProxyType({"left_ear": "skin", "right_ear": "skin"}))
"""LaPa's eleven: its skin includes the ears; neck, clothes and accessories are background."""

CELEBAMASK_FARL = LabelSet(
    (
        *("background", "neck", "skin", "cloth", "left_ear", "right_ear", "left_brow", "right_brow"),
        *("left_eye", "right_eye", "nose", "inner_mouth", "lower_lip", "upper_lip"),
        *("hair", "glasses", "hat", "earring", "necklace"),
    ),
    MappingProxyType({}),
)
"""CelebAMask-HQ's nineteen as FaRL numbers and paints them: later masks cover earlier ones, so neck and clothes lie
below everything. What is the image's left here, FaRL and PaCo-FR call the person's right."""

CELEBAMASK_OWN = LabelSet(
    (
        *("background", "skin", "nose", "glasses", "left_eye", "right_eye", "left_brow", "right_brow"),
        *("left_ear", "right_ear", "inner_mouth", "upper_lip", "lower_lip"),
        *("hair", "hat", "earring", "necklace", "neck", "cloth"),
    ),
    MappingProxyType({}),
)
"""CelebAMask-HQ's nineteen as the data set's own program numbers and paints them: neck and clothes on top."""

LABEL_SETS: Mapping[str, LabelSet] = MappingProxyType(
    {"lapa": LAPA, "celebamask_farl": CELEBAMASK_FARL, "celebamask_own": CELEBAMASK_OWN}
)
