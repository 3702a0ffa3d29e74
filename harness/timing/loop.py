"""The measuring loop: methods warm up, then take turns call by call."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import Any, Protocol

from harness.errors import HarnessError
from harness.samples import Sample
from harness.timing.process import END_TO_END, Call

LEAST_WARM_UP = 10  # calls: a median of fewer settles by chance
SETTLED = 0.01  # relative change of the running median over the last SETTLED_OVER calls
SETTLED_OVER = 5
STAGED_EVERY = 4  # of the turns, where stages need calls of their own
PAUSE_S = 0.01  # between turns: threads of the method before spin for some milliseconds
WORSE = 0.9  # a batch size that reaches less of the best throughput ends the search


@dataclass(frozen=True)
class TimingSettings:
    """How long to measure. Part of a run's identity.

    Attributes:
        inputs: different samples per condition (number of views); each is answered at least once.
        calls: timed calls of a method in each condition, over all processes, that are enough.
        seconds: time in these calls that is enough.
        warm_up: calls before timing, in each process, at most.
        processes: in which each method is started and timed anew.
        batches: sizes, besides 1, to look for the best throughput among.
    """

    inputs: int = 12
    calls: int = 1000
    seconds: float = 30.0
    warm_up: int = 50
    processes: int = 3
    batches: tuple[int, ...] = (1, 2, 4, 8, 16)

    def __post_init__(self) -> None:
        object.__setattr__(self, "batches", tuple(self.batches))
        for f in fields(self):
            value = getattr(self, f.name)
            numbers = value if isinstance(value, tuple) else (value,)
            whole = f.name != "seconds"
            for number in numbers:
                if isinstance(number, bool) or not isinstance(number, int if whole else (int, float)) or number <= 0:
                    kind = "whole numbers" if isinstance(value, tuple) else "a whole number" if whole else "a number"
                    raise HarnessError(f"bench.{f.name}={value}: expected {kind} above 0")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> TimingSettings:
        """From a configuration. Raises HarnessError that names an unknown key or a wrong value."""
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise HarnessError(f"bench.settings: unknown key {', '.join(sorted(unknown))}")
        return cls(**values)


class Player(Protocol):
    """What takes turns: `harness.timing.process.TimedProcess`, or a test's stand-in."""

    stages_apart: bool

    def call(self, samples: Sequence[Sample], staged: bool) -> Call:
        """Times one call."""


@dataclass(frozen=True)
class WarmUp:
    """Calls before timing, and whether their running median came to rest."""

    calls: int
    settled: bool


def warm_up(player: Player, samples: Sequence[Sample], settings: TimingSettings) -> WarmUp:
    """Calls until the running median changes by less than 1 %, at most `warm_up` times and for a process's share.

    Failures are left for the timed calls to find.
    """
    times: list[float] = []
    for number in range(settings.warm_up):
        call = player.call([samples[number % len(samples)]], not player.stages_apart)
        if call.failure is not None:
            return WarmUp(number, settled=False)
        times.append(call.seconds[END_TO_END])
        if is_settled(times):
            return WarmUp(number + 1, settled=True)
        if len(times) > 1 and sum(times) > settings.seconds / settings.processes:
            return WarmUp(number + 1, settled=False)
    return WarmUp(settings.warm_up, settled=False)


def is_settled(times: Sequence[float]) -> bool:
    """Whether the median of all calls differs by less than 1 % from that of all but the last few."""
    if len(times) < max(LEAST_WARM_UP, SETTLED_OVER + 1):
        return False
    before = median(times[:-SETTLED_OVER])
    return abs(median(times) - before) < SETTLED * before


def take_turns(
    players: Mapping[int, Player],
    samples: Sequence[Sample],
    settings: TimingSettings,
    process: int,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[int, Sample, Call]]:
    """Times one process's share of the calls: A B A B ..., each method until it has enough.

    Args:
        players: the methods, by number.
        samples: the inputs of one condition; a turn's input is the same for all methods.
        settings: how long.
        process: 0, 1, ...: where among the inputs to begin, so that each is answered in some process.
        pause: sleeps for so many seconds, before a turn if there are several methods.

    Yields:
        Number of the method, input, and what became of the call.
    """
    least = math.ceil(len(samples) / settings.processes)
    count, spent = dict.fromkeys(players, 0), dict.fromkeys(players, 0.0)
    active = list(players)
    turn = 0
    while active:
        sample = samples[(process * least + turn) % len(samples)]
        for number in list(active):
            if len(players) > 1:
                pause(PAUSE_S)
            for staged in _kinds(players[number], turn, least):
                began = time.monotonic()
                call = players[number].call([sample], staged)
                spent[number] += call.seconds.get(END_TO_END, 0.0 if call.seconds else time.monotonic() - began)
                yield number, sample, call
            count[number] += 1
            enough = count[number] >= settings.calls / settings.processes
            enough = enough or spent[number] >= settings.seconds / settings.processes
            if call.dead or (count[number] >= least and enough):
                active.remove(number)
        turn += 1


def _kinds(player: Player, turn: int, least: int) -> list[bool]:
    """Whether to time stages in each call of a turn: with the call itself, or now and then in a second one."""
    if not player.stages_apart:
        return [True]
    return [False, True] if turn < least or turn % STAGED_EVERY == 0 else [False]


def batch_times(player: Player, samples: Sequence[Sample], settings: TimingSettings, single: float) -> dict[int, float]:
    """Seconds per sample for growing batch sizes, each from three calls of which the first may prepare things.

    Ends at a size that fails (out of memory, say), is clearly slower than the best, or would take longer than all
    timed calls may.

    Args:
        player: the method.
        samples: the inputs of one condition; a batch larger than these repeats them.
        settings: which sizes.
        single: seconds of a call with one sample, which are known already.
    """
    found = {1: single}
    for size in sorted(set(settings.batches) - {1}):
        if 3 * size * min(found.values()) > settings.seconds:
            break
        times = []
        for number in range(3):
            batch = [samples[(number * size + i) % len(samples)] for i in range(size)]
            call = player.call(batch, staged=False)
            if call.failure is not None:
                return found
            times.append(call.seconds[END_TO_END] / size)
        best, found[size] = min(found.values()), median(times[1:])
        if best / found[size] < WORSE:
            break
    return found
