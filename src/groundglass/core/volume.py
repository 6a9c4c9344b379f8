"""A CT volume in Hounsfield units."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from groundglass.core.geometry import Geometry, Reorientation
from groundglass.core.study import Series
from groundglass.errors import SettingsError


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A CT volume: what every voxel attenuates, and where it is."""

    hu: NDArray[np.int16] | NDArray[np.float32]
    """Shape (slices, rows, columns). Hounsfield units. Held read-only."""
    geometry: Geometry
    """The grid in the patient; its shape is that of `hu`."""
    series: Series | None = None
    """Where the voxels came from; None for volumes made in memory."""
    notes: tuple[str, ...] = field(default=())
    """What reading did that a reader of the result should know (padding filled, values clipped)."""

    def __post_init__(self) -> None:
        if self.hu.dtype not in (np.int16, np.float32):
            raise SettingsError(
                f"voxels of type {self.hu.dtype}",
                expected="int16 or float32 Hounsfield units",
                action="Rescale to HU before making a Volume; units are never guessed.",
            )
        if self.hu.shape != self.geometry.shape:
            raise SettingsError(
                f"{self.hu.shape} voxels",
                expected=f"the geometry's {self.geometry.shape}",
                action="Make the geometry from the same image.",
            )
        view = self.hu.view()
        view.flags.writeable = False
        object.__setattr__(self, "hu", view)

    def __repr__(self) -> str:
        slices, rows, columns = self.geometry.shape
        mm = "×".join(f"{s:.2f}" for s in reversed(self.geometry.spacing_mm))
        return f"Volume({slices} slices of {rows}×{columns}, HU, {mm} mm)"

    def to_axial(self) -> tuple[Volume, Reorientation]:
        """The volume with slices from feet to head, rows front to back, columns right to left.

        Whole axes are exchanged and flipped, nothing is interpolated; its `inverse` brings
        masks and maps back onto this volume's grid.
        """
        geometry, turn = self.geometry.to_axial()
        if turn.is_identity:
            return self, turn
        hu = np.ascontiguousarray(turn.apply(self.hu))
        return Volume(hu, geometry, self.series, self.notes), turn
