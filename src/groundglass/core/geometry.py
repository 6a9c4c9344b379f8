"""Where voxels are in the patient.

Frame: DICOM patient coordinates, LPS (x to the patient's left, y to the back, z to the head), in
mm (PS3.3 C.7.6.2.1.1). Index order everywhere: (slice, row, column).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from groundglass.errors import SettingsError

Vector = tuple[float, float, float]
_T = TypeVar("_T", bound=np.generic)

#: Direction cosines further than this from unit length or a right angle are not an orientation.
#: DICOM writes cosines with up to 16 characters; scanners round to about six digits.
_COSINE_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Geometry:
    """A regular grid of voxels in the patient."""

    shape: tuple[int, int, int]
    """Number of (slices, rows, columns)."""
    spacing_mm: Vector
    """Distance in mm between the centres of neighbouring (slices, rows, columns)."""
    origin_mm: Vector
    """LPS position in mm of the centre of voxel (0, 0, 0)."""
    directions: tuple[Vector, Vector, Vector]
    """LPS unit vectors along which the (slice, row, column) index grows. The row vector points from
    one row to the next (down the image); the column vector points along a row."""

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise SettingsError(
                f"a grid of shape {self.shape}",
                expected="at least one slice, row and column",
                action="Check the image's size.",
            )
        if not all(np.isfinite(s) and s > 0 for s in self.spacing_mm):
            raise SettingsError(
                f"spacing {self.spacing_mm} mm",
                expected="three positive numbers",
                action="Check the spacing given with the image.",
            )
        axes = np.asarray(self.directions, dtype=np.float64)
        if not np.allclose(axes @ axes.T, np.eye(3), atol=_COSINE_TOLERANCE):
            raise SettingsError(
                f"axes {self.directions}",
                expected="three unit vectors at right angles (PS3.3 C.7.6.2.1.1)",
                action="Check ImageOrientationPatient; a tilted gantry must be corrected first.",
            )

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4) matrix from index (slice, row, column, 1) to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = (np.asarray(self.directions) * np.asarray(self.spacing_mm)[:, None]).T
        matrix[:3, 3] = self.origin_mm
        return matrix

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    def position_mm(self, index: tuple[float, float, float]) -> Vector:
        """LPS position in mm of an index (slice, row, column)."""
        x, y, z = (self.affine @ np.array([*index, 1.0]))[:3]
        return float(x), float(y), float(z)

    def to_axial(self) -> tuple[Geometry, Reorientation]:
        """The same grid indexed (feet→head, front→back, right→left), and how it got there.

        Only exchanges and flips whole axes: no voxel is interpolated.
        """
        axes = np.asarray(self.directions, dtype=np.float64)
        # For each patient axis (z, y, x) the array axis that runs along it most closely.
        alignment = np.abs(axes[:, ::-1])
        order = max(
            permutations(range(3)),
            key=lambda p: sum(alignment[axis, k] for k, axis in enumerate(p)),
        )
        flips = tuple(bool(axes[axis, 2 - k] < 0) for k, axis in enumerate(order))
        reorientation = Reorientation(order=order, flips=flips)  # type: ignore[arg-type]
        return reorientation.apply_geometry(self), reorientation


@dataclass(frozen=True, slots=True)
class Reorientation:
    """Exchange and flip of whole array axes, exact in both directions."""

    order: tuple[int, int, int]
    """Source axis for each target axis (slice, row, column)."""
    flips: tuple[bool, bool, bool]
    """Whether each target axis runs against its source axis."""

    @property
    def is_identity(self) -> bool:
        """Whether nothing moves."""
        return self.order == (0, 1, 2) and not any(self.flips)

    @property
    def inverse(self) -> Reorientation:
        """What brings the target order back into the source order."""
        first, second, third = (self.order.index(axis) for axis in range(3))
        flips = self.flips
        return Reorientation((first, second, third), (flips[first], flips[second], flips[third]))

    @property
    def keeps_slices(self) -> bool:
        """Whether a slice stays a slice: what `apply_image` and `apply_index` are for."""
        return self.order[0] == 0

    def apply(self, array: NDArray[_T]) -> NDArray[_T]:
        """View of a (slice, row, column) array in the target order."""
        turned = np.transpose(array, self.order)
        return turned[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def apply_image(self, image: NDArray[_T]) -> NDArray[_T]:
        """View of one slice's (row, column) image in the target order."""
        turned: NDArray[_T] = self.apply(image[None])[0]
        return turned

    def apply_index(self, index: int, slices: int) -> int:
        """Number in the target of one of `slices` slices."""
        return slices - 1 - index if self.flips[0] else index

    def apply_geometry(self, geometry: Geometry) -> Geometry:
        """The geometry that belongs to `apply`'s array."""
        index = [0.0, 0.0, 0.0]
        directions: list[Vector] = []
        for axis, flip in zip(self.order, self.flips, strict=True):
            index[axis] = geometry.shape[axis] - 1.0 if flip else 0.0
            x, y, z = geometry.directions[axis]
            directions.append((-x, -y, -z) if flip else (x, y, z))
        a, b, c = self.order
        return replace(
            geometry,
            shape=(geometry.shape[a], geometry.shape[b], geometry.shape[c]),
            spacing_mm=(geometry.spacing_mm[a], geometry.spacing_mm[b], geometry.spacing_mm[c]),
            origin_mm=geometry.position_mm((index[0], index[1], index[2])),
            directions=(directions[0], directions[1], directions[2]),
        )
