"""`groundglass demo`: a report from nothing, twice in one place, never over another's files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from groundglass.cli.commands import demo

Invoke = Callable[..., Result]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A demo in seconds: the tests look at its ways, not at its pictures."""
    monkeypatch.setattr(demo, "_SLICES", 20)
    monkeypatch.setattr(demo, "_SPACING_MM", 9.6)
    monkeypatch.setattr(demo, "_MATRIX", 96)


def test_a_demo_leaves_a_study_and_its_report_and_can_be_repeated(
    invoke: Invoke, bundle: Path, tmp_path: Path
) -> None:
    out = tmp_path / "demo"
    first = invoke("demo", "--out", out, "--bundle", f"{bundle}/")
    assert first.exit_code == 0, first.output
    assert "SYNTHETIC" in first.stdout
    assert (out / "report" / "report.html").resolve().as_uri() in first.stdout
    before = {path.name: path.read_bytes() for path in (out / "study").iterdir()}
    second = invoke("demo", "--out", out, "--seed", 9, "--bundle", f"{bundle}/")
    assert second.exit_code == 0, second.output
    after = {path.name: path.read_bytes() for path in (out / "study").iterdir()}
    assert before.keys() == after.keys()
    assert before != after


def test_a_folder_of_the_users_is_left_alone(invoke: Invoke, bundle: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "CT0001.dcm").write_text("mine")
    done = invoke("demo", "--out", tmp_path, "--bundle", f"{bundle}/")
    assert done.exit_code == 1
    assert (study / "CT0001.dcm").read_text() == "mine"
