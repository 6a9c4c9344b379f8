"""Whether the heat follows the image when it is turned or shifted (paper, Discussion).

The prepared image is moved, a map is made anew, moved back and compared with the one shown, by
cosine similarity over the pixels that stayed in the image. The paper gives the two shifts, in
pixels of its 256×256 images, and leaves the angle open: 10° is our choice, more than a patient is
ever tilted on the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from groundglass.explain.rigid_transform import RigidTransform

Float = NDArray[np.float32]

PERTURBATIONS: Mapping[str, RigidTransform] = MappingProxyType(
    {
        "clockwise 10°": RigidTransform(clockwise_deg=10.0),
        "counter-clockwise 10°": RigidTransform(clockwise_deg=-10.0),
        "shift +30, −15 px": RigidTransform(shift_px=(30.0, -15.0)),
        "shift −20, +15 px": RigidTransform(shift_px=(-20.0, 15.0)),
    }
)


def similarity(shown: Float, moved: Float, perturbation: RigidTransform) -> float:
    """Cosine similarity of a map with that of the moved image, 0 to 1; 0 where one is empty.

    Parameters
    ----------
    shown, moved : ndarray of float32, shape (size, size)
        Map of the image, and of the image moved.
    """
    again, there = perturbation.inverse(moved, len(shown)), perturbation.valid_mask(len(shown))
    one, two = shown[there].astype(np.float64), again[there].astype(np.float64)
    length = float(np.linalg.norm(one) * np.linalg.norm(two))
    return float(one @ two) / length if length > 0 else 0.0
