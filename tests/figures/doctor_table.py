"""The table in docs/doctor.md: what the doctor says of each deliberately wrong adapter.

python -m tests.figures.doctor_table
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.doctor.command import diagnose
from harness.doctor.findings import Verdict
from harness.method import MethodSpec
from tests.doctor import wrong_adapters as wrong
from tests.doctor.test_wrong_adapters import MISTAKES

ALONE = (wrong.Busy, wrong.Dies, wrong.DoesNotLoad)
"""Mistakes that only a process of its own shows."""


def rows() -> Iterator[str]:
    """One line of Markdown per adapter and finding."""
    for adapter in (wrong.Truthful, *(case[0] for case in MISTAKES), *ALONE):
        name = adapter.__name__
        diagnosis = diagnose(MethodSpec(name, f"tests.doctor.wrong_adapters:{name}"))
        named = [f for f in diagnosis.findings if f.verdict in (Verdict.WRONG, Verdict.WARNING)]
        if not named:
            yield f"| `{name}` | none | | | |"
        for finding in named:
            yield f"| `{name}` | {finding.name} | {finding.verdict.value} | {finding.evidence} | {finding.remedy} |"


if __name__ == "__main__":
    print("| adapter | named | verdict | evidence | remedy |\n| --- | --- | --- | --- | --- |")
    for row in rows():
        print(row, flush=True)
