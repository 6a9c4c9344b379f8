"""Ways to run the command, and one whole run that many tests look at."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from child_environment import child_environment
from groundglass.cli.app import app

Invoke = Callable[..., Result]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def invoke() -> Invoke:
    """Run a command in this process; an error not raised on purpose fails the test."""

    def run(*arguments: object, typed: str | None = None) -> Result:
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(app, words, input=typed, catch_exceptions=False)

    return run


@pytest.fixture(scope="session")
def command() -> Command:
    """Run a command as a user does, in a process of its own."""

    def run(*arguments: object, **variables: object) -> subprocess.CompletedProcess[str]:
        more = {name: str(value) for name, value in variables.items()}
        return subprocess.run(
            [sys.executable, "-m", "groundglass", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env=child_environment(COLUMNS="100", **more),
        )

    return run


@pytest.fixture(scope="session")
def ran(
    command: Command,
    phantom_study: Path,
    bundle: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[subprocess.CompletedProcess[str], Path]:
    """`groundglass run --json` on the synthetic study, and where its report is."""
    folder = tmp_path_factory.mktemp("ran")
    (folder / "home").mkdir()
    out = folder / "report"
    arguments = ("run", phantom_study, "--out", out, "--bundle", f"{bundle}/", "--json")
    return command(*arguments, HOME=folder / "home"), out


@pytest.fixture
def lungless_bundle(bundle: Path, tmp_path: Path) -> Path:
    """The bundle with a recipe that no patient has lung enough for."""
    folder = tmp_path / "lungless"
    shutil.copytree(bundle, folder)
    manifest = folder / "bundle.json"
    values = json.loads(manifest.read_text("utf-8"))
    values["recipe"]["min_lung_ml"] = 1e6
    manifest.write_text(json.dumps(values), "utf-8")
    return folder
