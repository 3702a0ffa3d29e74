"""The findings as a table."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.doctor.findings import Diagnosis, Verdict

STYLES = {Verdict.OK: "green", Verdict.WARNING: "yellow", Verdict.WRONG: "bold red", Verdict.UNDECIDED: "dim"}


def print_diagnosis(diagnosis: Diagnosis, console: Console | None = None) -> None:
    """Prints one row per check, with evidence and, where there is one, the remedy below it."""
    form = f"in the form of {diagnosis.bench}" if diagnosis.bench else "with all that a view can have"
    table = Table(
        title=f"{diagnosis.method}: {diagnosis.questions} samples of synthetic people {form}, on {diagnosis.device}",
        title_justify="left",
        show_lines=True,
    )
    for header in ("looked for", "verdict", "evidence and remedy"):
        table.add_column(header, no_wrap=header == "verdict", overflow="fold")
    for finding in diagnosis.findings:
        style = STYLES[finding.verdict]
        text = escape(finding.evidence) + (f"\n[bold]Remedy:[/] {escape(finding.remedy)}" if finding.remedy else "")
        table.add_row(finding.name, f"[{style}]{finding.verdict.value}[/]", text)
    console = console or Console()
    console.print(table)
    console.print(_conclusion(diagnosis))


def _conclusion(diagnosis: Diagnosis) -> str:
    counts = {verdict: sum(f.verdict is verdict for f in diagnosis.findings) for verdict in Verdict}
    said = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    named = "; ".join(finding.name for finding in diagnosis.wrong)
    return f"{diagnosis.method}: {said}" + (f". To mend: {named}" if named else ". Nothing to mend was found")
