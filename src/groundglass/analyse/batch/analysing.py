"""One study after the other in each process: read, analysed, reported."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from groundglass.analyse.batch.processes import Broken, in_processes, usual_workers
from groundglass.analyse.triage import Triage
from groundglass.core.choices import DEFAULT_BUNDLE
from groundglass.core.result import Outcome, TriageResult
from groundglass.errors import GroundglassError, InputError, NoChestCT, SettingsError
from groundglass.infer import Precision
from groundglass.read import read_volume, select_chest_ct
from groundglass.read.reading import read_entries
from groundglass.read.sources import without_file_names
from groundglass.read.studies import StudyFiles
from groundglass.report import write_report
from groundglass.report.writing import refuse_unusable

#: Outcomes of studies without a result, beside those of `core.result.Outcome`: its images make no
#: regular volume; its report could not be written; its analysis broke down.
UNREADABLE, NOT_WRITTEN, BROKE_DOWN = "unreadable", "not-written", "broke-down"


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How many studies are analysed.

    Parameters
    ----------
    bundle : str
        Weights: a name that `groundglass models` lists, or a folder, given with a slash.
    precision : Precision
        Number format of the networks.
    explain : str or None
        The class whose evidence is shown; None for each verdict's own.
    workers : int
        Processes, each with its share of the cores and one study at a time. 0: one per core, as
        far as memory goes.
    """

    bundle: str = DEFAULT_BUNDLE
    precision: Precision = Precision.AUTO
    explain: str | None = None
    workers: int = 0

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise SettingsError(
                f"{self.workers} workers", expected="at least 1, or 0", action="Change workers."
            )


@dataclass(frozen=True, slots=True)
class Analysed:
    """How one study ended.

    Parameters
    ----------
    study : StudyFiles
        Which.
    outcome : str
        A value of `Outcome`, UNREADABLE, NOT_WRITTEN or BROKE_DOWN.
    reason : str
        In words, on one line; no file is named.
    label : str
        The verdict; empty without.
    probabilities : mapping of str to float
        Per class; empty without a verdict.
    slices : int
        Of the volume that was judged; 0 where there is no result.
    seconds : float
        From its files to its report.
    notes : tuple of str
        What a reader must know beside the reason.
    """

    study: StudyFiles
    outcome: str
    reason: str
    label: str = ""
    probabilities: Mapping[str, float] = field(default_factory=dict)
    slices: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    @property
    def has_report(self) -> bool:
        """Whether its report was written."""
        return self.slices > 0


def analyse_each(
    studies: Sequence[StudyFiles], out: Path, settings: BatchSettings
) -> Generator[Analysed, None, None]:
    """Analyse studies side by side and write the report of each into a folder of its own.

    While one study is read, another is in the networks and a third's report is written; as many
    volumes are in memory as there are processes. The largest studies come first, so that no core
    is left idle by the last. Closing the iterator ends what runs; reports are whole or not there.

    Parameters
    ----------
    studies : sequence of StudyFiles
        From `find_studies`.
    out : Path
        The report of a study goes to `out / study.name`.
    settings : BatchSettings
        With what.

    Yields
    ------
    Analysed
        As they end. A study that fails says why; the others go on.

    Raises
    ------
    GroundglassError
        The networks could not be loaded.
    """
    ordered = sorted(studies, key=lambda study: -study.size)
    workers = settings.workers or usual_workers()
    with closing(in_processes(partial(Analyst, settings, out), ordered, workers)) as ended:
        for study, answer in ended:
            if isinstance(answer, Broken):
                yield Analysed(study, BROKE_DOWN, answer.how)
            else:
                yield answer


class Analyst:
    """Analyses one study after the other with networks loaded once.

    Parameters
    ----------
    settings : BatchSettings
        With what.
    out : Path
        Where reports go.
    """

    def __init__(self, settings: BatchSettings, out: Path) -> None:
        self._triage = Triage.load(settings.bundle, settings.precision)
        self._explain = settings.explain
        self._out = out

    def __call__(self, study: StudyFiles) -> Analysed:
        """From files to report; how it ended."""
        begin = time.perf_counter()
        try:
            result = self._analyse(study)
        except GroundglassError as error:
            seconds = time.perf_counter() - begin
            return Analysed(study, _outcome(error), _reason(error, study), seconds=seconds)
        verdict = result.verdict
        return Analysed(
            study,
            result.outcome.value,
            " ".join(result.reason.split()),
            verdict.label if verdict else "",
            dict(verdict.probabilities) if verdict else {},
            len(result.mask),
            time.perf_counter() - begin,
            tuple(note.text for note in result.notes_beside_reason),
        )

    def _analyse(self, study: StudyFiles) -> TriageResult:
        target = self._out / study.name
        refuse_unusable(target)
        volume = read_volume(select_chest_ct(read_entries(study.entries)))
        result = self._triage(volume, explain=self._explain)
        write_report(result, volume, target)
        return result


def _outcome(error: GroundglassError) -> str:
    """What became of a study that has no result."""
    if isinstance(error, NoChestCT):
        return Outcome.NOT_CHEST_CT.value
    return UNREADABLE if isinstance(error, InputError) else NOT_WRITTEN


def _reason(error: GroundglassError, study: StudyFiles) -> str:
    """An error on one line, its files not named."""
    names = (entry.name for entry in study.entries)
    text = without_file_names(f"{error.found}; expected {error.expected}", names)
    return " ".join(text.split())
