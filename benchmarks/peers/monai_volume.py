"""MONAI's 3-D classifiers on one group of images as a volume, random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import Options, Prepared


def prepare(options: Options) -> Prepared:
    """Options: `images`, an .npy file of (slices, size, size); `network`, a name below."""
    import monai  # noqa: PLC0415
    import torch  # noqa: PLC0415
    from monai.networks import nets  # noqa: PLC0415

    made = {
        "densenet121": lambda: nets.DenseNet121(spatial_dims=3, in_channels=1, out_channels=3),
        "resnet18": lambda: nets.resnet18(
            spatial_dims=3, n_input_channels=1, num_classes=3, feed_forward=True
        ),
    }
    network = made[options["network"]]().eval()
    volume = torch.from_numpy(np.load(Path(options["images"])))[None, None].float() / 255

    def work() -> Any:
        with torch.inference_mode():
            return network(volume)

    return Prepared(f"MONAI {monai.__version__} {options['network']} 3-D, PyTorch eager", work)
