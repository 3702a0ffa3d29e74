"""The class that a method's author writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from harness.samples import Prediction, Sample

if TYPE_CHECKING:
    import torch

MILLIMETRES_PER = {"m": 1000.0, "cm": 10.0, "mm": 1.0}


class MethodAdapter(ABC):
    """One method: loaded once, then asked for one Prediction per Sample.

    Class attributes to set:
        unit: "m", "cm" or "mm": the unit of the vertices and landmarks that `predict` returns.
        paper: the publication, for the leaderboard; empty for a baseline without one.
        family: groups methods on the leaderboard ("regressor", "vertex descent", ...).

    An adapter may be built with keyword arguments; they come from the method's YAML (`options`) or from
    the command line (`method.options.steps=5`).
    """

    unit: str
    paper: ClassVar[str] = ""
    family: ClassVar[str] = "other"

    def files(self) -> Sequence[Path]:
        """Files that the answers depend on besides the code (weights, stored answers): a change makes another run."""
        return ()

    @abstractmethod
    def load(self, device: torch.device) -> None:
        """Reads weights and moves them to `device`. Called once, before the first `predict`."""

    @abstractmethod
    def predict(self, samples: Sequence[Sample]) -> Sequence[Prediction]:
        """Answers each sample, in order. A sample without an answer gets `Prediction.failed(reason)`."""
