"""The class that a method's author writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from harness.samples import Prediction, Sample
from harness.stages import StageClock, check_stage

if TYPE_CHECKING:
    import torch


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
    stage_clock: StageClock | None = None  # there while the adapter is timed

    def files(self) -> Sequence[Path]:
        """Files that the answers depend on besides the code (weights, stored answers): a change makes another run."""
        return ()

    @abstractmethod
    def load(self, device: torch.device) -> None:
        """Reads weights and moves them to `device`. Called once, before the first `predict`."""

    @abstractmethod
    def predict(self, samples: Sequence[Sample]) -> Sequence[Prediction]:
        """Answers each sample, in order. A sample without an answer gets `Prediction.failed(reason)`."""

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Marks a part of `predict` for bench=timing: `with self.stage("network"): ...`; costs nothing elsewhere.

        Args:
            name: "input" (detection, crop), "network" (every iteration) or "decode" (mesh, fit, copy to the host).
                Stages follow one another; one that is entered again adds to its time.

        Raises:
            ContractError: another name, or, while timed, a stage inside a stage.
        """
        check_stage(name)
        return nullcontext() if self.stage_clock is None else self.stage_clock.stage(name)
