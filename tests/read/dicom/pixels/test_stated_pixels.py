"""What the header says of its pixel data is heeded, or the file refused."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

import made_ct
from groundglass.core.volume import Volume
from groundglass.errors import AssemblyError, ReadError
from groundglass.read import read_study, read_volume
from groundglass.read.dicom.pixels.codestream import read_jpeg, read_jpeg_ls
from made_ct import as_bytes, ct_series, encapsulated, enhanced_ct, thorax, write

SLICES = 4
NATIVE = [
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]  # fmt: skip
COMPRESSED = [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless, HTJ2K, RLELossless]


def read(folder: Path) -> Volume:
    (series,) = read_study(folder).series
    return read_volume(series)


def eight_bit(rows: int, columns: int, frames: int) -> tuple[Dataset, np.ndarray]:
    """An enhanced CT of 8-bit pixels, its stored values by frame from feet to head."""
    values = np.arange(frames * rows * columns, dtype=np.uint32).reshape(frames, rows, columns)
    values = (values * 7 % 251).astype(np.uint8)
    hu = np.zeros((frames, rows, columns), np.int16)
    data = enhanced_ct(hu, BitsAllocated=8, BitsStored=8, HighBit=7)
    content = values[::-1].tobytes()
    data.PixelData = content + bytes(len(content) % 2)
    return data, values


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(3, 9), st.integers(3, 9), st.integers(3, 6)),
    syntax=st.sampled_from(NATIVE),
    vr=st.sampled_from(["OB", "OW"]),
    zipped=st.booleans(),
)
def test_eight_bit_pixels_are_read_in_any_byte_order(
    shape: tuple[int, int, int], syntax: UID, vr: str, zipped: bool
) -> None:
    """PS3.5 annex A.3: in big endian the bytes of words are swapped, those of bytes are not."""
    data, values = eight_bit(*shape)
    words = np.frombuffer(data.PixelData, "<u2")
    swapped = syntax == ExplicitVRBigEndian and vr == "OW"
    data.add_new("PixelData", vr, (words.byteswap() if swapped else words).tobytes())
    file = made_ct._save(data, syntax)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x"
        if zipped:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("x", file)
        else:
            path.write_bytes(file)
        volume = read(path)
    np.testing.assert_array_equal(volume.hu, values.astype(np.int16) - 1024)


def test_bytes_that_hold_words_are_refused_in_big_endian(tmp_path: Path) -> None:
    """Nothing says in which order they are: OB is not swapped, 16-bit pixels are never OB."""
    for index, data in enumerate(ct_series(thorax(SLICES))):
        data.add_new("PixelData", "OB", np.frombuffer(data.PixelData, "<u2").byteswap().tobytes())
        (tmp_path / str(index)).write_bytes(made_ct._save(data, ExplicitVRBigEndian))
    with pytest.raises(AssemblyError, match="big endian pixels of 16 bits"):
        read(tmp_path)


def wrapped(file: bytes, pixels: bytes, order: str = "<") -> bytes:
    """Pixel Data of undefined length, as items (PS3.5 A.4)."""
    at = file.rindex(pixels)
    items = struct.pack(f"{order}HHI", 0xFFFE, 0xE000, 0)
    items += struct.pack(f"{order}HHI", 0xFFFE, 0xE000, len(pixels)) + pixels
    items += struct.pack(f"{order}HHI", 0xFFFE, 0xE0DD, 0)
    return file[: at - 4] + b"\xff" * 4 + items


@pytest.mark.parametrize("syntax", NATIVE[:3], ids=lambda uid: uid.name)
@pytest.mark.parametrize("enhanced", [True, False])
@pytest.mark.parametrize("zipped", [True, False])
def test_uncompressed_pixels_in_fragments_are_refused(
    tmp_path: Path, syntax: UID, enhanced: bool, zipped: bool
) -> None:
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    datasets = [enhanced_ct(thorax(SLICES))] if enhanced else ct_series(thorax(SLICES))
    files = []
    for data in datasets:
        pixels = np.frombuffer(data.PixelData, "<u2").astype(f"{order}u2").tobytes()
        files.append(wrapped(as_bytes(data, syntax), pixels, order))
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for index, file in enumerate(files):
            archive.writestr(str(index), file)
            if not zipped:
                (tmp_path / "files").mkdir(exist_ok=True)
                (tmp_path / "files" / str(index)).write_bytes(file)
    with pytest.raises(ReadError, match="in fragments, as compressed images have them"):
        read_study(tmp_path / ("all.zip" if zipped else "files"))


def test_deflated_pixels_in_fragments_are_refused(tmp_path: Path) -> None:
    import zlib  # noqa: PLC0415

    data = ct_series(thorax(SLICES))[0]
    file = as_bytes(data, DeflatedExplicitVRLittleEndian)
    meta = file.index(b"\x02\0\0\0UL") + 12 + struct.unpack_from("<I", file, 140)[0]
    inner = zlib.decompress(file[meta:], -zlib.MAX_WBITS)
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = squeeze.compress(wrapped(inner, data.PixelData)) + squeeze.flush()
    (tmp_path / "x").write_bytes(file[:meta] + deflated)
    with pytest.raises(ReadError, match="in fragments"):
        read_study(tmp_path)


def test_pixel_data_of_more_images_than_described_is_refused(tmp_path: Path) -> None:
    datasets = ct_series(thorax(SLICES))
    for data in datasets:
        data.PixelData *= 2
    with pytest.raises(ReadError, match="bytes where the header describes"):
        read_study(write(datasets, tmp_path))


def test_a_few_bytes_after_the_pixels_are_left(tmp_path: Path) -> None:
    datasets = ct_series(thorax(SLICES))
    for data in datasets:
        data.PixelData += bytes(512)
    np.testing.assert_array_equal(read(write(datasets, tmp_path)).hu, thorax(SLICES))


def test_no_number_of_frames_in_a_ct_image_is_one(tmp_path: Path) -> None:
    """The CT Image is a single image (PS3.3 A.3): 0 can only mean that nobody filled it in."""
    volume = read(write(ct_series(thorax(SLICES), NumberOfFrames=0), tmp_path))
    np.testing.assert_array_equal(volume.hu, thorax(SLICES))


@pytest.mark.parametrize("frames", [0, -3])
def test_an_impossible_number_of_frames_is_told(tmp_path: Path, frames: int) -> None:
    data = enhanced_ct(thorax(SLICES), NumberOfFrames=frames)
    (tmp_path / "x").write_bytes(as_bytes(data))
    with pytest.raises(ReadError, match=f"states {frames} as its Number of Frames"):
        read_study(tmp_path)


@settings(max_examples=60, deadline=None)
@given(
    syntax=st.sampled_from(COMPRESSED),
    junk=st.one_of(
        st.sampled_from([b"\0", b"\0\0\xa2\x8a\x28\xa2", b"\xff\xd9", b"\xff\xff\xd9\0", b"\x80"]),
        st.binary(min_size=1, max_size=300),
    ),
)
def test_bytes_after_a_compressed_image_are_left(syntax: UID, junk: bytes) -> None:
    hu = thorax(SLICES)
    with TemporaryDirectory() as folder:
        for index, data in enumerate(ct_series(hu)):
            frame = made_ct.encode(data, syntax) + junk
            (Path(folder) / str(index)).write_bytes(encapsulated(data, [frame], syntax))
        np.testing.assert_array_equal(read(Path(folder)).hu, hu)


@settings(max_examples=60, deadline=None)
@given(
    syntax=st.sampled_from([JPEGLosslessSV1, JPEGLSLossless]),
    part=st.floats(0.0, 0.99),
    junk=st.sampled_from([b"", b"\0" * 9, b"\xa2\x8a\x28", b"no marker"]),
)
def test_a_cut_stream_is_refused_whatever_follows(syntax: UID, part: float, junk: bytes) -> None:
    frame = made_ct.encode(ct_series(thorax(SLICES))[1], syntax)
    inspect = read_jpeg if syntax == JPEGLosslessSV1 else read_jpeg_ls
    cut = frame[: int(len(frame) * part)]
    with pytest.raises(ReadError):
        inspect(cut + junk)
    assert inspect(frame + junk) == inspect(frame)


def test_an_end_marker_in_a_thumbnail_is_not_the_end() -> None:
    frame = made_ct.encode(ct_series(thorax(SLICES))[1], JPEGLosslessSV1)
    inner = b"\xff\xd8\xff\xd9"
    app = b"\xff\xe1" + struct.pack(">H", 2 + len(inner)) + inner
    stream = frame[:2] + app + frame[2:]
    assert read_jpeg(stream) == read_jpeg(frame)
    with pytest.raises(ReadError, match="cut off"):
        read_jpeg(stream[:-40])


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless], ids=lambda uid: uid.name)
def test_two_images_in_one_frame_are_refused(tmp_path: Path, syntax: UID) -> None:
    """As of many frames whose number is not stated: taking the first would lose the others."""
    datasets = ct_series(thorax(SLICES))
    frames = [made_ct.encode(data, syntax) for data in datasets]
    for index, data in enumerate(datasets):
        content = encapsulated(data, [frames[0] + bytes(len(frames[0]) % 2) + frames[1]], syntax)
        (tmp_path / str(index)).write_bytes(content)
    with pytest.raises(AssemblyError, match="more than one JPEG stream"):
        read(tmp_path)


def test_a_stream_is_not_taken_for_its_pieces(tmp_path: Path) -> None:
    """Fragments of odd length, each but the last without padding of its own."""
    hu = thorax(SLICES)
    for index, data in enumerate(ct_series(hu)):
        frame = made_ct.encode(data, JPEGLosslessSV1)
        content = io.BytesIO(encapsulated(data, [frame], JPEGLosslessSV1, fragments_per_frame=3))
        (tmp_path / str(index)).write_bytes(content.getvalue())
    np.testing.assert_array_equal(read(tmp_path).hu, hu)
