"""The one use case: a study is read, its chest CT chosen and decoded, triaged, reported.

`groundglass run`, `batch`, `evaluate` and the node differ in what they tell on the way, where the
report goes and what becomes of a study that cannot be analysed. That is all they bring.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from groundglass.analyse.triage import Triage
from groundglass.core.analysis import Analysis
from groundglass.core.result import Outcome, StudyEnd, TriageResult
from groundglass.core.study import Series, Study
from groundglass.core.volume import Volume
from groundglass.errors import GroundglassError, IncompleteSeries, InputError, NoChestCT
from groundglass.read import read_volume, select_chest_ct
from groundglass.read.format import Progress
from groundglass.read.sources import without_file_names
from groundglass.report import DicomSettings, write_report
from groundglass.report.writing import refuse_unusable

#: Name of the last stage; those before it are `Triage`'s.
REPORT = "report"


class StudyObserver:
    """Told how far a study is. Tells nobody; those who use `analyse_study` override what they want.

    What it raises breaks the analysis off.
    """

    def reading(self, done: int, total: int) -> None:
        """So many files are read."""

    def read(self, study: Study) -> None:
        """All files are read."""

    def chosen(self, study: Study, series: Series) -> None:
        """The chest CT is this series."""

    def decoding(self, done: int, total: int) -> None:
        """So many slices are decoded."""

    def decoded(self, volume: Volume) -> None:
        """All slices are decoded."""

    def stage(self, name: str) -> None:
        """A stage of `Triage` begins, or REPORT."""

    def reported(self, result: TriageResult) -> None:
        """The report is written, if one was asked for."""

    def refused(self, error: GroundglassError) -> str:
        """There will be no result: the reason, in words; or raise the error."""
        raise error


@dataclass(frozen=True, slots=True)
class ReportPlan:
    """Which report is made, and where."""

    directory: Path
    """As for `write_report`; asked before the work whether it can be used."""
    explain: str | None = None
    """The class whose evidence is shown; None for the verdict's."""
    dicom: DicomSettings = field(default_factory=DicomSettings)
    """What the DICOM results are."""
    analysis: Analysis | None = None
    """Which analysis of the study it is; its first, and made now, without."""


#: Gives the volume of a study, telling the observer on the way.
OpenStudy = Callable[[StudyObserver], Volume]


def open_chest_ct(read: Callable[[Progress], Study], observer: StudyObserver) -> Volume:
    """Read → select → decode.

    Raises
    ------
    InputError
        There is no chest CT that can be analysed.
    """
    study = read(observer.reading)
    observer.read(study)
    series = select_chest_ct(study)
    observer.chosen(study, series)
    volume = read_volume(series, progress=observer.decoding)
    observer.decoded(volume)
    return volume


def analyse_study(
    open_study: OpenStudy, triage: Triage, observer: StudyObserver, plan: ReportPlan | None = None
) -> StudyEnd:
    """Open (read → select → decode) → triage → report.

    Parameters
    ----------
    open_study : callable
        Mostly `open_chest_ct` of some files.
    triage : Triage
        The networks.
    observer : StudyObserver
        Told how far it is; decides what becomes of a study that cannot be analysed.
    plan : ReportPlan, optional
        The report; none is made without.

    Returns
    -------
    StudyEnd
        Also of a study without a result, unless the observer raises.
    """
    begin = time.perf_counter()
    try:
        if plan is not None:
            refuse_unusable(plan.directory)
        volume = open_study(observer)
        opened = time.perf_counter()
        result = triage(volume, observer.stage, plan.explain if plan is not None else None)
        analysed = time.perf_counter()
        if plan is not None and plan.analysis is not None:
            result = replace(result, analysis=plan.analysis)
        if plan is not None:
            observer.stage(REPORT)
            write_report(result, volume, plan.directory, plan.dicom)
        end = time.perf_counter()
        observer.reported(result)
    except GroundglassError as error:
        reason = observer.refused(error)
        return StudyEnd(_outcome(error), reason, seconds=time.perf_counter() - begin)
    verdict = result.verdict
    return StudyEnd(
        result.outcome,
        result.reason,
        verdict.label if verdict else "",
        dict(verdict.probabilities) if verdict else {},
        len(volume.hu),
        end - begin,
        {
            "read": opened - begin,
            **{stage: ms / 1000 for stage, ms in result.timings_ms.items()},
            REPORT: end - analysed,
        },
        tuple(note.text for note in result.notes_beside_reason),
        verdict.by_share if verdict else None,
    )


def _outcome(error: GroundglassError) -> Outcome:
    """How a study ended that has no result."""
    if isinstance(error, NoChestCT):
        return Outcome.NOT_CHEST_CT
    if isinstance(error, IncompleteSeries):
        return Outcome.INCOMPLETE
    return Outcome.UNREADABLE if isinstance(error, InputError) else Outcome.NOT_WRITTEN


def in_a_table(error: GroundglassError, names: Iterable[str] = ()) -> str:
    """Why there is no result, on one line; no file is named: names of files may be people's."""
    text = without_file_names(f"{error.found}; expected {error.expected}", names)
    return " ".join(text.split())
