"""Whole volumes in HU, each the right way up, ill where a reader marked more than a slip."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="needs groundglass[train]")

from groundglass.train.verdict.whole_volumes import WholeVolume, whole_volumes

#: Rows of labels.csv: file, patient, whether lesions were looked for.
ROWS = (
    ("medseg-2.npz", "medseg-2", "yes"),
    ("medseg-3.npz", "medseg-2", "yes"),
    ("medseg-6.npz", "medseg-6", "yes"),
    ("lung1-001.npz", "lung1-001", "no"),
)


@pytest.fixture
def found(tmp_path: Path) -> dict[str, WholeVolume]:
    """Slabs of tissue in air, a lung in them: two ill ones of one patient, one with a slip."""
    folder = tmp_path / "lung-volumes"
    folder.mkdir()
    grey = np.full((5, 64, 64), 40, np.uint8)
    grey[:, 16:48] = 210
    lung = np.zeros_like(grey)
    lung[:, 20:44, 20:44] = 1
    lesion = np.zeros_like(grey)
    for name, _, looked in ROWS:
        lesion[:] = 0
        lesion[0, 20 : 30 if name != "medseg-6.npz" else 21, 20] = 1
        values = (
            {"image": grey, "lesion": lesion} if looked == "yes" else {"hu": grey * np.int16(2)}
        )
        np.savez(folder / name, lung=lung, spacing_mm=np.array([6.0, 1.5, 1.5]), **values)
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "patient", "lesion mask"), *ROWS])
    luna = tmp_path / "luna-volumes" / "luna-volume-1"
    luna.mkdir(parents=True)
    for k in range(3):
        cv2.imwrite(str(luna / f"{k}.jpg"), grey[k])
    return {one.name: one for one in whole_volumes(tmp_path)}


def test_ill_is_what_is_marked_beyond_a_slip(found: dict[str, WholeVolume]) -> None:
    assert {name: one.ill for name, one in found.items()} == {
        "medseg-2": True, "medseg-3": True, "medseg-6": False, "lung1-001": None,
        "luna-volume-1": False,
    }  # fmt: skip


def test_patients_are_called_as_in_the_scorer_s_table(found: dict[str, WholeVolume]) -> None:
    assert found["medseg-3"].patient == found["medseg-2"].patient == "medseg/medseg-2"
    assert found["luna-volume-1"].patient == "luna16/luna-volume-1"


def test_luna_s_volumes_begin_at_the_feet_and_the_others_at_the_head(
    found: dict[str, WholeVolume],
) -> None:
    heights = {name: one.volume.geometry.directions[0][2] for name, one in found.items()}
    assert heights == {
        "medseg-2": -1.0, "medseg-3": -1.0, "medseg-6": -1.0, "lung1-001": -1.0,
        "luna-volume-1": 1.0,
    }  # fmt: skip


def test_all_are_in_hounsfield_units(found: dict[str, WholeVolume]) -> None:
    tissue = found["medseg-2"].volume.hu[:, 16:20]
    assert np.median(tissue) == pytest.approx(40, abs=15)
    luna = found["luna-volume-1"].volume.hu
    assert luna.max() == pytest.approx(-1350 + 210 * 1500 / 255, abs=30)
    assert found["lung1-001"].volume.hu.max() == 420


def test_the_real_ones_are_nine_that_are_one_or_the_other(shared_data: Path) -> None:
    real = list(whole_volumes(shared_data))
    ill = [one.name for one in real if one.ill]
    assert ill == ["medseg-2", "medseg-3", "medseg-5", "medseg-7", "medseg-8"]
    assert sum(one.ill is False for one in real) == 4
    assert [one.name for one in real if one.ill is None] == ["lung1-001", "lung1-002"]
