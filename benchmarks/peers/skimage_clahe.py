"""scikit-image's contrast-limited adaptive histogram equalisation."""

from __future__ import annotations

import numpy as np

from benchmarks.peers import Options, Prepared


def prepare(options: Options) -> Prepared:
    """Options: `images`, an .npy file of (slices, rows, columns) uint8; `tiles` per side."""
    import skimage  # noqa: PLC0415
    from skimage.exposure import equalize_adapthist  # noqa: PLC0415

    images = np.load(options["images"])
    tile = images.shape[1] // options["tiles"]

    def work() -> None:
        for image in images:
            equalize_adapthist(image, kernel_size=tile)

    return Prepared(f"scikit-image {skimage.__version__}", work)
