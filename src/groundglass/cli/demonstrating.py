"""The whole of `groundglass demo`: make a patient, then do what `groundglass run` does."""

from __future__ import annotations

import shutil
from pathlib import Path

from groundglass.cli.analysing import Request, analyse
from groundglass.cli.console import Terminal, spinner
from groundglass.cli.failures import ExitCode
from groundglass.cli.writing import filling
from groundglass.errors import ReportError
from groundglass.phantom import PhantomSettings, make_phantom, write_dicom_series
from groundglass.report import PAGE

#: Tells a demo's folder from one that holds something of the user's.
_MARK = "SYNTHETIC.txt"
_MARK_TEXT = (
    "Made by `groundglass demo`: a synthetic study of nobody, and its report.\n"
    "The next demo in this folder replaces both.\n"
)
#: From neck to abdomen in a few seconds.
_SLICES, _SPACING_MM, _MATRIX = 100, 3.0, 512


def demonstrate(out: Path, seed: int, bundle: str) -> ExitCode:
    """Make a study with COVID-19 pneumonia in `out`/study, its report in `out`/report.

    Parameters
    ----------
    out : Path
        Empty, missing, or of an earlier demo.
    seed : int
        Which patient.
    bundle : str
        Name or folder of the weights.

    Raises
    ------
    GroundglassError
        The folder is not usable, or the weights are not.
    """
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
    code = analyse(Request(study, report, bundle, "auto"))
    terminal.print()
    terminal.print("This study is SYNTHETIC: drawn by the program, of nobody.", "bold")
    terminal.print(f"Open {(report / PAGE).resolve().as_uri()} in a browser.")
    return code


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
