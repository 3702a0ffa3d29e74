"""What a method does besides answering: time, connections, files, programs."""

from __future__ import annotations

import numpy as np

from harness.doctor.evidence import short
from harness.doctor.findings import Finding, ok, undecided, warning, wrong
from harness.doctor.reading import Reading
from harness.doctor.watch import Event

FIRST, NETWORK, FILES, PROGRAMS = "slow first call", "network access", "write access", "other programs"
TIMES, SECONDS = 3.0, 1.5
"""A first call may pay for thread pools, kernels and caches of the processor: up to a second with PyTorch on a CPU.
What takes longer, both as a multiple and in seconds, is loading that belongs into load()."""
SHOWN = 3


def first_call(reading: Reading) -> Finding:
    """The first call, the quicker one of two processes (others may be at work too), against the later ones."""
    seconds = reading.evidence.seconds
    if len(seconds) < 3 or not reading.evidence.fresh_seconds:
        return undecided(FIRST, "fewer than three calls were answered")
    first, later = min(seconds[0], reading.evidence.fresh_seconds), float(np.median(seconds[1:]))
    words = f"first call {first:.2f} s, later ones {later:.2f} s (median of {len(seconds) - 1})"
    if first > TIMES * later and first > later + SECONDS:
        return warning(FIRST, words, "read weights, build tables and compile in load(); bench=timing warms up first")
    return ok(FIRST, words)


def network(reading: Reading) -> Finding:
    """Connections that Python reports; runs are to be possible without a network, and containers have none."""
    events = _events(reading, "network")
    if not events:
        return _clean(reading, NETWORK, "no connection and no look-up of a name")
    remedy = "fetch files beforehand and give their paths as options: nothing is fetched in a run"
    return wrong(NETWORK, _listed(events), remedy)


def files(reading: Reading) -> Finding:
    """Files written outside of the temporary folder."""
    events, cached = _events(reading, "write"), _events(reading, "cache")
    if events:
        return wrong(FILES, _listed(events), "keep results in the Prediction; scratch files go to tempfile's folder")
    if cached:
        remedy = "containers have a read-only root: let the adapter work where nothing can be written"
        return warning(FILES, f"written into the user's cache: {_listed(cached)}", remedy)
    return _clean(reading, FILES, "nothing written outside of the temporary folder")


def programs(reading: Reading) -> Finding:
    """Programs started; a container may not have them."""
    events = _events(reading, "program")
    if not events:
        return _clean(reading, PROGRAMS, "none started")
    return warning(PROGRAMS, _listed(events), "what they do stays unwatched, and a container may not have them")


def _events(reading: Reading, kind: str) -> list[Event]:
    return [event for event in reading.evidence.events if event.kind == kind]


def _clean(reading: Reading, name: str, words: str) -> Finding:
    if not reading.evidence.answers:
        return undecided(name, "there was no call")
    return ok(name, f"{words} (as far as Python reports it)")


def _listed(events: list[Event]) -> str:
    words = [f"{short(e.what)} in {e.phase}()" + (f" at {short(e.place)}" if e.place else "") for e in events]
    different = list(dict.fromkeys(words))
    more = len(different) - SHOWN
    return "; ".join(different[:SHOWN]) + (f" and {more} more" if more > 0 else "")
