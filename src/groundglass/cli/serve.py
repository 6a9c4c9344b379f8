"""`groundglass serve`: the hospital node."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from groundglass.cli.extras import need

_EPILOG = """[bold]Examples[/bold]

  groundglass serve --example > groundglass.toml

  groundglass serve --config groundglass.toml --check

  groundglass serve --config groundglass.toml

[bold]Exit codes[/bold]  0 stopped as asked, or all checks passed · 1 something broke or does not \
work, the reason is printed · 2 wrong use, or settings that make no sense

Research use only. Not a medical device; not for diagnosis."""

#: Also from the environment, as service managers like to give it.
ConfigFile = Annotated[
    Path,
    typer.Option(
        "--config",
        metavar="FILE",
        envvar="GROUNDGLASS_CONFIG",
        exists=True,
        dir_okay=False,
        show_default=False,
        help="The node's settings, a TOML file. There is no usual place for it, so that no node "
        "starts by mistake.",
    ),
]


def _print_example(wanted: bool) -> None:
    if wanted:
        need("pynetdicom", "serve")
        from groundglass.cli.serving import example

        typer.echo(example(), nl=False)
        raise typer.Exit


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def serve(
    config: ConfigFile,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Try the disk, the database, the weights and every destination, say what works, "
            "and end.",
        ),
    ] = False,
    _example: Annotated[
        bool,
        typer.Option(
            "--example",
            is_eager=True,
            callback=_print_example,
            help="Print a settings file that explains every setting, and end.",
        ),
    ] = False,
) -> None:
    """Run a node beside a PACS: studies in by DICOM, results back into the study.

    Everything received is on disk before it is acknowledged, every study has a row in the job
    table, and what is interrupted goes on after the next start. The log goes to standard error as
    JSON lines without patient identifiers. SIGTERM or Ctrl-C lets running work end.
    """
    need("pynetdicom", "serve")
    from groundglass.cli.serving import check_settings, serve

    raise typer.Exit(check_settings(config) if check else serve(config))
