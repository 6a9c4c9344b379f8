"""The same pixels give the same hash; other pixels another."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless, generate_uid

from groundglass.cohort import study_fingerprint
from groundglass.cohort.fingerprint import slice_digests
from groundglass.errors import ReadError


@pytest.fixture
def copies(phantom_study: Path, tmp_path: Path) -> Path:
    """A few slices of the study, to be changed."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in sorted(phantom_study.iterdir())[::4]:
        shutil.copy(path, folder)
    return folder


def test_names_order_and_headers_change_nothing(copies: Path, tmp_path: Path) -> None:
    before = study_fingerprint(copies)
    assert len(before) == 64
    series = generate_uid()
    for number, path in enumerate(sorted(copies.iterdir(), reverse=True)):
        header = pydicom.dcmread(path)
        header.PatientName = "Somebody^Else"
        header.SeriesInstanceUID = series
        header.SOPInstanceUID = header.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        header.InstanceNumber = number
        header.SeriesDescription = "anonymised"
        path.unlink()
        (copies / "deeper").mkdir(exist_ok=True)
        header.save_as(copies / "deeper" / f"{number}")
    assert study_fingerprint(copies) == before
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for path in (copies / "deeper").iterdir():
            archive.write(path, path.name)
    assert study_fingerprint(tmp_path / "study.zip") == before


def test_compressing_changes_nothing(copies: Path) -> None:
    before = study_fingerprint(copies)
    for path in copies.iterdir():
        header = pydicom.dcmread(path)
        header.compress(RLELossless, generate_instance_uid=False)
        header.save_as(path)
    assert study_fingerprint(copies) == before


def test_one_voxel_changes_it(copies: Path) -> None:
    before = study_fingerprint(copies)
    path = next(copies.iterdir())
    header = pydicom.dcmread(path)
    pixels = header.pixel_array.copy()
    pixels[5, 5] += 1
    header.PixelData = pixels.tobytes()
    header.save_as(path)
    assert study_fingerprint(copies) != before


def test_a_missing_slice_changes_it(copies: Path) -> None:
    before = study_fingerprint(copies)
    next(copies.iterdir()).unlink()
    assert study_fingerprint(copies) != before


def test_an_image_is_its_pixels_whatever_the_format(tmp_path: Path) -> None:
    grey = np.random.default_rng(1).integers(0, 256, (16, 16), np.uint8)
    names = ("a.png", "b.tif", "c.png")
    cv2.imwrite(str(tmp_path / "a.png"), grey)
    cv2.imwrite(str(tmp_path / "b.tif"), grey)
    cv2.imwrite(str(tmp_path / "c.png"), cv2.merge([grey, grey, grey]))
    assert len({study_fingerprint(tmp_path / name) for name in names}) == 1
    cv2.imwrite(str(tmp_path / "d.png"), grey.T)
    cv2.imwrite(str(tmp_path / "e.png"), grey.reshape(8, 32))
    assert len({study_fingerprint(tmp_path / name) for name in ("a.png", "d.png", "e.png")}) == 3


def test_a_stack_is_its_pictures_in_any_order(tmp_path: Path, make_image: Any) -> None:
    make_image("a/1.png", 1), make_image("a/2.png", 2)
    make_image("b/9.png", 1), make_image("b/deep/3.tif", 2)
    assert study_fingerprint(tmp_path / "a") == study_fingerprint(tmp_path / "b")


def test_a_phantom_is_what_decides_its_voxels(tmp_path: Path, make_phantom_file: Any) -> None:
    def of(**settings: Any) -> str:
        return study_fingerprint(tmp_path / make_phantom_file("p.phantom.json", **settings))

    healthy = of(seed=1, label="healthy", severity=0.2)
    assert healthy == of(label="healthy", severity=0.9, seed=1)
    assert len({healthy, of(seed=2), of(seed=1, label="CP"), of(seed=1, matrix=128)}) == 4


def test_blank_slices_are_marked(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((8, 8), 3, np.uint8))
    assert [one.blank for one in slice_digests(tmp_path / "a.png")] == [True]


def test_what_has_no_pixels_has_no_fingerprint(copies: Path) -> None:
    for path in copies.iterdir():
        path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(ReadError):
        study_fingerprint(copies)


def test_real_studies_differ(shared_data: Path) -> None:
    studies = [shared_data / "studies" / name for name in ("lung-dx-A0001", "lung-dx-A0002")]
    assert len({study_fingerprint(study) for study in studies}) == 2
