"""What runs are called where several stand beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from harness.leaderboards.runs import Run


def names_of(runs: Sequence[Run]) -> dict[str, str]:
    """Key of each run -> its method, with the run's identity where a method has several runs."""
    counts = Counter(run.method for run in runs)
    short = {run.key: run.method if counts[run.method] == 1 else f"{run.method} {run.identity[:8]}" for run in runs}
    twice = Counter(short.values())
    return {key: name if twice[name] == 1 else f"{name} ({key})" for key, name in short.items()}


def options_of(run: Run) -> str:
    """The method's options that are set, e.g. "size=mini, track=auto"."""
    return ", ".join(f"{name}={value}" for name, value in run.options.items())


def plain(text: str) -> str:
    """The text with what Markdown would take for markup made harmless."""
    return "".join(f"\\{letter}" if letter in r"\`*[]<>#$:~|!" else letter for letter in text)
