"""Commands that a plain install cannot run say what to install."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from groundglass.cli import extras
from groundglass.cli.failures import ExitCode

Invoke = Callable[..., Result]


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--example"),
        ("serve", "--config", "FILE"),
        ("jobs", "list", "--config", "FILE"),
        ("jobs", "fetch", "1.2", "--config", "FILE"),
        ("send", "FILE", "--to", "PACS@127.0.0.1:9"),
        ("deidentify", "FILE", "--out", "export", "--key-file", "FILE"),
    ],
)
def test_a_plain_install_is_told_what_is_missing(
    invoke: Invoke,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    done = invoke(*(str(file) if word == "FILE" else word for word in arguments))
    assert done.exit_code == ExitCode.WRONG_USE
    assert "pip install '.[serve]'" in " ".join(done.output.split())
