"""The command line: one module a command in `commands`, light until a command runs."""

from groundglass.cli.app import main

__all__ = ["main"]
