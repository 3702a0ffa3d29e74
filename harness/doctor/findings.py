"""What a check says: a verdict with its evidence and a remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class Verdict(str, Enum):
    """How sure a check is that something is wrong."""

    OK = "ok"
    WARNING = "warning"
    """Allowed, but costs something that the author may not expect."""
    WRONG = "wrong"
    UNDECIDED = "undecided"
    """The answers do not hold what would show it."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: of the mistake that was looked for.
        verdict: whether it is there.
        evidence: what was measured, with units, and what was expected.
        remedy: what to do; empty unless the verdict is a warning or wrong.
    """

    name: str
    verdict: Verdict
    evidence: str
    remedy: str = ""


def ok(name: str, evidence: str) -> Finding:
    """The mistake is not there."""
    return Finding(name, Verdict.OK, evidence)


def undecided(name: str, evidence: str) -> Finding:
    """The answers cannot tell; `evidence` says why."""
    return Finding(name, Verdict.UNDECIDED, evidence)


def warning(name: str, evidence: str, remedy: str) -> Finding:
    """Allowed, with a cost."""
    return Finding(name, Verdict.WARNING, evidence, remedy)


def wrong(name: str, evidence: str, remedy: str) -> Finding:
    """The mistake is there."""
    return Finding(name, Verdict.WRONG, evidence, remedy)


@dataclass(frozen=True)
class Diagnosis:
    """All findings on one method.

    Attributes:
        method: its name.
        bench: in whose form it was asked; empty for pictures with everything a view can have.
        device: that it ran on.
        questions: how many samples it was asked for.
        findings: in the order of the checks.
    """

    method: str
    bench: str
    device: str
    questions: int
    findings: Sequence[Finding]

    @property
    def wrong(self) -> list[Finding]:
        """The findings that have to be mended."""
        return [finding for finding in self.findings if finding.verdict is Verdict.WRONG]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        values = asdict(self)
        return {**values, "findings": [{**f, "verdict": f["verdict"].value} for f in values["findings"]]}
