"""The lung segmenter."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from groundglass.infer.bundle import SEGMENTER, Bundle
from groundglass.infer.engine import Engine

#: Slices per call: enough to fill two cores, small enough for the second-level cache to help.
_BATCH = 4


class Segmenter:
    """The U-Net of a bundle.

    Parameters
    ----------
    bundle : Bundle
        Weights.
    engine : Engine
        What runs them.
    """

    def __init__(self, bundle: Bundle, engine: Engine) -> None:
        self._network = engine.compile(bundle.path(SEGMENTER), _BATCH)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Lung probability per pixel, 255 for certain.

        Parameters
        ----------
        images : ndarray of uint8, shape (slices, size, size)
            `segmenter_images`.

        Returns
        -------
        ndarray of uint8, same shape
        """
        probability = np.empty_like(images)
        for start in range(0, len(images), _BATCH):
            part = slice(start, start + _BATCH)
            (found,) = self._network(images[part, None])
            probability[part] = found[:, 0]
        return probability
