"""What a picture says of its pixels is heeded, or the picture refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray

from groundglass.core.volume import Volume
from groundglass.errors import InputError
from groundglass.read import read_study, read_volume
from groundglass.read.image_stack.settings import (
    DisplayWindow,
    HounsfieldScale,
    ImageStackSettings,
)
from groundglass.read.image_stack.stack import natural_order
from made_ct import SPACING_MM, thorax
from made_images import (
    BITS,
    COMPRESSION,
    DESCRIPTION,
    FILL_ORDER,
    LENGTH,
    ORIENTATION,
    PHOTOMETRIC,
    SAMPLE_FORMAT,
    SAMPLES,
    tiff,
    write,
)

SIDE = 32
HU = ImageStackSettings(HounsfieldScale(), SPACING_MM, "feet", "front", "right")
SHIFTED = ImageStackSettings(HounsfieldScale(1, -1024), SPACING_MM, "feet", "front", "right")
WINDOW = ImageStackSettings(DisplayWindow(-500, 1000), SPACING_MM, "feet", "front", "right")


def hu() -> NDArray[np.int16]:
    return thorax(6, SIDE)


def shifted() -> NDArray[np.uint16]:
    return (hu().astype(int) + 1024).astype(np.uint16)


def grey() -> NDArray[np.uint8]:
    return ((hu().clip(-1000, 0) + 1000.0) / 1000 * 255).round().astype(np.uint8)


def windowed() -> NDArray[np.float64]:
    return grey() * (1000 / 255) - 1000.0


def read(folder: Path, contents: list[bytes], settings: ImageStackSettings) -> Volume:
    for index, content in enumerate(contents):
        write(folder / f"slice{index}", content)  # no ending: the content says what it is
    (series,) = read_study(folder, stack=settings).series
    return read_volume(series)


def png(pixels: NDArray[np.generic], bits: int, colour: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG by hand: pixels are (rows, bytes of a row)."""
    rows, width = pixels.shape
    columns = width * 8 // bits if colour in (0, 3) else width // {2: 3, 4: 2, 6: 4}[colour]
    body = b"".join(b"\0" + row.tobytes() for row in pixels.astype(np.uint8))
    header = struct.pack(">IIBBBBB", columns, rows, bits, colour, 0, 0, 0)
    parts = ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(body)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("kind", ["u2", "i2", "i4", "u4", "f4", "f8"])
def test_tiff_of_any_byte_order_and_type(tmp_path: Path, order: str, big: bool, kind: str) -> None:
    settings, planes = (SHIFTED, shifted()) if kind[0] == "u" else (HU, hu())
    contents = [tiff(plane.astype(kind), order=order, big=big) for plane in planes]
    np.testing.assert_array_equal(read(tmp_path, contents, settings).hu, hu())


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", ["u1", "u2"])
def test_white_is_zero_is_the_same_picture(tmp_path: Path, order: str, kind: str) -> None:
    settings, planes = (WINDOW, grey()) if kind == "u1" else (SHIFTED, shifted())
    top = np.iinfo(kind).max
    black = read(tmp_path / "b", [tiff(p, order=order) for p in planes], settings)
    turned = [tiff((top - p).astype(kind), {PHOTOMETRIC: 0}, order=order) for p in planes]
    np.testing.assert_array_equal(read(tmp_path / "w", turned, settings).hu, black.hu)


