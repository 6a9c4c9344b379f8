"""The command line: one file per command, light until a command runs."""

from groundglass.cli.app import main

__all__ = ["main"]
