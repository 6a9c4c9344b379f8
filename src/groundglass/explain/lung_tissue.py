"""The HU under a heat map: a slice and its lungs on the networks' square, moved as the image is."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from groundglass.core.volume import Volume
from groundglass.explain.rigid_transform import RigidTransform
from groundglass.prepare import Letterbox, slice_positions_mm

Float = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: HU of what a slice does not cover in the square.
_AIR_HU = -1024


@dataclass(frozen=True, slots=True, eq=False)
class LungTissue:
    """One slice under a heat map."""

    slice_hu: NDArray[np.int16] | NDArray[np.float32]
    """Shape (rows, columns). The axial slice in HU, on the volume's own pixels."""
    lung: Mask
    """Shape (size, size). Its lung mask on the networks' square."""
    frame: Letterbox
    """Where the slice lies in the square."""
    move: RigidTransform | None = None
    """How the image was moved on the square, if it was."""

    @property
    def side_mm(self) -> float:
        """Side of the square in mm."""
        return self.frame.pixel_mm * self.frame.size

    def moved(self, move: RigidTransform) -> LungTissue:
        """The same turned or shifted on the square."""
        return replace(self, move=move)

    def on_square(self) -> tuple[NDArray[np.int16] | Float, Mask]:
        """HU and lung mask on the square, shapes (size, size), as the image was moved."""
        hu = self.frame.forward(self.slice_hu, _AIR_HU)
        if self.move is None:
            return hu, self.lung
        lung = self.move.apply(self.lung.astype(np.uint8) * np.uint8(255), cv2.INTER_LINEAR)
        return self.move.of_values(hu.astype(np.float32)), lung >= 128


@dataclass(frozen=True, slots=True, eq=False)
class SeenScan:
    """The scan whose verdict is explained, in axial order."""

    volume: Volume
    """The axial volume."""
    lung: Mask
    """Shape (slices, size, size). Its lung mask on the networks' square."""

    @property
    def frame(self) -> Letterbox:
        """Where its slices lie in the square."""
        return Letterbox.of(self.volume.geometry, self.lung.shape[1])

    @property
    def positions_mm(self) -> NDArray[np.float64]:
        """Shape (slices,). LPS z of every slice."""
        return slice_positions_mm(self.volume.geometry)

    def tissue(self, index: int) -> LungTissue:
        """What lies under the heat of one slice."""
        return LungTissue(self.volume.hu[index], self.lung[index], self.frame)
