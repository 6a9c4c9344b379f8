"""`groundglass serve`: the hospital node."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundglass.cli.extras import need
from groundglass.cli.failures import ExitCode

if TYPE_CHECKING:
    from groundglass.node.settings import NodeSettings

_EPILOG = """[bold]Examples[/bold]

  groundglass serve --example > groundglass.toml

  groundglass serve --config groundglass.toml --check

  groundglass serve --config groundglass.toml

[bold]Exit codes[/bold]  0 stopped as asked, or all of ours works, whether or not other systems \
answer · 1 something of ours broke or does not work, the reason is printed · 2 wrong use, or \
settings that make no sense

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
        from groundglass.node.settings import example_settings

        typer.echo(example_settings(), nl=False)
        raise typer.Exit


app = typer.Typer(add_completion=False)


@app.command(epilog=_EPILOG)
def serve(
    config: ConfigFile,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Try the disk, the database, the ports, the weights and every source and "
            "destination, say what works, and end.",
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
    from groundglass.node.assembly import open_destinations
    from groundglass.node.node import Node
    from groundglass.node.private_files import keep_private
    from groundglass.node.settings import load_settings

    keep_private()
    settings = load_settings(config)
    if check:
        raise typer.Exit(_check(settings))
    _log_to_standard_error(settings.log.level)
    node = Node(settings, open_destinations(settings))
    if settings.web is not None:
        need("fastapi", "web")
        from groundglass.web.server import open_page

        node.join(open_page(settings, settings.web, node.stores))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    node.run(stop)


def _check(settings: NodeSettings) -> ExitCode:
    """Try everything a node needs and say what works."""
    from groundglass.cli.console import Terminal, spinner
    from groundglass.node.assembly import open_destinations
    from groundglass.node.checks import Verdict, check_node

    with spinner("Trying disk, database, weights and destinations"):
        findings = check_node(settings, open_destinations(settings))
    terminal = Terminal()
    shown = {
        Verdict.WORKS: ("works", "green"),
        Verdict.FAILS: ("FAILS", "bold red"),
        Verdict.SILENT: ("NO ANSWER", "yellow"),
    }
    for finding in findings:
        sign, style = shown[finding.verdict]
        terminal.print(f"{sign}  {finding.what}: {finding.detail}", style)
    count = Counter(finding.verdict for finding in findings)
    terminal.print(f"{count[Verdict.WORKS]} of {len(findings)} work")
    if count[Verdict.SILENT]:
        terminal.print(
            "A node starts all the same: what is for a system that does not answer waits for it."
        )
    return ExitCode.CANNOT if count[Verdict.FAILS] else ExitCode.DONE


def _log_to_standard_error(level: str) -> None:
    """The node's own lines as JSON; those of other libraries go nowhere (`environment.hush`)."""
    from groundglass.node.logs import LOGGER, JsonLines

    logger = logging.getLogger(LOGGER)

    def log_broken_thread(broken: threading.ExceptHookArgs) -> None:
        """Kind and place of what broke, without its text."""
        error = broken.exc_value
        kind = (broken.exc_type, error, broken.exc_traceback) if error is not None else None
        logger.error("something unforeseen happened", exc_info=kind)

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    logger.setLevel(level.upper())
    logger.propagate = False
    threading.excepthook = log_broken_thread
