"""What ImageJ writes into ImageDescription: a stack in one page, and how its values are read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from groundglass.read.image_stack import tiff
from groundglass.read.image_stack.tiff import TiffPage, damaged_tiff
from groundglass.read.limits import LIMITS

_GREY = "grayscale"


@dataclass(frozen=True, slots=True)
class ImageJStack:
    """A stack by its description: its pictures, and (slope, intercept) of its calibration."""

    planes: int
    calibration: tuple[float, float]


def imagej_stack(pages: Sequence[TiffPage], length: int) -> ImageJStack | None:
    """The stack that ImageJ wrote into a file of so many bytes; None where it did not.

    A stack of more than a page's size lies behind its first page's first strip, uncompressed, one
    plane after the other, and has no pages of its own (ij.io.TiffEncoder). Refused where it is cut
    off, has colours, more axes than one, or a calibration that is no straight line.
    """
    if not pages or not pages[0].description.startswith("ImageJ="):
        return None
    pairs = (line.partition("=") for line in pages[0].description.splitlines())
    said = {key.strip(): value.strip() for key, _, value in pairs}
    planes = _whole(said, "images")
    if planes > LIMITS.frames:
        raise damaged_tiff(f"an ImageJ stack of {planes} pictures")
    axes = [_whole(said, name) for name in ("channels", "slices", "frames")]
    # Writers call the one axis of a plain stack by any of these names.
    if sum(length > 1 for length in axes) > 1 or said.get("mode", _GREY) != _GREY:
        raise damaged_tiff("an ImageJ stack of channels or times beside slices, or in colours")
    stack = ImageJStack(max(planes, len(pages)), _calibration(said))
    if stack.planes == len(pages):
        return stack
    page = pages[0]
    rows, columns = page.size
    plain = (page.value(tiff.COMPRESSION), page.value(tiff.SAMPLES), len(pages)) == (1, 1, 1)
    bits, start = page.value(tiff.BITS) or 0, page.value(tiff.STRIPS)
    if not plain or bits % 8 or start is None:
        raise damaged_tiff("an ImageJ stack that does not lie plain in the file")
    needed = start + stack.planes * rows * columns * bits // 8
    if needed > length:
        raise damaged_tiff(f"an ImageJ stack of which {length} of {needed} bytes are there")
    return stack


def _whole(said: dict[str, str], key: str) -> int:
    text = said.get(key, "1")
    if not (text.isascii() and text.isdigit() and len(text) < 8):
        raise damaged_tiff(f"an ImageJ description whose {key} is no number")
    return int(text)


def _calibration(said: dict[str, str]) -> tuple[float, float]:
    """(slope, intercept) of `c1` and `c0`, where `cf`, the function's number, is that of a line."""
    if not said.keys() & {"cf", "c0", "c1", "c2"}:
        return 1.0, 0.0
    try:
        slope, intercept = float(said.get("c1", "1")), float(said.get("c0", "0"))
    except ValueError:
        slope = intercept = math.nan
    line = said.get("cf", "0") == "0" and "c2" not in said
    if not (line and math.isfinite(slope) and math.isfinite(intercept)):
        raise damaged_tiff("an ImageJ stack with a calibration that is no straight line")
    return slope, intercept
