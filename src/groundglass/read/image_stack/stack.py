"""PNG, JPEG and TIFF images as a stack whose scale, spacing and orientation the caller states."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry
from groundglass.core.study import Instance, Rejection, Series, SourceKind
from groundglass.core.volume import Volume
from groundglass.errors import AssemblyError, ReadError
from groundglass.read.candidates import Candidate, SelectionSettings
from groundglass.read.dicom.stacks.grid import AssemblySettings
from groundglass.read.format import FoundFiles, Progress, SeriesFound, StudyIdentity
from groundglass.read.hounsfield import MissingVoxels, is_exact, store_hu
from groundglass.read.image_stack.pictures import (
    IMAGE_SUFFIXES,
    Picture,
    as_grey,
    decode,
    is_picture,
    pictures_in,
)
from groundglass.read.image_stack.settings import (
    UNSTATED,
    DisplayWindow,
    HounsfieldScale,
    ImageStackSettings,
)
from groundglass.read.limits import LIMITS
from groundglass.read.sources import Entry, Sources

_unfit = partial(
    ReadError,
    expected="grey images of one size and type in a stack, in the order of their names",
    action="Give the images of one series alone.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPicture(Instance):
    """One slice of a stack, by its header, and what the caller says of the stack.

    `place` is how messages call the file: not by its name, which may be a person's.
    """

    picture: Picture
    place: str
    settings: ImageStackSettings


class ImageStackFormat:
    """Images that are slices in the order of their names."""

    kinds = frozenset((SourceKind.IMAGE_STACK,))

    recognises = staticmethod(is_picture)

    def read(self, entry: Entry, _sources: Sources, _head: bytes) -> Instance:
        """The file; what is in it is looked at with the others of the stack."""
        return Instance(entry.path, entry.member)

    def identify(self, _entry: Entry, _sources: Sources, _head: bytes) -> StudyIdentity:
        """Never: nothing in images says which belong together."""
        raise ReadError(
            "an image that does not say which study it belongs to",
            expected="DICOM, NIfTI or MetaImage",
            action="Give PNG, JPEG or TIFF images to `groundglass run`, which asks what they mean.",
        )

    def sort(self, found: FoundFiles) -> SeriesFound:
        """All images as one stack, unless one is missing: their order alone says where they lie."""
        if not found.instances:
            return SeriesFound()
        try:
            return SeriesFound((_stack_of(found),))
        except ReadError as error:
            reason = str(error)
            return SeriesFound(
                rejected=tuple(Rejection(name, reason) for name, _ in found.instances)
            )

    def assess(self, series: Series, name: str, _settings: SelectionSettings) -> Candidate | str:
        """A candidate: the caller has said what it is."""
        return Candidate(series, name)

    def decode(
        self, series: Series, _settings: AssemblySettings, _progress: Progress | None
    ) -> Volume:
        """Its images one after the other, each of the type of the first."""
        pictures = [one for one in series.instances if isinstance(one, StackPicture)]
        stated, first = pictures[0].settings, pictures[0].picture
        slope, intercept = stated.rescale
        shape = (len(pictures), first.rows, first.columns)
        if int(np.prod(shape, dtype=object)) * 4 > LIMITS.volume_bytes:
            raise AssemblyError(
                f"a stack of {shape} pixels",
                expected=f"at most {LIMITS.volume_bytes >> 20} MiB",
                action="Give one series.",
            )
        hu, notes = _decode_all(pictures, shape)
        geometry = Geometry(shape, stated.spacing_mm, (0.0, 0.0, 0.0), stated.directions)
        if isinstance(stated.scale, DisplayWindow):
            low, high = intercept, intercept + 255 * slope
            notes.add(f"HU known only within the window ({low:g} to {high:g} HU).")
        if any(one.picture.lossy for one in pictures):
            notes.add("HU are near what they were: the images were compressed by JPEG.")
        return Volume(hu, geometry, series, tuple(sorted(notes)))


def _stack_of(found: FoundFiles) -> Series:
    """Images as one series, in the order of their names, one instance per page.

    Raises
    ------
    ReadError
        No settings were given, an image is damaged or says something of its pixels that is not
        understood, or the images differ in size or bits, or have no order, or one cannot be read.
    """
    if found.stack is None:
        raise ReadError(
            UNSTATED,
            expected="ImageStackSettings: HU scale or window, spacing in mm, which end is the head "
            "and which sides are front and right",
            action="State them, or give the DICOM files.",
        )
    if lost := sum(map(_is_named_as_image, found.unread)):
        raise ReadError(
            f"a stack of images of which {lost} cannot be read",
            expected="every slice",
            action="Copy or export the images again.",
        )
    ordered = sorted(found.instances, key=lambda one: natural_order(one[0]))
    if len({name for name, _ in ordered}) < len(ordered):
        raise _unfit("images with one name, whose order nothing says")
    stack: list[StackPicture] = []
    for number, (_, file) in enumerate(ordered, 1):
        place = f"image {number} of {len(ordered)} in the order of their names"
        try:
            pictures = pictures_in(found.sources.read(file, limit=LIMITS.encoded_bytes))
            for picture in pictures:
                _refuse_bits(picture, found.stack)
        except ReadError as error:
            raise _at(place, error) from error
        stack += [
            StackPicture(file.path, file.member, picture=picture, place=place, settings=found.stack)
            for picture in pictures
        ]
    sizes = {(one.picture.rows, one.picture.columns) for one in stack}
    if len(sizes) != 1:
        raise _unfit(f"images of {len(sizes)} sizes")
    return Series("", "", SourceKind.IMAGE_STACK, "", "image stack", tuple(stack))


def _is_named_as_image(name: str) -> bool:
    path = PurePosixPath(name.lower())  # ._ begins what macOS lays beside each file
    return path.suffix in IMAGE_SUFFIXES and not path.name.startswith("._")


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


def _decode_all(
    pictures: Sequence[StackPicture], shape: tuple[int, int, int]
) -> tuple[NDArray[Any], set[str]]:
    """The stack in HU, and what a reader should know."""
    slope, intercept = pictures[0].settings.rescale
    notes: set[str] = set()
    missing = MissingVoxels()
    with Sources() as sources:
        # A file of many pages is read once.
        read = lru_cache(maxsize=1)(partial(sources.read, limit=LIMITS.encoded_bytes))
        first = _decode(pictures[0], read)
        exact = first.dtype.kind in "iu" and is_exact(slope, intercept)
        hu = np.empty(shape, np.int16 if exact else np.float32)
        for target, one in zip(hu, pictures, strict=True):
            plane = first if one is pictures[0] else _decode(one, read)
            if plane.dtype != first.dtype:
                raise AssemblyError(
                    f"{one.place}: {plane.dtype} pixels among {first.dtype} ones",
                    expected="one type of pixels in a stack",
                    action="Export the slices again, all in one way.",
                )
            missing.look(plane)
            notes |= store_hu(plane, slope, intercept, target)
    return hu, notes | missing.notes()


def _decode(one: StackPicture, content: Callable[[Instance], bytes]) -> NDArray[Any]:
    try:
        data = content(Instance(one.path, one.member))
        return as_grey(decode(data, one.picture), lossy=one.picture.lossy)
    except ReadError as error:
        placed = _at(one.place, error)
        raise AssemblyError(placed.found, expected=placed.expected, action=placed.action) from error
