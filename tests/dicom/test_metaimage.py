"""MetaImage: the same volume as the NIfTI or DICOM it was made from."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from groundglass.core.volume import Volume
from groundglass.dicom import read_study, read_volume
from groundglass.errors import AssemblyError, InputError, ReadError
from groundglass.phantom import PhantomSettings, make_phantom


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
