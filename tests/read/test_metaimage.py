"""MetaImage: the same volume as the NIfTI or DICOM it was made from."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from groundglass.core.volume import Volume
from groundglass.errors import AssemblyError, InputError, ReadError
from groundglass.phantom import PhantomSettings, make_phantom
from groundglass.read import read_study, read_volume
from groundglass.read.studies import find_studies


def read_metaimage(path: Path) -> Volume:
    (series,) = read_study(path).series
    return read_volume(series)


HEADER = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "-100.5 -80 12",
    "CenterOfRotation": "0 0 0",
    "AnatomicalOrientation": "RAI",
    "ElementSpacing": "0.5 0.75 5",
    "DimSize": "64 64 4",
    "ElementType": "MET_SHORT",
}


@pytest.fixture(scope="module")
def volume() -> Volume:
    settings = PhantomSettings("CP", seed=2, matrix=64, slice_count=4, slice_spacing_mm=20.0)
    made = make_phantom(settings).volume
    return Volume(np.maximum(made.hu, -1024), made.geometry)  # below it, readers fill


def _write(path: Path, pixels: bytes, **changes: str) -> Path:
    header = {**HEADER, **changes}
    lines = "".join(f"{key} = {value}\n" for key, value in header.items() if value)
    last = "" if "ElementDataFile" in changes else "ElementDataFile = LOCAL\n"
    path.write_bytes((lines + last).encode() + pixels)
    return path


def test_voxels_and_grid_are_as_written(volume: Volume, tmp_path: Path) -> None:
    read = read_metaimage(_write(tmp_path / "a.mha", volume.hu.tobytes()))
    assert np.array_equal(read.hu, volume.hu)
    assert read.hu.dtype == np.int16
    assert read.geometry.spacing_mm == (5.0, 0.75, 0.5)
    assert read.geometry.position_mm((0, 0, 0)) == (-100.5, -80.0, 12.0)
    assert read.geometry.position_mm((1, 0, 2)) == (-99.5, -80.0, 17.0)
    assert read.geometry.directions == ((0, 0, 1), (0, 1, 0), (1, 0, 0))


def test_compressed_and_big_endian_are_the_same(volume: Volume, tmp_path: Path) -> None:
    packed = _write(tmp_path / "z.mha", zlib.compress(volume.hu.tobytes()), CompressedData="True")
    swapped = volume.hu.astype(">i2").tobytes()
    big = _write(tmp_path / "b.mha", swapped, BinaryDataByteOrderMSB="True")
    wide = _write(tmp_path / "f.mha", volume.hu.astype("<f4").tobytes(), ElementType="MET_FLOAT")
    for path in (packed, big, wide):
        assert np.array_equal(read_metaimage(path).hu, volume.hu)


def test_a_turned_image_is_turned_back(volume: Volume, tmp_path: Path) -> None:
    """Rows of the matrix are the directions of the stored axes, the fastest first."""
    flipped = np.ascontiguousarray(volume.hu[::-1, :, ::-1])
    path = _write(tmp_path / "a.mha", flipped.tobytes(), TransformMatrix="-1 0 0 0 1 0 0 0 -1")
    assert np.array_equal(read_metaimage(path).to_axial()[0].hu, volume.hu)
    sideways = np.ascontiguousarray(volume.hu.transpose(0, 2, 1))
    path = _write(tmp_path / "b.mha", sideways.tobytes(), TransformMatrix="0 1 0 1 0 0 0 0 1")
    assert np.array_equal(read_metaimage(path).to_axial()[0].hu, volume.hu)


def test_points_lie_where_simpleitk_puts_them(volume: Volume, tmp_path: Path) -> None:
    """`TransformIndexToPhysicalPoint((20, 10, 3))` of SimpleITK 2.5 on this header."""
    path = _write(tmp_path / "a.mha", volume.hu.tobytes(), TransformMatrix="0 1 0 -1 0 0 0 0 1")
    assert read_metaimage(path).geometry.position_mm((3, 10, 20)) == (-108.0, -70.0, 27.0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"NDims": "2"}, "no volume"),
        ({"ElementNumberOfChannels": "3"}, "no volume"),
        ({"ElementType": "MET_UCHAR"}, "type 'MET_UCHAR'"),
        ({"ElementType": ""}, r"type '\(none\)'"),
        ({"DimSize": "64 64"}, "3 numbers as DimSize"),
        ({"DimSize": "64 64 0"}, "a grid of shape"),
        ({"DimSize": "90000 90000 9000"}, "voxels"),
        ({"DimSize": "64 64 5"}, "32768 bytes of voxels where the header states 40960"),
        ({"DimSize": "64 64 3"}, "32768 bytes of voxels where the header states 24576"),
        ({"ElementSpacing": "0.5 nan 5"}, "3 numbers as ElementSpacing"),
        ({"ElementSpacing": "0.5 -1 5"}, "spacing"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "axes"),
        ({"TransformMatrix": ""}, "9 numbers as TransformMatrix"),
        ({"CompressedData": "True"}, "compressed data that are damaged"),
        ({"ElementDataFile": "other.raw"}, "do not lie beside it"),
    ],
)
def test_what_cannot_be_read_is_refused(
    volume: Volume, tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read_metaimage(_write(tmp_path / "a.mha", volume.hu.tobytes(), **changes))


def test_no_header_and_no_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.mha").write_bytes(b"\0" * 1000)
    with pytest.raises(ReadError, match="no image format"):
        read_metaimage(tmp_path / "a.mha")
    (tmp_path / "b.mha").write_bytes(b"ObjectType = Image\nNDims = 3\nDimSize = 4 4 4\n")
    with pytest.raises(ReadError, match="without ElementDataFile"):
        read_metaimage(tmp_path / "b.mha")


def test_windowed_values_are_no_hu(tmp_path: Path) -> None:
    with pytest.raises(AssemblyError, match="not Hounsfield units"):
        read_metaimage(_write(tmp_path / "a.mha", bytes(64 * 64 * 4 * 2)))


def beside(folder: Path, volume: Volume, pixels: bytes, **changes: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "ct.raw").write_bytes(pixels)
    return _write(
        folder / "ct.mhd",
        b"",
        **{**changes, "ElementDataFile": changes.get("ElementDataFile", "ct.raw")},
    )


def test_voxels_beside_the_header(volume: Volume, tmp_path: Path) -> None:
    plain = volume.hu.tobytes()
    made = {
        "plain": (plain, {}),
        "packed": (zlib.compress(plain), {"CompressedData": "True"}),
        "gzip": (gzip.compress(plain), {"CompressedData": "True"}),
        "after": (b"x" * 100 + plain, {"HeaderSize": "100"}),
        "at the end": (b"x" * 77 + plain, {"HeaderSize": "-1"}),
        "windows": (plain, {"ElementDataFile": "ct.raw\r"}),
    }
    for name, (pixels, changes) in made.items():
        path = beside(tmp_path / name, volume, pixels, **changes)
        assert np.array_equal(read_metaimage(path).hu, volume.hu), name
        study = read_study(tmp_path / name)  # the folder as well as the header
        assert (len(study.series), study.rejected) == (1, ())
        (one,), rejected = find_studies([tmp_path / name])
        assert (one.entries[0].name, rejected) == ("ct.mhd", ())
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (tmp_path / "packed").iterdir():
            archive.write(path, f"deep/{path.name}")
    assert np.array_equal(read_metaimage(tmp_path / "a.zip").hu, volume.hu)


def test_headers_that_are_equal_are_told_apart_by_their_voxels(
    volume: Volume, tmp_path: Path
) -> None:
    beside(tmp_path / "a", volume, volume.hu.tobytes())
    beside(tmp_path / "b", volume, (volume.hu + 1).tobytes())
    beside(tmp_path / "c", volume, volume.hu.tobytes())
    studies, (copy,) = find_studies([tmp_path])
    assert [study.entries[0].name for study in studies] == ["a/ct.mhd", "b/ct.mhd"]
    assert copy.what == "c/ct.mhd"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("LIST", "slices lie in files of their own"),
        ("ct%03d.raw 1 4 1", "slices lie in files of their own"),
        ("../ct.raw", "another folder"),
        ("/etc/hostname", "another folder"),
        ("sub/ct.raw", "another folder"),
        ("C:\\ct.raw", "another folder"),
        ("..", "another folder"),
        ("absent.raw", "do not lie beside it"),
    ],
)
def test_voxels_elsewhere_are_refused(
    volume: Volume, tmp_path: Path, name: str, words: str
) -> None:
    path = beside(tmp_path / "in", volume, volume.hu.tobytes(), ElementDataFile=name)
    (tmp_path / "ct.raw").write_bytes(volume.hu.tobytes())
    with pytest.raises(ReadError, match=words):
        read_study(path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"BinaryData": "False"}, "written as text"),
        ({"BinaryDataByteOrderMSB": "Fclse"}, "neither True nor False"),
        ({"CompressedData": "Falsd"}, "neither True nor False"),
        ({"Modality": "MET_MOD_MR"}, "modality MET_MOD_MR"),
        ({"ObjectType": "Tube"}, "something else than an image"),
        ({"Position": "0 0 0"}, "says Offset in two ways"),
        ({"DistanceUnits": "furlong"}, "unit of length"),
        ({"HeaderSize": "12"}, "HeaderSize of 12 with the voxels in the same file"),
        ({"ElementToIntensityFunctionSlope": "0"}, "multiplied by 0"),
    ],
)
def test_what_a_header_says_and_is_not_understood_is_refused(
    volume: Volume, tmp_path: Path, changes: dict[str, str], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read_metaimage(_write(tmp_path / "a.mha", volume.hu.tobytes(), **changes))


def test_what_a_header_says_is_heeded(volume: Volume, tmp_path: Path) -> None:
    shifted = (volume.hu.astype(int) + 1024).astype("<u2").tobytes()
    path = _write(
        tmp_path / "a", shifted, ElementType="MET_USHORT", ElementToIntensityFunctionOffset="-1024"
    )
    assert np.array_equal(read_metaimage(path).hu, volume.hu)
    for kind, stored in (("MET_LONG", "<i4"), ("MET_DOUBLE", "<f8"), ("MET_LONG_LONG", "<i8")):
        path = _write(tmp_path / "b", volume.hu.astype(stored).tobytes(), ElementType=kind)
        assert np.array_equal(read_metaimage(path).hu, volume.hu)
    cm = {"ElementSpacing": "0.05 0.075 0.5", "Offset": "-10.05 -8 1.2", "DistanceUnits": "cm"}
    read = read_metaimage(_write(tmp_path / "c", volume.hu.tobytes(), **cm))
    assert np.allclose(read.geometry.spacing_mm, (5.0, 0.75, 0.5))
    assert np.allclose(read.geometry.origin_mm, (-100.5, -80.0, 12.0))


def test_a_volume_stored_sagittally_has_its_slices_along_the_body(
    volume: Volume, tmp_path: Path
) -> None:
    turned = np.ascontiguousarray(volume.hu.transpose(2, 0, 1))  # slowest: right to left
    path = _write(
        tmp_path / "a", turned.tobytes(), DimSize="64 4 64", ElementSpacing="0.75 5 0.5",
        TransformMatrix="0 1 0 0 0 1 1 0 0",
    )  # fmt: skip
    read = read_metaimage(path)
    assert read.geometry.shape == (4, 64, 64)
    assert np.array_equal(read.to_axial()[0].hu, volume.hu)


def test_damaged_packed_voxels_are_refused(volume: Volume, tmp_path: Path) -> None:
    packed = bytearray(zlib.compress(volume.hu.tobytes()))
    packed[-1] ^= 1  # Adler-32
    with pytest.raises(AssemblyError, match="its checksum does not match"):
        read_metaimage(_write(tmp_path / "a", bytes(packed), CompressedData="True"))
