"""What the libraries are asked for, and that a user's own wish comes first."""

from __future__ import annotations

import subprocess
import sys

import pytest

from groundglass.cli import environment


def test_what_the_user_asked_for_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    (name,) = environment.ASKED
    monkeypatch.setenv(name, "1")
    environment.ask()
    assert environment.os.environ[name] == "1"
    monkeypatch.delenv(name)
    environment.ask()
    assert environment.os.environ[name] == "0"


def test_the_command_line_is_there_before_numpy() -> None:
    """Asked afterwards it would be of no use."""
    code = "import sys, groundglass.cli; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
