"""The whole of `groundglass serve`: settings, checks, the node and its end."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from pathlib import Path

from groundglass.cli.console import Terminal, spinner
from groundglass.cli.failures import ExitCode
from groundglass.node.assembled import Node, check_node
from groundglass.node.logs import LOGGER, JsonLines, LogSettings
from groundglass.node.outbound.destinations import open_destinations
from groundglass.node.settings import example_settings, load_settings


def example() -> str:
    """A settings file that explains every setting."""
    return example_settings()


def serve(config: Path) -> ExitCode:
    """Run a node until SIGTERM or Ctrl-C.

    Parameters
    ----------
    config : Path
        Its settings.

    Raises
    ------
    GroundglassError
        The settings make no sense, or a part of the node broke.
    """
    settings = load_settings(config)
    _log_to_standard_error(settings.log)
    node = Node(settings, open_destinations(settings))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    node.run(stop)
    return ExitCode.DONE


def check_settings(config: Path) -> ExitCode:
    """Try everything a node needs and say what works.

    Parameters
    ----------
    config : Path
        Its settings.

    Returns
    -------
    ExitCode
        CANNOT if something does not work.

    Raises
    ------
    SettingsError
        The settings make no sense.
    """
    settings = load_settings(config)
    with spinner("Trying disk, database, weights and destinations"):
        findings = check_node(settings, open_destinations(settings))
    terminal = Terminal()
    for finding in findings:
        sign, style = ("works", "green") if finding.works else ("FAILS", "bold red")
        terminal.print(f"{sign}  {finding.what}: {finding.detail}", style)
    failing = sum(not finding.works for finding in findings)
    terminal.print(f"{len(findings) - failing} of {len(findings)} work")
    return ExitCode.CANNOT if failing else ExitCode.DONE


def _log_to_standard_error(settings: LogSettings) -> None:
    """The node's own lines as JSON; those of other libraries go nowhere (`environment.hush`)."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logger = logging.getLogger(LOGGER)
    logger.addHandler(handler)
    logger.setLevel(settings.level.upper())
    logger.propagate = False
    threading.excepthook = _log_broken_thread


def _log_broken_thread(broken: threading.ExceptHookArgs) -> None:
    """Kind and place of what broke, without its text."""
    error = broken.exc_value
    kind = (broken.exc_type, error, broken.exc_traceback) if error is not None else None
    logging.getLogger(LOGGER).error("something unforeseen happened", exc_info=kind)
