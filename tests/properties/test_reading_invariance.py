"""How a study is stored does not change what is read: file order, z order, flips, threads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from groundglass.core.volume import Volume
from groundglass.read import read_study, read_volume, reading, select_chest_ct
from groundglass.read.dicom import decoding
from made_ct import SPACING_MM, as_bytes, ct_series, enhanced_ct, stored, thorax, write


def read(folder: Path) -> Volume:
    return read_volume(select_chest_ct(read_study(folder)))


def assert_same_patient(one: Volume, other: Volume) -> None:
    first, second = one.to_axial()[0], other.to_axial()[0]
    np.testing.assert_array_equal(first.hu, second.hu)
    np.testing.assert_allclose(first.geometry.affine, second.geometry.affine, atol=1e-6)


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    return read(write(ct_series(), tmp_path_factory.mktemp("straight")))


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    return [as_bytes(data) for data in ct_series()]


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations(range(len(ct_series()))))
def test_shuffled_files(
    tmp_path_factory: pytest.TempPathFactory,
    straight: Volume,
    files: list[bytes],
    order: list[int],
) -> None:
    folder = tmp_path_factory.mktemp("shuffled")
    for name, index in enumerate(order):
        (folder / f"{name:03d}").write_bytes(files[index])
    shuffled = read(folder)
    assert_same_patient(shuffled, straight)
    assert shuffled.geometry == straight.geometry


def test_z_stored_backwards(tmp_path: Path, straight: Volume) -> None:
    datasets = ct_series()[::-1]
    for number, data in enumerate(datasets, 1):
        data.InstanceNumber = number
    assert_same_patient(read(write(datasets, tmp_path)), straight)


def turned(data: Dataset, rows: bool, columns: bool, transposed: bool) -> Dataset:
    """The same slice stored the other way round, with the tags telling so."""
    pixels = stored(data)
    row_step, column_step = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    corner = np.array([float(v) for v in data.ImagePositionPatient])
    if rows:
        corner += column_step * SPACING_MM[1] * (data.Rows - 1)
        pixels, column_step = pixels[::-1], -column_step
    if columns:
        corner += row_step * SPACING_MM[2] * (data.Columns - 1)
        pixels, row_step = pixels[:, ::-1], -row_step
    if transposed:
        pixels, row_step, column_step = pixels.T, column_step, row_step
        data.PixelSpacing = list(data.PixelSpacing)[::-1]
    data.Rows, data.Columns = pixels.shape
    data.PixelData = np.ascontiguousarray(pixels).tobytes()
    data.ImagePositionPatient = list(corner)
    data.ImageOrientationPatient = [*row_step, *column_step]
    return data


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("rows", [False, True])
def test_flips_told_by_the_orientation(
    tmp_path: Path, straight: Volume, rows: bool, columns: bool, transposed: bool
) -> None:
    datasets = [
        turned(data, rows, columns, transposed) for data in ct_series(spacing_mm=SPACING_MM)
    ]
    assert_same_patient(read(write(datasets, tmp_path)), straight)


def test_one_enhanced_object_is_the_same_volume(tmp_path: Path, straight: Volume) -> None:
    (tmp_path / "e").write_bytes(as_bytes(enhanced_ct()))
    assert_same_patient(read(tmp_path), straight)


def test_number_of_threads(
    tmp_path: Path, straight: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ct_series(), tmp_path)
    for count in (1, 7):
        monkeypatch.setattr(reading, "READERS", count)
        monkeypatch.setattr(decoding, "_DECODERS", count)
        again = read(tmp_path)
        assert again.hu.tobytes() == straight.hu.tobytes()


def test_reading_twice_gives_the_same_study(tmp_path: Path) -> None:
    write(ct_series(number=1), tmp_path / "a")
    write(ct_series(number=2, ConvolutionKernel="B70f"), tmp_path / "b")
    (tmp_path / "note.txt").write_text("no image")
    first, second = read_study(tmp_path), read_study(tmp_path)
    assert first == second
    assert select_chest_ct(first) == select_chest_ct(second)
    np.testing.assert_array_equal(read(tmp_path).hu, thorax())
