"""The parts of a method's `predict` that timing tells apart."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from harness.errors import ContractError

STAGES = {
    "input": "detection and crop",
    "network": "the network with every iteration",
    "decode": "mesh extraction, fit and copy to the host",
}


def check_stage(name: str) -> None:
    """Raises ContractError unless `name` is one of STAGES."""
    if name not in STAGES:
        raise ContractError(f"stage {name!r}: expected one of {', '.join(STAGES)}")


class StageClock:
    """Adds up the wall-clock time of each stage of a call.

    Args:
        synchronise: waits until the device has done what it was given; called at both ends of a stage, since a GPU
            answers before it has finished.
        clock: seconds, monotonic.

    Attributes:
        seconds: stage -> time since `clear`; a stage that ran several times counts with its sum.
    """

    def __init__(self, synchronise: Callable[[], None], clock: Callable[[], float] = time.perf_counter) -> None:
        self._synchronise, self._clock, self._within = synchronise, clock, ""
        self.seconds: dict[str, float] = {}

    def clear(self) -> None:
        """Forgets all times."""
        self.seconds, self._within = {}, ""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times what is inside. Raises ContractError inside another stage: time would count twice."""
        if self._within:
            raise ContractError(f"stage {name!r} begins inside stage {self._within!r}: stages follow one another")
        self._synchronise()
        self._within, start = name, self._clock()
        try:
            yield
            self._synchronise()
        finally:
            self._within = ""
            self.seconds[name] = self.seconds.get(name, 0.0) + self._clock() - start
