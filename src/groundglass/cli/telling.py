"""A result in words, for the terminal."""

from __future__ import annotations

from pathlib import Path

from groundglass.cli.console import Terminal
from groundglass.core.result import RESEARCH_USE_ONLY, Outcome, TriageResult, Verdict
from groundglass.report import DICOM_FOLDER, PAGE
from groundglass.report.terms import OUTCOME_TERMS, class_name
from groundglass.report.writing import MANIFEST


def tell_result(result: TriageResult, directory: Path, terminal: Terminal) -> None:
    """Say how an analysis ended, where the report is and what the weights are worth.

    Parameters
    ----------
    result : TriageResult
        What was found.
    directory : Path
        Where its report was written.
    terminal : Terminal
        Who says it.
    """
    if result.verdict is None:
        _tell_no_verdict(result, terminal)
    else:
        _tell_verdict(result, result.verdict, terminal)
    if result.notes_beside_reason:
        terminal.heading("Note")
        for note in result.notes_beside_reason:
            terminal.print(f"  {note.text}", "yellow")
    terminal.heading("Report")
    terminal.print(f"  {directory / PAGE}  to read in a browser")
    terminal.print(f"  {directory / MANIFEST}  for machines")
    if (directory / DICOM_FOLDER).is_dir():
        terminal.print(f"  {directory / DICOM_FOLDER}  for the PACS")
    terminal.print()
    terminal.print(result.provenance.bundle_statement, "yellow")
    terminal.print(RESEARCH_USE_ONLY, "bold yellow")


def _tell_no_verdict(result: TriageResult, terminal: Terminal) -> None:
    words = OUTCOME_TERMS[result.outcome]
    terminal.heading(words.title)
    terminal.print(f"  {result.reason}")
    terminal.print(f"  {words.action}")
    terminal.print(f"  Outcome: {result.outcome}")


def _tell_verdict(result: TriageResult, verdict: Verdict, terminal: Terminal) -> None:
    terminal.heading(f"Verdict: {class_name(verdict.label)} ({verdict.label})")
    wide = max(map(len, result.labels))
    groups = len(result.groups)
    for label in result.labels:
        terminal.print(
            f"  {label:<{wide}}  {verdict.probabilities[label]:.3f}  "
            f"{verdict.votes[label]} of {groups} group{'s' if groups > 1 else ''}"
        )
    terminal.print(f"  {result.reason}")
    for firing in verdict.rule_firings:
        terminal.print(
            f"  0.9 rule: group {firing.group_index + 1} gave {firing.label} "
            f"{firing.probability:.3f}, above {firing.threshold:g}"
        )
    seconds = sum(result.timings_ms.values()) / 1000
    terminal.print(
        f"  Outcome: {Outcome.VERDICT}; {seconds:.1f} s in {result.provenance.precision}"
    )
