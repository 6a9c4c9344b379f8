"""NIfTI volumes come in the right way round, in mm and in HU, or not at all."""

from __future__ import annotations

import gzip
import struct
import zipfile
from pathlib import Path
from typing import Any

import nibabel
import nibabel.eulerangles
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from groundglass.errors import AssemblyError, NoChestCT, ReadError
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.read.nifti.placement import one_affine
from groundglass.read.studies import find_studies
from made_ct import SPACING_MM, thorax
from made_images import nifti_bytes

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


def saved(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ", "a", "a.dat", "a.png", "a.zip"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_name_means_nothing(tmp_path: Path, name: str, packed: bool) -> None:
    content = bytes(nifti_bytes(thorax()))
    path = saved(tmp_path / name, gzip.compress(content) if packed else content)
    volume = read_volume(select_chest_ct(read_study(path)))
    np.testing.assert_array_equal(volume.hu, thorax())


def test_gzip_of_many_members_is_one_file(tmp_path: Path) -> None:
    content = bytes(nifti_bytes(thorax()))
    blocks = b"".join(gzip.compress(content[k : k + 999]) for k in range(0, len(content), 999))
    volume = read_volume(read_study(saved(tmp_path / "a", blocks)).series[0])
    np.testing.assert_array_equal(volume.hu, thorax())


@pytest.mark.parametrize("version", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("order", "<>")
def test_both_versions_and_byte_orders(tmp_path: Path, version: Any, order: str) -> None:
    header = version.header_class(endianness=order)
    header.set_data_dtype(np.int16)
    image = version(as_xyz(thorax()), LPS_IN_RAS, header)
    path = saved(tmp_path / "a", image.to_bytes())
    np.testing.assert_array_equal(read_volume(read_study(path).series[0]).hu, thorax())


@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
@pytest.mark.parametrize("ending", [".img", ".img.gz"])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_pair_of_files(tmp_path: Path, kind: Any, ending: str, zipped: bool) -> None:
    made = tmp_path / "made"
    made.mkdir()
    image = kind(as_xyz(thorax()), LPS_IN_RAS)
    files = {"header": str(made / "ct.hdr"), "image": str(made / f"ct{ending}")}
    image.to_file_map({k: nibabel.FileHolder(v) for k, v in files.items()})
    where = made
    if zipped:
        where = tmp_path / "a.zip"
        with zipfile.ZipFile(where, "w") as archive:
            for path in made.iterdir():
                archive.write(path, f"deep/{path.name}")
    study = read_study(where)
    assert study.rejected == ()
    np.testing.assert_array_equal(read_volume(select_chest_ct(study)).hu, thorax())
    studies, rejected = find_studies([where])
    assert (len(studies), rejected) == (1, ())
    (made / f"ct{ending}").unlink()
    if not zipped:
        with pytest.raises(ReadError, match=r"voxels \(.img\) do not lie beside it"):
            read_study(made)


#: In single precision the root that completes a quaternion is uncertain by 6e-4 near 0.
SLIGHT = np.radians(0.05)


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (np.diag([1.0, 1.0, 1.2, 1.0]), "the voxels' size"),
        (np.diag([1.01, 1.0, 1.0, 1.0]), "the voxels' size"),
        (np.diag([-1.0, 1.0, 1.0, 1.0]), "which side is which"),
        (np.diag([1.0, 1.0, -1.0, 1.0]), "which side is which"),
        ([[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], "which side is which"),
        ([[1, 0, 0, 0], [0, 1, -0.02, 0], [0, 0.02, 1, 0], [0, 0, 0, 1]], "the directions"),
        ([[1, 0, 0, 9.0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], "the place of the first"),
        ([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, -700.0], [0, 0, 0, 1]], "the place of the first"),
        ([[1, 0, 0, 0], [0, 1, -SLIGHT, 0], [0, SLIGHT, 1, 0], [0, 0, 0, 1]], ""),
        (np.diag([1.0002, 0.9998, 1.0, 1.0]), ""),
        ([[1, 0, 0, 0.4], [0, 1, 0, -0.4], [0, 0, 1, 1.0], [0, 0, 0, 1]], ""),
    ],
)
@pytest.mark.parametrize("unit", ["mm", "meter"])
def test_sform_and_qform_are_one_placement(
    tmp_path: Path, turn: object, words: str, unit: str
) -> None:
    scale = {"mm": 1.0, "meter": 1000.0}[unit]
    mm = np.diag([1 / scale] * 3 + [1.0])
    image = nibabel.Nifti1Image(as_xyz(thorax()), mm @ LPS_IN_RAS)
    image.set_qform(mm @ np.asarray(turn, float) @ LPS_IN_RAS, 1, strip_shears=True)
    image.set_sform(mm @ LPS_IN_RAS, 1)
    image.header.set_xyzt_units(unit)
    path = saved(tmp_path / "a.nii", image.to_bytes())
    if not words:
        read_volume(select_chest_ct(read_study(path)))
        return
    with pytest.raises(NoChestCT, match=f"sform and qform disagree about {words}"):
        select_chest_ct(read_study(path))


@given(
    angles=st.tuples(*[st.floats(-0.2, 0.2)] * 3),
    spacing=st.tuples(*[st.floats(0.4, 8)] * 3),
    origin=st.tuples(*[st.floats(-900, 900)] * 3),
    flips=st.tuples(*[st.sampled_from((-1.0, 1.0))] * 3),
)
def test_rounding_is_no_disagreement(
    angles: Any, spacing: Any, origin: Any, flips: tuple[float, ...]
) -> None:
    """Whatever nibabel writes of one grid, turned as patients lie, is one placement."""
    turned = nibabel.eulerangles.euler2mat(*angles) @ np.diag(flips)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turned @ np.diag(spacing), origin
    header = nibabel.Nifti1Header()
    header.set_sform(affine, 1)
    header.set_qform(affine, 1)
    np.testing.assert_allclose(one_affine(header, 1.0), affine, atol=1e-3)


@pytest.mark.parametrize(
    ("codes", "at", "written", "words"),
    [
        ((1, 0), 88, struct.pack("<f", 8.0), "sform and pixdim disagree about the voxels' size"),
        ((1, 0), 80, struct.pack("<f", 0.0), "sform and pixdim disagree about the voxels' size"),
        ((1, 0), 80, struct.pack("<3f", 0.0, 0.0, 0.0), ""),  # nothing is said
        ((0, 1), 80, struct.pack("<f", -5.0), "qform with voxel sizes of -5 × 5 × 10"),
        ((0, 1), 88, struct.pack("<f", 0.0), "qform with voxel sizes of 5 × 5 × 0"),
        ((0, 1), 76, struct.pack("<f", 0.5), "qfac of 0.5"),
        ((0, 1), 76, struct.pack("<f", 0.0), ""),  # means 1
        ((1, 0), 76, struct.pack("<f", 0.5), ""),  # the qform's, which is not in force
        ((1, 0), 256, struct.pack("<3f", 0.6, 0.6, 0.2), ""),
        ((0, 1), 280, struct.pack("<4f", 1.0, 1.0, 1.0, 1.0), ""),
    ],
)
def test_what_is_in_force_is_heeded(
    tmp_path: Path, codes: tuple[int, int], at: int, written: bytes, words: str
) -> None:
    content = nifti_bytes(thorax())
    struct.pack_into("<2h", content, 252, codes[1], codes[0])
    content[at : at + len(written)] = written
    path = saved(tmp_path / "a", bytes(content))
    if words:
        with pytest.raises(NoChestCT, match=words):
            select_chest_ct(read_study(path))
    else:
        volume, _ = read_volume(select_chest_ct(read_study(path))).to_axial()
        np.testing.assert_array_equal(volume.hu, thorax())


def test_of_a_damaged_file_the_damage_is_the_reason(tmp_path: Path) -> None:
    content = nifti_bytes(thorax())
    content[88:92] = struct.pack("<f", 8.0)  # disagrees, as the checksum below says of damage
    packed = bytearray(gzip.compress(bytes(content)))
    packed[-8] ^= 1
    with pytest.raises(NoChestCT, match="its checksum does not match"):
        select_chest_ct(read_study(saved(tmp_path / "a.nii.gz", bytes(packed))))


def test_values_that_are_no_numbers_are_told(tmp_path: Path) -> None:
    floats = as_xyz(thorax()).astype(np.float32)
    floats[0, 0, 0], floats[-1, -1, 2] = np.nan, -np.inf
    save(tmp_path / "a.nii", floats, LPS_IN_RAS)
    volume = read_volume(read_study(tmp_path).series[0])
    assert any(note.startswith("2 voxels that are no numbers") for note in volume.notes)
    assert not any("32767" in note for note in volume.notes)
    floats[20:40, 20:40] = np.nan  # as a mask over the lungs would
    save(tmp_path / "a.nii", floats, LPS_IN_RAS)
    with pytest.raises(AssemblyError, match="are no numbers"):
        read_volume(read_study(tmp_path).series[0])


def test_no_library_speaks_to_the_user(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = nifti_bytes(thorax())
    struct.pack_into("<2h", content, 252, 0, 1)
    struct.pack_into("<f", content, 76, 0.0)  # nibabel says on the terminal what it makes of that
    read_volume(read_study(saved(tmp_path / "a", bytes(content))).series[0])
    assert capfd.readouterr() == ("", "")


def test_rounding_makes_no_slices_too_far_apart(tmp_path: Path) -> None:
    """At 7.3°, single precision makes 10.0000003 mm of 10."""
    turn = np.eye(4)
    turn[:3, :3] = nibabel.eulerangles.euler2mat(0, 0, np.radians(7.3))
    content = nifti_bytes(thorax(), turn @ LPS_IN_RAS)
    read_volume(select_chest_ct(read_study(saved(tmp_path / "a", bytes(content)))))
