"""`groundglass certificates`: certificates to try TLS with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli.extras import need

_EPILOG = """[bold]Examples[/bold]

  groundglass certificates tls

  groundglass certificates tls --host pacs.example --host 10.1.2.3 --days 7

[bold]Exit codes[/bold]  0 done · 2 wrong use, or the files are there already"""

app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def certificates(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", show_default=False, help="Where to; made if it is not there."
        ),
    ],
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="NAME",
            show_default="localhost and 127.0.0.1",
            help="Host name or address that they hold for; more than once for several.",
        ),
    ] = None,
    days: Annotated[
        int, typer.Option("--days", min=1, max=365, help="How long they are valid.")
    ] = 30,
) -> None:
    """Make certificates to try TLS with, for a node and for who calls it.

    An authority, and what it signed for a server and for a client, as PEM files that only you may
    read. They say "for tests only"; for service, have your hospital's authority sign.
    """
    need("cryptography", "serve")
    from groundglass.node.dimse.certificates import make_test_certificates

    names = hosts or ["localhost", "127.0.0.1"]
    made = make_test_certificates(folder, names, days)
    typer.echo(
        f"{folder}: certificates for tests only, for {', '.join(names)}, valid for {days} days\n\n"
        "For the node\n"
        f'  [listener.tls]\n  certificate = "{made.server}"\n  key = "{made.server_key}"\n'
        f'  authorities = "{made.authority}"\n\n'
        "For who calls it, as dcmtk\n"
        f"  echoscu -aec GROUNDGLASS +tls {made.client_key} {made.client} +cf {made.authority} "
        "HOST PORT"
    )