def test_bits_in_the_other_order_are_turned(tmp_path: Path) -> None:
    reversed_bits = np.packbits(np.unpackbits(grey()[..., None], axis=-1)[..., ::-1], axis=-1)
    contents = [tiff(plane[..., 0], {FILL_ORDER: 2}) for plane in reversed_bits]
    np.testing.assert_allclose(read(tmp_path, contents, WINDOW).hu, windowed(), atol=1e-3)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({PHOTOMETRIC: 3}, "PhotometricInterpretation 3"),
        ({PHOTOMETRIC: 4}, "PhotometricInterpretation 4"),
        ({PHOTOMETRIC: 32844}, "PhotometricInterpretation 32844"),
        ({PHOTOMETRIC: 0, SAMPLE_FORMAT: 2}, "signed values whose 0 is white"),
        ({ORIENTATION: 2}, "turned or mirrored"),
        ({ORIENTATION: 4}, "turned or mirrored"),
        ({ORIENTATION: 8}, "turned or mirrored"),
        ({SAMPLE_FORMAT: 4}, "samples of 16 bits"),
        ({SAMPLE_FORMAT: 5}, "samples of 16 bits"),
        ({SAMPLES: 7}, "7 samples"),
        ({32997: 3}, "several planes"),
        ({BITS: 10}, "10 bits"),
        ({COMPRESSION: 34712}, "cannot be decoded"),
    ],
)
def test_what_a_tiff_says_and_is_not_understood_is_refused(
    tmp_path: Path, fields: dict[int, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, [tiff(plane, fields) for plane in shifted()], SHIFTED)


def test_a_tiff_that_does_not_say_what_is_black_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="whether 0 is black or white"):
        read(tmp_path, [tiff(p, without=[PHOTOMETRIC]) for p in shifted()], SHIFTED)


@pytest.mark.parametrize("settings", [WINDOW, SHIFTED], ids=["window", "scale"])
@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("kind", ["png", "palette", "tif"])
def test_fewer_bits_than_a_ct_has_are_refused(
    tmp_path: Path, kind: str, bits: int, settings: ImageStackSettings
) -> None:
    rows = np.arange(SIDE * SIDE * bits // 8, dtype=np.uint8).reshape(SIDE, -1)
    palette = (b"PLTE", bytes(range(3 << bits)))
    content = {
        "png": lambda: png(rows, bits, 0),
        "palette": lambda: png(rows, bits, 3, palette),
        "tif": lambda: tiff(rows, {BITS: bits, 256: SIDE}),
    }[kind]()
    with pytest.raises(InputError, match=f"an image of {bits} bits a pixel"):
        read(tmp_path, [content] * 6, settings)


def test_equal_channels_are_grey_and_others_are_not(tmp_path: Path) -> None:
    colours = np.repeat(grey()[..., None], 3, axis=-1)
    opaque = np.concatenate([colours, np.full_like(colours[..., :1], 255)], axis=-1)
    for name, pixels in (("three", colours), ("four", opaque)):
        contents = [imagecodecs.png_encode(plane) for plane in pixels]
        volume = read(tmp_path / name, contents, WINDOW)
        np.testing.assert_allclose(volume.hu, windowed(), atol=1e-3)
    contents = [imagecodecs.tiff_encode(plane, photometric="rgb") for plane in colours]
    np.testing.assert_allclose(read(tmp_path / "tif", contents, WINDOW).hu, windowed(), atol=1e-3)
    opaque[3, 4, 5, 3] = 254
    with pytest.raises(InputError, match="transparent in places"):
        read(tmp_path / "clear", [imagecodecs.png_encode(plane) for plane in opaque], WINDOW)
    colours[3, 4, 5, 0] ^= 1
    with pytest.raises(InputError, match=r"image 4 of 6 .*: an image with colours"):
        read(tmp_path / "red", [imagecodecs.png_encode(plane) for plane in colours], WINDOW)


def test_png_says_more_than_pixels(tmp_path: Path) -> None:
    rows = grey()[0]
    turned = struct.pack(">2sHIHHHII", b"MM", 42, 8, 1, 274, 3, 1, 6 << 16) + bytes(4)
    said = {
        "transparent": ((b"tRNS", struct.pack(">H", int(rows[3, 3]))), "transparent in places"),
        "turned": ((b"eXIf", turned), "turned or mirrored"),
        "animated": ((b"acTL", struct.pack(">II", 2, 0)), "several pictures"),
    }
    for name, (chunk, words) in said.items():
        with pytest.raises(InputError, match=words):
            read(tmp_path / name, [png(rows, 8, 0, chunk)] * 6, WINDOW)
    plain = png(rows, 8, 0, (b"gAMA", struct.pack(">I", 45455)))  # for screens, not for values
    volume = read(tmp_path / "gamma", [plain] * 6, WINDOW)
    np.testing.assert_allclose(volume.hu[0], windowed()[0], atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("subsampling", ["444", "420"])
def test_jpeg_is_read_and_says_that_it_is_near(
    tmp_path: Path, channels: int, subsampling: str
) -> None:
    pixels = grey() if channels == 1 else np.repeat(grey()[..., None], 3, axis=-1)
    contents = [imagecodecs.jpeg8_encode(p, level=98, subsampling=subsampling) for p in pixels]
    contents[2] += b"bytes after the end"
    volume = read(tmp_path, contents, WINDOW)
    assert np.abs(volume.hu - windowed()).max() < 12
    assert any("JPEG" in note for note in volume.notes)


def test_jpeg_channels_may_differ_by_rounding_only(tmp_path: Path) -> None:
    near = np.repeat(grey()[..., None], 3, axis=-1).clip(0, 253)
    for difference, reads in ((2, True), (9, False)):
        near[..., 0] = near[..., 1].clip(0, 240) + difference
        near[..., 1] = near[..., 2] = near[..., 1].clip(0, 240)
        contents = [imagecodecs.jpeg8_encode(p, level=100, subsampling="444") for p in near]
        if reads:
            assert np.abs(read(tmp_path / "near", contents, WINDOW).hu - windowed()).max() < 70
        else:
            with pytest.raises(InputError, match="colours"):
                read(tmp_path / "far", contents, WINDOW)


def test_twelve_bits_of_jpeg(tmp_path: Path) -> None:
    contents = [imagecodecs.jpeg8_encode(p, level=100, bitspersample=12) for p in shifted()]
    assert np.abs(read(tmp_path / "a", contents, SHIFTED).hu - hu()).max() < 12
    with pytest.raises(InputError, match="12 bits a pixel with a display window"):
        read(tmp_path / "b", contents, WINDOW)


def exif(orientation: int, order: str = "<") -> bytes:
    mark = b"II" if order == "<" else b"MM"
    said = struct.pack(order + "HIHHHIHH", 42, 8, 1, 274, 3, 1, orientation, 0)
    body = b"Exif\0\0" + mark + said + bytes(4)
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_turned_jpeg_is_refused(tmp_path: Path, order: str, orientation: int) -> None:
    sound = [imagecodecs.jpeg8_encode(plane, level=98) for plane in grey()]
    contents = [s[:2] + exif(orientation, order) + s[2:] for s in sound]
    if orientation == 1:
        read(tmp_path, contents, WINDOW)
        return
    with pytest.raises(InputError, match=f"orientation {orientation}"):
        read(tmp_path, contents, WINDOW)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.999])
