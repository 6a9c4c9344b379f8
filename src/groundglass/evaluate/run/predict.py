"""A bundle over a cohort: every case opened, judged and written down, one or many at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from groundglass.analyse.supervisor import Broken, in_processes
from groundglass.analyse.triage import Triage
from groundglass.cohort import Case, open_study
from groundglass.core.result import TriageResult, Verdict
from groundglass.core.volume import Volume
from groundglass.errors import GroundglassError, InputError, SettingsError
from groundglass.evaluate.run.case_prediction import (
    AS_IN_SERVICE,
    UNREADABLE,
    Answer,
    CasePrediction,
)
from groundglass.evaluate.run.checkpoint import Checkpoint
from groundglass.evaluate.run.probes import Probe, ProbedStudy, ProbeSettings, probe_study
from groundglass.evaluate.run.strata import strata_of, strata_of_row
from groundglass.explain import ExplainSettings
from groundglass.infer import (
    Bundle,
    Classifier,
    CpuEngine,
    Engine,
    Precision,
    load_bundle,
    vote,
)
from groundglass.prepare import PreparedStudy, gather

#: Told how many cases are done, of how many.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class RunSettings:
    """How a cohort is judged.

    Parameters
    ----------
    bundle : Path
        Folder of the bundle.
    precision : Precision
        Number format of the networks.
    probes : ProbeSettings or None
        How far the probes go; None for none.
    workers : int
        Processes. One is this process; each further one loads the networks for itself.
    """

    bundle: Path
    precision: Precision = Precision.AUTO
    probes: ProbeSettings | None = None
    workers: int = 1

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


class BundleJudge:
    """What service does between preparing and reporting, without the evidence.

    Parameters
    ----------
    bundle : Bundle
        Weights.
    engine : Engine
        What runs them.
    """

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self._bundle = bundle
        self._classifier = Classifier(bundle, engine)

    def __call__(self, prepared: PreparedStudy) -> Verdict:
        """The groups' predictions and their vote."""
        predictions = [
            self._classifier(group, gather(group, prepared.group_images(group))).prediction
            for group in prepared.groups
        ]
        return vote(predictions, self._bundle.healthy, self._bundle.recipe.vote_threshold)


class CasePredictor:
    """Opens a case and asks a bundle.

    Parameters
    ----------
    settings : RunSettings
        Which bundle, and how.
    """

    def __init__(self, settings: RunSettings) -> None:
        engine = CpuEngine(settings.precision)
        self._bundle = load_bundle(settings.bundle)
        # Nobody looks at the maps: trying them under turns would cost as much as a verdict.
        self._triage = Triage(self._bundle, engine, ExplainSettings(consistency_slices=0))
        self._judge = BundleJudge(self._bundle, engine) if settings.probes else None
        self._settings = settings

    def __call__(self, case: Case, patient: int) -> CasePrediction:
        """Judge one case; one that cannot be opened gets an answer that says why.

        Parameters
        ----------
        case : Case
            A row of the cohort.
        patient : int
            Number that stands for the patient.
        """
        begin = time.perf_counter()
        try:
            volume = open_study(case)
            strata = strata_of(case, volume)
        except InputError as error:
            told = Answer(UNREADABLE, _one_line(f"{error.found}; expected {error.expected}"))
            answers = dict.fromkeys(self._settings.images, told)
            strata = strata_of_row(case)
        else:
            answers = dict(self._answers(volume))
        seconds = time.perf_counter() - begin
        return CasePrediction(case.row, patient, case.label, strata, answers, seconds)

    def _answers(self, volume: Volume) -> Iterator[tuple[str, Answer]]:
        result = self._triage(volume)
        yield AS_IN_SERVICE, _answer(result)
        if self._judge is None or self._settings.probes is None:
            return
        if result.verdict is None:
            for probe in Probe:
                yield probe.value, _answer(result)
            return
        axial, _ = volume.to_axial()
        lungs = self._triage.find_lungs(axial).square
        study = ProbedStudy(axial, lungs, self._bundle.recipe)
        for probe, found in probe_study(study, self._judge, self._settings.probes):
            yield probe.value, _probed(found)


def _answer(result: TriageResult) -> Answer:
    if result.verdict is None:
        return Answer(result.outcome.value, _one_line(result.reason))
    return _probed(result.verdict)


def _probed(found: Verdict | str) -> Answer:
    if isinstance(found, str):
        return Answer("too-few-slices", found)
    return Answer("verdict", "", found.label, dict(found.probabilities))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def predict_cohort(
    cases: Sequence[Case],
    settings: RunSettings,
    checkpoint: Checkpoint,
    done: Sequence[CasePrediction],
    progress: Progress,
) -> tuple[CasePrediction, ...]:
    """Judge every case that is not done yet, and write each down as it comes.

    Parameters
    ----------
    cases : sequence of Case
        What is evaluated.
    settings : RunSettings
        Which bundle, and how.
    checkpoint : Checkpoint
        Where answers go.
    done : sequence of CasePrediction
        What a broken run left.
    progress : callable
        Told (done, in all).

    Returns
    -------
    tuple of CasePrediction
        One per case, in the cohort's order.

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


_Work = Sequence[tuple[Case, int]]


def _here(work: _Work, settings: RunSettings) -> Iterator[CasePrediction]:
    if work:
        judge = CasePredictor(settings)
        for case, patient in work:
            yield judge(case, patient)


def _in_processes(work: _Work, settings: RunSettings) -> Iterator[CasePrediction]:
    with closing(in_processes(partial(_Worker, settings), work, settings.workers)) as ended:
        for _, case in ended:
            if isinstance(case, Broken):
                raise GroundglassError(
                    f"a case whose judging did not end: {case.how}",
                    expected="an answer, or the reason why there is none",
                    action="Go on with --resume; give fewer --workers if memory is short.",
                )
            yield case


class _Worker:
    """A `CasePredictor` in a process of its own."""

    def __init__(self, settings: RunSettings) -> None:
        self._judge = CasePredictor(settings)

    def __call__(self, work: tuple[Case, int]) -> CasePrediction:
        return self._judge(*work)
