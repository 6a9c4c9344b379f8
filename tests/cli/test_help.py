"""Help teaches, starts fast, and the documentation holds all of it."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

import groundglass
from groundglass.cli.app import COMMANDS as LINES
from groundglass.cli.failures import ExitCode
from whole_program import whole_program

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md"
COMMANDS = (
    "run",
    "batch",
    "demo",
    "phantom",
    "prepare",
    "deidentify",
    "evaluate",
    "calibrate",
    "serve",
    "send",
    "certificates",
    "models",
    "cohort",
    "train",
    "jobs",
    "users",
)

Invoke = Callable[..., Result]
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def _leaves(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it."""
    for name, found in group.commands.items():
        yield (*path, name), found
        if hasattr(found, "commands"):
            yield from _leaves(found, (*path, name))


def _section(path: tuple[str, ...]) -> str:
    """The text under a command's heading in the reference."""
    text = REFERENCE.read_text("utf-8")
    heading = f"## `groundglass {' '.join(path)}`"
    assert heading in text, f"{REFERENCE.name} has no section {heading}"
    return text.split(heading, 1)[1].split("\n## ", 1)[0]


def _names(found: Any) -> list[str]:
    """Options and arguments of a command as help shows them."""
    long = [
        next((n for n in p.opts if n.startswith("--")), p.metavar or p.name.upper())
        for p in found.params
    ]
    return [name for name in long if name != "--help"]


ALL = dict(_leaves(whole_program()))


def test_the_commands_are_the_ones_promised() -> None:
    assert tuple(path[0] for path in ALL if len(path) == 1) == COMMANDS


def test_the_list_says_of_each_command_what_its_help_begins_with() -> None:
    for name, line in LINES.items():
        assert ALL[name,].help.split("\n\n")[0] == line


def test_help_names_every_command_the_exit_codes_and_the_limit(command: Command) -> None:
    done = command("--help")
    assert done.returncode == 0
    for name in COMMANDS:
        assert f" {name} " in done.stdout
    assert "Research use only" in done.stdout
    assert "Exit codes" in done.stdout


def test_a_terminal_of_another_encoding_is_no_failure(command: Command) -> None:
    done = command("--help", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "groundglass demo" in done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_shows_an_example_and_its_exit_codes(invoke: Invoke, name: str) -> None:
    done = invoke(name, "--help")
    assert done.exit_code == 0
    assert "Example" in done.stdout
    assert f"groundglass {name}" in done.stdout.split("Example", 1)[1]
    assert "Exit codes" in done.stdout


@pytest.mark.parametrize("path", sorted(ALL), ids=" ".join)
def test_the_reference_has_every_option(path: tuple[str, ...]) -> None:
    section = _section(path)
    for name in _names(ALL[path]):
        assert f"`{name}`" in section, f"{name} is not in the reference"


def test_the_reference_has_the_options_before_the_command() -> None:
    text = REFERENCE.read_text("utf-8")
    for parameter in whole_program().params:
        assert f"`{parameter.opts[0]}`" in text


def test_the_reference_has_no_option_that_is_gone() -> None:
    known = {name for found in ALL.values() for p in found.params for name in p.opts}
    known |= {name for p in whole_program().params for name in p.opts} | {"--help"}
    text = REFERENCE.read_text("utf-8")
    written = {word.split()[0] for word in text.split("`") if word.startswith("--")}
    assert written <= known


def test_the_reference_has_every_exit_code() -> None:
    text = REFERENCE.read_text("utf-8")
    for code in ExitCode:
        assert f"| {code.value} |" in text


def test_help_imports_nothing_slow() -> None:
    """What takes its time to import (numpy alone is a third of the budget) waits for a command."""
    code = (
        "import sys, contextlib, io\n"
        "from groundglass.cli.app import app\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    app(['--help'])\n"
        "print(sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    path = str(Path(groundglass.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {path!r})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(ast.literal_eval(done.stdout))
    slow = {
        "numpy",
        "scipy",
        "cv2",
        "openvino",
        "ncnn",
        "pydicom",
        "nibabel",
        "imagecodecs",
        "jinja2",
        "pydantic",
    }
    assert not loaded & slow


def test_the_version_is_the_packages(invoke: Invoke) -> None:
    assert invoke("--version").stdout == f"groundglass {groundglass.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nosuch",),
        ("run",),
        ("run", "."),
        ("run", "nosuch", "--out", "o"),
        ("run", ".", "--out", "o", "--precision", "f16"),
        ("run", ".", "--out", __file__),
        ("phantom", "o", "--label", "flu"),
        ("phantom", "o", "--severity", "2"),
        ("phantom", "o", "--matrix", "8"),
        ("models", "nosuch"),
    ],
    ids=" ".join,
)
def test_wrong_use_is_exit_code_2(invoke: Invoke, arguments: tuple[str, ...]) -> None:
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert "Usage" in done.output