def test_a_jpeg_that_is_cut_off_is_refused(tmp_path: Path, share: float) -> None:
    """Decoders fill the rest with grey."""
    contents = [imagecodecs.jpeg8_encode(plane) for plane in grey()]
    contents[3] = contents[3][: int(len(contents[3]) * share)]
    with pytest.raises(InputError, match=r"image 4 of 6 .*: a JPEG image that is cut off"):
        read(tmp_path, contents, WINDOW)


def test_cmyk_is_refused(tmp_path: Path) -> None:
    four = np.repeat(grey()[..., None], 4, axis=-1)
    contents = [imagecodecs.jpeg8_encode(p, colorspace="CMYK", outcolorspace="CMYK") for p in four]
    with pytest.raises(InputError, match="4 components"):
        read(tmp_path, contents, WINDOW)


def imagej(description: str = "", order: str = "<", *, pixels: NDArray[np.generic]) -> bytes:
    rows = pixels.reshape(-1, SIDE)
    text = f"ImageJ=1.54f\nimages={len(pixels)}\n{description}"
    return tiff(rows, {LENGTH: SIDE, DESCRIPTION: text}, order=order)


@pytest.mark.parametrize("axis", ["slices=6\n", "frames=6\n", "slices=6\nhyperstack=true\n"])
@pytest.mark.parametrize("order", "<>")
def test_a_stack_of_imagej_is_all_its_planes(tmp_path: Path, order: str, axis: str) -> None:
    volume = read(tmp_path, [imagej(axis, order, pixels=shifted())], SHIFTED)
    np.testing.assert_array_equal(volume.hu, hu())


