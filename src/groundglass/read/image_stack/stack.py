"""A stack of PNG, JPEG or TIFF images whose scale, spacing and orientation the caller states."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry, Vector
from groundglass.core.study import Instance, Series, SourceKind
from groundglass.core.volume import Volume
from groundglass.errors import AssemblyError, ReadError, SettingsError
from groundglass.read.hounsfield import MissingVoxels, is_exact, store_hu
from groundglass.read.image_stack.pictures import Picture, as_grey, decode, pictures_in
from groundglass.read.limits import LIMITS
from groundglass.read.sources import Entry, Sources

#: What is found where a caller states nothing about images.
UNSTATED = "PNG, JPEG or TIFF images, which do not say what their values and spacing mean"


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


def read_stack_header(
    entries: Sequence[Entry], settings: ImageStackSettings | None, sources: Sources
) -> Series:
    """Images as one series, in the order of their names, one instance per page.

    Parameters
    ----------
    entries : sequence of Entry
        PNG, JPEG or TIFF files.
    settings : ImageStackSettings or None
        What they do not say about themselves.
    sources : Sources
        Reads them.

    Raises
    ------
    ReadError
        No settings were given, an image is damaged or says something of its pixels that is not
        understood, or the images differ in size or bits, or have no order.
    """
    if settings is None:
        raise ReadError(
            UNSTATED,
            expected="ImageStackSettings: HU scale or window, spacing in mm, which end is the head "
            "and which sides are front and right",
            action="State them, or give the DICOM files.",
        )
    ordered = sorted(entries, key=lambda entry: natural_order(entry.name))
    if len({entry.name for entry in ordered}) < len(ordered):
        raise _unfit("images with one name, whose order nothing says")
    instances: list[Instance] = []
    for number, entry in enumerate(ordered, 1):
        # Not its name, which may be a person's.
        place = f"image {number} of {len(ordered)} in the order of their names"
        try:
            data = sources.read(entry.path, entry.member, limit=LIMITS.encoded_bytes)
            pictures = pictures_in(data)
            for picture in pictures:
                _refuse_bits(picture, settings)
        except ReadError as error:
            raise _at(place, error) from error
        instances += [
            Instance(entry.path, entry.member, attributes={
                "Rows": picture.rows, "Columns": picture.columns, "picture": picture,
                "settings": settings, "place": place,
            })
            for picture in pictures
        ]  # fmt: skip
    sizes = {(i.attributes["Rows"], i.attributes["Columns"]) for i in instances}
    if len(sizes) != 1:
        raise _unfit(f"images of {len(sizes)} sizes")
    return Series("", "", SourceKind.IMAGE_STACK, "", "image stack", tuple(instances))


def natural_order(name: str) -> list[tuple[int, str]]:
    """Sort key by which slice 10 follows slice 9: digits of any script count as numbers.

    Other characters that stand for numbers (①, ²) are letters here, as they are no digits of a
    decimal number.
    """
    parts = re.split(r"(\d+)", name)  # every second part is decimal digits
    key: list[tuple[int, str]] = []
    for index, part in enumerate(parts):
        if index % 2 == 0:
            key.append((-1, part))
            continue
        digits = "".join(str(unicodedata.decimal(digit)) for digit in part).lstrip("0")
        key.append((len(digits), digits))
    return key


def _refuse_bits(picture: Picture, settings: ImageStackSettings) -> None:
    """Fewer bits than a CT's are a mask or a drawing; a window takes eight, no other number."""
    if picture.bits < 8:
        raise _unfit(f"an image of {picture.bits} bits a pixel")
    scale = settings.scale
    if isinstance(scale, DisplayWindow) and picture.bits != 8:
        raise ReadError(
            f"an image of {picture.bits} bits a pixel with a display window",
            expected="8-bit pixels, or a HounsfieldScale",
            action="Say how these values become HU.",
        )
    own = picture.calibration
    stated = (scale.slope, scale.intercept) if isinstance(scale, HounsfieldScale) else None
    if own not in ((1.0, 0.0), stated):
        raise ReadError(
            f"an ImageJ stack whose calibration makes {own[0]:g} × value + {own[1]:g} of its "
            "values, where another scale is stated",
            expected="the same scale (slope and intercept), or no calibration",
            action="State the calibration's scale if it gives HU, or remove it in ImageJ.",
        )


def _at(place: str, error: ReadError) -> ReadError:
    return ReadError(f"{place}: {error.found}", expected=error.expected, action=error.action)


def _unfit(found: str) -> ReadError:
    return ReadError(
        found,
        expected="grey images of one size and type in a stack, in the order of their names",
        action="Give the images of one series alone.",
    )


def read_stack(series: Series) -> Volume:
    """An image stack as a `Volume`.

    Raises
    ------
    AssemblyError
        An image cannot be decoded, has colours, or is of another type than the first.
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
    if any(cast(Picture, i.attributes["picture"]).lossy for i in series.instances):
        notes.add("HU are near what they were: the images were compressed by JPEG.")
    hu: NDArray[Any] | None = None
    stored: np.dtype[Any] | None = None
    missing = MissingVoxels()
    with Sources() as sources:
        read = _FileReader(sources)
        for index, instance in enumerate(series.instances):
            plane = _decode(instance, read)
            if hu is None:
                stored = plane.dtype
                exact = plane.dtype.kind in "iu" and is_exact(slope, intercept)
                hu = np.empty(shape, np.int16 if exact else np.float32)
            if plane.dtype != stored:
                raise AssemblyError(
                    f"{instance.attributes['place']}: {plane.dtype} pixels among {stored} ones",
                    expected="one type of pixels in a stack",
                    action="Export the slices again, all in one way.",
                )
            missing.look(plane)
            notes |= store_hu(plane, slope, intercept, hu[index])
    assert hu is not None  # noqa: S101
    notes |= missing.notes()
    directions = settings.directions
    geometry = Geometry(shape, settings.spacing_mm, (0.0, 0.0, 0.0), directions)
    return Volume(hu, geometry, series, tuple(sorted(notes)))


class _FileReader:
    """Reads whole files; the last one stays, so that a file of many pages is read once."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._last: tuple[Path, int | None] | None = None
        self._data = b""

    def __call__(self, path: Path, member: int | None) -> bytes:
        if (path, member) != self._last:
            self._data = self._sources.read(path, member, limit=LIMITS.encoded_bytes)
            self._last = path, member
        return self._data


def _decode(instance: Instance, read: _FileReader) -> NDArray[Any]:
    try:
        data = read(instance.path, instance.member)
        picture = cast(Picture, instance.attributes["picture"])
        return as_grey(decode(data, picture), lossy=picture.lossy)
    except ReadError as error:
        placed = _at(str(instance.attributes["place"]), error)
        raise AssemblyError(placed.found, expected=placed.expected, action=placed.action) from error
