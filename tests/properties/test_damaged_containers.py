"""A bit turned round in a container with checksums gives the same voxels or a refusal.

Plain TIFF, JPEG and plain MetaImage have none: of those nothing but a reason or voxels may come.
"""

from __future__ import annotations

import gzip
import random
import zipfile
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray

from groundglass.errors import GroundglassError
from groundglass.read import read_study, read_volume, select_chest_ct
from groundglass.read.image_stack.settings import HounsfieldScale, ImageStackSettings
from made_ct import SPACING_MM, as_bytes, ct_series, thorax
from made_images import metaimage, nifti_bytes, tiff, turn_a_bit, write

_SHIFTED = ImageStackSettings(HounsfieldScale(1, -1024), SPACING_MM, "feet", "front", "right")
_SLICES, _SIDE = 12, 32


def _hu() -> NDArray[np.int16]:
    return thorax(_SLICES, _SIDE)


def _members(compression: int, contents: list[bytes]) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for index, content in enumerate(contents):
            archive.writestr(f"IM{index:04d}", content)
    return packed.getvalue()


def _pngs() -> list[bytes]:
    return [imagecodecs.png_encode((p.astype(int) + 1024).astype(np.uint16)) for p in _hu()]


def _dicom() -> list[bytes]:
    return [as_bytes(data) for data in ct_series(_hu())]


def _blocks(content: bytes) -> bytes:
    """Gzip of several members, as bgzip writes."""
    return b"".join(gzip.compress(content[k : k + 9000]) for k in range(0, len(content), 9000))


CHECKED: dict[str, Callable[[], bytes]] = {
    "ct.nii.gz": lambda: gzip.compress(bytes(nifti_bytes(_hu()))),
    "blocks.nii.gz": lambda: _blocks(bytes(nifti_bytes(_hu()))),
    "ct.mha": lambda: metaimage(_hu(), zlib.compress(_hu().tobytes())),
    "stored.zip": lambda: _members(zipfile.ZIP_STORED, _dicom()),
    "deflated.zip": lambda: _members(zipfile.ZIP_DEFLATED, _dicom()),
    "bzip2.zip": lambda: _members(zipfile.ZIP_BZIP2, _dicom()),
    "png.zip": lambda: _members(zipfile.ZIP_STORED, _pngs()),
    "nifti.zip": lambda: _members(zipfile.ZIP_DEFLATED, [bytes(nifti_bytes(_hu()))]),
}


def _voxels(path: Path) -> NDArray[np.generic] | None:
    """Those of the chest CT in it; None where it is refused."""
    try:
        return read_volume(select_chest_ct(read_study(path, stack=_SHIFTED))).hu
    except GroundglassError:
        return None


@pytest.mark.parametrize("name", CHECKED)
def test_a_turned_bit_changes_no_voxel(tmp_path: Path, name: str) -> None:
    sound = CHECKED[name]()
    np.testing.assert_array_equal(_voxels(write(tmp_path / name, sound)), _hu())
    rng = random.Random(name)  # noqa: S311  (mutations, not secrets)
    refused = 0
    for _ in range(60):
        read = _voxels(write(tmp_path / name, turn_a_bit(sound, rng)))
        refused += read is None
        assert read is None or np.array_equal(read, _hu())
    assert refused > 20  # else the bits were turned where nothing lies


@pytest.mark.parametrize("name", CHECKED)
@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_what_is_cut_off_is_refused(tmp_path: Path, name: str, keep: float) -> None:
    sound = CHECKED[name]()
    assert _voxels(write(tmp_path / name, sound[: int(len(sound) * keep)])) is None


def test_a_png_with_a_turned_bit_changes_no_voxel(tmp_path: Path) -> None:
    for index, content in enumerate(_pngs()):
        write(tmp_path / f"{index}.png", content)
    sound = (tmp_path / "3.png").read_bytes()
    rng = random.Random(3)  # noqa: S311
    for _ in range(60):
        write(tmp_path / "3.png", turn_a_bit(sound, rng))
        read = _voxels(tmp_path)
        assert read is None or np.array_equal(read, _hu())


@pytest.mark.parametrize("kind", ["tif", "jpg", "mha"])
def test_without_checksums_a_turned_bit_ends_in_voxels_or_a_reason(
    tmp_path: Path, kind: str
) -> None:
    plane = (_hu()[5].astype(int) + 1024).astype(np.uint16)
    sound = {
        "tif": tiff(plane),
        "jpg": imagecodecs.jpeg8_encode((plane >> 3).astype(np.uint8)),
        "mha": metaimage(_hu()),
    }[kind]
    rng = random.Random(kind)  # noqa: S311
    for _ in range(100):
        _voxels(write(tmp_path / f"a.{kind}", turn_a_bit(sound, rng)))


def test_bytes_after_the_end(tmp_path: Path) -> None:
    """Zeros, as copies by block leave, are nothing; others are no part of a gzip file."""
    sound = CHECKED["ct.nii.gz"]()
    np.testing.assert_array_equal(_voxels(write(tmp_path / "a", sound + bytes(3000))), _hu())
    assert _voxels(write(tmp_path / "b", sound + b"rubbish")) is None
    assert _voxels(write(tmp_path / "c", sound + bytes(2_000_000) + b"rubbish")) is None
