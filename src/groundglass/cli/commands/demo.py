"""`groundglass demo`: a report on a made-up patient, in one command."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli import options
from groundglass.cli.commands import run
from groundglass.cli.console import Terminal, spinner
from groundglass.core.choices import DEFAULT_BUNDLE
from groundglass.errors import ReportError

#: Tells a demo's folder from one that holds something of the user's.
_MARK = "SYNTHETIC.txt"
_MARK_TEXT = (
    "Made by `groundglass demo`: a synthetic study of nobody, and its report.\n"
    "The next demo in this folder replaces both.\n"
)
#: From neck to abdomen in a few seconds.
_SLICES, _SPACING_MM, _MATRIX = 100, 3.0, 512

_EPILOG = """[bold]Examples[/bold]

  groundglass demo [dim]· then open demo/report/report.html[/dim]

  groundglass demo --out another --seed 8

[bold]Exit codes[/bold]  0 verdict · 1 could not analyse · 2 wrong use

Research use only. Not a medical device; not for diagnosis."""


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def demo(
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            file_okay=False,
            help="Gets the DICOM files in DIR/study and the report in DIR/report. Must be empty, "
            "missing or of an earlier demo, which is replaced.",
        ),
    ] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes another patient.")] = 1,
    bundle: options.BundleName = DEFAULT_BUNDLE,
) -> None:
    """Make a synthetic patient, analyse the study as you would yours, and write the report.

    Needs no data and no network. The patient has COVID-19 pneumonia because the program made it so;
    whether the verdict says so is for you to see.
    """
    from groundglass.cli.output_folder import filling
    from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series
    from groundglass.report import PAGE

    terminal = Terminal()
    study, report = out / "study", out / "report"
    _clear_earlier(out)
    with filling(out):
        (out / _MARK).write_text(_MARK_TEXT, encoding="utf-8")
        with spinner("Making a synthetic patient"):
            settings = PhantomSettings(
                label="CP",
                severity=0.6,
                seed=seed,
                matrix=_MATRIX,
                slice_count=_SLICES,
                slice_spacing_mm=_SPACING_MM,
            )
            files = write_dicom_series(make_phantom(settings), study)
    terminal.print(
        f"{len(files)} DICOM files of a synthetic patient with COVID-19 pneumonia: {study}"
    )
    terminal.print(f"Analysed as `groundglass run {study} --out {report}` does:")
    code = run.analyse(study, report, bundle)
    terminal.print()
    terminal.print("This study is SYNTHETIC: drawn by the program, of nobody.", "bold")
    terminal.print(f"Open {(report / PAGE).resolve().as_uri()} in a browser.")
    raise typer.Exit(code)


def _clear_earlier(out: Path) -> None:
    """Remove an earlier demo, and nothing else."""
    if not (out / _MARK).is_file():
        return
    try:
        for folder in (out / "study", out / "report"):
            if folder.exists():
                shutil.rmtree(folder)
        (out / _MARK).unlink()
    except OSError as error:
        raise ReportError(
            f"an earlier demo in {out} that cannot be removed ({error.strerror or error})",
            expected="a directory this user may write to",
            action="Give another directory.",
        ) from error
