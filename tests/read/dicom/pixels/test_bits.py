"""Values that need more bits than Bits Stored are never cut in silence."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from groundglass.core.volume import Volume
from groundglass.errors import AssemblyError
from groundglass.read import read_study, read_volume
from made_ct import ct_series, thorax, write

SLICES = 4


def read(datasets: list[Dataset], syntax: UID = ExplicitVRLittleEndian) -> Volume:
    with TemporaryDirectory() as folder:
        (series,) = read_study(write(datasets, Path(folder), syntax)).series
        return read_volume(series)


def with_words(words: NDArray[np.uint16], **header: object) -> list[Dataset]:
    datasets = ct_series(thorax(SLICES), **header)
    for data, plane in zip(datasets, words, strict=True):
        data.PixelData = plane.astype("<u2").tobytes()
    return datasets


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless, JPEGLosslessSV1, JPEGLSLossless,
     JPEG2000Lossless],
    ids=lambda uid: uid.name,
)  # fmt: skip
@pytest.mark.parametrize("metal_hu", [2048, 2500, 3071])
def test_signed_metal_without_a_bit_for_it_is_refused(syntax: UID, metal_hu: int) -> None:
    hu = thorax(SLICES).astype(np.int16).copy()
    hu[:, 30:33, 30:33] = metal_hu
    datasets = with_words(hu.view(np.uint16), PixelRepresentation=1, RescaleIntercept=0)
    if syntax not in (ExplicitVRLittleEndian, ExplicitVRBigEndian):
        for data in datasets:  # the encoders of the test take their precision from it
            data.BitsStored, data.HighBit = 16, 15
        with TemporaryDirectory() as folder:
            write(datasets, Path(folder), syntax)
            for file in Path(folder).iterdir():
                file.write_bytes(
                    file.read_bytes()
                    .replace(b"\x28\0\x01\x01US\2\0\x10\0", b"\x28\0\x01\x01US\2\0\x0c\0")
                    .replace(b"\x28\0\x02\x01US\2\0\x0f\0", b"\x28\0\x02\x01US\2\0\x0b\0")
                )
            (series,) = read_study(Path(folder)).series
            with pytest.raises(AssemblyError, match="more than 12 bits"):
                read_volume(series)
        return
    with pytest.raises(AssemblyError, match="more than 12 bits"):
        read(datasets, syntax)


def test_bone_in_the_sign_bit_is_refused() -> None:
    """Unsigned values called signed: from 2048 on they would be far below air."""
    hu = thorax(SLICES).astype(np.int32).copy()
    hu[:, 30:36, 30:36] = 1100 + np.arange(36).reshape(6, 6)
    datasets = with_words((hu + 1024).astype(np.uint16), PixelRepresentation=1)
    with pytest.raises(AssemblyError, match="more than 12 bits"):
        read(datasets)


@settings(max_examples=60, deadline=None)
@given(
    bits=st.integers(11, 15),
    signed=st.booleans(),
    high=st.integers(0, 4),
    extended=st.booleans(),
    rubbish=st.integers(0, 0xFFFF),
)
def test_whatever_fits_is_read(
    bits: int, signed: bool, high: int, extended: bool, rubbish: int
) -> None:
    """At any place of the word, sign written out or not, one pattern in all pixels around it."""
    high_bit = min(bits - 1 + high, 15)
    hu = thorax(SLICES).clip(-(1 << bits - 1), (1 << bits - 1) - 1).astype(np.int32)
    intercept = 0 if signed else -1024
    values = (hu - intercept).clip(None, None if signed else (1 << bits) - 1)
    hu = values + intercept
    shift = high_bit + 1 - bits
    mask = ((1 << bits) - 1) << shift
    words = (values << shift).astype(np.int16).view(np.uint16)
    if not (signed and extended):
        words = (words & mask) | (rubbish & ~mask & 0xFFFF)
    datasets = with_words(
        words,
        PixelRepresentation=int(signed),
        RescaleIntercept=intercept,
        BitsStored=bits,
        HighBit=high_bit,
    )
    np.testing.assert_array_equal(read(datasets).hu, hu.clip(-1024))


@pytest.mark.parametrize("bit", [12, 15])
@pytest.mark.parametrize("declared", [True, False])
def test_an_overlay_in_the_pixels_is_dropped_if_it_is_declared(bit: int, declared: bool) -> None:
    words = (thorax(SLICES).astype(np.int32) + 1024).astype(np.uint16)
    words[:, 10:20, 10:40:3] |= 1 << bit
    datasets = with_words(words)
    if not declared:
        with pytest.raises(AssemblyError, match="more than 12 bits"):
            read(datasets)
        return
    for data in datasets:
        data.add_new(0x60020100, "US", 16)
        data.add_new(0x60020102, "US", bit)
    np.testing.assert_array_equal(read(datasets).hu, thorax(SLICES))


@settings(max_examples=40, deadline=None)
@given(extra=st.integers(1, 15), row=st.integers(0, 63))
def test_unsigned_values_beyond_their_bits_are_refused(extra: int, row: int) -> None:
    words = (thorax(SLICES).astype(np.int32) + 1024).astype(np.uint16)
    words[2, row, 5] |= extra << 12
    with pytest.raises(AssemblyError, match="instance number 3, holds pixel values of more"):
        read(with_words(words))
