"""`groundglass run`: a study in, its report out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli import options
from groundglass.cli.console import Terminal, spinner
from groundglass.cli.failures import ExitCode
from groundglass.core.choices import DEFAULT_BUNDLE, Precision

if TYPE_CHECKING:
    from groundglass.read.image_stack.settings import ImageStackSettings

_EPILOG = """[bold]Examples[/bold]

  groundglass run incoming/ --out report

  groundglass run study.zip --out report --json > result.json

  groundglass run slices/ --out report --window -600 1500 --spacing 5 0.7 0.7 --first-slice head \
--first-row front --first-column right

[bold]Exit codes[/bold]  0 verdict · 1 could not analyse: the reason is printed, and where the \
study could be read the report says it too · 2 wrong use

Research use only. Not a medical device; not for diagnosis."""


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def run(
    source: options.Input,
    out: Annotated[
        Path,
        options.out_folder(
            "Where the report goes. Made if missing; must be empty or hold an earlier report, "
            "which is replaced."
        ),
    ],
    bundle: options.BundleName = DEFAULT_BUNDLE,
    precision: options.PrecisionOption = Precision.AUTO,
    explain: options.Explain = None,
    machine: Annotated[
        bool,
        typer.Option("--json", help="Print result.json, and nothing else, on standard output."),
    ] = False,
    hu_scale: options.HuScale = None,
    window: options.Window = None,
    spacing: options.Spacing = None,
    first_slice: options.FirstSlice = None,
    first_row: options.FirstRow = None,
    first_column: options.FirstColumn = None,
) -> None:
    """Analyse a study and write its report.

    Reads whatever INPUT holds, chooses the axial chest CT series best fit for the lungs (and says
    why, and why not the others), and writes DIR/report.html for people, DIR/result.json for
    machines and, where INPUT is DICOM, DIR/dicom for the PACS: captures, structured report, lung
    segmentation and heat maps in the same study. All or nothing: a run that fails leaves no half
    report.
    """
    stack = options.StackOptions(
        hu_scale, window, spacing, first_slice, first_row, first_column
    ).settings()
    code = analyse(source, out, bundle, precision, explain=explain, stack=stack, machine=machine)
    raise typer.Exit(code)


def analyse(
    source: Path,
    out: Path,
    bundle: str,
    precision: Precision = Precision.AUTO,
    *,
    explain: str | None = None,
    stack: ImageStackSettings | None = None,
    machine: bool = False,
) -> ExitCode:
    """Analyse a study, write its report and say how it ended; `demo` does so too.

    Raises
    ------
    GroundglassError
        The input, the weights or the report's place are not usable; no report was written.
    """
    from groundglass.analyse.study import ReportPlan, analyse_study, open_chest_ct
    from groundglass.analyse.triage import Triage
    from groundglass.cli.observer import TerminalObserver, study_reader
    from groundglass.core.result import Outcome
    from groundglass.report.writing import MANIFEST, refuse_unusable

    refuse_unusable(out)
    with spinner("Loading the networks"):
        triage = Triage.load(bundle, precision)
    triage.bundle.refuse_unknown(explain)
    open_study = partial(open_chest_ct, study_reader(source, stack))
    with TerminalObserver(Terminal(stderr=machine), out) as observer:
        end = analyse_study(open_study, triage, observer, ReportPlan(out, explain))
    if machine:
        typer.echo((out / MANIFEST).read_bytes(), nl=False)
    return ExitCode.DONE if end.outcome is Outcome.VERDICT else ExitCode.CANNOT
