"""A bundle over a cohort: every case opened, judged and written down, one or many at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from groundglass.analyse.study import StudyObserver, analyse_study, in_a_table
from groundglass.analyse.supervisor import Broken, in_processes
from groundglass.analyse.triage import LungsFound, Triage
from groundglass.cohort import Case, open_study
from groundglass.core.result import Outcome, TriageResult, Verdict
from groundglass.core.volume import Volume
from groundglass.errors import GroundglassError, InputError, SettingsError
from groundglass.evaluate.run.case_prediction import AS_IN_SERVICE, Answer, CasePrediction
from groundglass.evaluate.run.checkpoint import Checkpoint
from groundglass.evaluate.run.probes import Probe, ProbedStudy, ProbeSettings, probe_study
from groundglass.evaluate.run.strata import strata_of, strata_of_row
from groundglass.evaluate.run.trivial import TrivialStatistics
from groundglass.explain import ExplainSettings
from groundglass.infer import CpuEngine, Precision, load_bundle
from groundglass.prepare import PreparedStudy, gather

_Work = Sequence[tuple[Case, int]]
#: Told how many cases are done, of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How a cohort is judged."""

    bundle: Path
    """Folder of the bundle."""
    precision: Precision = Precision.AUTO
    """Number format of the networks."""
    probes: ProbeSettings | None = None
    """How far the probes go; None for none."""
    workers: int = 1
    """Processes. One is this process; each further one loads the networks for itself."""

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise SettingsError(
                f"{self.workers} workers", expected="at least 1", action="Change --workers."
            )

    @property
    def images(self) -> tuple[str, ...]:
        """What each case is judged on."""
        probes = tuple(probe.value for probe in Probe) if self.probes else ()
        return (AS_IN_SERVICE, *probes)


class CasePredictor:
    """Opens a case and asks a bundle."""

    def __init__(self, settings: RunSettings) -> None:
        # Nobody looks at the maps: trying them under turns would cost as much as a verdict.
        self._triage = _ProbedTriage(
            load_bundle(settings.bundle),
            CpuEngine(settings.precision),
            ExplainSettings(consistency_slices=0),
        )
        self._settings = settings

    def __call__(self, work: tuple[Case, int]) -> CasePrediction:
        """Judge one case of a patient, who has a number.

        One that cannot be opened gets an answer that says why.
        """
        case, patient = work
        begin = time.perf_counter()
        observer = _CaseObserver(case)
        end = analyse_study(partial(_open, case), self._triage, observer)
        answer = Answer.of(observer.verdict or end)
        answers = dict.fromkeys(self._settings.images, answer)
        probes, probed = self._settings.probes, self._triage.probed
        if probes is not None and probed is not None and end.outcome is Outcome.VERDICT:
            for probe, found in probe_study(probed, self._triage.judge, probes):
                answers[probe] = Answer.of(found)
        self._triage.probed = None  # one volume at a time
        seconds = time.perf_counter() - begin
        return CasePrediction(
            case.row, patient, case.label, observer.strata, answers, seconds, observer.trivial
        )


def _open(case: Case, observer: StudyObserver) -> Volume:
    volume = open_study(case)
    observer.decoded(volume)
    return volume


class _CaseObserver(StudyObserver):
    """Keeps what is known of a case, and its verdict; one that cannot be opened has its reason."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self.strata = strata_of_row(case)
        self.trivial: TrivialStatistics | None = None
        self.verdict: Verdict | None = None

    def decoded(self, volume: Volume) -> None:
        self.strata = strata_of(self._case, volume)
        self.trivial = TrivialStatistics.of(volume)

    def reported(self, result: TriageResult) -> None:
        self.verdict = result.verdict

    def refused(self, error: GroundglassError) -> str:
        if not isinstance(error, InputError):
            raise error
        return in_a_table(error)


class _ProbedTriage(Triage):
    """Keeps what it found the lungs on, so that probes need not look again; judges it altered."""

    probed: ProbedStudy | None = None

    def find_lungs(self, axial: Volume) -> LungsFound:
        lungs = super().find_lungs(axial)
        self.probed = ProbedStudy(axial, lungs.square, self.bundle.recipe, self.grouping)
        return lungs

    def judge(self, prepared: PreparedStudy) -> Verdict:
        predictions = [
            self._classifier(group, gather(group, prepared.group_images(group))).prediction
            for group in prepared.groups
        ]
        return self._classifier.verdict(predictions)


def predict_cohort(
    cases: Sequence[Case],
    settings: RunSettings,
    checkpoint: Checkpoint,
    done: Sequence[CasePrediction],
    progress: Progress,
) -> tuple[CasePrediction, ...]:
    """Judge every case that is not done yet, and write each down as it comes; all, in their order.

    Raises
    ------
    GroundglassError
        The bundle cannot be used, the checkpoint cannot be written, or a worker was killed. What
        was judged is in the checkpoint.
    """
    numbers = {name: k for k, name in enumerate(dict.fromkeys(case.patient for case in cases), 1)}
    found = {case.row: case for case in done}
    left = [(case, numbers[case.patient]) for case in cases if case.row not in found]
    progress(len(found), len(cases))
    judge = _here if settings.workers == 1 or len(left) < 2 else _in_processes
    for case in judge(left, settings):
        checkpoint.add(case)
        found[case.row] = case
        progress(len(found), len(cases))
    return tuple(found[case.row] for case in cases)


def _here(work: _Work, settings: RunSettings) -> Iterator[CasePrediction]:
    if work:
        yield from map(CasePredictor(settings), work)


def _in_processes(work: _Work, settings: RunSettings) -> Iterator[CasePrediction]:
    begin = partial(CasePredictor, settings)
    with closing(in_processes(begin, work, settings.workers)) as ended:
        for _, case in ended:
            if isinstance(case, Broken):
                raise GroundglassError(
                    f"a case whose judging did not end: {case.how}",
                    expected="an answer, or the reason why there is none",
                    action="Go on with --resume; give fewer --workers if memory is short.",
                )
            yield case
