"""The command line with every command loaded, for tests that look at all of them."""

from __future__ import annotations

from functools import cache
from typing import Any

import typer

from groundglass.cli.app import app, load_command


@cache
def whole_program() -> Any:
    """What `groundglass` is, no command of it a stand-in."""
    program: Any = typer.main.get_command(app)
    program.commands = {name: load_command(name) for name in program.commands}
    return program
