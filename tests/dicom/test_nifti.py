"""NIfTI volumes come in the right way round, in mm and in HU, or not at all."""

from __future__ import annotations

import gzip
import struct
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray

from groundglass.dicom import read_study, read_volume, select_chest_ct
from groundglass.errors import AssemblyError, NoChestCT, ReadError
from made_ct import SPACING_MM, thorax

#: RAS affine of an array indexed (toward left, toward back, toward head).
LPS_IN_RAS = np.diag([-SPACING_MM[2], -SPACING_MM[1], SPACING_MM[0], 1.0])


def save(path: Path, array: NDArray[np.generic], affine: NDArray[np.float64]) -> Path:
    nibabel.save(nibabel.Nifti1Image(array, affine), path)
    return path


def as_xyz(hu: NDArray[np.int16]) -> NDArray[np.int16]:
    """(slice, row, column) as NIfTI's (column, row, slice)."""
    return np.ascontiguousarray(hu.transpose(2, 1, 0))


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_a_volume_in_dicom_order(tmp_path: Path, name: str) -> None:
    hu = thorax()
    path = save(tmp_path / name, as_xyz(hu), LPS_IN_RAS)
    volume = read_volume(select_chest_ct(read_study(path)))
    assert volume.hu.dtype == np.int16
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.geometry.spacing_mm == SPACING_MM
    assert volume.geometry.directions == ((0, 0, 1), (0, 1, 0), (1, 0, 0))


@pytest.mark.parametrize("flips", [(), (0,), (1,), (2,), (0, 1), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 0, 2), (2, 0, 1)], ids=str)
def test_any_axis_order_and_flip_is_the_same_patient(
    tmp_path: Path, flips: tuple[int, ...], axes: tuple[int, int, int]
) -> None:
    hu = thorax()
    image = nibabel.Nifti1Image(as_xyz(hu), LPS_IN_RAS)
    start = nibabel.orientations.io_orientation(LPS_IN_RAS)
    target = start.copy()
    target[list(flips), 1] *= -1
    image = image.as_reoriented(nibabel.orientations.ornt_transform(start, target[list(axes)]))
    nibabel.save(image, tmp_path / "ct.nii")
    volume, _ = read_volume(read_study(tmp_path).series[0]).to_axial()
    np.testing.assert_array_equal(volume.hu, hu)


def test_scaled_voxels_are_float(tmp_path: Path) -> None:
    hu = thorax()
    image = nibabel.Nifti1Image(as_xyz(hu).astype(np.float32) + 0.25, LPS_IN_RAS)
    image.set_data_dtype(np.int16)
    nibabel.save(image, tmp_path / "ct.nii")
    volume = read_volume(read_study(tmp_path).series[0])
    assert volume.hu.dtype == np.float32
    np.testing.assert_allclose(volume.hu, (hu + 0.25).clip(-1024), atol=0.1)


@pytest.mark.parametrize(("unit", "scale"), [("mm", 1.0), ("meter", 1000.0), ("micron", 1e-3)])
def test_units(tmp_path: Path, unit: str, scale: float) -> None:
    affine = LPS_IN_RAS / scale
    affine[3, 3] = 1.0
    image = nibabel.Nifti1Image(as_xyz(thorax()), affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, tmp_path / "ct.nii")
    spacing = read_volume(read_study(tmp_path).series[0]).geometry.spacing_mm
    np.testing.assert_allclose(spacing, SPACING_MM, rtol=1e-5)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda hu: (hu.clip(-1000, 400) + 1000) / 1400.0,
        lambda hu: ((hu.clip(-1350, 150) + 1350) / 1500 * 255).astype(np.uint8),
        lambda hu: (hu + 1024).astype(np.int16),
        lambda hu: (hu > -500).astype(np.uint8),
        lambda hu: np.where((hu > -900) & (hu < -500), hu, 0).astype(np.int16),
    ],
    ids=["0 to 1", "8 bit", "stored values", "mask", "masked lung"],
)
def test_what_is_not_hu_is_refused(tmp_path: Path, spoil: object) -> None:
    save(tmp_path / "ct.nii", as_xyz(spoil(thorax())), LPS_IN_RAS)  # type: ignore[operator]
    with pytest.raises(AssemblyError, match="not Hounsfield units"):
        read_volume(read_study(tmp_path).series[0])


