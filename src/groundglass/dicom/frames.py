"""One image plane of a classic or an enhanced CT object, with one set of names for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from groundglass.core.study import Instance


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
        if "PerFrameFunctionalGroupsSequence" in self.instance.attributes:
            return f"frame {self.number}"
        return self.instance.path.name if number is None else f"instance number {number}"

    @property
    def position_mm(self) -> NDArray[np.float64] | None:
        """LPS centre of the first pixel in mm (PS3.3 C.7.6.2.1.1)."""
        return self._vector("ImagePositionPatient", 3)

    @property
    def orientation(self) -> NDArray[np.float64] | None:
        """LPS cosines along a row, then along a column: the file's six numbers."""
        cosines = self._vector("ImageOrientationPatient", 6)
        if cosines is None:
            return None
        lengths = np.linalg.norm(cosines.reshape(2, 3), axis=1)
        right = abs(float(cosines[:3] @ cosines[3:])) < _COSINE_TOLERANCE
        unit = bool(np.all(np.abs(lengths - 1.0) < _COSINE_TOLERANCE))
        return cosines if right and unit else None

    @property
    def normal(self) -> NDArray[np.float64] | None:
        """LPS unit vector across the plane: row direction × column direction."""
        cosines = self.orientation
        return None if cosines is None else np.cross(cosines[:3], cosines[3:])

    @property
    def pixel_spacing_mm(self) -> tuple[float, float] | None:
        """Distance in mm between (rows, columns) (PS3.3 10.7.1.3)."""
        spacing = self._vector("PixelSpacing", 2)
        if spacing is None or np.any(spacing <= 0):
            return None
        return float(spacing[0]), float(spacing[1])

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

    def text(self, keyword: str) -> str:
        """A text attribute, empty when absent; several values joined by a blank."""
        value = self.values.get(keyword, "")
        return " ".join(value) if isinstance(value, tuple) else str(value)

    def _vector(self, keyword: str, length: int) -> NDArray[np.float64] | None:
        value = self.values.get(keyword)
        if not isinstance(value, tuple) or len(value) != length:
            return None
        return np.asarray(value, dtype=np.float64)


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
