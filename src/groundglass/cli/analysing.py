"""The whole of `groundglass run`: read, analyse, report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import typer

from groundglass.analyse.triage import Triage
from groundglass.cli.console import Terminal, spinner, stage_bar
from groundglass.cli.failures import ExitCode
from groundglass.cli.reading import read
from groundglass.cli.telling import tell_result
from groundglass.core.result import Outcome
from groundglass.infer import Precision
from groundglass.read.image_stack.stack import ImageStackSettings
from groundglass.report import write_report
from groundglass.report.writing import MANIFEST, refuse_unusable

_REPORT = "report"
#: `Triage`'s stages and the report, for people.
_STAGES = {
    "segment": "Finding the lungs",
    "measure": "Measuring opacities",
    "prepare": "Preparing the slices",
    "classify": "Judging the groups",
    "explain": "Drawing the heat maps",
    _REPORT: "Writing the report",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What to analyse and how.

    Parameters
    ----------
    source : Path
        The study.
    out : Path
        Where the report goes.
    bundle : str
        Name or folder of the weights.
    precision : str
        A value of `Precision`.
    machine : bool
        Print result.json on standard output, and everything else on standard error.
    stack : ImageStackSettings or None
        What PNG, JPEG or TIFF images mean.
    explain : str or None
        The class whose evidence is shown; None for the verdict's.
    """

    source: Path
    out: Path
    bundle: str
    precision: str
    machine: bool = False
    stack: ImageStackSettings | None = None
    explain: str | None = None


def analyse(request: Request) -> ExitCode:
    """Analyse a study, write its report and say how it ended.

    Parameters
    ----------
    request : Request
        What to analyse.

    Returns
    -------
    ExitCode
        CANNOT for a result without a verdict; its report says why.

    Raises
    ------
    GroundglassError
        The input, the weights or the report's place are not usable; no report was written.
    """
    refuse_unusable(request.out)
    terminal = Terminal(stderr=request.machine)
    with spinner("Loading the networks"):
        triage = Triage.load(request.bundle, Precision(request.precision))
    triage.bundle.refuse_unknown(request.explain)
    volume = read(request.source, request.stack, terminal)
    with stage_bar(_STAGES) as begin:
        result = triage(volume, begin, request.explain)
        begin(_REPORT)
        directory = write_report(result, volume, request.out)
    tell_result(result, directory, terminal)
    if request.machine:
        typer.echo((directory / MANIFEST).read_bytes(), nl=False)
    return ExitCode.DONE if result.outcome is Outcome.VERDICT else ExitCode.CANNOT
