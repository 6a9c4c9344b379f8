"""`groundglass phantom`: a study anyone may have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from typer.testing import Result

from groundglass.read import read_study, read_volume, select_chest_ct

Invoke = Callable[..., Result]
SMALL = ("--slices", 16, "--spacing", 10, "--matrix", 64)


def test_the_files_are_a_chest_ct_as_asked_for(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke("phantom", tmp_path / "p", "--label", "NCP", "--seed", 3, *SMALL)
    assert done.exit_code == 0
    assert "NCP" in done.stdout
    volume = read_volume(select_chest_ct(read_study(tmp_path / "p")))
    assert volume.geometry.shape == (16, 64, 64)
    assert volume.geometry.spacing_mm[0] == pytest.approx(10)


def test_the_same_options_give_the_same_files(invoke: Invoke, tmp_path: Path) -> None:
    for name in ("a", "b"):
        invoke("phantom", tmp_path / name, "--seed", 5, *SMALL)
    written = [
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "ab"
    ]
    assert len(written[0]) == 16
    assert written[0] == written[1]


def test_the_true_masks_lie_on_the_volumes_grid(invoke: Invoke, tmp_path: Path) -> None:
    folders = tmp_path / "p", tmp_path / "t"
    invoke("phantom", folders[0], "--severity", 1, "--truth", folders[1], *SMALL)
    volume = read_volume(select_chest_ct(read_study(folders[0])))
    image = nibabel.load(folders[1] / "lung.nii.gz")
    lung = np.asarray(image.dataobj).transpose(2, 1, 0) > 0
    assert lung.shape == volume.hu.shape
    assert volume.hu[lung].mean() < -500
    for index in ((0, 0, 0), (15, 20, 40)):
        ras = image.affine @ np.array([*index[::-1], 1.0])
        assert ras[:3] * (-1, -1, 1) == pytest.approx(volume.geometry.position_mm(index), abs=1e-3)
    lesion = np.asarray(nibabel.load(folders[1] / "lesion.nii.gz").dataobj).transpose(2, 1, 0) > 0
    assert lesion.any()
    assert not (lesion & ~lung).any()


def test_a_folder_with_files_is_left_alone(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "CT0001.dcm").write_text("mine")
    done = invoke("phantom", tmp_path, *SMALL)
    assert done.exit_code == 1
    assert "Expected an empty directory" in done.stderr
    assert (tmp_path / "CT0001.dcm").read_text() == "mine"


def test_without_room_for_the_truth_nothing_is_written(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "mine").touch()
    done = invoke("phantom", tmp_path / "p", "--truth", tmp_path / "truth", *SMALL)
    assert done.exit_code == 1
    assert not (tmp_path / "p").exists()


def test_a_place_that_cannot_be_written_is_told(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = invoke("phantom", tmp_path / "file" / "below", *SMALL)
    assert done.exit_code == 1
    assert "not writable" in done.stderr


def test_every_file_says_that_it_is_synthetic(phantom_study: Path) -> None:
    for path in phantom_study.iterdir():
        header = pydicom.dcmread(path, stop_before_pixels=True)
        assert "SYNTHETIC" in header.SeriesDescription