@pytest.mark.parametrize(
    ("description", "words"),
    [
        ("channels=2\nslices=3\n", "an ImageJ stack of channels"),
        ("slices=3\nframes=2\n", "an ImageJ stack of channels or times"),
        ("images=7\n", "an ImageJ stack of which"),
        ("images=x\n", "images is no number"),
        ("images=①\n", "images is no number"),
        ("c0=-1024.0\nc1=2.0\n", r"calibration makes 2 × value \+ -1024"),
        ("cf=1\nc0=1.0\nc1=2.0\nc2=1.0\n", "no straight line"),
    ],
)
def test_what_a_stack_of_imagej_says_and_is_not_so_simple(
    tmp_path: Path, description: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        read(tmp_path, [imagej(description, pixels=shifted())], SHIFTED)


def test_a_calibration_that_is_the_stated_scale_is_fine(tmp_path: Path) -> None:
    said = imagej("cf=0\nc0=-1024.0\nc1=1.0\n", pixels=shifted())
    np.testing.assert_array_equal(read(tmp_path, [said], SHIFTED).hu, hu())


def test_thumbnails_and_masks_are_no_slices(tmp_path: Path) -> None:
    pages = []
    for plane in shifted():  # two pages in each file, chained by hand
        one = bytearray(tiff(plane))
        two = tiff(np.ascontiguousarray(plane[::2, ::2]), {254: 1, 273: len(one) + 8})
        one[-4:] = struct.pack("<I", len(one) + struct.unpack_from("<I", two, 4)[0])
        pages.append(bytes(one) + two)
    np.testing.assert_array_equal(read(tmp_path, pages, SHIFTED).hu, hu())


@pytest.mark.parametrize(
    "names",
    [
        ["①{}", "1²{}", "٣{}", "Ⅷ{}", "½{}", "a{}b", "{}", "0{}", "x" * 99 + "{}"],
    ],
)
def test_any_name_has_an_order(names: list[str]) -> None:
    for name in names:
        made = [name.format(number) for number in range(1, 25)]
        assert sorted(made, key=natural_order) == made
    natural_order("9" * 10_000)


def test_digits_of_any_script_count_as_numbers() -> None:
    arabic = [str(n).translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")) for n in range(1, 25)]
    assert sorted(arabic, key=natural_order) == arabic


def test_a_stack_of_two_types_is_refused(tmp_path: Path) -> None:
    contents = [imagecodecs.png_encode(plane) for plane in shifted()]
    contents[4] = imagecodecs.png_encode(grey()[4])
    with pytest.raises(InputError, match=r"image 5 of 6 .*: uint8 pixels among uint16 ones"):
        read(tmp_path, contents, SHIFTED)


def test_a_stack_without_one_of_its_images_is_refused(tmp_path: Path) -> None:
    """Their order alone says where they lie."""
    for index, plane in enumerate(shifted()):
        cv2.imwrite(str(tmp_path / f"{index}.png"), plane)
    (tmp_path / "._3.png").write_bytes(b"what macOS lays beside a file")
    assert read_study(tmp_path, stack=SHIFTED).series
    (tmp_path / "3.png").write_bytes(b"")
    with pytest.raises(InputError, match="a stack of images of which 1 cannot be read"):
        read_study(tmp_path, stack=SHIFTED)


def test_values_that_are_no_numbers_are_told_or_refused(tmp_path: Path) -> None:
    floats = hu().astype(np.float32)
    floats[:, 0, 0], floats[2, 16, 16] = np.nan, np.inf
    volume = read(tmp_path / "few", [tiff(plane) for plane in floats], HU)
    assert volume.hu[2, 16, 16] == volume.hu[0, 0, 0] == -1024
    assert volume.notes == ("7 voxels that are no numbers (NaN or infinite) set to -1024 HU.",)
    floats[:, 12:20, 12:20] = np.nan
    with pytest.raises(InputError, match="are no numbers"):
        read(tmp_path / "many", [tiff(plane) for plane in floats], HU)
