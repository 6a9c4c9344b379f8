"""Every transfer syntax gives back the pixels that went in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

import made_ct
from groundglass.core.volume import Volume
from groundglass.errors import AssemblyError
from groundglass.read import read_study, read_volume
from made_ct import as_bytes, ct_series, encapsulated, enhanced_ct, thorax, write

EXACT = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEG2000Lossless,
    HTJ2KLossless,
    HTJ2K,
)
COMPRESSED = tuple(syntax for syntax in EXACT if syntax not in made_ct.NATIVE)


def read_one(folder: Path) -> Volume:
    study = read_study(folder)
    assert not study.rejected
    (series,) = study.series
    return read_volume(series)


@pytest.mark.parametrize("syntax", EXACT, ids=lambda uid: uid.name)
def test_lossless_syntaxes_are_exact(tmp_path: Path, syntax: UID) -> None:
    hu = thorax(4)
    volume = read_one(write(ct_series(hu), tmp_path, syntax))
    assert volume.hu.dtype == np.int16
    np.testing.assert_array_equal(volume.hu, hu)


@pytest.mark.parametrize(
    ("syntax", "tolerance"),
    [(JPEGLSNearLossless, 2), (JPEG2000, 8), (JPEGExtended12Bit, 60)],
    ids=lambda value: getattr(value, "name", None),
)
def test_lossy_syntaxes_are_close(tmp_path: Path, syntax: UID, tolerance: int) -> None:
    hu = thorax(4)
    volume = read_one(write(ct_series(hu), tmp_path, syntax))
    difference = np.abs(volume.hu.astype(int) - hu)
    assert 0 < difference.max() <= tolerance


def test_jpeg_baseline_with_eight_bits(tmp_path: Path) -> None:
    hu = thorax(4)
    eight = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "RescaleSlope": 16}
    datasets = ct_series(hu)
    for index, data in enumerate(datasets):
        frame = made_ct.encode(data, JPEGBaseline8Bit)
        for keyword, value in eight.items():
            setattr(data, keyword, value)
        (tmp_path / str(index)).write_bytes(encapsulated(data, [frame], JPEGBaseline8Bit))
    volume = read_one(tmp_path)
    assert np.abs(volume.hu.astype(int) - hu).max() <= 4 * 16


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEGLosslessSV1,
                                    JPEGLSLossless, JPEG2000Lossless],
                         ids=lambda uid: uid.name)  # fmt: skip
def test_signed_pixels(tmp_path: Path, syntax: UID) -> None:
    hu = thorax(4)
    datasets = ct_series(hu, PixelRepresentation=1, RescaleIntercept=0, BitsStored=16, HighBit=15)
    for data, plane in zip(datasets, hu, strict=True):
        data.PixelData = plane.astype("<i2").tobytes()
    np.testing.assert_array_equal(read_one(write(datasets, tmp_path, syntax)).hu, hu)


def test_signed_twelve_bits_are_sign_extended(tmp_path: Path) -> None:
    hu = thorax(4)
    datasets = ct_series(hu, PixelRepresentation=1, RescaleIntercept=0)
    for data, plane in zip(datasets, hu, strict=True):
        data.PixelData = (plane.clip(-1024, 2047).astype("<i2").view("<u2") & 0x0FFF).tobytes()
    volume = read_one(write(datasets, tmp_path))
    np.testing.assert_array_equal(volume.hu, hu.clip(-1024, 2047))


def test_rubbish_above_the_high_bit_is_dropped(tmp_path: Path) -> None:
    hu = thorax(4)
    datasets = ct_series(hu)
    for data in datasets:
        data.PixelData = (made_ct.stored(data) | 0xA000).astype("<u2").tobytes()
    np.testing.assert_array_equal(read_one(write(datasets, tmp_path)).hu, hu)


def test_bits_stored_at_the_top_of_the_word(tmp_path: Path) -> None:
    hu = thorax(4)
    datasets = ct_series(hu, HighBit=15)
    for data in datasets:
        data.PixelData = (made_ct.stored(data) << 4 | 0x5).astype("<u2").tobytes()
    np.testing.assert_array_equal(read_one(write(datasets, tmp_path)).hu, hu)


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda uid: uid.name)
def test_a_cut_compressed_frame_is_refused(tmp_path: Path, syntax: UID) -> None:
    datasets = ct_series(thorax(4))
    write(datasets, tmp_path, syntax)
    frame = made_ct.encode(datasets[2], syntax)
    (tmp_path / "im0002").write_bytes(encapsulated(datasets[2], [frame[: len(frame) // 2]], syntax))
    (series,) = read_study(tmp_path).series
    with pytest.raises(AssemblyError, match="instance number 3"):
        read_volume(series)


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda uid: uid.name)
def test_a_frame_of_another_size_is_refused(tmp_path: Path, syntax: UID) -> None:
    datasets = ct_series(thorax(4))
    write(datasets, tmp_path, syntax)
    other = made_ct.encode(ct_series(thorax(4, side=80))[2], syntax)
    (tmp_path / "im0002").write_bytes(encapsulated(datasets[2], [other], syntax))
    (series,) = read_study(tmp_path).series
    with pytest.raises(AssemblyError, match="instance number 3"):
        read_volume(series)


def test_more_bits_than_stated_are_refused(tmp_path: Path) -> None:
    datasets = ct_series(thorax(4), BitsStored=8, HighBit=7)
    frames = [made_ct.encode(data, JPEGLSLossless) for data in ct_series(thorax(4))]
    for index, (data, frame) in enumerate(zip(datasets, frames, strict=True)):
        (tmp_path / str(index)).write_bytes(encapsulated(data, [frame], JPEGLSLossless))
    (series,) = read_study(tmp_path).series
    with pytest.raises(AssemblyError, match="8 bits"):
        read_volume(series)


def test_an_unknown_syntax_is_refused_by_name(tmp_path: Path) -> None:
    datasets = ct_series(thorax(4))
    for index, data in enumerate(datasets):
        payload = encapsulated(data, [b"\0\0\0\1" * 8], UID("1.2.840.10008.1.2.4.102"))
        (tmp_path / str(index)).write_bytes(payload)
    (series,) = read_study(tmp_path).series
    with pytest.raises(AssemblyError, match="MPEG-4"):
        read_volume(series)


@pytest.mark.parametrize("table", [True, False], ids=["offset table", "no offset table"])
@pytest.mark.parametrize("pieces", [1, 3])
def test_frames_of_an_enhanced_object_in_fragments(
    tmp_path: Path, table: bool, pieces: int
) -> None:
    hu = thorax()
    data = enhanced_ct(hu)
    frames = [made_ct.encode(part, JPEGLosslessSV1) for part in reversed(ct_series(hu))]
    (tmp_path / "x.dcm").write_bytes(
        encapsulated(data, frames, JPEGLosslessSV1, fragments_per_frame=pieces, has_bot=table)
    )
    (series,) = read_study(tmp_path).series
    if pieces > 1 and not table:
        with pytest.raises(AssemblyError, match="fragments"):
            read_volume(series)
        return
    np.testing.assert_array_equal(read_volume(series).hu, hu)


@pytest.mark.parametrize("syntax", made_ct.NATIVE, ids=lambda uid: uid.name)
def test_enhanced_object_uncompressed(tmp_path: Path, syntax: UID) -> None:
    hu = thorax()
    (tmp_path / "x.dcm").write_bytes(as_bytes(enhanced_ct(hu), syntax))
    volume = read_one(tmp_path)
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.geometry.spacing_mm == made_ct.SPACING_MM


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({"BitsStored": 20, "HighBit": 19}, "20 bits stored in 16"),
        ({"HighBit": 3}, "HighBit 3 with 12 bits"),
        ({"HighBit": 16}, "HighBit 16"),
        ({"BitsAllocated": 12}, "12 bits stored in 12"),
        ({"BitsStored": None}, "without BitsStored"),
        ({"PixelRepresentation": None}, "without PixelRepresentation"),
        ({"SamplesPerPixel": 3, "Columns": 16}, "colour"),
    ],
    ids=str,
)
def test_headers_that_describe_no_ct_image(
    tmp_path: Path, header: dict[str, object], words: str
) -> None:
    (series,) = read_study(write(ct_series(thorax(4), **header), tmp_path)).series
    with pytest.raises(AssemblyError, match=words):
        read_volume(series)


def test_float_pixels_are_refused(tmp_path: Path) -> None:
    datasets = ct_series(thorax(4))
    for data, plane in zip(datasets, thorax(4), strict=True):
        del data.PixelData
        data.FloatPixelData = plane.astype("<f4").tobytes()
    (series,) = read_study(write(datasets, tmp_path)).series
    with pytest.raises(AssemblyError, match="floating point"):
        read_volume(series)


@pytest.mark.parametrize(
    ("syntax", "frame", "words"),
    [
        (JPEGLosslessSV1, b"no JPEG at all", "no JPEG stream"),
        (JPEGLosslessSV1, b"\xff\xd8\xff\xff\xd8\xff\xd9", "without a frame header"),
        (JPEG2000Lossless, b"no codestream", "no JPEG 2000"),
        (RLELossless, bytes(64), "0 RLE segments"),
        (RLELossless, b"\2" + bytes(63), "RLE pixels"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_payloads_that_are_no_image(tmp_path: Path, syntax: UID, frame: bytes, words: str) -> None:
    for index, data in enumerate(ct_series(thorax(4))):
        (tmp_path / str(index)).write_bytes(encapsulated(data, [frame], syntax))
    (series,) = read_study(tmp_path).series
    with pytest.raises(AssemblyError, match=words):
        read_volume(series)


def test_an_offset_table_that_lies(tmp_path: Path) -> None:
    frames = [made_ct.encode(part, JPEGLosslessSV1) for part in ct_series()]
    content = bytearray(
        encapsulated(enhanced_ct(), frames, JPEGLosslessSV1, fragments_per_frame=2, has_bot=True)
    )
    table = content.rindex(b"\xfe\xff\x00\xe0" + (4 * len(frames)).to_bytes(4, "little")) + 8
    content[table + 4 : table + 8] = (7).to_bytes(4, "little")
    (tmp_path / "e").write_bytes(content)
    (series,) = read_study(tmp_path).series
    with pytest.raises(AssemblyError, match="offset table"):
        read_volume(series)
