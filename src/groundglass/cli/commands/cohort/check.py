"""`groundglass cohort check`: a report for people, or for machines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli.commands.cohort.tables import Table, refuse_taken, tell_counts
from groundglass.cli.console import Terminal, progress_bar
from groundglass.cli.failures import ExitCode

if TYPE_CHECKING:
    from groundglass.cohort import CohortReport, Finding

#: Findings of one kind told one by one; the rest is in the JSON.
_SHOWN = 20
_SHOWN_ROWS = 10


def check(
    table: Table,
    labels: Annotated[
        str,
        typer.Option(
            metavar="A,B,C",
            show_default="those of the table",
            help="The classes there should be, separated by commas.",
        ),
    ] = "",
    table_only: Annotated[
        bool,
        typer.Option("--table-only", help="Open no study: pixels are neither read nor compared."),
    ] = False,
    workers: Annotated[
        int,
        typer.Option(min=0, help="Studies opened at once; 0 for one per processor."),
    ] = 0,
    usable: Annotated[
        Path | None,
        typer.Option(
            "--usable",
            metavar="TABLE",
            dir_okay=False,
            help="Write the rows that can be used: without missing and unreadable studies and "
            "unknown labels.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON alone on standard output.")
    ] = False,
) -> None:
    """Find what is missing, damaged or leaking, and classes told by their source.

    Rows are named, patients never. A header is row 1, as in a spreadsheet.
    """
    from groundglass.cohort import CheckSettings, check_cohort, read_cohort, write_cohort

    if usable is not None:
        refuse_taken(usable)
    terminal = Terminal(stderr=as_json)
    cohort = read_cohort(table)
    wanted = tuple(label.strip() for label in labels.split(",") if label.strip())
    settings = CheckSettings(wanted, open_studies=not table_only, workers=workers)
    with progress_bar("Opening studies") as progress:
        report = check_cohort(cohort, settings, progress)
    _tell(report, terminal)
    if usable is not None:
        kept = report.usable(cohort)
        write_cohort(kept, usable)
        terminal.print(f"{len(kept.cases)} usable rows of {len(cohort.cases)} in {usable}")
    if as_json:
        typer.echo(json.dumps(report.to_json(), indent=2, ensure_ascii=False))
    raise typer.Exit(ExitCode.DONE if report.ok else ExitCode.CANNOT)


def _tell(report: CohortReport, terminal: Terminal) -> None:
    from groundglass.cohort import Severity

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
