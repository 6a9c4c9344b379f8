"""A result in words, for the terminal."""

from __future__ import annotations

from pathlib import Path

from groundglass.cli.console import Voice
from groundglass.core.result import RESEARCH_USE_ONLY, Outcome, TriageResult, Verdict
from groundglass.report import DICOM_FOLDER, PAGE
from groundglass.report.words import OUTCOME_WORDS, class_name
from groundglass.report.writing import MANIFEST


def tell_result(result: TriageResult, directory: Path, voice: Voice) -> None:
    """Say how an analysis ended, where the report is and what the weights are worth.

    Parameters
    ----------
    result : TriageResult
        What was found.
    directory : Path
        Where its report was written.
    voice : Voice
        Who says it.
    """
    if result.verdict is None:
        _tell_no_verdict(result, voice)
    else:
        _tell_verdict(result, result.verdict, voice)
    if result.notes_beside_reason:
        voice.heading("Note")
        for note in result.notes_beside_reason:
            voice.say(f"  {note.text}", "yellow")
    voice.heading("Report")
    voice.say(f"  {directory / PAGE}  to read in a browser")
    voice.say(f"  {directory / MANIFEST}  for machines")
    if (directory / DICOM_FOLDER).is_dir():
        voice.say(f"  {directory / DICOM_FOLDER}  for the PACS")
    voice.say()
    voice.say(result.provenance.bundle_statement, "yellow")
    voice.say(RESEARCH_USE_ONLY, "bold yellow")


def _tell_no_verdict(result: TriageResult, voice: Voice) -> None:
    words = OUTCOME_WORDS[result.outcome]
    voice.heading(words.title)
    voice.say(f"  {result.reason}")
    voice.say(f"  {words.action}")
    voice.say(f"  Outcome: {result.outcome}")


def _tell_verdict(result: TriageResult, verdict: Verdict, voice: Voice) -> None:
    voice.heading(f"Verdict: {class_name(verdict.label)} ({verdict.label})")
    wide = max(map(len, result.labels))
    groups = len(result.groups)
    for label in result.labels:
        voice.say(
            f"  {label:<{wide}}  {verdict.probabilities[label]:.3f}  "
            f"{verdict.votes[label]} of {groups} group{'s' if groups > 1 else ''}"
        )
    voice.say(f"  {result.reason}")
    for firing in verdict.rule_firings:
        voice.say(
            f"  0.9 rule: group {firing.group_index + 1} gave {firing.label} "
            f"{firing.probability:.3f}, above {firing.threshold:g}"
        )
    seconds = sum(result.timings_ms.values()) / 1000
    voice.say(f"  Outcome: {Outcome.VERDICT}; {seconds:.1f} s in {result.provenance.precision}")
