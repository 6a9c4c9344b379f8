"""One image plane of a classic or an enhanced CT object, with one set of names for both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Vector
from groundglass.core.study import Instance, Series
from groundglass.errors import ReadError
from groundglass.read.dicom.description_terms import virtual_energy
from groundglass.read.dicom.headers.ct_header import CtHeader, DicomInstance, dicom_instances

#: As core.geometry: cosines further from a right angle are not an orientation.
_COSINE_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Frame:
    """One plane."""

    instance: DicomInstance
    """The object that holds it."""
    number: int
    """Frame number from 1 (PS3.3 C.7.6.6); 1 in a single-frame object."""
    header: CtHeader
    """What the frame's functional groups say, before what the object says."""

    @property
    def name(self) -> str:
        """How messages call it, without identifiers."""
        number = self.header.instance_number
        holder = self.instance.path.name if number is None else f"instance number {number}"
        return f"frame {self.number} of {holder}" if self.instance.header.frames else holder

    @property
    def position_mm(self) -> Vector | None:
        """LPS centre of the first pixel in mm (PS3.3 C.7.6.2.1.1)."""
        stated = self.header.image_position_mm
        return (stated[0], stated[1], stated[2]) if len(stated) == 3 else None

    @property
    def orientation(self) -> tuple[float, ...] | None:
        """LPS cosines along a row, then along a column; None if they are no right angle."""
        cosines = self.header.image_orientation
        if len(cosines) != 6:
            return None
        row, column = cosines[:3], cosines[3:]
        unit = all(abs(_dot(v, v) - 1.0) < 2 * _COSINE_TOLERANCE for v in (row, column))
        return cosines if unit and abs(_dot(row, column)) < _COSINE_TOLERANCE else None

    @property
    def pixel_spacing_mm(self) -> tuple[float, float] | None:
        """Distance in mm between (rows, columns) (PS3.3 10.7.1.3)."""
        spacing = self.header.pixel_spacing_mm
        return (spacing[0], spacing[1]) if len(spacing) == 2 and min(spacing) > 0 else None

    @property
    def missing_placement(self) -> tuple[str, ...]:
        """Keywords of what tells where it lies and is not there, or of no use (PS3.3 C.7.6.2)."""
        stated = {
            "ImagePositionPatient": self.position_mm,
            "ImageOrientationPatient": self.orientation,
            "PixelSpacing": self.pixel_spacing_mm,
        }
        return tuple(keyword for keyword, value in stated.items() if value is None)

    @property
    def rescale(self) -> tuple[float, float]:
        """(slope, intercept): HU = slope × stored value + intercept (PS3.3 C.11.1.1.2)."""
        slope, intercept = self.header.rescale_slope, self.header.rescale_intercept
        if slope is None or intercept is None:
            raise ReadError(
                "no RescaleSlope or RescaleIntercept",
                expected="a CT image with a linear rescale to Hounsfield units (PS3.3 C.11.1)",
                action="Give the scanner's own CT images.",
            )
        return slope, intercept

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.header.rows, self.header.columns

    @property
    def image_type(self) -> tuple[str, ...]:
        """Image Type, or Frame Type in an enhanced object (PS3.3 C.8.2.1.1.1, C.8.16.1)."""
        stated = self.header.frame_type or self.header.image_type
        return tuple(part.upper() for part in stated)

    @property
    def kernel(self) -> str:
        """Convolution Kernel; several of them joined by a blank."""
        return " ".join(self.header.convolution_kernel)

    @property
    def virtual(self) -> str | None:
        """What it shows if computed from several X-ray energies; None of an ordinary image."""
        texts = self.header.series_description, self.header.derivation_description
        return virtual_energy(self.image_type, " ".join(texts))


def slice_normal(cosines: Sequence[float]) -> NDArray[np.float64]:
    """LPS unit vector across a plane: row direction × column direction."""
    return np.cross(np.asarray(cosines[:3]), np.asarray(cosines[3:]))


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def frames_of(instance: DicomInstance) -> tuple[Frame, ...]:
    """The planes of an object, in stored order."""
    header = instance.header
    if header.frames:
        return tuple(Frame(instance, one.frame_number, one) for one in header.frames)
    count = max(header.number_of_frames, 1)
    return tuple(Frame(instance, number, header) for number in range(1, count + 1))


def frames_in(instances: Iterable[Instance]) -> list[Frame]:
    """The planes of DICOM objects, one object after the other."""
    return [frame for instance in dicom_instances(instances) for frame in frames_of(instance)]


def series_number(series: Series) -> int | None:
    """Series Number of the first image; None where nobody says."""
    images = dicom_instances(series.instances[:1])
    return images[0].header.series_number if images else None
