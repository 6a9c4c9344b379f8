"""What nobody foresaw: short words, a way to report it, and a traceback only when asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import groundglass
from groundglass.cli.failures import in_words, plain
from groundglass.errors import InputError, NoChestCT

#: The command with a reader that has a defect, which quotes a name from a header.
BROKEN = """
import sys
sys.path.insert(0, {path!r})
import groundglass.infer
def load(*_):
    raise KeyError("DOE^JANE")
groundglass.infer.load_bundle = load
import groundglass.cli
sys.argv = ["groundglass", *{arguments!r}]
groundglass.cli.main()
"""


def _break(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = str(Path(groundglass.__file__).parents[1])
    code = BROKEN.format(path=path, arguments=arguments)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_a_defect_is_told_shortly_and_without_the_inputs_words() -> None:
    done = _break("models", "show")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "KeyError" in done.stderr
    assert "Please report it" in done.stderr
    assert "--debug" in done.stderr
    assert "Traceback" not in done.stderr
    assert "DOE" not in done.stderr


def test_debug_shows_the_traceback_of_a_defect() -> None:
    done = _break("--debug", "models", "show")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "KeyError" in done.stderr


def test_an_error_is_told_in_its_three_parts() -> None:
    error = InputError("two heads", expected="one head", action="Count again.")
    assert in_words(error).splitlines() == [
        "Found two heads.",
        "Expected one head.",
        "Count again.",
    ]


def test_each_rejected_series_has_its_line() -> None:
    error = NoChestCT(
        "none (a; b)", expected="one", action="Send it.", rejections=("a: an MR", "b: a knee")
    )
    lines = in_words(error).splitlines()
    assert lines[1:3] == ["  a: an MR", "  b: a knee"]
    assert "Expected one." in lines


@pytest.mark.parametrize("text", ["\x1b[2J", "a\rb", "a\nb", "\x9b31m", "\u202egnp"])
def test_text_from_outside_loses_what_steers_a_terminal(text: str) -> None:
    assert plain(text).isprintable()
    assert len(plain(text)) == len(text)


def test_letters_of_every_script_stay() -> None:
    assert plain("胸部 грудь Brustkorb × ≥ µm") == "胸部 грудь Brustkorb × ≥ µm"
