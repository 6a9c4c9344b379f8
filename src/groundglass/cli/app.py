"""The `groundglass` command and its sub-commands."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

import groundglass
from groundglass.cli import (
    batch,
    cohort,
    deidentify,
    demo,
    environment,
    evaluate,
    jobs,
    models,
    phantom,
    prepare,
    run,
    send,
    serve,
    train,
)
from groundglass.cli.failures import GuardedGroup, short_excepthook

_HELP = """Chest CT triage on an ordinary CPU: a study in, a verdict with its evidence out.

COVID-19 pneumonia (CP), other pneumonia (NCP) or healthy, after Kara et al. 2021.

[bold]Research use only. Not a medical device; not for diagnosis.[/bold]"""

_EPILOG = """[bold]Begin here[/bold]

  groundglass demo [dim]· a made-up patient, to see a report[/dim]

  groundglass run STUDY --out DIR [dim]· your own study; then open DIR/report.html[/dim]

  groundglass COMMAND --help [dim]· options and examples of a command[/dim]

[bold]Exit codes[/bold]  0 done, with a verdict · 1 could not analyse, the reason is printed · \
2 wrong use

[bold]Streams[/bold]  answers go to standard output, progress and errors to standard error"""

app = typer.Typer(
    name="groundglass",
    cls=GuardedGroup,
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    run,
    batch,
    demo,
    phantom,
    prepare,
    deidentify,
    models,
    evaluate,
    cohort,
    train,
    serve,
    jobs,
    send,
):
    _command.add_to(app)


def _tell_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"groundglass {groundglass.__version__}")
        raise typer.Exit


def _trace(wanted: bool) -> None:
    if wanted:
        sys.excepthook = sys.__excepthook__


@app.callback()
def _begin(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_tell_version, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", callback=_trace, help="Show the traceback of an unforeseen error."),
    ] = False,
) -> None:
    """Take the options that come before the command."""


def main() -> None:
    """Run the command line and exit with one of `ExitCode`."""
    sys.excepthook = short_excepthook
    environment.ask()
    environment.hush()
    if isinstance(sys.stdout, TextIOWrapper):
        # A terminal or log of another encoding gets a ? for what it cannot show, not a failure.
        sys.stdout.reconfigure(errors="replace")
    # Not app(): that puts Typer's own hook in the place of ours.
    typer.main.get_command(app)(prog_name="groundglass")
