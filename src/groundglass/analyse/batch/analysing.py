"""Studies analysed side by side, in processes: read, analysed, reported."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Self

from groundglass.analyse.study import (
    ReportPlan,
    StudyObserver,
    analyse_study,
    in_a_table,
    open_chest_ct,
)
from groundglass.analyse.supervisor import Broken, Limits, in_processes, usual_workers
from groundglass.analyse.triage import Triage
from groundglass.core.choices import DEFAULT_BUNDLE
from groundglass.core.result import Outcome, StudyEnd
from groundglass.core.study import Study
from groundglass.errors import GroundglassError, SettingsError
from groundglass.infer import Precision
from groundglass.read.format import Progress
from groundglass.read.reading import read_entries
from groundglass.read.studies import StudyFiles


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How many studies are analysed."""

    bundle: str = DEFAULT_BUNDLE
    """Weights: a name that `groundglass models` lists, or a folder, given with a slash."""
    precision: Precision = Precision.AUTO
    """Number format of the networks."""
    explain: str | None = None
    """The class whose evidence is shown; None for each verdict's own."""
    workers: int = 0
    """Processes, each with its share of the cores and one study at a time. 0: one per core, as far
    as memory goes."""
    memory_mb: int = 8192
    """Address space in MB one analysis may take beyond the loaded networks. 8192, as for a node."""
    time_limit_s: float = 900.0
    """Longest duration of one analysis in s. 900, as for a node."""

    def __post_init__(self) -> None:
        if self.workers < 0:
            raise SettingsError(
                f"{self.workers} workers", expected="at least 1, or 0", action="Change workers."
            )
        if self.memory_mb < 512 or self.time_limit_s <= 0:
            raise SettingsError(
                f"memory_mb = {self.memory_mb} with time_limit_s = {self.time_limit_s}",
                expected="at least 512 MB, and more than no time",
                action="Change the limits.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysed(StudyEnd):
    """How one study of many ended. Its reason is one line and names no file."""

    study: StudyFiles
    """Which."""

    @classmethod
    def of(cls, study: StudyFiles, end: StudyEnd) -> Self:
        """A study with its end."""
        return cls(study=study, **{one.name: getattr(end, one.name) for one in fields(end)})

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
    limits = Limits(settings.memory_mb, settings.time_limit_s)
    begin = partial(StudyAnalyser, settings, out)
    with closing(in_processes(begin, ordered, workers, limits)) as ended:
        for study, end in ended:
            if isinstance(end, Broken):
                yield Analysed(Outcome.BROKE_DOWN, end.how, study=study)
            else:
                yield Analysed.of(study, end)


class StudyAnalyser:
    """Analyses one study after the other with networks loaded once."""

    def __init__(self, settings: BatchSettings, out: Path) -> None:
        self._triage = Triage.load(settings.bundle, settings.precision)
        self._explain = settings.explain
        self._out = out

    def __call__(self, study: StudyFiles) -> StudyEnd:
        """From files to report; how it ended."""

        def read(progress: Progress) -> Study:
            return read_entries(study.entries, progress=progress)

        plan = ReportPlan(self._out / study.name, self._explain)
        return analyse_study(partial(open_chest_ct, read), self._triage, _Unnamed(study), plan)


class _Unnamed(StudyObserver):
    """Says why a study has no result without naming its files."""

    def __init__(self, study: StudyFiles) -> None:
        self._study = study

    def refused(self, error: GroundglassError) -> str:
        return in_a_table(error, [entry.name for entry in self._study.entries])
