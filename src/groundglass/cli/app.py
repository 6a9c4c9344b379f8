"""The `groundglass` command and its sub-commands."""

from __future__ import annotations

import sys
from importlib import import_module
from io import TextIOWrapper
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import groundglass
from groundglass.cli import environment
from groundglass.cli.failures import ExitCode, in_words, short_excepthook
from groundglass.errors import GroundglassError, SettingsError

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

#: Each command is a module of that name in `commands`, imported when it is called; beside it the
#: first paragraph of its help, which the list of all shows without importing it.
COMMANDS = {
    "run": "Analyse a study and write its report.",
    "batch": "Analyse many studies and write the report of each.",
    "demo": "Make a synthetic patient, analyse the study as you would yours, and write the report.",
    "phantom": "Write a synthetic chest CT as a DICOM series.",
    "prepare": "Write what the networks see of a study as PNG, with the lung masks beside it.",
    "deidentify": "Write copies of DICOM studies without what tells who the patients are.",
    "evaluate": "Judge every study of a cohort and measure how good the verdicts are.",
    "calibrate": "Fit a bundle's thresholds on your own cases, and write a new bundle.",
    "serve": "Run a node beside a PACS: studies in by DICOM, results back into the study.",
    "send": "Send DICOM files to another system (C-STORE).",
    "certificates": "Make certificates to try TLS with, for a node and for who calls it.",
    "models": "List, show, verify and add bundles: the networks' weights with the recipe they were "
    "trained with, and what a reader must know of them. Alone it lists.",
    "cohort": "Tables of patients for training and evaluating: check, split, import, join and make "
    "them.",
    "train": "Train the networks on a cohort: the lung segmenter, the slice encoder, the sequence "
    "head, or all of them, which ends in a bundle.",
    "jobs": "List, show and change the jobs of a node, upgrade, copy and check their table; it may "
    "be running meanwhile. A job is one revision of one study on its way: received, ready, "
    "analysing, reported, delivering, then delivered, refused (no verdict, and why), superseded "
    "(more images came before anything went out) or failed (a dead letter).",
    "users": "Add, list and remove the people who may log in to the page of a node, and change "
    "their passwords and roles; the node may be running meanwhile. A reader sees and reads "
    "studies, an operator also begins them again, hurries them and deletes their files, an admin "
    "also sees the record of who did what.",
}


class LazyGroup(TyperGroup):
    """The commands, each loaded when it is called; an error raised on purpose is told, not traced.

    Until then a stand-in with its name and one line of help takes its place.
    """

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: TyperCommand(name, help=line) for name, line in COMMANDS.items()}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command itself in the place of its stand-in."""
        name, _, rest = super().resolve_command(ctx, args)
        return name, name and load_command(name), rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a `GroundglassError` becomes a message and an exit code."""
        try:
            return super().invoke(ctx)
        except GroundglassError as error:
            typer.echo(in_words(error), err=True)
            wrong = isinstance(error, SettingsError)
            raise typer.Exit(ExitCode.WRONG_USE if wrong else ExitCode.CANNOT) from error


def load_command(name: str) -> Any:
    """A command with its options, or a group of them; its help's paragraphs fit any terminal."""
    command = typer.main.get_command(import_module(f"groundglass.cli.commands.{name}").app)
    paragraphs = (command.help or "").split("\n\n")
    command.help = "\n\n".join(text.replace("\n", " ") for text in paragraphs)
    return command


app = typer.Typer(
    name="groundglass",
    cls=LazyGroup,
    help=_HELP,
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
