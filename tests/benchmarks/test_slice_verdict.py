"""Where the study's threshold is set, and what it is judged by."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs groundglass[train]")
pytest.importorskip("matplotlib", reason="needs groundglass[evaluate]")

from benchmarks.slice_verdict import StudyScore, fitted, report_studies, volumes


def _study(name: str, share: float, *, ill: bool) -> StudyScore:
    return StudyScore(
        name, ill, tuple([0.9] * round(share * 100) + [0.1] * round(100 - share * 100))
    )


def test_the_threshold_lies_in_the_middle_between_ill_and_well() -> None:
    studies = [
        _study("a", 0.02, ill=False), _study("b", 0.10, ill=False),
        _study("c", 0.30, ill=True), _study("d", 0.80, ill=True),
    ]  # fmt: skip
    rule = fitted(studies)
    assert rule.study_threshold == pytest.approx(0.20)
    # Next to the threshold the studies get 0.9 and 0.1.
    nearest = [1 / (1 + math.exp(-rule.slope * (share - 0.20))) for share in (0.30, 0.10)]
    assert nearest == pytest.approx([0.9, 0.1])


def test_the_slice_s_threshold_is_where_ill_and_well_lie_furthest_apart() -> None:
    studies = [
        StudyScore("a", False, (0.1, 0.1, 0.65, 0.65)),
        StudyScore("b", True, (0.1, 0.75, 0.75, 0.75)),
    ]  # fmt: skip
    assert fitted(studies).slice_threshold == 0.7


def test_where_they_overlap_the_fewest_are_called_wrongly() -> None:
    studies = [
        _study("a", 0.02, ill=False), _study("b", 0.04, ill=True), _study("c", 0.50, ill=False),
        _study("d", 0.60, ill=True), _study("e", 0.90, ill=True),
    ]  # fmt: skip
    rule = fitted(studies)
    assert sum(rule.calls(one) == one.ill for one in studies) == 4


def test_a_study_is_called_by_the_others_threshold(capsys: pytest.CaptureFixture[str]) -> None:
    """By its own it would be right: the ill one lies alone below all who are well."""
    studies = [
        _study("a", 0.10, ill=False), _study("b", 0.12, ill=False), _study("c", 0.70, ill=True),
        _study("d", 0.30, ill=True),
    ]  # fmt: skip
    report_studies(studies)
    said = capsys.readouterr().out
    assert fitted(studies).study_threshold == pytest.approx(0.21)
    assert all(fitted(studies).calls(one) == one.ill for one in studies)
    assert "3 of 4 right" in said


def test_luna_s_volumes_begin_at_the_feet_and_the_others_at_the_head(tmp_path: Path) -> None:
    (tmp_path / "lung-volumes").mkdir()
    grey = np.full((3, 32, 32), 40, np.uint8)
    grey[:, 8:24] = 210
    np.savez(tmp_path / "lung-volumes" / "medseg-2.npz", image=grey, lung=grey < 5,
             spacing_mm=np.array([6.0, 1.5, 1.5]))  # fmt: skip
    folder = tmp_path / "luna-volumes" / "luna-volume-1"
    folder.mkdir(parents=True)
    for k in range(3):
        cv2.imwrite(str(folder / f"{k}.jpg"), grey[k])
    found = dict(volumes(tmp_path))
    heights = {name: one.geometry.directions[0][2] for name, one in found.items()}
    assert heights == {"medseg-2": -1.0, "luna-volume-1": 1.0}
    assert np.median(found["medseg-2"].hu[:, 8:24]) == pytest.approx(40, abs=15)
    assert found["luna-volume-1"].hu.max() == pytest.approx(-1350 + 210 * 1500 / 255, abs=30)
