"""The bits of a pixel that are its value, and what the others may be (PS3.5 section 8.1.1)."""

from __future__ import annotations

from typing import cast

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import ReadError
from groundglass.read.dicom.pixels.layout import PixelLayout, unfit


def fit_bits(words: NDArray[np.unsignedinteger], layout: PixelLayout) -> NDArray[np.integer]:
    """The Bits Stored bits that end at High Bit, sign-extended; declared padding whole.

    Bits outside may repeat the sign, hold overlays where the header says so, hold one pattern in
    every pixel, or belong to a padding value that needs all of them. Anything else there is a value
    that does not fit Bits Stored, and refused: cut to it, metal would become air.

    Parameters
    ----------
    words : ndarray of uint8, uint16 or uint32, shape (rows, columns)
        All allocated bits of each pixel.
    layout : PixelLayout
        Which of them are the value.
    """
    kind = f"{'i' if layout.signed else 'u'}{layout.bits_allocated // 8}"
    whole = words.view(kind)
    if layout.bits_stored == layout.bits_allocated:
        return whole
    left = np.left_shift(words, layout.bits_allocated - 1 - layout.high_bit).view(kind)
    fitted = cast(
        "NDArray[np.integer]",
        np.right_shift(left, layout.bits_allocated - layout.bits_stored, out=left),
    )
    if _fits(words, fitted, layout):
        return fitted
    padding = _wide_padding(whole, layout)
    _refuse_wider_values(words[~padding], fitted[~padding], layout)
    return np.where(padding, whole, fitted)


def _fits(
    words: NDArray[np.unsignedinteger], fitted: NDArray[np.integer], layout: PixelLayout
) -> bool:
    """Whether no bit is set outside Bits Stored but a sign, by the quickest comparisons."""
    if layout.high_bit != layout.bits_stored - 1:
        return False
    if layout.signed:
        return np.array_equal(words, fitted.view(words.dtype))
    return int(words.max(initial=0)) <= layout.stored_bits


def _wide_padding(whole: NDArray[np.integer], layout: PixelLayout) -> NDArray[np.bool_]:
    """Pixels whose whole word is the declared padding, where that needs more than Bits Stored."""
    if layout.padding is None or not layout.has_wide_padding:
        return np.zeros(whole.shape, dtype=bool)
    low, high = layout.padding
    found: NDArray[np.bool_] = (whole >= low) & (whole <= high)
    return found


def _refuse_wider_values(
    words: NDArray[np.unsignedinteger], fitted: NDArray[np.integer], layout: PixelLayout
) -> None:
    outside = ((1 << layout.bits_allocated) - 1) & ~layout.stored_bits & ~layout.overlay_bits
    above = (-1 << layout.high_bit + 1) & outside
    surplus = words & words.dtype.type(outside)
    if not surplus.size or (0 < surplus.min() == surplus.max() and fitted.min() < fitted.max()):
        return  # one pattern in every pixel says nothing about any of them
    negative = fitted < 0
    extended = negative & (surplus == words.dtype.type(above)) & (above != 0)
    short = negative & (surplus == 0)
    if extended.any() and short.any():  # the sign is written out, so these are positive
        raise _too_wide(layout)
    if layout.least is not None and len(np.unique(fitted[short & (fitted < layout.least)])) > 2:
        raise _too_wide(layout)
    if surplus[~extended].any():
        raise _too_wide(layout)


def _too_wide(layout: PixelLayout) -> ReadError:
    return unfit(
        f"pixel values of more than {layout.bits_stored} bits",
        f"values that fit Bits Stored {layout.bits_stored}, and overlays declared as such",
    )
