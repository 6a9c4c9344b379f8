"""Image stacks are read by what is stated about them, and by nothing else."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest

from groundglass.errors import AssemblyError, ReadError, SettingsError
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.read.image_stack.settings import DisplayWindow, HounsfieldScale, ImageStackSettings
from groundglass.read.sources import File, Sources
from made_ct import SPACING_MM, thorax

HU = ImageStackSettings(HounsfieldScale(), SPACING_MM, "feet", "front", "right")
SHIFTED = ImageStackSettings(HounsfieldScale(intercept=-1024), SPACING_MM, "feet", "front", "right")


def test_sixteen_bit_png_with_a_scale(tmp_path: Path) -> None:
    hu = thorax()
    for index, plane in enumerate(hu):  # names without leading zeros: 10 follows 9
        cv2.imwrite(str(tmp_path / f"slice{index}.png"), (plane.astype(int) + 1024).astype("u2"))
    volume = read_volume(select_chest_ct(read_study(tmp_path, stack=SHIFTED)))
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.geometry.spacing_mm == SPACING_MM


def test_signed_tiffs_whose_values_are_hu(tmp_path: Path) -> None:
    hu = thorax()
    for index, plane in enumerate(hu):
        (tmp_path / f"{index:03d}.tif").write_bytes(imagecodecs.tiff_encode(plane))
    np.testing.assert_array_equal(read_volume(read_study(tmp_path, stack=HU).series[0]).hu, hu)


def test_multi_page_tiff(tmp_path: Path) -> None:
    hu = thorax()
    path = tmp_path / "stack.tif"
    cv2.imwritemulti(str(path), [(plane.astype(int) + 1024).astype("u2") for plane in hu])
    np.testing.assert_array_equal(read_volume(read_study(path, stack=SHIFTED).series[0]).hu, hu)


def test_a_tiff_of_many_pages_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "stack.tif"
    cv2.imwritemulti(str(path), [(plane.astype(int) + 1024).astype("u2") for plane in thorax()])
    series = read_study(path, stack=SHIFTED).series[0]
    read, seen = Sources.read, []

    def counted(self: Sources, file: File, **how: int) -> bytes:
        seen.append(file.path)
        return read(self, file, **how)

    monkeypatch.setattr(Sources, "read", counted)
    read_volume(series)
    assert seen == [path]


def test_pages_in_a_circle_are_refused(tmp_path: Path) -> None:
    first = struct.pack("<2sHIHHHIIHHIII", b"II", 42, 8, 2, 256, 4, 1, 64, 257, 4, 1, 64, 8)
    (tmp_path / "circle.tif").write_bytes(first)
    with pytest.raises(ReadError, match="circle"):
        read_study(tmp_path, stack=HU)


def test_eight_bits_with_a_window(tmp_path: Path) -> None:
    hu = thorax().clip(-1000, 0)
    for index, plane in enumerate(hu):
        eight = ((plane + 1000.0) / 1000 * 255).round().astype(np.uint8)
        cv2.imwrite(str(tmp_path / f"{index:02d}.png"), eight)
    window = DisplayWindow(center_hu=-500, width_hu=1000)
    stack = ImageStackSettings(window, SPACING_MM, "feet", "front", "right")
    volume = read_volume(read_study(tmp_path, stack=stack).series[0])
    assert np.abs(volume.hu - hu).max() <= 1000 / 255 / 2 + 1e-3
    assert any("window" in note for note in volume.notes)


def test_stated_sides_turn_the_volume(tmp_path: Path) -> None:
    hu = thorax()
    for index, plane in enumerate(hu[::-1, ::-1, ::-1]):
        (tmp_path / f"{index:03d}.tif").write_bytes(
            imagecodecs.tiff_encode(np.ascontiguousarray(plane))
        )
    stack = ImageStackSettings(HounsfieldScale(), SPACING_MM, "head", "back", "left")
    volume, _ = read_volume(read_study(tmp_path, stack=stack).series[0]).to_axial()
    np.testing.assert_array_equal(volume.hu, hu)


def test_without_settings_it_is_refused_saying_what_to_give(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64), np.uint8))
    with pytest.raises(ReadError, match="HU scale or window, spacing in mm, which end is the head"):
        read_study(tmp_path)


def test_mixed_sizes_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64), np.uint8))
    cv2.imwrite(str(tmp_path / "b.png"), np.zeros((32, 64), np.uint8))
    with pytest.raises(ReadError, match="2 sizes"):
        read_study(tmp_path, stack=HU)


def test_colour_is_refused(tmp_path: Path) -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[3, 5, 2] = 1
    for name in "abc":
        cv2.imwrite(str(tmp_path / f"{name}.png"), red)
    with pytest.raises(AssemblyError, match="colours"):
        read_volume(read_study(tmp_path, stack=HU).series[0])


def test_sixteen_bits_with_a_window_are_refused(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64), np.uint16))
    stack = ImageStackSettings(DisplayWindow(-500, 1000), SPACING_MM, "feet", "front", "right")
    with pytest.raises(ReadError, match="8-bit"):
        read_study(tmp_path, stack=stack)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("keep", [20, 60, 200])
def test_cut_off_images(tmp_path: Path, suffix: str, keep: int) -> None:
    plane = thorax()[3].clip(0).astype(np.uint16)
    encode = imagecodecs.png_encode if suffix == "png" else imagecodecs.tiff_encode
    (tmp_path / f"a.{suffix}").write_bytes(encode(plane)[:keep])
    with pytest.raises((ReadError, AssemblyError)):
        read_volume(read_study(tmp_path, stack=HU).series[0])


def test_a_huge_png_is_refused_by_its_header(tmp_path: Path) -> None:
    content = bytearray(imagecodecs.png_encode(np.zeros((64, 64), np.uint8)))
    content[16:24] = (100_000).to_bytes(4, "big") * 2
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ReadError, match="100000"):
        read_study(tmp_path, stack=HU)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 0.0])
def test_a_scale_or_window_that_makes_no_sense(number: float) -> None:
    with pytest.raises(SettingsError):
        HounsfieldScale(slope=number)
    with pytest.raises(SettingsError):
        DisplayWindow(center_hu=-600, width_hu=number)


@pytest.mark.parametrize(
    "wrong",
    [{"first_slice": "top"}, {"first_row": "up"}, {"first_column": "x"}, {"spacing_mm": (1, 0, 1)}],
    ids=str,
)
def test_settings_that_make_no_sense(wrong: dict[str, object]) -> None:
    given = {
        "scale": HounsfieldScale(),
        "spacing_mm": SPACING_MM,
        "first_slice": "feet",
        "first_row": "front",
        "first_column": "right",
    }
    with pytest.raises(SettingsError):
        ImageStackSettings(**{**given, **wrong})  # type: ignore[arg-type]
