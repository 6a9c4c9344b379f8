"""Which pixels of a frame lie outside the field of view, by what is declared and what is there."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import ReadError
from groundglass.read.dicom.frames import Frame
from groundglass.read.dicom.pixels.layout import PixelLayout, layout_of
from groundglass.read.hounsfield import HIGHEST_STORED_HU, LOWEST_HU

_Value = TypeVar("_Value", bound=np.generic)

#: Padding is believed up to this HU; a padding value that means tissue is a writer's mistake, and
#: believing it would punch holes into the patient.
_HIGHEST_PADDING_HU = -900.0
#: The highest CT number of the usual 12 bit scale. Above it there is metal on an extended scale,
#: up to some 30 000 HU, and padding written as a negative number into unsigned pixels: -2000 in
#: 16 bits is 63536. What is declared as padding there, or fills the corners, is no metal.
_HIGHEST_USUAL_HU = 3071.0
#: Metal may take up so much of a slice, or of its edge; more of it are negative numbers read as
#: unsigned, each 2^16 (or 2^12) too high. Our choice.
_MOST_METAL, _MOST_METAL_AT_THE_EDGE = 0.1, 0.25
#: Fills the edge in so many values at most; air there has noise.
_MOST_FILLS = 2

NOT_BELIEVED = "A PixelPaddingValue that lies within the range of tissue was not believed."
UNDECLARED = (
    f"A value above {_HIGHEST_USUAL_HU:g} HU that fills the edge of the image, undeclared, was "
    "taken as padding."
)


def outside_the_field(
    frame: Frame, stored: NDArray[np.integer]
) -> tuple[NDArray[np.bool_] | None, set[str]]:
    """Pixels of a frame that show nothing of the patient or the air around; None where all do.

    Fill below the scale needs no mask: clipping does it. Beside them what a reader should know
    (`NOT_BELIEVED`, `UNDECLARED`). Negative numbers read as unsigned are refused.

    Parameters
    ----------
    frame : Frame
        With its rescale and what it declares as padding (PS3.3 C.7.5.1.1.2).
    stored : ndarray of int, shape (rows, columns)
        Its stored values.
    """
    layout = layout_of(frame.instance.header)
    declared, notes = _declared(frame, layout, stored)
    fill = _fill(frame, layout, stored)
    if fill is None:
        outside = declared
    else:
        notes = notes | {UNDECLARED}
        outside = fill if declared is None else declared | fill
    _refuse_wrapped(frame, stored, outside)
    return outside, notes


def _declared(
    frame: Frame, layout: PixelLayout, stored: NDArray[np.integer]
) -> tuple[NDArray[np.bool_] | None, set[str]]:
    padding = layout.padding
    if padding is None:
        return None, set()
    lowest_hu, highest_hu = _ends_hu(frame, *padding)
    if highest_hu <= LOWEST_HU:
        return None, set()  # clipping to the lowest HU does it
    beyond = lowest_hu > _HIGHEST_USUAL_HU or layout.has_wide_padding
    if beyond or highest_hu <= _HIGHEST_PADDING_HU:
        return (stored >= padding[0]) & (stored <= padding[1]), set()
    return None, {NOT_BELIEVED}


def _fill(
    frame: Frame, layout: PixelLayout, stored: NDArray[np.integer]
) -> NDArray[np.bool_] | None:
    """Undeclared: regions of one value too high for tissue that begin at the image's edge.

    At all four corners, where a scanner has no data; or higher than any CT number. Or the declared
    padding, cut to Bits Stored by whoever wrote the pixels.
    """
    edge = _edge(stored)
    wide = layout.has_wide_padding
    if not wide and _ends_hu(frame, edge.min(), edge.max())[1] <= _HIGHEST_USUAL_HU:
        return None
    padding = layout.padding or (1, 0)
    values = [v for v in np.unique(edge) if not padding[0] <= v <= padding[1]]
    filling = {value for value in values if _hu(frame, value) > HIGHEST_STORED_HU}
    if len(filling) > _MOST_FILLS:
        raise _wrapped()
    corners = {stored[row, column] for row in (0, -1) for column in (0, -1)}
    if len(corners) == 1:
        corner = min(corners)
        cut = wide and (int(corner) ^ padding[0]) & layout.stored_bits == 0
        if cut or _hu(frame, corner) > _HIGHEST_USUAL_HU:
            filling |= corners.intersection(values)
    if not filling:
        return None
    fill = np.zeros(stored.shape, dtype=bool)
    for value in filling:
        fill |= _from_the_edge(stored == value)
    return fill


def _from_the_edge(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage  # noqa: PLC0415  (slow to import; few studies come this way)

    labels, _ = ndimage.label(mask)
    edge = _edge(labels)
    return np.isin(labels, edge[edge > 0])


def _refuse_wrapped(
    frame: Frame, stored: NDArray[np.integer], outside: NDArray[np.bool_] | None
) -> None:
    if _ends_hu(frame, stored.min(), stored.max())[1] <= _HIGHEST_USUAL_HU:
        return
    slope, intercept = frame.rescale
    high = slope * stored.astype(np.float64) + intercept > _HIGHEST_USUAL_HU
    if outside is not None:
        high &= ~outside
    if high.mean() > _MOST_METAL or _edge(high).mean() > _MOST_METAL_AT_THE_EDGE:
        raise _wrapped()


def _hu(frame: Frame, value: int) -> float:
    slope, intercept = frame.rescale
    return slope * float(value) + intercept


def _ends_hu(frame: Frame, *values: int) -> list[float]:
    return sorted(_hu(frame, value) for value in values)


def _edge(plane: NDArray[_Value]) -> NDArray[_Value]:
    return np.concatenate((plane[0], plane[-1], plane[:, 0], plane[:, -1]))


def _wrapped() -> ReadError:
    return ReadError(
        f"air or tissue above {_HIGHEST_USUAL_HU:g} HU: negative values that are read as unsigned",
        expected="Pixel Representation, bits and rescale that describe the pixels "
        "(PS3.3 C.7.6.3, C.11.1)",
        action="Export the images again from the archive; their headers contradict their pixels.",
    )
