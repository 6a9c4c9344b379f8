"""`groundglass batch`: many studies in, a report of each and a table out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli import options
from groundglass.cli.console import Terminal, progress_bar
from groundglass.cli.failures import ExitCode
from groundglass.core.choices import DEFAULT_BUNDLE, Precision

if TYPE_CHECKING:
    from groundglass.analyse.batch.analysing import Analysed
    from groundglass.analyse.batch.outcomes import Outcomes
    from groundglass.read.studies import StudyFiles

_EPILOG = """[bold]Examples[/bold]

  groundglass batch archive/ --out reports

  groundglass batch cd1.zip cd2.zip scans/*.nii.gz --out reports --workers 4

  groundglass batch archive/ --out reports [dim]· again: only what is new or had no report[/dim]

[bold]Exit codes[/bold]  0 every study has a verdict · 1 some have none (the table says why), or \
nothing could be done, the reason is printed · 2 wrong use

Research use only. Not a medical device; not for diagnosis."""


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def batch(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT...",
            exists=True,
            show_default=False,
            help="Folders (any nesting, any names), zip archives and files, of one or many "
            "studies each. DICOM, NIfTI or MetaImage.",
        ),
    ],
    out: Annotated[
        Path,
        options.out_folder(
            "Where reports and table go. Made if missing; must be empty or of an earlier batch."
        ),
    ],
    bundle: options.BundleName = DEFAULT_BUNDLE,
    precision: options.PrecisionOption = Precision.AUTO,
    explain: options.Explain = None,
    workers: Annotated[
        int,
        typer.Option(
            "--workers",
            min=0,
            help="Processes, each with a study at a time, the networks and about 1 GB. 0: one per "
            "core, as far as memory goes.",
        ),
    ] = 0,
) -> None:
    """Analyse many studies and write the report of each.

    Looks through all INPUTs, tells studies apart by their Study Instance UID wherever their files
    lie (a NIfTI or MetaImage file is a study of its own), analyses several at once, and writes
    DIR/study-…/ as `run` does and DIR/outcomes.csv, a line a study. A study that cannot be analysed
    has its reason there; the others go on. Run again, it takes up where it stopped: studies whose
    reports are there are left alone.
    """
    from groundglass.analyse.batch.analysing import BatchSettings, analyse_each
    from groundglass.analyse.batch.outcomes import Conditions, Outcomes
    from groundglass.cli.observer import tell_files
    from groundglass.infer import load_bundle
    from groundglass.read.studies import find_studies

    terminal = Terminal()
    weights = load_bundle(bundle)
    weights.refuse_unknown(explain)
    settings = BatchSettings(str(weights.folder), precision, explain, workers)
    with Outcomes.opened(out, Conditions(weights, precision, explain)) as outcomes:
        with progress_bar("Looking through the files") as progress:
            studies, set_aside = find_studies(inputs, but=out, progress=progress)
        tell_files(set_aside, terminal)
        left = [study for study in studies if not outcomes.has(study)]
        done = len(studies) - len(left)
        terminal.heading(f"Studies: {len(studies)}")
        if done:
            terminal.print(f"  {done} with a report already, left as they are")
        outcomes.write(studies)
        with (
            progress_bar("Analysing") as progress,
            closing(analyse_each(left, out, settings)) as ended,
        ):
            progress(done, len(studies))
            for number, analysed in enumerate(ended, done + 1):
                outcomes.add(analysed)
                progress(number, len(studies))
                with progress.paused():
                    terminal.print(f"  {number:>{len(str(len(studies)))}}  {_line(analysed)}")
        outcomes.write(studies)
        raise typer.Exit(_tell_all(outcomes, studies, terminal))


def _line(analysed: Analysed) -> str:
    """How one study ended, on one line."""
    if analysed.label:
        ended = "; ".join((_verdict(analysed), *analysed.notes))
    else:
        ended = f"{analysed.outcome}: {analysed.reason}"
    return f"{analysed.study.name}  {analysed.seconds:5.1f} s  {ended}"


def _verdict(analysed: Analysed) -> str:
    """A verdict with the number that speaks for it."""
    found = analysed.by_share
    if found is None:
        return f"{analysed.label} {analysed.probabilities[analysed.label]:.3f}"
    return f"{analysed.label}, {found.ill} of {found.judged} slices ill"


def _tell_all(outcomes: Outcomes, studies: Sequence[StudyFiles], terminal: Terminal) -> ExitCode:
    """How the studies ended, those of earlier runs included."""
    from groundglass.analyse.batch.outcomes import TABLE
    from groundglass.core.result import Outcome
    from groundglass.report import PAGE

    rows = [outcomes.rows[study.name] for study in studies]
    without = [row for row in rows if row["outcome"] != Outcome.VERDICT]
    bundle = outcomes.conditions.bundle
    terminal.heading("Verdicts")
    counts = Counter(row["verdict"] for row in rows)
    wide = max(map(len, bundle.explainable))
    for label in bundle.explainable:
        terminal.print(f"  {label:<{wide}}  {counts[label]}")
    lines = [f"{row['study']}  {row['outcome']}: {row['reason']}" for row in without]
    terminal.some("Without a verdict", lines, "in the table")
    terminal.heading("Reports")
    terminal.print(f"  {outcomes.folder / TABLE}  a line a study")
    terminal.print(f"  {outcomes.folder / 'study-…' / PAGE}  to read in a browser")
    terminal.limits(bundle.statement)
    return ExitCode.CANNOT if without else ExitCode.DONE
