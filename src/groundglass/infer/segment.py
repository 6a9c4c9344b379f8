"""The lung segmenter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from groundglass.infer.engine import Engine

#: Slices at a time: enough to fill two cores, small enough for the second-level cache to help.
_BATCH = 4


class Segmenter:
    """The lung U-Net, from its ONNX file: a bundle's, or one that training has just written."""

    def __init__(self, path: Path, engine: Engine) -> None:
        self._network = engine.compile(path, _BATCH)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Lung probability per pixel, 255 for certain, of (slices, size, size) images."""
        (probability,) = self._network(images[:, None])
        return np.asarray(probability[:, 0], dtype=np.uint8)
