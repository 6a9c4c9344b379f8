"""Real against made lesions: the figures of every source and kind, on a few drawn slices."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("sklearn", reason="needs groundglass[train]")

from benchmarks import real_or_made
from made_marked import write_marked


def test_every_kind_is_told_from_the_real_ones_of_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_marked(tmp_path)
    monkeypatch.setattr(sys, "argv", ["real_or_made", "--data", str(tmp_path)])
    real_or_made.main()
    lines = capsys.readouterr().out.splitlines()
    told = [line for line in lines if "real, " in line]
    assert [line.split()[:2] for line in told if line.startswith("both")] == [
        ["both", kind] for kind in ("CP", "NCP", "cut")
    ]
    assert all("trees" in line and "logistic" in line for line in told)
    assert "of one patient" in next(line for line in lines if line.startswith("medseg "))
    assert any("medseg -> covid-19-ct-seg" in line for line in lines)
