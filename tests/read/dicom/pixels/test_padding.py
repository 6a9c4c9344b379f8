"""What lies outside the field of view is -1024 HU, told or refused, however it is written."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from groundglass.core.volume import Volume
from groundglass.errors import AssemblyError
from groundglass.read import read_study, read_volume
from groundglass.read.dicom.pixels.padding import NOT_BELIEVED, UNDECLARED
from made_ct import ct_series, thorax, write

SLICES = 4
_Y, _X = np.ogrid[-1:1:64j, -1:1:64j]
OUTSIDE = np.hypot(_Y, _X) > 1


def read(datasets: list[Dataset]) -> Volume:
    with TemporaryDirectory() as folder:
        (series,) = read_study(write(datasets, Path(folder))).series
        return read_volume(series)


def read_or_reason(datasets: list[Dataset]) -> Volume | str:
    try:
        return read(datasets)
    except AssemblyError as error:
        return str(error)


def filled(
    words: NDArray[np.uint16], fill: int, *, signed: bool, bits: int, intercept: int
) -> list[Dataset]:
    """A thorax whose pixels outside the circle hold one 16-bit word."""
    datasets = ct_series(
        thorax(SLICES),
        PixelRepresentation=int(signed),
        BitsStored=bits,
        HighBit=bits - 1,
        RescaleIntercept=intercept,
    )
    for data, plane in zip(datasets, words, strict=True):
        pixels = plane.copy()
        pixels[OUTSIDE] = fill
        data.PixelData = pixels.tobytes()
    return datasets


def declare(datasets: list[Dataset], keyword: str, word: int, vr: str) -> None:
    value = word - (1 << 16) if vr == "SS" and word >= 1 << 15 else word
    if vr == "US" or -(1 << 15) <= value < 1 << 15:
        for data in datasets:
            data.add_new(keyword, vr, value)


@settings(max_examples=120, deadline=None)
@given(
    fill=st.one_of(
        st.sampled_from([0, 1, 63536, 62512, 65535, 32768, 32767, 4095, 2048, 3071, 0xF830]),
        st.integers(0, 0xFFFF),
    ),
    signed=st.booleans(),
    bits=st.sampled_from([12, 13, 16]),
    vr=st.sampled_from(["US", "SS", ""]),
    limit=st.sampled_from([None, 0, 7]),
)
def test_any_fill_is_padding_or_told(
    fill: int, signed: bool, bits: int, vr: str, limit: int | None
) -> None:
    hu = thorax(SLICES)
    intercept = 0 if signed else -1024
    words = (hu.astype(np.int32) - intercept).astype(np.int16).view(np.uint16)
    datasets = filled(words, fill, signed=signed, bits=bits, intercept=intercept)
    if vr:
        declare(datasets, "PixelPaddingValue", fill, vr)
    if vr and limit is not None:
        declare(datasets, "PixelPaddingRangeLimit", min(fill + limit, 0xFFFF), vr)
    volume = read_or_reason(datasets)
    if isinstance(volume, str):
        assert "bits" in volume or "negative values" in volume
        return
    inside = (hu > -890) & ~OUTSIDE  # the declared value may be one of the air's
    assert (volume.hu[inside] == hu[inside]).all()
    around = volume.hu[:, OUTSIDE]
    assert (around == around[0, 0]).all()
    fits = -(1 << bits - 1) if signed else 0
    stored = fill - (1 << 16) if signed and fill >= 1 << 15 else fill
    meant = fits <= stored < fits + (1 << bits) and -1024 < stored + intercept <= 3071
    if not meant:  # nothing between air and metal
        assert (around == -1024).all()
    elif (around != -1024).all() and vr:
        assert NOT_BELIEVED in volume.notes


@pytest.mark.parametrize("pad", [63536, 65535, 32768])
@pytest.mark.parametrize("declared", [True, False])
def test_unsigned_padding_above_tissue(pad: int, declared: bool) -> None:
    hu = thorax(SLICES)
    words = (hu.astype(np.int32) + 1024).astype(np.uint16)
    datasets = filled(words, pad, signed=False, bits=16, intercept=-1024)
    if declared:
        declare(datasets, "PixelPaddingValue", pad, "US")
    volume = read(datasets)
    assert (volume.hu[:, OUTSIDE] == -1024).all()
    np.testing.assert_array_equal(volume.hu[:, ~OUTSIDE], hu[:, ~OUTSIDE])
    assert (UNDECLARED in volume.notes) is not declared
    assert not any("32767" in note for note in volume.notes)


def test_padding_that_was_cut_to_bits_stored() -> None:
    """63536 in 12 bits is 2096, which is bone."""
    hu = thorax(SLICES)
    words = (hu.astype(np.int32) + 1024).astype(np.uint16)
    datasets = filled(words, 63536 & 0xFFF, signed=False, bits=12, intercept=-1024)
    declare(datasets, "PixelPaddingValue", 63536, "SS")
    volume = read(datasets)
    assert (volume.hu[:, OUTSIDE] == -1024).all()
    np.testing.assert_array_equal(volume.hu[:, ~OUTSIDE], hu[:, ~OUTSIDE])


def test_declared_padding_that_is_nowhere_changes_nothing() -> None:
    datasets = ct_series(thorax(SLICES), BitsStored=16, HighBit=15)
    declare(datasets, "PixelPaddingValue", 63536, "US")
    volume = read(datasets)
    np.testing.assert_array_equal(volume.hu, thorax(SLICES))
    assert volume.notes == ()


@pytest.mark.parametrize("metal_hu", [3500, 14000, 30000])
def test_metal_on_an_extended_scale_stays(metal_hu: int) -> None:
    """Within the body and at the edge of the image, saturated or not."""
    hu = thorax(SLICES).astype(np.int32)
    hu[:, 30:34, 30:34] = metal_hu + np.arange(16).reshape(4, 4)
    hu[:, 30:36, :2] = metal_hu
    datasets = ct_series(thorax(SLICES), BitsStored=16, HighBit=15)
    for data, plane in zip(datasets, hu, strict=True):
        data.PixelData = (plane + 1024).astype("<u2").tobytes()
    np.testing.assert_array_equal(read(datasets).hu, hu)


def test_a_saturated_value_of_the_fill_within_the_body_stays() -> None:
    words = (thorax(SLICES).astype(np.int32) + 1024).astype(np.uint16)
    words[:, 30:32, 30:32] = 40000
    volume = read(filled(words, 40000, signed=False, bits=16, intercept=-1024))
    assert (volume.hu[:, OUTSIDE] == -1024).all()
    assert (volume.hu[:, 30:32, 30:32] == 32767).all()


@pytest.mark.parametrize(
    ("bits", "noise"), [(16, True), (16, False), (12, True), (12, False)], ids=str
)
def test_negative_values_read_as_unsigned_are_refused(bits: int, noise: bool) -> None:
    """HU as two's complement, but Pixel Representation says unsigned."""
    hu = thorax(SLICES).astype(np.int32)
    if not noise:
        hu = np.round(hu, -2)
    datasets = ct_series(thorax(SLICES), RescaleIntercept=0, BitsStored=bits, HighBit=bits - 1)
    for data, plane in zip(datasets, hu, strict=True):
        data.PixelData = (plane.astype("<i2").view("<u2") & ((1 << bits) - 1)).tobytes()
    with pytest.raises(AssemblyError, match="negative values that are read as unsigned"):
        read(datasets)
