"""A stack of PNG or TIFF images whose scale, spacing and orientation the caller states."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry, Vector
from groundglass.core.study import Instance, Series, SourceKind
from groundglass.core.volume import Volume
from groundglass.dicom.hounsfield import is_exact, store_hu
from groundglass.dicom.limits import LIMITS
from groundglass.dicom.sources import Entry, Sources
from groundglass.errors import AssemblyError, ReadError, SettingsError

_PNG = b"\x89PNG\r\n\x1a\n"
_TIFFS = (b"II*\0", b"MM\0*")
_CODEC_ERRORS = (RuntimeError, ValueError, TypeError, OverflowError, MemoryError, struct.error,
                 IndexError)  # fmt: skip
#: What is found where a caller states nothing about images.
UNSTATED = "PNG or TIFF images, which do not say what their values and spacing mean"


@dataclass(frozen=True, slots=True)
class HounsfieldScale:
    """HU = slope × value + intercept. Slope 1 and intercept 0 say that the values are HU.

    Parameters
    ----------
    slope, intercept : float
        As DICOM's Rescale Slope and Intercept.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.slope) and self.slope != 0 and np.isfinite(self.intercept)):
            raise SettingsError(
                f"a scale of slope {self.slope:g} and intercept {self.intercept:g}",
                expected="finite numbers, and a slope that is not 0",
                action="Say how the images' values become HU.",
            )


@dataclass(frozen=True, slots=True)
class DisplayWindow:
    """8-bit images made by a window: 0 is its lower edge, 255 its upper one.

    Parameters
    ----------
    center_hu, width_hu : float
        The window, in HU.
    """

    center_hu: float
    width_hu: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.center_hu) and np.isfinite(self.width_hu) and self.width_hu > 0):
            raise SettingsError(
                f"a window of center {self.center_hu:g} and width {self.width_hu:g} HU",
                expected="finite numbers, and a width above 0",
                action="Give the window the images were made with.",
            )


@dataclass(frozen=True, slots=True)
class ImageStackSettings:
    """What a stack of images does not say about itself.

    Nothing here has a default: it is known, or the images cannot be used.

    Parameters
    ----------
    scale : HounsfieldScale or DisplayWindow
        How pixel values become HU.
    spacing_mm : tuple of float
        Distance between (slices, rows, columns) in mm.
    first_slice : {"head", "feet"}
        The end at which the first image (by file name, numbers counted as numbers; by page in a
        TIFF) lies.
    first_row : {"front", "back"}
        The side of the body at the upper edge. Front in the usual view.
    first_column : {"right", "left"}
        The patient's side at the left edge. Right in the usual view.
    """

    scale: HounsfieldScale | DisplayWindow
    spacing_mm: Vector
    first_slice: Literal["head", "feet"]
    first_row: Literal["front", "back"]
    first_column: Literal["right", "left"]

    def __post_init__(self) -> None:
        sides = (
            ("first_slice", self.first_slice, ("head", "feet")),
            ("first_row", self.first_row, ("front", "back")),
            ("first_column", self.first_column, ("right", "left")),
        )
        for name, value, allowed in sides:
            if value not in allowed:
                raise SettingsError(
                    f"{name}={value!r}", expected=" or ".join(allowed), action="Say which it is."
                )
        if len(self.spacing_mm) != 3 or not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise SettingsError(
                f"spacing {self.spacing_mm} mm",
                expected="three positive numbers: slices, rows, columns",
                action="Take them from the scan's protocol.",
            )

    @property
    def directions(self) -> tuple[Vector, Vector, Vector]:
        """LPS unit vectors of the (slice, row, column) axes."""
        return (
            (0.0, 0.0, -1.0 if self.first_slice == "head" else 1.0),
            (0.0, 1.0 if self.first_row == "front" else -1.0, 0.0),
            (1.0 if self.first_column == "right" else -1.0, 0.0, 0.0),
        )

    @property
    def rescale(self) -> tuple[float, float]:
        """(slope, intercept) to HU."""
        if isinstance(self.scale, HounsfieldScale):
            return self.scale.slope, self.scale.intercept
        return (
            self.scale.width_hu / 255.0,
            self.scale.center_hu - self.scale.width_hu / 2.0,
        )


def is_image(head: bytes) -> bool:
    """Whether a file's first bytes are PNG's or TIFF's."""
    return head.startswith((_PNG, *_TIFFS))


def read_stack_header(
    entries: Sequence[Entry], settings: ImageStackSettings | None, sources: Sources
) -> Series:
    """Images as a series, one instance per page.

    Raises
    ------
    ReadError
        No settings were given, or the images differ in size.
    """
    if settings is None:
        raise ReadError(
            UNSTATED,
            expected="ImageStackSettings: HU scale or window, spacing in mm, which end is the head "
            "and which sides are front and right",
            action="State them, or give the DICOM files.",
        )
    instances: list[Instance] = []
    for entry in sorted(entries, key=lambda entry: _natural(entry.name)):
        sizes = _page_sizes(sources.read(entry.path, entry.member, limit=LIMITS.encoded_bytes))
        instances += [
            Instance(
                path=entry.path,
                member=entry.member,
                attributes={"Rows": rows, "Columns": columns, "page": page, "settings": settings},
            )
            for page, (rows, columns) in enumerate(sizes)
        ]
    sizes_seen = {(i.attributes["Rows"], i.attributes["Columns"]) for i in instances}
    if len(sizes_seen) != 1:
        raise ReadError(
            f"images of {len(sizes_seen)} sizes",
            expected="one size in a stack",
            action="Give the images of one series alone.",
        )
    return Series("", "", SourceKind.IMAGE_STACK, "", "image stack", tuple(instances))


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key by which slice 10 follows slice 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _page_sizes(data: bytes) -> list[tuple[int, int]]:
    """(rows, columns) of each page, from the headers, before anything is decoded."""
    try:
        sizes = [_png_size(data)] if data.startswith(_PNG) else _tiff_sizes(data)
    except struct.error as error:
        raise _damaged("an image file that is cut off") from error
    for rows, columns in sizes:
        if not (0 < rows <= LIMITS.side_pixels and 0 < columns <= LIMITS.side_pixels):
            raise _damaged(f"an image of {rows} × {columns} pixels")
    return sizes


