"""`groundglass send`: DICOM files to another system."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli.extras import need
from groundglass.cli.failures import ExitCode
from groundglass.errors import ReadError

if TYPE_CHECKING:
    from groundglass.node.dimse.peers import Peer
    from groundglass.node.outbound.delivery import FileReceipt

_SHOWN = 10
_LOOK = 132
_DIRECTORY = "DICOMDIR"

_EPILOG = """[bold]Examples[/bold]

  groundglass send report --to PACS@10.1.2.3:104

  groundglass send study --to PACS@pacs.example:2762 --tls --ca hospital.pem --as SCANNER1

[bold]Exit codes[/bold]  0 every file taken · 1 some not taken, or nobody there · 2 wrong use"""


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def send(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="DIR",
            exists=True,
            show_default=False,
            help="A folder (any nesting, any names) or one DICOM file.",
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="AE@HOST:PORT",
            show_default=False,
            help="Where to: AE title, host and port of the other system.",
        ),
    ],
    own: Annotated[
        str,
        typer.Option("--as", metavar="AE", help="Our AE title; the other system must know it."),
    ] = "GROUNDGLASS",
    tls: Annotated[bool, typer.Option("--tls", help="Over TLS, its certificate checked.")] = False,
    ca: Annotated[
        Path | None,
        typer.Option(
            "--ca",
            metavar="PEM",
            exists=True,
            dir_okay=False,
            show_default=False,
            help="With --tls: whose signature its certificate must have. Without, the machine's "
            "own list counts.",
        ),
    ] = None,
    cert: Annotated[
        Path | None,
        typer.Option(
            "--cert",
            metavar="PEM",
            exists=True,
            dir_okay=False,
            show_default=False,
            help="With --tls, where it asks for one: our certificate and its key, in one file.",
        ),
    ] = None,
) -> None:
    """Send DICOM files to another system (C-STORE).

    Sends every DICOM file below DIR as it is: compressed files are not decoded, nothing is changed,
    nothing is deleted anywhere. Says of each file that was not taken why, and counts those taken
    with a warning. Sending twice is harmless.
    """
    if (ca or cert) and not tls:
        raise typer.BadParameter("--ca and --cert go with --tls.")
    need("pynetdicom", "serve")
    from groundglass.cli.console import progress_bar
    from groundglass.node.dimse.peers import Peer
    from groundglass.node.dimse.tls import TlsSettings
    from groundglass.node.outbound.send import send
    from groundglass.node.uids import ourselves

    peer = Peer.parse(to, TlsSettings(certificate=cert, authorities=ca) if tls else None)
    client = ourselves(own)
    files = [source] if source.is_file() else sorted(filter(_is_dicom, source.rglob("*")))
    if not files:
        raise ReadError(
            "no DICOM file in the folder",
            expected="files as a PACS exports them, or a report of `groundglass run`",
            action="Give the folder that holds them.",
        )
    with progress_bar(f"Sending to {peer}") as progress:
        receipts = send(files, peer, client, progress)
    raise typer.Exit(_tell(receipts, source, peer))


def _is_dicom(path: Path) -> bool:
    from groundglass.read.dicom.headers.dataset import looks_like_dicom

    if not path.is_file() or path.name == _DIRECTORY:
        return False
    with path.open("rb") as file:
        return looks_like_dicom(file.read(_LOOK))


def _tell(receipts: tuple[FileReceipt, ...], source: Path, peer: Peer) -> ExitCode:
    """How many were taken, and what the others lack."""
    from groundglass.cli.console import Terminal
    from groundglass.node.outbound.delivery import TAKEN, FileStatus

    terminal = Terminal()
    counts = Counter(receipt.status for receipt in receipts)
    taken = sum(counts[status] for status in TAKEN)
    terminal.print(f"{taken} of {len(receipts)} files taken by {peer}", "bold")
    remarks = [r for r in receipts if r.status in (FileStatus.WARNING, FileStatus.REFUSED)]
    for receipt in remarks[:_SHOWN]:
        name = receipt.path.relative_to(source) if receipt.path != source else receipt.path.name
        words = "taken with a warning" if receipt.status is FileStatus.WARNING else "not taken"
        terminal.print(f"  {name}: {words}, {receipt.detail}")
    if len(remarks) > _SHOWN:
        terminal.print(f"  … and {len(remarks) - _SHOWN} more")
    return ExitCode.DONE if taken == len(receipts) else ExitCode.CANNOT
