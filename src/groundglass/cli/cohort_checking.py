"""The whole of `groundglass cohort check`: a report for people, or for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from groundglass.cli.cohort_making import refuse_taken
from groundglass.cli.cohort_tables import tell_counts
from groundglass.cli.console import Terminal, progress_bar
from groundglass.cli.failures import ExitCode
from groundglass.cohort import (
    CheckSettings,
    CohortReport,
    Finding,
    Severity,
    check_cohort,
    read_cohort,
    write_cohort,
)

#: Findings of one kind told one by one; the rest is in the JSON.
_SHOWN = 20
_SHOWN_ROWS = 10


@dataclass(frozen=True, slots=True)
class Check:
    """What was asked for.

    Parameters
    ----------
    labels : tuple of str
        Classes there should be.
    opened : bool
        Whether studies are opened.
    workers : int
        Studies opened at once.
    usable : Path or None
        Where the usable rows go.
    as_json : bool
        For machines.
    """

    labels: tuple[str, ...]
    opened: bool
    workers: int
    usable: Path | None
    as_json: bool


def check(table: Path, wish: Check) -> ExitCode:
    """Check a cohort and tell what was found.

    Returns
    -------
    ExitCode
        CANNOT where there are errors.
    """
    if wish.usable is not None:
        refuse_taken(wish.usable)
    terminal = Terminal(stderr=wish.as_json)
    cohort = read_cohort(table)
    settings = CheckSettings(wish.labels, open_studies=wish.opened, workers=wish.workers)
    with progress_bar("Opening studies") as progress:
        report = check_cohort(cohort, settings, progress)
    _tell(report, terminal)
    if wish.usable is not None:
        usable = report.usable(cohort)
        write_cohort(usable, wish.usable)
        terminal.print(f"{len(usable.cases)} usable rows of {len(cohort.cases)} in {wish.usable}")
    if wish.as_json:
        typer.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    return ExitCode.DONE if report.ok else ExitCode.CANNOT


def _tell(report: CohortReport, terminal: Terminal) -> None:
    terminal.print(f"{report.cases} rows, {report.patients} patients")
    terminal.heading("Splits and classes")
    tell_counts(report.counts, "split", terminal)
    terminal.heading("Sources and classes")
    tell_counts(report.sources, "source", terminal)
    for severity, title in ((Severity.ERROR, "Errors"), (Severity.WARNING, "To be judged")):
        found = [f for f in report.findings if f.severity is severity]
        if found:
            terminal.heading(f"{title}: {len(found)}")
            _tell_findings(found, terminal)
    terminal.print()
    if not report.opened:
        terminal.print("Studies were not opened: nothing is known of their pixels.")
    terminal.print("No errors." if report.ok else "This cohort has errors; see above.", "bold")


def _tell_findings(findings: Sequence[Finding], terminal: Terminal) -> None:
    told: dict[str, int] = {}
    for finding in findings:
        told[finding.kind] = told.get(finding.kind, 0) + 1
        if told[finding.kind] <= _SHOWN:
            terminal.print(f"  {_rows(finding.rows)}{finding.words}")
    for kind, count in told.items():
        if count > _SHOWN:
            terminal.print(
                f"  and {count - _SHOWN} more of the kind {kind}; --json has all of them"
            )


def _rows(rows: Sequence[int]) -> str:
    if not rows:
        return ""
    shown = ", ".join(map(str, rows[:_SHOWN_ROWS]))
    more = f" and {len(rows) - _SHOWN_ROWS} more" if len(rows) > _SHOWN_ROWS else ""
    return f"row{'s' if len(rows) > 1 else ''} {shown}{more}: "
