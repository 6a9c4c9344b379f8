"""`groundglass send`: DICOM files to another system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli.extras import need

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
    from groundglass.cli.sending import send_all
    from groundglass.node.dimse.clients import ClientSettings
    from groundglass.node.dimse.peers import Peer
    from groundglass.node.dimse.tls import TlsSettings

    peer = Peer.parse(to, TlsSettings(certificate=cert, authorities=ca) if tls else None)
    raise typer.Exit(send_all(source, peer, ClientSettings(own)))
