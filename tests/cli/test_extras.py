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
    ("arguments", "extra"),
    [
        (("serve", "--example"), "serve"),
        (("serve", "--config", "FILE"), "serve"),
        (("jobs", "list", "--config", "FILE"), "serve"),
        (("jobs", "fetch", "1.2", "--config", "FILE"), "serve"),
        (("send", "FILE", "--to", "PACS@127.0.0.1:9"), "serve"),
        (("deidentify", "FILE", "--out", "export", "--key-file", "FILE"), "deidentify"),
    ],
)
def test_a_plain_install_is_told_what_is_missing(
    invoke: Invoke,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    extra: str,
) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setattr(extras, "find_spec", lambda _: None)
    done = invoke(*(str(file) if word == "FILE" else word for word in arguments))
    assert done.exit_code == ExitCode.WRONG_USE
    assert f"pip install '.[{extra}]'" in " ".join(done.output.split())
