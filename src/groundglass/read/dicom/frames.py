"""One image plane of a classic or an enhanced CT object, with one set of names for both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Vector
from groundglass.core.study import Instance
from groundglass.read.dicom.description_terms import virtual_energy


@dataclass(frozen=True, slots=True)
class Frame:
    """One plane.

    Parameters
    ----------
    instance : Instance
        The object that holds it.
    number : int
        Frame number from 1 (PS3.3 C.7.6.6); 1 in a single-frame object.
    values : mapping of str to object
        Attributes by keyword: those of the frame's functional groups before those of the object.
    """

    instance: Instance
    number: int
    values: Mapping[str, object]

    @property
    def name(self) -> str:
        """How messages call it, without identifiers."""
        number = self.values.get("InstanceNumber")
        holder = self.instance.path.name if number is None else f"instance number {number}"
        if "PerFrameFunctionalGroupsSequence" in self.instance.attributes:
            return f"frame {self.number} of {holder}"
        return holder

    @property
    def position_mm(self) -> Vector | None:
        """LPS centre of the first pixel in mm (PS3.3 C.7.6.2.1.1)."""
        return cast("Vector | None", self._numbers("ImagePositionPatient", 3))

    @property
    def orientation(self) -> tuple[float, ...] | None:
        """LPS cosines along a row, then along a column; None if they are no right angle."""
        cosines = self._numbers("ImageOrientationPatient", 6)
        if cosines is None:
            return None
        row, column = cosines[:3], cosines[3:]
        unit = all(abs(_dot(v, v) - 1.0) < 2 * _COSINE_TOLERANCE for v in (row, column))
        return cosines if unit and abs(_dot(row, column)) < _COSINE_TOLERANCE else None

    @property
    def pixel_spacing_mm(self) -> tuple[float, float] | None:
        """Distance in mm between (rows, columns) (PS3.3 10.7.1.3)."""
        spacing = self._numbers("PixelSpacing", 2)
        if spacing is None or min(spacing) <= 0:
            return None
        return spacing[0], spacing[1]

    @property
    def rescale(self) -> tuple[float, float]:
        """(slope, intercept): HU = slope × stored value + intercept (PS3.3 C.11.1.1.2)."""
        return (
            cast(float, self.values["RescaleSlope"]),
            cast(float, self.values["RescaleIntercept"]),
        )

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns)."""
        return cast(int, self.values["Rows"]), cast(int, self.values["Columns"])

    @property
    def image_type(self) -> tuple[str, ...]:
        """Image Type, or Frame Type in an enhanced object (PS3.3 C.8.2.1.1.1, C.8.16.1)."""
        kind = cast(
            "tuple[str, ...]", self.values.get("FrameType") or self.values.get("ImageType") or ()
        )
        return tuple(part.upper() for part in kind)

    @property
    def virtual(self) -> str | None:
        """What it shows if computed from several X-ray energies; None of an ordinary image."""
        texts = self.text("SeriesDescription"), self.text("DerivationDescription")
        return virtual_energy(self.image_type, " ".join(texts))

    def text(self, keyword: str) -> str:
        """A text attribute, empty when absent; several values joined by a blank."""
        value = self.values.get(keyword, "")
        return " ".join(value) if isinstance(value, tuple) else str(value)

    def _numbers(self, keyword: str, length: int) -> tuple[float, ...] | None:
        value = self.values.get(keyword)
        return value if isinstance(value, tuple) and len(value) == length else None


def slice_normal(cosines: Sequence[float]) -> NDArray[np.float64]:
    """LPS unit vector across a plane: row direction × column direction."""
    return np.cross(np.asarray(cosines[:3]), np.asarray(cosines[3:]))


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


#: As core.geometry: cosines further from a right angle are not an orientation.
_COSINE_TOLERANCE = 1e-3


def frames_of(instance: Instance) -> tuple[Frame, ...]:
    """The planes of an object, in stored order."""
    attributes = instance.attributes
    groups = cast(
        "tuple[Mapping[str, object], ...]", attributes.get("PerFrameFunctionalGroupsSequence", ())
    )
    common = {k: v for k, v in attributes.items() if k != "PerFrameFunctionalGroupsSequence"}
    if not groups:
        count = cast(int, attributes.get("NumberOfFrames", 1))
        return tuple(Frame(instance, number, common) for number in range(1, max(count, 1) + 1))
    return tuple(
        Frame(instance, cast(int, group["FrameNumber"]), {**common, **group}) for group in groups
    )


def frames_in(instances: Iterable[Instance]) -> list[Frame]:
    """The planes of objects, one object after the other."""
    return [frame for instance in instances for frame in frames_of(instance)]
