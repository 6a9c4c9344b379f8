"""The terminal as the observer of a study: bars while it is read and analysed, then in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Self, TypeVar

from groundglass.analyse.study import StudyObserver
from groundglass.cli.console import Terminal, progress_bar, stage_bar
from groundglass.core.result import Outcome, TriageResult, Verdict
from groundglass.core.study import Rejection, Series, Study
from groundglass.core.verdict_words import Answers, not_judged_sentence
from groundglass.core.volume import Volume
from groundglass.errors import ReadError
from groundglass.read import read_study
from groundglass.read.format import Progress
from groundglass.read.image_stack.settings import UNSTATED, ImageStackSettings
from groundglass.report import DICOM_FOLDER, PAGE
from groundglass.report.terms import OUTCOME_TERMS
from groundglass.report.writing import MANIFEST

Bar = TypeVar("Bar")

_SHOWN_REASONS = 10
_STACK_OPTIONS = "--hu-scale or --window, --spacing, --first-slice, --first-row and --first-column"
#: `Triage`'s stages and the report, for people.
_STAGES = {
    "segment": "Finding the lungs",
    "measure": "Measuring opacities",
    "prepare": "Preparing the slices",
    "classify": "Judging the slices",
    "explain": "Drawing the heat maps",
    "report": "Writing the report",
}


def study_reader(source: Path, stack: ImageStackSettings | None) -> Callable[[Progress], Study]:
    """What reads an input; a refusal for want of `stack` names the options that give it."""

    def read(progress: Progress) -> Study:
        try:
            return read_study(source, stack=stack, progress=progress)
        except ReadError as error:
            if UNSTATED not in error.found:
                raise
            action = f"{error.action} PNG, JPEG or TIFF images need {_STACK_OPTIONS}."
            raise ReadError(error.found, expected=error.expected, action=action) from error

    return read


class TerminalObserver(StudyObserver):
    """Shows how far a study is, and tells what was chosen, passed over and found."""

    def __init__(
        self, terminal: Terminal, directory: Path, stages: Mapping[str, str] = _STAGES
    ) -> None:
        self._terminal = terminal
        self._directory = directory
        self._stages = stages
        self._shown = ExitStack()

    def __enter__(self) -> Self:
        self._progress = self._show(progress_bar("Reading headers"))
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def _show(self, bar: AbstractContextManager[Bar]) -> Bar:
        """Another bar in the place of the one before."""
        self._shown.close()
        return self._shown.enter_context(bar)

    def reading(self, done: int, total: int) -> None:
        """Show it."""
        self._progress(done, total)

    def read(self, study: Study) -> None:
        """Tell what was set aside."""
        self._shown.close()
        tell_files(study.rejected, self._terminal)

    def chosen(self, study: Study, series: Series) -> None:
        """Tell the choice, and what was not taken."""
        self._terminal.heading("Chosen")
        self._terminal.print(f"  {series.selection_reason}")
        passed_over = series.rejected[: len(series.rejected) - len(study.rejected)]
        if passed_over:
            self._terminal.heading("Series not taken")
            for rejection in passed_over:
                self._terminal.print(f"  {rejection.what}: {rejection.reason}")
        self._progress = self._show(progress_bar("Decoding slices"))

    def decoding(self, done: int, total: int) -> None:
        """Show it."""
        self._progress(done, total)

    def decoded(self, volume: Volume) -> None:
        """Tell what it is."""
        self._shown.close()
        self._terminal.heading("Volume")
        self._terminal.print(f"  {_in_mm(volume)}")
        for note in volume.notes:
            self._terminal.print(f"  {note}")
        self._begin = self._show(stage_bar(self._stages))

    def stage(self, name: str) -> None:
        """Show it."""
        self._begin(name)

    def reported(self, result: TriageResult) -> None:
        """Tell how it ended."""
        self._shown.close()
        _tell_result(result, self._directory, self._terminal)


def tell_files(rejected: Sequence[Rejection], terminal: Terminal) -> None:
    """How many files were set aside for which reason, if any were; not their names."""
    if not rejected:
        return
    reasons = Counter(rejection.reason for rejection in rejected).most_common()
    terminal.heading(f"Files set aside: {len(rejected)}")
    for reason, count in reasons[:_SHOWN_REASONS]:
        terminal.print(f"  {count} × {reason}")
    if len(reasons) > _SHOWN_REASONS:
        rest = sum(count for _, count in reasons[_SHOWN_REASONS:])
        terminal.print(f"  {rest} × other reasons")


def _in_mm(volume: Volume) -> str:
    slices, rows, columns = volume.geometry.shape
    height, depth, width = volume.geometry.spacing_mm
    return (
        f"{slices} slices of {rows}×{columns}, "
        f"{depth:.2f}×{width:.2f} mm pixels, {height:.2f} mm apart"
    )


def _tell_result(result: TriageResult, directory: Path, terminal: Terminal) -> None:
    """How an analysis ended, where the report is and what the weights are worth."""
    if result.verdict is None:
        _tell_no_verdict(result, terminal)
    else:
        _tell_verdict(result, result.verdict, terminal)
    if result.not_judged is not None:
        terminal.print(f"  {not_judged_sentence(result.not_judged)}")
    if result.notes_beside_reason:
        terminal.heading("Note")
        for note in result.notes_beside_reason:
            terminal.print(f"  {note.text}", "yellow")
    terminal.heading("Report")
    terminal.print(f"  {directory / PAGE}  to read in a browser")
    terminal.print(f"  {directory / MANIFEST}  for machines")
    if (directory / DICOM_FOLDER).is_dir():
        terminal.print(f"  {directory / DICOM_FOLDER}  for the PACS")
    terminal.limits(result.provenance.bundle_statement)


def _tell_no_verdict(result: TriageResult, terminal: Terminal) -> None:
    words = OUTCOME_TERMS[result.outcome]
    terminal.heading(words.title)
    terminal.print(f"  {result.reason}")
    terminal.print(f"  {words.action}")
    terminal.print(f"  Outcome: {result.outcome}")


def _tell_verdict(result: TriageResult, verdict: Verdict, terminal: Terminal) -> None:
    terminal.heading(f"Verdict: {Answers.of(verdict)} ({verdict.label})")
    wide = max(map(len, result.labels))
    groups = len(result.groups)
    for label in result.labels:
        told = f"  {label:<{wide}}  {verdict.probabilities[label]:.3f}"
        if verdict.by_share is None:
            told += f"  {verdict.votes[label]} of {groups} group{'s' if groups > 1 else ''}"
        terminal.print(told)
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