def test_no_orientation_is_refused(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(as_xyz(thorax()), None)
    nibabel.save(image, tmp_path / "ct.nii")
    with pytest.raises(AssemblyError, match="without sform or qform"):
        read_volume(read_study(tmp_path).series[0])


def test_two_orientations_that_disagree_are_refused(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(as_xyz(thorax()), LPS_IN_RAS)
    image.set_sform(LPS_IN_RAS, 1)
    image.set_qform(LPS_IN_RAS @ np.diag([-1.0, 1.0, 1.0, 1.0]), 1)
    nibabel.save(image, tmp_path / "ct.nii")
    with pytest.raises(AssemblyError, match="disagree"):
        read_volume(read_study(tmp_path).series[0])


@pytest.mark.parametrize(
    ("offset", "written"),
    [
        (256, struct.pack("<3f", 5.0, 5.0, 5.0)),
        (256, struct.pack("<f", float("nan"))),
        (280, struct.pack("<f", float("inf"))),
        (80, struct.pack("<f", float("nan"))),
        (123, b"\7"),
    ],
    ids=["no quaternion", "qform nan", "sform inf", "pixdim nan", "no unit"],
)
def test_an_orientation_that_cannot_be_read_is_refused(
    tmp_path: Path, offset: int, written: bytes
) -> None:
    image = nibabel.Nifti1Image(as_xyz(thorax()), LPS_IN_RAS)
    image.set_sform(LPS_IN_RAS, 1)
    image.set_qform(LPS_IN_RAS, 1)
    nibabel.save(image, tmp_path / "ct.nii")
    content = bytearray((tmp_path / "ct.nii").read_bytes())
    content[offset : offset + len(written)] = written
    (tmp_path / "ct.nii").write_bytes(content)
    with pytest.raises(NoChestCT, match="orientation or unit that cannot be read"):
        select_chest_ct(read_study(tmp_path))


@pytest.mark.parametrize("kind", [np.complex64, [("R", "u1"), ("G", "u1"), ("B", "u1")]])
def test_voxels_that_are_no_real_number_are_refused(tmp_path: Path, kind: object) -> None:
    save(tmp_path / "ct.nii", np.zeros((8, 8, 8), np.dtype(kind)), LPS_IN_RAS)  # type: ignore[call-overload]
    with pytest.raises(ReadError, match="one real number per voxel"):
        read_study(tmp_path)


def test_shear_is_refused(tmp_path: Path) -> None:
    affine = LPS_IN_RAS.copy()
    affine[1, 2] = 3.0
    save(tmp_path / "ct.nii", as_xyz(thorax()), affine)
    with pytest.raises(AssemblyError, match="right-angled"):
        read_volume(read_study(tmp_path).series[0])


def test_oblique_volumes_are_no_axial_ct(tmp_path: Path) -> None:
    angle = np.radians(30)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    save(tmp_path / "ct.nii", as_xyz(thorax()), turn @ LPS_IN_RAS)
    with pytest.raises(NoChestCT, match="30° off"):
        select_chest_ct(read_study(tmp_path))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(b"no image"), "gzip-compressed file that holds no NIfTI"),
        (gzip.compress(b"no image")[:-3], "compressed data that are damaged: it is cut off"),
        (b"\x5c\x01\0\0" + bytes(340) + b"n+1\0", "cannot be read|shape"),
    ],
    ids=["gzip of something else", "gzip cut off", "empty header"],
)
def test_damaged_files(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "ct.nii.gz").write_bytes(content)
    with pytest.raises(ReadError, match=words):
        read_study(tmp_path)


def test_cut_off(tmp_path: Path) -> None:
    path = save(tmp_path / "ct.nii", as_xyz(thorax()), LPS_IN_RAS)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(AssemblyError, match="of 196608 bytes of voxels"):
        read_volume(read_study(path).series[0])


def test_a_time_series_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "ct.nii", np.stack([as_xyz(thorax())] * 2, axis=-1), LPS_IN_RAS)
    with pytest.raises(ReadError, match="three-dimensional"):
        read_study(tmp_path)


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_in_an_archive_it_is_the_same(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, as_xyz(thorax()), LPS_IN_RAS)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, "any name")
        archive.writestr("readme", "no image")
    study = read_study(tmp_path / "a.zip")
    np.testing.assert_array_equal(read_volume(select_chest_ct(study)).hu, thorax())
    assert [rejection.what for rejection in study.rejected] == ["readme"]


def test_the_real_one(shared_data: Path) -> None:
    """Table below the back, spine behind the middle, liver on the right, bladder at the bottom."""
    study = read_study(shared_data / "nifti" / "ct_3mm.nii.gz")
    volume, _ = read_volume(select_chest_ct(study)).to_axial()
    bone = volume.hu > 300
    rows = np.arange(volume.hu.shape[1])[None, :, None]
    middle = volume.hu.shape[1] / 2
    assert (bone[60:] * rows).sum() / bone[60:].sum() > middle  # the spine lies at the back
    top = volume.hu[100]
    liver = (top > 20) & (top < 120)
    assert liver[:, :61].sum() > liver[:, 61:].sum()  # on the image's left
