"""What the node's child processes do: parse, analyse and report one study after the other."""

from __future__ import annotations

from functools import partial

from groundglass.analyse.study import ReportPlan, StudyObserver, analyse_study, open_chest_ct
from groundglass.analyse.supervisor import Broken
from groundglass.analyse.triage import Triage
from groundglass.core.atomic_files import out_of_room
from groundglass.core.result import Outcome, StudyEnd
from groundglass.core.study import Series, Study
from groundglass.errors import GroundglassError, IncompleteSeries, InputError, ReadError
from groundglass.infer import Precision
from groundglass.node.worker.analyser import AnalysisFailed, AnalysisSettings, Unwritten, Work
from groundglass.read import read_study
from groundglass.read.format import Progress
from groundglass.report import DicomSettings, write_refusal


class Analyst:
    """Analyses one study after the other with networks loaded once."""

    def __init__(self, settings: AnalysisSettings) -> None:
        self._triage = Triage.load(settings.bundle, Precision(settings.precision))
        self._key_objects = settings.key_objects

    def __str__(self) -> str:
        return f"{self._triage.bundle.name} {self._triage.bundle.version}"

    def __call__(self, work: Work) -> StudyEnd | Broken | Unwritten:
        """One study, from its files to its report; how it ended."""
        plan = ReportPlan(
            work.out,
            dicom=DicomSettings(key_objects=self._key_objects),
            analysis=work.analysis,
        )

        def read(progress: Progress) -> Study:
            return read_study(work.study, progress=progress)

        try:
            if work.given_up:
                return _give_up(work, plan)
            return analyse_study(partial(open_chest_ct, read), self._triage, _Captured(plan), plan)
        except (GroundglassError, OSError) as error:
            if out_of_room(error):
                return Unwritten("a full disk, where the report is to be written")
            if isinstance(error, OSError):
                raise
            return Broken(str(error))


class _Captured(StudyObserver):
    """Has a study that has no result say so itself: by a capture, where it has images for one."""

    def __init__(self, plan: ReportPlan) -> None:
        self._plan = plan
        self._study = Study((), ())

    def read(self, study: Study) -> None:
        self._study = study

    def chosen(self, study: Study, series: Series) -> None:  # noqa: ARG002
        analysis = self._plan.analysis
        missing = analysis.missing.get(series.series_instance_uid, 0) if analysis else 0
        if missing:
            raise IncompleteSeries(
                f"a chest CT of which {missing} of {missing + len(series.instances)} images did "
                "not come",
                expected="every image of the series that the archive lists",
                action="Send the missing images, or read the study without this tool: what a part "
                "of the lungs shows is no verdict on the whole.",
            )

    def refused(self, error: GroundglassError) -> str:
        if not isinstance(error, InputError | AnalysisFailed):
            raise error
        instances = [one for series in self._study.series for one in series.instances]
        if any(instance.sop_class_uid for instance in instances):
            write_refusal(instances, error, self._plan.directory, self._plan.analysis)
        return str(error)


def _give_up(work: Work, plan: ReportPlan) -> StudyEnd:
    """The end of a study whose analysis breaks down each time."""
    captured = _Captured(plan)
    try:
        captured.read(read_study(work.study))
    except ReadError as unread:
        return StudyEnd(Outcome.UNREADABLE, captured.refused(unread))
    broken = AnalysisFailed(
        f"an analysis that broke down each time it was tried ({work.given_up})",
        expected="one that comes to its end",
        action="Whoever looks after groundglass should look at this study.",
    )
    return StudyEnd(Outcome.GIVEN_UP, captured.refused(broken))
