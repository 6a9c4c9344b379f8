"""The whole of `groundglass deidentify`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from groundglass.cli.console import Terminal, progress_bar
from groundglass.cli.writing import filling
from groundglass.deidentify.export import Export, export_deidentified
from groundglass.deidentify.pseudonyms import SiteKey


def write_deidentified(source: Path, out: Path, key_file: Path) -> None:
    """De-identify an input, all that can be or nothing, and say what was left out.

    Parameters
    ----------
    source : Path
        Folder, archive or file.
    out : Path
        An empty folder, or one to make.
    key_file : Path
        Holds the site's key.

    Raises
    ------
    GroundglassError
        The key is too short, the folder not usable, or no file can be de-identified.
    """
    key = SiteKey.read(key_file)
    with filling(out), progress_bar("Writing copies") as progress:
        export = export_deidentified(source, out, key, progress)
    _tell(export, out, Terminal())


def _tell(export: Export, out: Path, terminal: Terminal) -> None:
    """How much was written and what was left out; by reason, as file names may tell who it is."""
    studies = f"{export.studies} stud{'y' if export.studies == 1 else 'ies'}"
    terminal.print(f"{export.written} files of {studies} in {out}")
    if export.refused:
        terminal.heading(f"Left out: {len(export.refused)} files")
        for reason, count in Counter(r.reason for r in export.refused).most_common():
            terminal.print(f"  {count} × {reason}")
    terminal.print()
    terminal.print(
        "Nothing looked at the pixels: look through the images before they leave.", "yellow"
    )