def _png_size(data: bytes) -> tuple[int, int]:
    columns, rows = struct.unpack_from(">II", data, 16)
    return int(rows), int(columns)


def _tiff_sizes(data: bytes) -> list[tuple[int, int]]:
    """Sizes in the chain of image file directories (TIFF 6.0 section 2)."""
    order = "<" if data[:2] == b"II" else ">"
    offset = int(struct.unpack_from(f"{order}I", data, 4)[0])
    sizes: list[tuple[int, int]] = []
    seen: set[int] = set()
    while offset:
        if offset in seen or len(seen) == LIMITS.frames:
            raise _damaged(f"a TIFF file whose pages run in a circle, or over {LIMITS.frames}")
        seen.add(offset)
        count = int(struct.unpack_from(f"{order}H", data, offset)[0])
        fields: dict[int, int] = {}
        for index in range(count):
            at = offset + 2 + 12 * index
            tag, kind = struct.unpack_from(f"{order}HH", data, at)
            form = "H" if kind == 3 else "I"
            fields[tag] = int(struct.unpack_from(f"{order}{form}", data, at + 8)[0])
        sizes.append((fields.get(257, 0), fields.get(256, 0)))
        offset = int(struct.unpack_from(f"{order}I", data, offset + 2 + 12 * count)[0])
    return sizes


def _damaged(found: str) -> ReadError:
    return ReadError(
        found,
        expected="a complete grey PNG or TIFF image of a CT's size",
        action="Export it again.",
    )


def read_stack(series: Series) -> Volume:
    """An image stack as a `Volume`.

    Raises
    ------
    AssemblyError
        An image cannot be decoded, has colours, or does not fit the stated window.
    """
    first = series.instances[0].attributes
    settings = first["settings"]
    assert isinstance(settings, ImageStackSettings)  # noqa: S101
    slope, intercept = settings.rescale
    shape = (len(series.instances), int(str(first["Rows"])), int(str(first["Columns"])))
    if int(np.prod(shape, dtype=object)) * 4 > LIMITS.volume_bytes:
        raise AssemblyError(
            f"a stack of {shape} pixels",
            expected=f"at most {LIMITS.volume_bytes >> 20} MiB",
            action="Give one series.",
        )
    notes: set[str] = set()
    if isinstance(settings.scale, DisplayWindow):
        low = intercept
        notes.add(f"HU known only within the window ({low:g} to {low + 255 * slope:g} HU).")
    hu: NDArray[Any] | None = None
    with Sources() as sources:
        read = _FileReader(sources)
        for index, instance in enumerate(series.instances):
            plane = _decode(instance, settings, read)
            if hu is None:
                exact = plane.dtype.kind in "iu" and is_exact(slope, intercept)
                hu = np.empty(shape, np.int16 if exact else np.float32)
            notes |= store_hu(plane, slope, intercept, hu[index])
    assert hu is not None  # noqa: S101
    directions = settings.directions
    geometry = Geometry(shape, settings.spacing_mm, (0.0, 0.0, 0.0), directions)
    return Volume(hu, geometry, series, tuple(sorted(notes)))


class _FileReader:
    """Reads whole files; the last one stays, so that a file of many pages is read once."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._last: tuple[Path, str | None] | None = None
        self._data = b""

    def __call__(self, path: Path, member: str | None) -> bytes:
        if (path, member) != self._last:
            self._data = self._sources.read(path, member, limit=LIMITS.encoded_bytes)
            self._last = path, member
        return self._data


def _decode(instance: Instance, settings: ImageStackSettings, read: _FileReader) -> NDArray[Any]:
    page = int(str(instance.attributes["page"]))
    try:
        data = read(instance.path, instance.member)
        if data.startswith(_PNG):
            plane = np.asarray(imagecodecs.png_decode(data))
        else:
            plane = np.asarray(imagecodecs.tiff_decode(data, index=page))
    except (ReadError, *_CODEC_ERRORS) as error:
        raise AssemblyError(
            f"{instance.path.name}, which cannot be decoded ({type(error).__name__})",
            expected="a complete PNG or TIFF image",
            action="Export it again.",
        ) from error
    expected = (instance.attributes["Rows"], instance.attributes["Columns"])
    if plane.shape != expected or plane.dtype.kind not in "iuf":
        raise AssemblyError(
            f"{instance.path.name}: pixels {plane.shape} of {plane.dtype}",
            expected="a grey image: one number per pixel",
            action="Export the slices without colours and without alpha.",
        )
    if isinstance(settings.scale, DisplayWindow) and plane.dtype != np.uint8:
        raise AssemblyError(
            f"{instance.path.name}: {plane.dtype} pixels with a display window",
            expected="8-bit pixels, or a HounsfieldScale",
            action="Say how these values become HU.",
        )
    return plane
