"""The whole of `groundglass batch`: look through, analyse side by side, report and tabulate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from groundglass.analyse.batch.analysing import Analysed, BatchSettings, analyse_each
from groundglass.analyse.batch.outcomes import TABLE, Conditions, Outcomes
from groundglass.cli.console import Terminal, progress_bar
from groundglass.cli.failures import ExitCode
from groundglass.cli.reading import tell_files
from groundglass.core.result import RESEARCH_USE_ONLY, Outcome
from groundglass.infer import Precision, load_bundle
from groundglass.read.studies import StudyFiles, find_studies
from groundglass.report import PAGE

#: Studies without a verdict that are named at the end.
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Request:
    """What to analyse and how; the options of the command.

    Parameters
    ----------
    inputs : tuple of Path
        Folders, archives and files.
    out : Path
        Where reports and table go.
    bundle : str
        Name or folder of the weights.
    precision : str
        A value of `Precision`.
    explain : str or None
        The class whose evidence is shown; None for each verdict's.
    workers : int
        Processes; 0 for one per core.
    """

    inputs: tuple[Path, ...]
    out: Path
    bundle: str
    precision: str
    explain: str | None
    workers: int


def analyse(request: Request) -> ExitCode:
    """Analyse what has no report yet and say how each study ended.

    Parameters
    ----------
    request : Request
        What to analyse.

    Returns
    -------
    ExitCode
        CANNOT if a study has no verdict; the table says why.

    Raises
    ------
    GroundglassError
        The inputs, the weights or the reports' place are not usable, or are no longer.
    """
    terminal = Terminal()
    bundle = load_bundle(request.bundle)
    bundle.refuse_unknown(request.explain)
    precision = Precision(request.precision)
    settings = BatchSettings(str(bundle.folder), precision, request.explain, request.workers)
    with Outcomes.opened(request.out, Conditions(bundle, precision, request.explain)) as outcomes:
        with progress_bar("Looking through the files") as progress:
            studies, set_aside = find_studies(request.inputs, but=request.out, progress=progress)
        tell_files(set_aside, terminal)
        left = [study for study in studies if not outcomes.has(study)]
        done = len(studies) - len(left)
        _tell_found(len(studies), done, terminal)
        outcomes.write(studies)
        with (
            progress_bar("Analysing") as progress,
            closing(analyse_each(left, request.out, settings)) as ended,
        ):
            progress(done, len(studies))
            for analysed in ended:
                outcomes.add(analysed)
                done += 1
                progress(done, len(studies))
                with progress.paused():
                    terminal.print(f"  {done:>{len(str(len(studies)))}}  {_line(analysed)}")
        outcomes.write(studies)
        return _tell_all(outcomes, studies, terminal)


def _tell_found(studies: int, done: int, terminal: Terminal) -> None:
    terminal.heading(f"Studies: {studies}")
    if done:
        terminal.print(f"  {done} with a report already, left as they are")


def _line(analysed: Analysed) -> str:
    """How one study ended, on one line."""
    if analysed.label:
        words = (f"{analysed.label} {analysed.probabilities[analysed.label]:.3f}", *analysed.notes)
        ended = "; ".join(words)
    else:
        ended = f"{analysed.outcome}: {analysed.reason}"
    return f"{analysed.study.name}  {analysed.seconds:5.1f} s  {ended}"


def _tell_all(outcomes: Outcomes, studies: Sequence[StudyFiles], terminal: Terminal) -> ExitCode:
    """How the studies ended, those of earlier runs included."""
    rows = [outcomes.rows[study.name] for study in studies]
    without = [row for row in rows if row["outcome"] != Outcome.VERDICT]
    bundle = outcomes.conditions.bundle
    terminal.heading("Verdicts")
    counts = Counter(row["verdict"] for row in rows)
    for label in bundle.labels:
        terminal.print(f"  {label:<{max(map(len, bundle.labels))}}  {counts[label]}")
    if without:
        terminal.heading(f"Without a verdict: {len(without)}")
        for row in without[:_SHOWN]:
            terminal.print(f"  {row['study']}  {row['outcome']}: {row['reason']}")
        if len(without) > _SHOWN:
            terminal.print(f"  and {len(without) - _SHOWN} more, in the table")
    terminal.heading("Reports")
    terminal.print(f"  {outcomes.folder / TABLE}  a line a study")
    terminal.print(f"  {outcomes.folder / 'study-…' / PAGE}  to read in a browser")
    terminal.print()
    terminal.print(bundle.statement, "yellow")
    terminal.print(RESEARCH_USE_ONLY, "bold yellow")
    return ExitCode.CANNOT if without else ExitCode.DONE
