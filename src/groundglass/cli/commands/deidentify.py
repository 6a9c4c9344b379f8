"""`groundglass deidentify`: studies without what tells who the patients are."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli import options
from groundglass.cli.extras import need

if TYPE_CHECKING:
    from groundglass.cli.console import Terminal
    from groundglass.deidentify.export import Export

_EPILOG = """[bold]Examples[/bold]

  head -c 32 /dev/urandom > site.key [dim]· once; keep it secret and safe[/dim]

  groundglass deidentify incoming/ --out export --key-file site.key

[bold]Exit codes[/bold]  0 written · 1 nothing could be written, the reason is printed · 2 wrong use

Nothing looks at the pixels: look through the images before they leave the house."""


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def deidentify(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            exists=True,
            show_default=False,
            help="A folder (any nesting, any names), a zip archive or one DICOM file.",
        ),
    ],
    out: Annotated[
        Path,
        options.out_folder(
            "Where the copies go, in a folder per study and series. Made if missing; must be empty."
        ),
    ],
    key_file: Annotated[
        Path,
        typer.Option(
            "--key-file",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            show_default=False,
            help="The site's secret: at least 16 random bytes. Who has it can tell which export "
            "belongs to which patient; without it nobody can.",
        ),
    ],
) -> None:
    """Write copies of DICOM studies without what tells who the patients are.

    PS3.15 basic profile: names, numbers, places and free text go, private attributes too; UIDs and
    dates are replaced by others that the key decides, so that a study stays one study and a patient
    one patient, in every export with the same key. Objects whose pixels may show a name (captures,
    ultrasound, radiographs, documents, pictures of screens) are left out.
    """
    need("dicomanonymizer", "deidentify")
    from groundglass.cli.console import Terminal, progress_bar
    from groundglass.cli.output_folder import filling
    from groundglass.deidentify.export import export_deidentified
    from groundglass.deidentify.pseudonyms import SiteKey

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
